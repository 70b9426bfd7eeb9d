"""Stars and notes on digits, stored in a database that all visitors and replicas share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, Text, create_engine, delete, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from digitcore.errors import AnnotationError

__all__ = ["Annotation", "AnnotationStore"]

_LONGEST_NOTE = 2000

_TABLE = Table(
    "annotations",
    MetaData(),
    Column("dataset", String(100), primary_key=True),
    Column("digit_id", Integer, primary_key=True, autoincrement=False),
    Column("starred", Boolean, nullable=False),
    Column("note", Text, nullable=False),
)


@dataclass(frozen=True)
class Annotation:
    """A star and a note on one digit."""

    starred: bool = False
    note: str = ""


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
            self._engine = create_engine(self._url)
            _TABLE.metadata.create_all(self._engine)

    def load(self, dataset: str) -> dict[int, Annotation]:
        """Annotations of a dataset by digit id.

        Raises:
            AnnotationError: the database cannot be read.
        """
        with self._explained(), self._engine.connect() as connection:
            rows = connection.execute(select(_TABLE).where(_TABLE.c.dataset == dataset)).all()
        return {row.digit_id: Annotation(row.starred, row.note) for row in rows}

    def save(self, dataset: str, digit_id: int, annotation: Annotation) -> None:
        """Replaces the annotation of a digit; an empty one removes it.

        Raises:
            ValueError: the note is longer than 2,000 characters.
            AnnotationError: the database cannot be written.
        """
        if len(annotation.note) > _LONGEST_NOTE:
            raise ValueError(f"note must have at most {_LONGEST_NOTE} characters, got {len(annotation.note)}")
        is_digit = (_TABLE.c.dataset == dataset) & (_TABLE.c.digit_id == digit_id)
        with self._explained(), self._engine.begin() as connection:
            connection.execute(delete(_TABLE).where(is_digit))
            if annotation != Annotation():
                row = {"dataset": dataset, "digit_id": digit_id}
                row |= {"starred": annotation.starred, "note": annotation.note}
                connection.execute(insert(_TABLE).values(row))

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


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is not a number
        # The address is not repeated: without its parts nobody knows which of them is the password.
        raise AnnotationError(
            "DIGITCORE_DATABASE_URL is not a database address: "
            "write it like sqlite:////folder/file.sqlite or postgresql+psycopg://user:password@host/name."
        ) from error
