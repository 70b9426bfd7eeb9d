"""The schema: created, brought up to date by several processes at once, and refused where it is unknown."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from digitcore.errors import StoreError
from digitcore.store.annotations import Annotation, AnnotationStore
from digitcore.store.database import Database
from digitcore.store.handwriting import HandwritingStore
from tests.databases import empty_database
from tests.paths import ROOT

OLD = (
    "CREATE TABLE annotations (dataset VARCHAR(100) NOT NULL, digit_id INTEGER NOT NULL, "
    "starred BOOLEAN NOT NULL, note TEXT NOT NULL, {}PRIMARY KEY (dataset, digit_id))"
)


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def schema(url: str) -> dict[str, set[str]]:
    """Columns by table."""
    engine = create_engine(url)
    inspector = inspect(engine)
    columns = {name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()}
    engine.dispose()
    return columns


@pytest.mark.parametrize("version", ["", "version BIGINT NOT NULL DEFAULT 1, "])
def test_a_database_of_before_is_taken_over(url: str, version: str) -> None:
    execute(
        url,
        OLD.format(version),
        "INSERT INTO annotations (dataset, digit_id, starred, note) VALUES ('uci-digits', 3, true, 'old')",
    )
    with closing(AnnotationStore(url)) as store:
        assert store.load("uci-digits") == {3: Annotation(starred=True, note="old")}
    with closing(HandwritingStore(url)) as store:
        assert len(store.load(None)) == 0


def test_it_is_the_same_schema_by_either_road(url: str, tmp_path: Path) -> None:
    old = f"sqlite:///{tmp_path / 'old.sqlite'}"
    execute(old, OLD.format(""))
    for address in (url, old):
        Database(address, purpose="Digits").close()
    assert schema(url) == schema(old)
    assert schema(url).keys() == {
        "annotations", "notebooks", "handwriting", "classes", "members", "corrections", "alembic_version",
    }  # fmt: skip


def test_several_processes_may_migrate_at_once(postgresql_server: str, tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / 'digitcore.sqlite'}", empty_database(postgresql_server)]
    for url in urls:
        execute(url, OLD.format(""))
    code = (
        "import os, sys; import alembic.script; from digitcore.store.database import Database\n"
        "for url in 4 * sys.argv[1:]:\n"
        "    if os.fork() == 0: Database(url, purpose='Digits').close(); os._exit(0)\n"
        "sys.exit(any(os.wait()[1] for _ in 4 * sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *urls], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert all("handwriting" in schema(url) for url in urls)


def test_threads_that_open_it_first_all_succeed(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for database in pool.map(lambda _: Database(url, purpose="Digits"), range(16)):
            database.close()


def test_a_schema_of_a_newer_release_is_left_alone(url: str) -> None:
    Database(url, purpose="Digits").close()
    execute(url, "UPDATE alembic_version SET version_num = '99'", "DROP TABLE handwriting")
    with pytest.raises(StoreError, match=r"written by a newer release \(schema 99\)"):
        Database(url, purpose="Digits")
    assert "handwriting" not in schema(url)


def test_nobody_else_writes_during_a_transaction(url: str) -> None:
    """Each reads a number and writes the next: none is written twice."""
    with closing(Database(url, purpose="Digits")) as database:

        def count(_: int) -> None:
            with database.writing() as connection:
                number = connection.execute(text("SELECT count(*) FROM annotations")).scalar_one()
                connection.execute(text(f"INSERT INTO annotations VALUES ('a', {number}, true, '', 1)"))

        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(count, range(40)):
                pass
        with database.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM annotations")).scalar_one() == 40
        with pytest.raises(IntegrityError), database.writing() as connection:
            connection.execute(text("INSERT INTO annotations VALUES ('b', 1, true, '', 1), ('a', 1, true, '', 1)"))
        with database.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM annotations")).scalar_one() == 40
