"""Stars and notes on digits, stored in a database that all visitors and replicas share."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Executable,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, SQLAlchemyError

from digitcore.errors import AnnotationConflictError, AnnotationError

__all__ = ["Annotation", "AnnotationStore"]

_LONGEST_NOTE = 2000
_LOCK_TIMEOUT = 30  # seconds that SQLite waits for another process

_TABLE = Table(
    "annotations",
    MetaData(),
    Column("dataset", String(100), primary_key=True),
    Column("digit_id", Integer, primary_key=True, autoincrement=False),
    Column("starred", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
)
_ADD_VERSION = text("ALTER TABLE annotations ADD COLUMN version BIGINT NOT NULL DEFAULT 1")
"""For tables of before there were versions."""


@dataclass(frozen=True)
class Annotation:
    """A star and a note on one digit."""

    starred: bool = False
    note: str = ""
    version: int = field(default=0, compare=False)
    """Another number with each change, in no order; 0: it has never been saved, or was removed."""


class AnnotationStore:
    """Annotations by dataset and digit. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Opens the database at an SQLAlchemy address, and creates what is missing.

        Raises:
            AnnotationError: it cannot be opened.
        """
        self._url = _parsed(url)
        with self._explained():
            if self._url.get_backend_name() == "sqlite" and self._url.database:
                Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
            options = {"timeout": _LOCK_TIMEOUT} if self._url.get_backend_name() == "sqlite" else {}
            self._engine = create_engine(self._url, connect_args=options)
            _create_missing(self._engine)

    def load(self, dataset: str) -> dict[int, Annotation]:
        """Annotations of a dataset by digit id.

        Raises:
            AnnotationError: the database cannot be read.
        """
        with self._explained(), self._engine.connect() as connection:
            rows = connection.execute(select(_TABLE).where(_TABLE.c.dataset == dataset)).all()
        return {row.digit_id: Annotation(row.starred, row.note, row.version) for row in rows}

    def save(self, dataset: str, digit_id: int, annotation: Annotation, *, version: int | None = None) -> Annotation:
        """Replaces the annotation of a digit, and returns it with its new version; an empty one removes it.

        version: of the annotation that is to be replaced, as `load` gave it, or 0 where it gave none. Without a version
        the last word counts.

        Raises:
            ValueError: the note is longer than 2,000 characters.
            AnnotationConflictError: the annotation has another version by now. Nothing is saved.
            AnnotationError: the database cannot be written.
        """
        if len(annotation.note) > _LONGEST_NOTE:
            raise ValueError(f"note must have at most {_LONGEST_NOTE} characters, got {len(annotation.note)}")
        if version is not None:
            return self._replace(dataset, digit_id, annotation, version)
        while True:
            with suppress(AnnotationConflictError):
                known = self.load(dataset).get(digit_id, Annotation())
                return self._replace(dataset, digit_id, annotation, known.version)

    def _replace(self, dataset: str, digit_id: int, annotation: Annotation, version: int) -> Annotation:
        """Replaces what has this version by one statement, so that nobody comes in between."""
        new = replace(annotation, version=0 if annotation == Annotation() else 2 + secrets.randbits(60))
        values = {"starred": new.starred, "note": new.note, "version": new.version}
        read = (_TABLE.c.dataset == dataset) & (_TABLE.c.digit_id == digit_id) & (_TABLE.c.version == version)
        if version:
            change: Executable = (
                update(_TABLE).where(read).values(values) if new.version else delete(_TABLE).where(read)
            )
        else:
            change = insert(_TABLE).values(dataset=dataset, digit_id=digit_id, **values)
        if (new.version or version) and not self._has_changed(change):
            raise AnnotationConflictError(
                f"Digit {digit_id} of {dataset} has been starred or noted otherwise meanwhile."
            )
        return new

    def _has_changed(self, change: Executable) -> bool:
        """Executes a statement for one row; False where there is no such row, or there is one already."""
        with self._explained():
            try:
                with self._engine.begin() as connection:
                    return connection.execute(change).rowcount != 0  # -1: a driver that counts no inserted rows
            except IntegrityError:
                return False

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, ImportError, OSError) as error:  # ImportError: the database's driver is not installed
            address, reason = self._url.render_as_string(hide_password=True), str(error).splitlines()[0]
            raise AnnotationError(
                f"Stars and notes cannot be stored in {address} ({reason}): see DIGITCORE_DATABASE_URL."
            ) from error


def _create_missing(engine: Engine) -> None:
    """Creates the table, or the column that an old one lacks."""
    try:
        _TABLE.metadata.create_all(engine)
        _add_version(engine)
    except DatabaseError:
        if not _has_version(engine):  # or another process has just done it
            raise


def _add_version(engine: Engine) -> None:
    if not _has_version(engine):
        with engine.begin() as connection:
            connection.execute(_ADD_VERSION)


def _has_version(engine: Engine) -> bool:
    inspector = inspect(engine)
    return inspector.has_table(_TABLE.name) and "version" in {
        column["name"] for column in inspector.get_columns(_TABLE.name)
    }


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is not a number
        # The address is not repeated: without its parts nobody knows which of them is the password.
        raise AnnotationError(
            "DIGITCORE_DATABASE_URL is not a database address: "
            "write it like sqlite:////folder/file.sqlite or postgresql+psycopg://user:password@host/name."
        ) from error
