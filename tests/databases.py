"""A PostgreSQL server for tests, on machines that have one installed."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.processes import as_user, readable_folder

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def postgresql() -> Iterator[str]:
    """The SQLAlchemy address of an empty database of a new server; without PostgreSQL the test is skipped."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(_DEBIAN))])
    initdb, server = (shutil.which(name, path=places) for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        if os.environ.get("DIGITCORE_REQUIRE_POSTGRESQL"):
            pytest.fail("DIGITCORE_REQUIRE_POSTGRESQL is set, but no PostgreSQL server is installed")
        pytest.skip("no PostgreSQL server is installed: SQLite alone is tested")
    with readable_folder() as folder, socket.socket() as free:
        prefix = _as_owner(folder)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = folder / "data"
        subprocess.run(
            [*prefix, initdb, "--no-sync", "-D", data, "-U", "tests", "-A", "trust"], check=True, capture_output=True
        )
        options = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        options += ["-c", "fsync=off"]  # nobody pulls the plug
        process = subprocess.Popen([*prefix, server, *options], stderr=subprocess.DEVNULL)
        try:
            ready = [Path(server).resolve().parent / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            for _ in range(600):  # a tenth of a second each
                if subprocess.run(ready, capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
            yield f"postgresql+psycopg://tests@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nobody reads the data again
            process.wait(60)


def empty_database(server: str) -> str:
    """The address of a new database of the server that another address names."""
    name = f"digits_{secrets.token_hex(8)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.rsplit("/", 1)[0] + f"/{name}"


def _as_owner(folder: Path) -> list[str]:
    """What commands start with that root may not run, as a user who owns the folder."""
    if os.getuid() != 0:
        return []
    try:
        owner = pwd.getpwnam("postgres").pw_uid
    except KeyError:
        pytest.skip("a PostgreSQL server does not run as root, and there is no user postgres")
    os.chown(folder, owner, -1)
    return as_user(owner)
