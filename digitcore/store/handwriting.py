"""Digits that visitors have written, in notebooks.

A notebook is a key that nobody can guess: whoever has it sees and changes what is in it, and nobody else does. Writers
are names within a notebook. A session is one sitting of one writer: digits of one session are alike, and do not belong
on both sides of a split.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from digitcore.errors import HandwritingError, HandwritingFullError
from digitcore.store.database import Database
from digitcore.store.tables import DIGITS, LONGEST_WRITER, NOTEBOOKS

__all__ = [
    "LONGEST_WRITER",
    "Handwriting",
    "HandwritingStore",
    "HandwrittenDigit",
    "Source",
    "StoredDigit",
    "is_notebook",
    "new_key",
]

Source: TypeAlias = Literal["draw", "guided", "sheet", "import"]
"""How a digit came here."""

_NOTEBOOK = re.compile(r"[A-Za-z0-9_-]{22,64}")
_SIDE = 28
_LONGEST = {"session": 64, "strokes": 10_000, "checkpoint": 64}  # characters
_LARGEST_INK = 50_000  # bytes

_OVERVIEW = [column for column in DIGITS.columns if column.name not in ("strokes", "ink")]


@dataclass(frozen=True, eq=False)
class HandwrittenDigit:
    """A digit as somebody wrote it, and what is known of it."""

    picture: NDArray[np.uint8]  # (28, 28), the model input, 255 = ink
    label: int
    source: Source
    writer: str = ""
    """A name within the notebook; empty: none was given."""
    session: str = ""
    """A text that is the same for the digits of one sitting alone."""
    answer: int | None = None
    """The digit that a checkpoint read, where one did."""
    checkpoint: str | None = None
    """The digest of this checkpoint."""
    strokes: str | None = None
    """As `imaging.stroke_links` writes them, where they are known."""
    ink: bytes | None = None
    """A PNG of what was written, before preprocessing."""

    def __post_init__(self) -> None:
        """Checks each value.

        Raises:
            ValueError: one of them cannot be stored.
        """
        if self.picture.shape != (_SIDE, _SIDE) or self.picture.dtype != np.uint8:
            raise ValueError(f"picture must be uint8 (28, 28), got {self.picture.dtype} {self.picture.shape}")
        if self.label not in range(10) or self.answer not in (None, *range(10)):
            raise ValueError(f"label and answer must be 0 to 9, got {self.label} and {self.answer}")
        if self.source not in get_args(Source):
            raise ValueError(f"source must be one of {', '.join(get_args(Source))}, got {self.source!r}")
        if len(self.writer) > LONGEST_WRITER or not self.writer.isprintable():
            raise ValueError(f"writer must be at most {LONGEST_WRITER} printable characters, got {self.writer!r}")
        for name, longest in _LONGEST.items():
            if len(getattr(self, name) or "") > longest:
                raise ValueError(f"{name} must have at most {longest} characters")
        if len(self.ink or b"") > _LARGEST_INK:
            raise ValueError(f"ink must have at most {_LARGEST_INK} bytes, got {len(self.ink or b'')}")


@dataclass(frozen=True, eq=False)
class StoredDigit:
    """A digit as it is stored."""

    id: int
    """A number that no other digit has, nor will have."""
    time: datetime
    """When it was stored, UTC."""
    digit: HandwrittenDigit


@dataclass(frozen=True, eq=False)
class Handwriting:
    """Stored digits, by column, in the order of their ids. Row i of each column belongs to the same digit."""

    ids: NDArray[np.int64]  # (N,)
    images: NDArray[np.uint8]  # (N, 28, 28)
    labels: NDArray[np.int64]  # (N,)
    notebooks: tuple[str, ...]
    writers: tuple[str, ...]
    sessions: tuple[str, ...]
    sources: tuple[str, ...]
    answers: NDArray[np.int64]  # (N,), -1 where nothing was read
    checkpoints: tuple[str, ...]
    """Digests of what read them; empty where nothing did."""
    times: NDArray[np.float64]  # (N,), seconds since 1970, UTC

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def people(self) -> NDArray[np.int64]:
        """A number for each writer (N,); where no name was given, each session is somebody else's."""
        rows = zip(self.notebooks, self.writers, self.sessions, strict=True)
        return _numbered([(notebook, writer, "" if writer else session) for notebook, writer, session in rows])

    @property
    def sittings(self) -> NDArray[np.int64]:
        """A number for each session of each writer (N,)."""
        return _numbered(list(zip(self.notebooks, self.writers, self.sessions, strict=True)))


