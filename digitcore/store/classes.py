"""Classes: people who write into one notebook, each with a key of their own.

The key of the notebook is the teacher's: it alone shows, corrects, deletes and exports everything, and ends the class.
The code lets one join, and nothing else. With the key of a member one writes, sees and takes back what one has written
oneself, and sees the board.
"""

import secrets
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Update, and_, delete, func, insert, or_, select, update

from digitcore.errors import ClassError, HandwritingFullError
from digitcore.store.handwriting import Handwriting, HandwritingStore, HandwrittenDigit, Source, new_key
from digitcore.store.tables import CLASSES, DIGITS, MEMBERS, NOTEBOOKS

__all__ = ["GROUPS", "LONGEST_NAME", "WALL", "Board", "ClassStore", "Member"]

GROUPS = ("A", "B")
LONGEST_NAME = 24
"""Characters of a member's name."""
WALL = 60
"""Digits that a board shows."""

_LETTERS = "ACDEFGHJKLMNPQRTUVWXY34679"  # none looks like another
_CODE_LENGTH = 6
_MOST_MEMBERS = 100
_MOST_CLASSES = 1_000
_MOST_BY_MEMBER = 2_000  # digits
_GUESSES, _ALL_GUESSES = 10, 200  # wrong codes from one place, and from all, in `_GUESS_SECONDS`
_GUESS_SECONDS = 60.0
_OVER = "This class is over."

_THEIRS = and_(DIGITS.c.notebook == MEMBERS.c.notebook, DIGITS.c.writer == MEMBERS.c.name)
_OWN_DIGITS = select(func.count()).where(_THEIRS).correlate(MEMBERS).scalar_subquery().label("digits")


@dataclass(frozen=True)
class Member:
    """One who has joined a class."""

    name: str
    """Under which they write: nobody else in the class has it."""
    group: str
    """One of `GROUPS`, or empty."""
    digits: int
    """That they have written."""


@dataclass(frozen=True, eq=False)
class Board:
    """What everybody in a class may see of it."""

    code: str
    is_open: bool
    """Whether more may join."""
    members: tuple[Member, ...]
    """In the order in which they joined."""
    images: NDArray[np.uint8]  # (N, 28, 28), of the last digits, the newest first, N at most `WALL`
    labels: tuple[int, ...]
    writers: tuple[str, ...]

    @property
    def digits(self) -> int:
        """How many the members have written together."""
        return sum(member.digits for member in self.members)


