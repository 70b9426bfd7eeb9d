"""Stars and notes on digits, stored in a database that all visitors and replicas share."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Executable,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from digitcore.errors import AnnotationConflictError, AnnotationError
from digitcore.store.database import Database

__all__ = ["Annotation", "AnnotationStore"]

_LONGEST_NOTE = 2000

_TABLE = Table(
    "annotations",
    MetaData(),
    Column("dataset", String(100), primary_key=True),
    Column("digit_id", Integer, primary_key=True, autoincrement=False),
    Column("starred", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
)


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
        self._database = Database(url, purpose="Stars and notes", error=AnnotationError)

    def load(self, dataset: str) -> dict[int, Annotation]:
        """Annotations of a dataset by digit id.

        Raises:
            AnnotationError: the database cannot be read.
        """
        with self._database.reading() as connection:
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
        try:
            with self._database.writing() as connection:
                return connection.execute(change).rowcount != 0  # -1: a driver that counts no inserted rows
        except IntegrityError:
            return False

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()