class HandwritingStore:
    """Digits by notebook. Safe to share between threads."""

    def __init__(self, url: str, *, most: int = 20_000, most_together: int = 200_000) -> None:
        """Opens the database at an SQLAlchemy address, and creates what is missing.

        most: digits that a notebook may hold. most_together: that all notebooks may hold.

        Raises:
            HandwritingError: it cannot be opened.
        """
        self._database = Database(url, purpose="Handwriting", error=HandwritingError)
        self._most, self._most_together = most, most_together

    def add(self, notebook: str, digits: Sequence[HandwrittenDigit]) -> list[int]:
        """Stores digits, all or none, and returns their ids in the same order.

        Raises:
            ValueError: the notebook is not a key as `new_key` gives them.
            HandwritingFullError: they would be too many. Nothing is stored.
            HandwritingError: the database cannot be written. Nothing is stored.
        """
        with self._database.writing() as connection:
            return self._add(connection, notebook, digits)

    def restore(self, notebook: str, digits: Sequence[StoredDigit]) -> None:
        """Brings back what `delete` has returned, under the ids of before.

        Raises:
            ValueError: one of them is not deleted.
            HandwritingFullError: they would be too many. Nothing is stored.
            HandwritingError: the database cannot be written. Nothing is stored.
        """
        rows = [_values(one.digit) | {"id": one.id, "time": one.time.timestamp()} for one in digits]
        try:
            with self._database.writing() as connection:
                self._insert(connection, notebook, rows)
        except IntegrityError as error:
            raise ValueError("digits must have been deleted") from error

    def _add(self, connection: Connection, notebook: str, digits: Sequence[HandwrittenDigit]) -> list[int]:
        """As `add`, in a transaction that is under way."""
        now = time.time()
        return self._insert(connection, notebook, [_values(digit) | {"time": now} for digit in digits])

    def _insert(self, connection: Connection, notebook: str, rows: list[dict[str, object]]) -> list[int]:
        if not is_notebook(notebook):
            raise ValueError("notebook must be a key as new_key gives them")
        if not rows:
            return []
        self._check_room(connection, notebook, len(rows))
        statement = insert(DIGITS).returning(DIGITS.c.id, sort_by_parameter_order=True)
        ids = connection.execute(statement, [row | {"notebook": notebook} for row in rows]).scalars().all()
        _count(connection, notebook)
        return list(ids)

    def _check_room(self, connection: Connection, notebook: str, more: int) -> None:
        own = select(NOTEBOOKS.c.digits).where(NOTEBOOKS.c.notebook == notebook).scalar_subquery()
        digits, together = connection.execute(select(own, select(func.sum(NOTEBOOKS.c.digits)).scalar_subquery())).one()
        if (digits or 0) + more > self._most:
            raise HandwritingFullError(f"A notebook holds at most {self._most:,} digits: delete some first.")
        if (together or 0) + more > self._most_together:
            raise HandwritingFullError("This server holds as many digits as it may: ask whoever runs it.")

    def load(self, notebook: str | None, *, writer: str | None = None, source: Source | None = None) -> Handwriting:
        """The digits of a notebook, or of one of its writers, or from one source; with None those of all notebooks.

        Raises:
            HandwritingError: the database cannot be read.
        """
        with self._database.reading() as connection:
            statement = select(*_OVERVIEW).where(_of(notebook, writer, source)).order_by(DIGITS.c.id)
            rows = connection.execute(statement).all()
        names = [column.name for column in _OVERVIEW]
        columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
        return Handwriting(
            ids=np.array(columns["id"], dtype=np.int64),
            images=np.frombuffer(b"".join(columns["picture"]), dtype=np.uint8).reshape(-1, _SIDE, _SIDE),
            labels=np.array(columns["label"], dtype=np.int64),
            notebooks=columns["notebook"],
            writers=columns["writer"],
            sessions=columns["session"],
            sources=columns["source"],
            answers=np.array([-1 if answer is None else answer for answer in columns["answer"]], dtype=np.int64),
            checkpoints=tuple(checkpoint or "" for checkpoint in columns["checkpoint"]),
            times=np.array(columns["time"], dtype=np.float64),
        )

    def read(self, notebook: str, ids: Sequence[int]) -> list[StoredDigit]:
        """Those of these digits that are in the notebook, with strokes and ink, in the order of their ids.

        Raises:
            HandwritingError: the database cannot be read.
        """
        with self._database.reading() as connection:
            return _read(connection, notebook, ids)

    def counts(self, notebook: str, *, writer: str | None = None, source: Source | None = None) -> NDArray[np.int64]:
        """How many there are of each digit (10,), as for `load`.

        Raises:
            HandwritingError: the database cannot be read.
        """
        condition = _of(notebook, writer, source)
        statement = select(DIGITS.c.label, func.count()).where(condition).group_by(DIGITS.c.label)
        counts = np.zeros(10, dtype=np.int64)
        with self._database.reading() as connection:
            for label, count in connection.execute(statement):
                counts[label] = count
        return counts

    def size(self, notebook: str) -> int:
        """How many digits the notebook holds.

        Raises:
            HandwritingError: the database cannot be read.
        """
        statement = select(NOTEBOOKS.c.digits).where(NOTEBOOKS.c.notebook == notebook)
        with self._database.reading() as connection:
            return connection.execute(statement).scalar() or 0

    def latest_writer(self, notebook: str) -> str:
        """Who wrote the last digit of the notebook; empty where no name was given.

        Raises:
            HandwritingError: the database cannot be read.
        """
        statement = select(DIGITS.c.writer).where(_of(notebook)).order_by(DIGITS.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            return connection.execute(statement).scalar() or ""

    def revision(self, notebook: str) -> int:
        """Another number after each change, in no order; 0 where the notebook is empty.

        Raises:
            HandwritingError: the database cannot be read.
        """
        with self._database.reading() as connection:
            statement = select(NOTEBOOKS.c.revision).where(NOTEBOOKS.c.notebook == notebook)
            return connection.execute(statement).scalar() or 0

    def correct(self, notebook: str, ids: Sequence[int], label: int) -> None:
        """Gives these digits of the notebook another label.

        Raises:
            ValueError: label is not 0 to 9.
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        if label not in range(10):
            raise ValueError(f"label must be 0 to 9, got {label}")
        with self._database.writing() as connection:
            connection.execute(update(DIGITS).where(_of(notebook), _among(ids)).values(label=int(label)))
            _count(connection, notebook)

    def delete(self, notebook: str, ids: Sequence[int], *, writer: str | None = None) -> list[StoredDigit]:
        """Deletes these digits of the notebook, and returns those that were there, for `restore`.

        writer: None stands for any; of a writer only their own are deleted.

        Raises:
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        with self._database.writing() as connection:
            gone = _read(connection, notebook, ids, writer)
            connection.execute(delete(DIGITS).where(_of(notebook, writer), _among(ids)))
            _count(connection, notebook)
        return gone

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()


def new_key() -> str:
    """A key that nobody can guess, for a notebook or a session."""
    return secrets.token_urlsafe(24)


def is_notebook(key: object) -> bool:
    """Whether this may be the key of a notebook, which need not hold anything yet."""
    return isinstance(key, str) and _NOTEBOOK.fullmatch(key) is not None


def _values(digit: HandwrittenDigit) -> dict[str, object]:
    answer = None if digit.answer is None else int(digit.answer)
    return vars(digit) | {"picture": digit.picture.tobytes(), "label": int(digit.label), "answer": answer}


def _among(ids: Sequence[int]) -> ColumnElement[bool]:
    """The condition that a digit is one of these; NumPy's whole numbers are taken too."""
    return DIGITS.c.id.in_([int(digit) for digit in ids])


def _of(notebook: str | None, writer: str | None = None, source: str | None = None) -> ColumnElement[bool]:
    """The condition that a digit is of this notebook, writer and source; None stands for any."""
    wanted = {DIGITS.c.notebook: notebook, DIGITS.c.writer: writer, DIGITS.c.source: source}
    return and_(true(), *(column == value for column, value in wanted.items() if value is not None))


def _read(connection: Connection, notebook: str, ids: Sequence[int], writer: str | None = None) -> list[StoredDigit]:
    statement = select(DIGITS).where(_of(notebook, writer), _among(ids)).order_by(DIGITS.c.id)
    return [
        StoredDigit(
            row.id,
            datetime.fromtimestamp(row.time, UTC),
            HandwrittenDigit(
                picture=np.frombuffer(row.picture, dtype=np.uint8).reshape(_SIDE, _SIDE),
                label=row.label,
                source=row.source,
                writer=row.writer,
                session=row.session,
                answer=row.answer,
                checkpoint=row.checkpoint,
                strokes=row.strokes,
                ink=row.ink,
            ),
        )
        for row in connection.execute(statement)
    ]


def _count(connection: Connection, notebook: str) -> None:
    """Records that the notebook has changed, and how many digits it holds now."""
    digits = select(func.count()).select_from(DIGITS).where(_of(notebook)).scalar_subquery()
    values = {"digits": digits, "revision": 1 + secrets.randbits(60)}
    known = NOTEBOOKS.c.notebook == notebook
    if not connection.execute(update(NOTEBOOKS).where(known).values(values)).rowcount:
        connection.execute(insert(NOTEBOOKS).values(notebook=notebook, **values))
    connection.execute(delete(NOTEBOOKS).where(known, NOTEBOOKS.c.digits == 0))


def _numbered(keys: Sequence[tuple[str, ...]]) -> NDArray[np.int64]:
    """A number for each different key (N,), in the order in which they first appear."""
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