class ClassStore(HandwritingStore):
    """Notebooks, and the classes that write into them. Safe to share between threads."""

    def __init__(self, url: str, *, most: int = 20_000, most_together: int = 200_000) -> None:
        """As of `HandwritingStore`."""
        super().__init__(url, most=most, most_together=most_together)
        self._guesses: deque[tuple[float, str]] = deque(maxlen=_ALL_GUESSES)

    def start(self) -> str:
        """Starts a class and returns the key of its notebook, which is new.

        Raises:
            ClassError: there are too many classes on this server.
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        notebook = new_key()
        with self._database.writing() as connection:
            codes = set(connection.execute(select(CLASSES.c.code)).scalars())
            if len(codes) >= _MOST_CLASSES:
                raise ClassError("This server has as many classes as it may: end one that is over.")
            code = next(code for code in iter(_new_code, None) if code not in codes)
            values = {"notebook": notebook, "code": code, "is_open": True, "revision": _revision()}
            connection.execute(insert(CLASSES).values(values))
        return notebook

    def is_class(self, notebook: str) -> bool:
        """Whether this is the key of a notebook that a class writes into.

        Raises:
            HandwritingError: the database cannot be read.
        """
        with self._database.reading() as connection:
            statement = select(CLASSES.c.notebook).where(CLASSES.c.notebook == notebook)
            return connection.execute(statement).first() is not None

    def allow_joining(self, notebook: str, is_open: bool) -> None:
        """Lets more people join, or nobody from now on.

        Raises:
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        with self._database.writing() as connection:
            connection.execute(_class(notebook).values(is_open=is_open, revision=_revision()))

    def set_group_a(self, notebook: str, names: Collection[str]) -> None:
        """Puts the members of these names into group A, and all others into group B.

        Who joins later comes into the smaller group.

        Raises:
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        everybody = update(MEMBERS).where(MEMBERS.c.notebook == notebook)
        with self._database.writing() as connection:
            connection.execute(everybody.values(group="B"))
            connection.execute(everybody.where(MEMBERS.c.name.in_(list(names))).values(group="A"))
            connection.execute(_class(notebook).values(revision=_revision()))

    def end(self, notebook: str) -> None:
        """Ends a class: its digits, members and keys are deleted.

        Raises:
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        with self._database.writing() as connection:
            for table in (DIGITS, NOTEBOOKS, MEMBERS, CLASSES):
                connection.execute(delete(table).where(table.c.notebook == notebook))

    def join(self, code: str, name: str, *, origin: str = "") -> str:
        """Joins the class with this code, and returns the key of the new member.

        Letters of the code may be small, and spaces and hyphens stand anywhere. Where the name is taken, a number is
        added. origin: where the request comes from; after ten wrong codes from there in a minute, or 200 from
        anywhere, each process takes none for a while.

        Raises:
            ClassError: there is no such class, nobody may join it any more, or there were too many wrong codes.
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        self._check_guesses(origin)
        key = new_key()
        with self._database.writing() as connection:
            joined = connection.execute(select(CLASSES).where(CLASSES.c.code == _plain_code(code))).first()
            if joined is None:
                self._guesses.append((time.monotonic(), origin))
                raise ClassError("No class has this code: look again, or ask your teacher.")
            members = connection.execute(select(MEMBERS).where(MEMBERS.c.notebook == joined.notebook)).all()
            if not joined.is_open:
                raise ClassError("Nobody can join this class any more: ask your teacher.")
            if len(members) >= _MOST_MEMBERS:
                raise ClassError(f"A class has at most {_MOST_MEMBERS} members.")
            taken = {member.name for member in members} | _writers(connection, joined.notebook)
            values = {"notebook": joined.notebook, "key": key, "name": _free_name(name, taken)}
            connection.execute(insert(MEMBERS).values(values | {"group": _smaller_group(members)}))
            connection.execute(_class(joined.notebook).values(revision=_revision()))
        return key

    def member(self, key: str) -> Member:
        """The member with this key.

        Raises:
            ClassError: the class is over.
            HandwritingError: the database cannot be read.
        """
        row = self._found(key)
        return Member(row.name, row.group, row.digits)

    def write(self, key: str, digits: Sequence[HandwrittenDigit]) -> list[int]:
        """Stores digits of the member with this key, all or none, and returns their ids; their writer is the member.

        Raises:
            ClassError: the class is over. Nothing is stored.
            HandwritingFullError: they would be too many. Nothing is stored.
            HandwritingError: the database cannot be written. Nothing is stored.
        """
        with self._database.writing() as connection:
            row = _member(connection, key)
            if row.digits + len(digits) > _MOST_BY_MEMBER:
                raise HandwritingFullError(f"In a class each may write {_MOST_BY_MEMBER:,} digits.")
            return self._add(connection, row.notebook, [replace(digit, writer=row.name) for digit in digits])

    def own_counts(self, key: str, *, source: Source | None = None) -> NDArray[np.int64]:
        """How many the member with this key has written of each digit (10,).

        Raises:
            ClassError: the class is over.
            HandwritingError: the database cannot be read.
        """
        row = self._found(key)
        return self.counts(row.notebook, writer=row.name, source=source)

    def own_digits(self, key: str, *, source: Source | None = None) -> Handwriting:
        """What the member with this key has written.

        Raises:
            ClassError: the class is over.
            HandwritingError: the database cannot be read.
        """
        row = self._found(key)
        return self.load(row.notebook, writer=row.name, source=source)

    def take_back(self, key: str, ids: Sequence[int]) -> None:
        """Deletes those of these digits that the member with this key has written.

        Raises:
            ClassError: the class is over.
            HandwritingError: the database cannot be written. Nothing has changed.
        """
        row = self._found(key)
        self.delete(row.notebook, ids, writer=row.name)

    def board_version(self, key: str) -> str:
        """A text that changes with the board; by the key of the notebook or of a member.

        Raises:
            ClassError: the class is over.
            HandwritingError: the database cannot be read.
        """
        with self._database.reading() as connection:
            row = _class_of(connection, key)
        return f"{row.code}-{row.revision}-{row.digits_revision or 0}"

    def board(self, key: str) -> Board:
        """The board of a class, by the key of its notebook or of a member.

        Raises:
            ClassError: the class is over.
            HandwritingError: the database cannot be read.
        """
        with self._database.reading() as connection:
            own = _class_of(connection, key)
            members = _members(connection, MEMBERS.c.notebook == own.notebook)
            columns = (DIGITS.c.picture, DIGITS.c.label, DIGITS.c.writer)
            latest = select(*columns).where(DIGITS.c.notebook == own.notebook).order_by(DIGITS.c.id.desc())
            rows = connection.execute(latest.limit(WALL)).all()
        return Board(
            code=own.code,
            is_open=own.is_open,
            members=tuple(members),
            images=np.frombuffer(b"".join(row.picture for row in rows), dtype=np.uint8).reshape(-1, 28, 28),
            labels=tuple(row.label for row in rows),
            writers=tuple(row.writer for row in rows),
        )

    def _found(self, key: str) -> Row[Any]:
        with self._database.reading() as connection:
            return _member(connection, key)

    def _check_guesses(self, origin: str) -> None:
        recent = [place for moment, place in list(self._guesses) if moment > time.monotonic() - _GUESS_SECONDS]
        if recent.count(origin) >= _GUESSES or len(recent) >= _ALL_GUESSES:
            raise ClassError("Too many wrong codes: wait a minute.")


def _new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))


def _plain_code(code: str) -> str:
    return "".join(character for character in code.upper() if character.isalnum())[: 2 * _CODE_LENGTH]


def _revision() -> int:
    return secrets.randbits(60)


def _free_name(name: str, taken: Collection[str]) -> str:
    """The name as it may be stored, with a number where somebody has it; capitals make no other name.

    >>> _free_name(" Ann ", {"ann", "Ann 2"}), _free_name("", [])
    ('Ann 3', 'Somebody')
    """
    printable = "".join(character if character.isprintable() else " " for character in name)
    plain = " ".join(printable.split())[:LONGEST_NAME].strip() or "Somebody"
    names = (plain if number == 1 else f"{plain} {number}" for number in range(1, len(taken) + 2))
    known = {other.casefold() for other in taken}
    return next(free for free in names if free.casefold() not in known)


def _smaller_group(members: Sequence[Row[Any]]) -> str:
    """The group with fewer members; empty where there are no groups."""
    groups = [member.group for member in members]
    return min(GROUPS, key=groups.count) if any(groups) else ""


def _class(notebook: str) -> Update:
    return update(CLASSES).where(CLASSES.c.notebook == notebook)


def _class_of(connection: Connection, key: str) -> Row[Any]:
    """The class of a notebook or of a member, with the revision of its digits."""
    joined = select(MEMBERS.c.notebook).where(MEMBERS.c.key == key).scalar_subquery()
    statement = (
        select(CLASSES, NOTEBOOKS.c.revision.label("digits_revision"))
        .outerjoin(NOTEBOOKS, NOTEBOOKS.c.notebook == CLASSES.c.notebook)
        .where(or_(CLASSES.c.notebook == key, CLASSES.c.notebook == joined))
    )
    row = connection.execute(statement).first()
    if row is None:
        raise ClassError(_OVER)
    return row


def _member(connection: Connection, key: str) -> Row[Any]:
    """A member, with the number of their digits."""
    row = connection.execute(select(MEMBERS, _OWN_DIGITS).where(MEMBERS.c.key == key)).first()
    if row is None:
        raise ClassError(_OVER)
    return row


def _members(connection: Connection, condition: ColumnElement[bool]) -> list[Member]:
    """The members for whom this holds."""
    statement = select(MEMBERS.c.name, MEMBERS.c.group, _OWN_DIGITS).where(condition).order_by(MEMBERS.c.id)
    return [Member(*row) for row in connection.execute(statement)]


def _writers(connection: Connection, notebook: str) -> set[str]:
    """Under which names digits stand in the notebook."""
    return set(connection.execute(select(DIGITS.c.writer).where(DIGITS.c.notebook == notebook).distinct()).scalars())
