"""A PostgreSQL server for tests, on machines that have one installed."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import as_user, readable_folder

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def postgresql() -> Iterator[str]:
    """The SQLAlchemy address of an empty database; without a PostgreSQL server the test is skipped."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(_DEBIAN))])
    initdb, server = (shutil.which(name, path=places) for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server is installed: SQLite alone is tested")
    with readable_folder() as folder, socket.socket() as free:
        prefix = _as_owner(folder)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        data = folder / "data"
        subprocess.run([*prefix, initdb, "-D", data, "-U", "tests", "-A", "trust"], check=True, capture_output=True)
        options = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        process = subprocess.Popen([*prefix, server, *options], stderr=subprocess.DEVNULL)
        try:
            ready = [Path(server).resolve().parent / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            for _ in range(600):  # a tenth of a second each
                if subprocess.run(ready, capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
            yield f"postgresql+psycopg://tests@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(2)  # SIGINT: a fast shutdown
            process.wait(60)


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
