"""Errors that a visitor can do something about."""

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from digitcore.errors import (
    AnnotationError,
    ClassError,
    CorrectionConflictError,
    CorrectionError,
    DigitcoreError,
    HandwritingFullError,
    StoreError,
)
from digitcore.files import PACKAGED_FILES
from digitcore.settings import CHECKOUT, load_settings
from digitcore.text import plain, printable

_IN_FULL = HandwritingFullError | ClassError | CorrectionConflictError
_SUBJECTS: dict[type[DigitcoreError], str] = {
    AnnotationError: "Stars and notes",
    CorrectionError: "Corrected labels",
}
_LOGGER = logging.getLogger(__name__)
_COMMAND = re.compile(r"(`(?:python -m digitcore [a-z -]+|torch\.save\(model\.state_dict\(\), \.\.\.\))`)")


@contextmanager
def error_box() -> Iterator[None]:
    """Shows a `DigitcoreError` as a message instead of a traceback, and carries on after the block."""
    try:
        yield
    except DigitcoreError as error:
        show_error(error)


def show_error(error: DigitcoreError) -> None:
    """Shows an error's message as `visible` has it; the log has all of it.

    What is wrong with the database is for the log alone: the message names its host and its user.
    """
    _LOGGER.warning("%s", printable(str(error)))
    words = visible(str(error))
    if isinstance(error, StoreError) and not isinstance(error, _IN_FULL):
        subject = _SUBJECTS.get(type(error), "Handwriting")
        words = f"{subject} cannot be read or stored at the moment. The log of this server says why."
    st.error(words, icon=":material/error:")


def visible(message: str) -> str:
    """A message as Markdown for visitors: commands of ours as code, all else literally, files without their folders."""
    pieces = _COMMAND.split(_without_folders(message))  # commands stand at odd places
    return "".join(piece if i % 2 else _literal(piece) for i, piece in enumerate(pieces))


def _literal(text: str) -> str:
    return "".join(word if word.isspace() else plain(word) for word in re.split(r"(\s+)", text) if word)


def _without_folders(message: str) -> str:
    settings = load_settings()
    words = {
        settings.weights_directory: "the weights folder",
        settings.data_directory: "the data folder",
        settings.cache_directory: "the cache folder",
    }
    others = {folder: "a folder" for folder in (CHECKOUT, PACKAGED_FILES, Path(tempfile.gettempdir())) if folder}
    for folder, name in sorted((others | words).items(), key=lambda item: -len(str(item[0]))):
        path, separator = re.escape(printable(str(folder))), re.escape(os.sep)
        message = re.sub(rf"{path}(?:{separator}[^{separator}\s]+(?={separator}))*{separator}", "", message)
        message = re.sub(rf"{path}(?!\w)", name, message)
    return message
