"""Both kinds of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import empty_database, postgresql


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a server that all tests share."""
    with postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'digitcore.sqlite'}"
    return empty_database(request.getfixturevalue("postgresql_server"))
