"""Corrected labels: a layer over sets of digits, whose files never change.

A set is known by its digest, `DigitSet.digest`: the corrections stay with a set that is renamed, and with a copy of it.
Each correction is stored beside the ones before, so that the last can be undone.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from digitcore.errors import CorrectionConflictError, CorrectionError
from digitcore.store.database import Database

__all__ = ["LONGEST_NAME", "Correction", "CorrectionStore"]

LONGEST_NAME = 60
"""Characters of the name of whoever corrects."""

_TABLE = Table(
    "corrections",
    MetaData(),
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("digest", String(64)),
    Column("digit_id", BigInteger),
    Column("old", SmallInteger),
    Column("new", SmallInteger),
    Column("who", String(LONGEST_NAME)),
    Column("time", Double),
)


@dataclass(frozen=True)
class Correction:
    """The label that a digit should have."""

    digit: int
    """Id of the digit."""
    old: int
    """Its label in the set's files."""
    new: int
    who: str
    """Who corrected it last; empty: no name was given."""
    when: datetime
    """UTC."""
    number: int
    """A number that no other correction has, nor will have."""


class CorrectionStore:
    """Corrections by set and digit. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Opens the database at an SQLAlchemy address, and creates what is missing.

        Raises:
            CorrectionError: it cannot be opened.
        """
        self._database = Database(url, purpose="Corrected labels", error=CorrectionError)

    def load(self, digest: str) -> dict[int, Correction]:
        """The corrections of the set with this digest that stand, by digit id, in the order of the ids.

        A digit that got the label of the set's files back has none.

        Raises:
            CorrectionError: the database cannot be read.
        """
        query = select(_TABLE).where(_TABLE.c.digest == digest).order_by(_TABLE.c.digit_id, _TABLE.c.id)
        first_old: dict[int, int] = {}
        standing = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                old = first_old.setdefault(row.digit_id, row.old)
                when = datetime.fromtimestamp(row.time, UTC)
                standing[row.digit_id] = Correction(row.digit_id, old, row.new, row.who, when, row.id)
        return {digit: correction for digit, correction in standing.items() if correction.old != correction.new}

    def correct(self, digest: str, digit: int, *, old: int, new: int, who: str = "") -> int:
        """Gives a digit another label; returns the number of the correction.

        old: the label that it has, with the corrections that stand.

        Raises:
            ValueError: a label is not from 0 to 9, both are the same, or the name cannot be stored.
            CorrectionConflictError: somebody else has corrected it meanwhile. Nothing is stored.
            CorrectionError: the database cannot be written.
        """
        if not {old, new} <= set(range(10)) or old == new:
            raise ValueError(f"old and new must be two labels from 0 to 9, got {old} and {new}")
        if len(who) > LONGEST_NAME or not who.isprintable():
            raise ValueError(f"who must be at most {LONGEST_NAME} printable characters, got {who!r}")
        with self._database.writing() as connection:
            number = _last(connection, digest, digit)
            now = connection.execute(select(_TABLE.c.new).where(_TABLE.c.id == number)).scalar()
            if now not in (None, old):
                raise CorrectionConflictError(
                    f"Digit {digit} has been corrected to {now} meanwhile: look at it again before you correct it."
                )
            row = {"digest": digest, "digit_id": digit, "old": old, "new": new, "who": who, "time": time.time()}
            connection.execute(insert(_TABLE).values(row))
            return _last(connection, digest, digit) or 0

    def undo(self, digest: str, digit: int, *, number: int) -> None:
        """Takes the last correction of a digit back: the one before it stands again, or the label of the set's files.

        number: of that correction.

        Raises:
            CorrectionConflictError: somebody else has corrected the digit, or undone that, meanwhile.
            CorrectionError: the database cannot be written.
        """
        with self._database.writing() as connection:
            if _last(connection, digest, digit) != number:
                raise CorrectionConflictError(
                    f"Digit {digit} has been corrected otherwise meanwhile: look at it again."
                )
            connection.execute(delete(_TABLE).where(_TABLE.c.id == number))

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()


def _last(connection: Connection, digest: str, digit: int) -> int | None:
    """The number of the last correction of a digit."""
    of_digit = (_TABLE.c.digest == digest) & (_TABLE.c.digit_id == digit)
    number: int | None = connection.execute(select(func.max(_TABLE.c.id)).where(of_digit)).scalar()
    return number
