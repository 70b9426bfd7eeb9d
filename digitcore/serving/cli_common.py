"""What several commands share: kinds of options, the checkpoint that is asked, progress, and errors.

`digitcore dashboard` needs no network, so those are imported where they are used: torch takes seconds.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from digitcore.errors import CheckpointError, DigitcoreError
from digitcore.settings import load_settings

if TYPE_CHECKING:
    from tqdm import tqdm

    from digitcore.models.classifier import DigitClassifier
    from digitcore.models.library import CheckpointEntry
    from digitcore.store.corrections import CorrectionStore

__all__ = [
    "FILE",
    "WholeNumber",
    "checkpoint_option",
    "has_checkpoint_suffix",
    "json_option",
    "listed_entries",
    "named_classifier",
    "naming",
    "open_corrections",
    "print_error",
    "set_progress",
]

FILE = click.Path(path_type=Path)
"""A path that need not exist."""

checkpoint_option = click.option(
    "--checkpoint", "checkpoint_name", metavar="NAME", help="A name under weights/, or a path (default: world)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")


class WholeNumber(click.ParamType[int]):
    """A whole number in a range."""

    name = "number"

    def __init__(self, least: int, most: int | None = None) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """The number that a text stands for; a usage error where it is none, or out of range."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"must be a whole number, got {value!r}", param, ctx)
        if number < self._least or (self._most is not None and number > self._most):
            limits = f"{self._least} or more" if self._most is None else f"from {self._least} to {self._most}"
            self.fail(f"must be {limits}, got {value}", param, ctx)
        return number


def named_classifier(name: str | None) -> "DigitClassifier":
    """The classifier with the checkpoint of this name or path, or with the one that the weights folder starts with.

    Raises:
        CheckpointError: it is missing, or cannot be used.
    """
    from digitcore.models.classifier import DigitClassifier, load_classifier
    from digitcore.models.library import CheckpointLibrary

    if name:
        return load_classifier(name)
    library = CheckpointLibrary(load_settings().weights_directory)
    return DigitClassifier(library.load(library.default_name()))


def listed_entries() -> "list[CheckpointEntry]":
    """All checkpoints of the weights folder, of which there must be one.

    Raises:
        CheckpointError: there is none.
    """
    from digitcore.models.library import CheckpointLibrary

    directory = load_settings().weights_directory
    entries = CheckpointLibrary(directory).entries()
    if not entries:
        raise CheckpointError(f"There is no checkpoint in {directory}: train one, or set DIGITCORE_WEIGHTS.")
    return entries


@contextmanager
def open_corrections() -> "Iterator[CorrectionStore]":
    """The corrected labels of all sets.

    Raises:
        CorrectionError: the database cannot be opened.
    """
    from digitcore.store.corrections import CorrectionStore  # here: SQLAlchemy takes a third of a second

    with closing(CorrectionStore(load_settings().database_url)) as store:
        yield store


def has_checkpoint_suffix(output: Path) -> bool:
    """Whether a checkpoint may be written to a file of this name; prints an error if not."""
    if output.suffix == ".safetensors":
        return True
    print(f"{output} must end in .safetensors: name another output; `export` writes other formats.", file=sys.stderr)
    return False


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns an OSError of writing into a CheckpointError that names the file or folder."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error


def set_progress(bar: "tqdm[Any]", percent: int) -> None:
    """Moves a progress bar of 100 steps to this one."""
    bar.update(percent - bar.n)


def print_error(error: DigitcoreError) -> int:
    """Prints what went wrong, and returns the exit status."""
    print(f"error: {error}", file=sys.stderr)
    return 1
