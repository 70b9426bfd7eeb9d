"""Where guided digits go: into the visitor's notebook, or, of a member of a class, into that of the class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from digitcore.store.handwriting import Handwriting, HandwrittenDigit
from pages.parts.handwriting.membership import member_key
from pages.shared.keeping import writer
from pages.shared.notebook import opened_notebook
from pages.shared.resources import class_store, handwriting_store

__all__ = ["Desk", "current_desk"]


class Desk(Protocol):
    """What one writer has written when asked, and what is done with it. Each method raises a `HandwritingError`."""

    may_stop: bool
    """Whether they may go back to another name."""

    @property
    def seed(self) -> str:
        """Decides in which order digits are asked for."""

    def counts(self) -> list[int]:
        """How many there are of each digit (10)."""

    def digits(self) -> Handwriting:
        """All of them."""

    def keep(self, digit: HandwrittenDigit) -> int:
        """Stores a digit and returns its id."""

    def take_back(self, ids: Sequence[int]) -> None:
        """Deletes those of these digits that are the writer's."""


def current_desk() -> Desk:
    """The visitor's, which begins a notebook where they have none and are in no class."""
    key = member_key()
    return ClassDesk(key) if key else NotebookDesk(opened_notebook(), writer())


@dataclass(frozen=True)
class NotebookDesk:
    """That of one writer in a notebook."""

    notebook: str
    name: str
    may_stop = True

    @property
    def seed(self) -> str:
        """Of this writer alone."""
        return f"{self.notebook} {self.name}"

    def counts(self) -> list[int]:
        """See `Desk`."""
        counts: list[int] = handwriting_store().counts(self.notebook, writer=self.name, source="guided").tolist()
        return counts

    def digits(self) -> Handwriting:
        """See `Desk`."""
        return handwriting_store().load(self.notebook, writer=self.name, source="guided")

    def keep(self, digit: HandwrittenDigit) -> int:
        """See `Desk`."""
        (stored,) = handwriting_store().add(self.notebook, [replace(digit, writer=self.name)])
        return stored

    def take_back(self, ids: Sequence[int]) -> None:
        """See `Desk`."""
        handwriting_store().delete(self.notebook, ids, writer=self.name)


@dataclass(frozen=True)
class ClassDesk:
    """That of the member with a key."""

    key: str
    may_stop = False

    @property
    def seed(self) -> str:
        """Of this member alone."""
        return self.key

    def counts(self) -> list[int]:
        """See `Desk`."""
        counts: list[int] = class_store().own_counts(self.key, source="guided").tolist()
        return counts

    def digits(self) -> Handwriting:
        """See `Desk`."""
        return class_store().own_digits(self.key, source="guided")

    def keep(self, digit: HandwrittenDigit) -> int:
        """See `Desk`."""
        (stored,) = class_store().write(self.key, [digit])
        return stored

    def take_back(self, ids: Sequence[int]) -> None:
        """See `Desk`."""
        class_store().take_back(self.key, ids)
