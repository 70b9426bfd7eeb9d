"""The database that all processes share: its address, its connections, and its schema, which Alembic brings up to date.

SQLite keeps what is confirmed through a kill at any moment: with a write-ahead log that is synchronised at each commit.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from digitcore.errors import StoreError
from digitcore.text import printable

__all__ = ["Database"]

_LOCK_TIMEOUT = 30  # seconds that SQLite waits for another process
_WRITER_LOCK = 0x646967697473  # of PostgreSQL, for whoever writes: "digits"
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """A database with the schema of this release. Safe to share between threads."""

    def __init__(self, url: str, *, purpose: str, error: type[StoreError] = StoreError) -> None:
        """Opens the database at an SQLAlchemy address, and creates what is missing.

        purpose: what is stored there, as the subject of a message in the plural: "Stars and notes".

        Raises:
            StoreError: it cannot be opened; as all errors of this database, of the class `error`.
        """
        self._purpose, self._error = purpose, error
        self._url = self._parsed(url)
        self._turn = threading.Lock()  # of the threads that write: SQLite looks only now and then whether it may
        with self._explained():
            self._engine = _sqlite_engine(self._url) if self._is_sqlite else create_engine(self._url)
            try:
                self._migrate()
            except Exception:
                self.close()
                raise

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._explained(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction in which nobody else writes: what is read there still holds when it is committed.

        Raises:
            IntegrityError: there is such a row already. Nothing has changed.
            StoreError: the database cannot be written. Nothing has changed.
        """
        engine = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        with self._turn if self._is_sqlite else nullcontext(), self._explained(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
            yield connection

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        """Brings the schema up to date; of several processes one does so, and the others wait."""
        from alembic.migration import MigrationContext  # here: Alembic takes a quarter of a second
        from alembic.operations import Operations
        from alembic.script import ScriptDirectory

        script = ScriptDirectory(_MIGRATIONS, version_locations=[_MIGRATIONS])
        with self.reading() as connection:
            if MigrationContext.configure(connection).get_current_revision() == script.get_current_head():
                return
        with self.writing() as connection:
            context = MigrationContext.configure(connection)
            current = context.get_current_revision()
            if current not in {None, *(step.revision for step in script.walk_revisions())}:
                raise self._error(f"The database has been written by a newer release (schema {current}): install it.")
            for step in reversed(list(script.iterate_revisions("head", current or "base"))):
                step.module.upgrade(Operations(context))
                context.stamp(script, step.revision)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (SQLAlchemyError, ImportError, OSError) as error:  # ImportError: the database's driver is not installed
            shown = self._url.set(database=printable(self._url.database or ""))
            address, reason = shown.render_as_string(hide_password=True), printable(str(error).splitlines()[0])
            raise self._error(
                f"{self._purpose} cannot be stored in {address} ({reason}): see DIGITCORE_DATABASE_URL."
            ) from error

    def _parsed(self, url: str) -> URL:
        try:
            return make_url(url)
        except (ArgumentError, ValueError) as error:  # ValueError: a port that is not a number
            # The address is not repeated: without its parts nobody knows which of them is the password.
            raise self._error(
                "DIGITCORE_DATABASE_URL is not a database address: "
                "write it like sqlite:////folder/file.sqlite or postgresql+psycopg://user:password@host/name."
            ) from error


def _sqlite_engine(url: URL) -> Engine:
    """An engine that leaves the beginning of transactions to us; Python's driver begins them too late.

    Source: SQLAlchemy, "Transactional Behavior of pysqlite", dialects/sqlite.html.
    """
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": _LOCK_TIMEOUT})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Has readers and the writer not wait for each other. Where another process does the same, SQLite does not wait."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
