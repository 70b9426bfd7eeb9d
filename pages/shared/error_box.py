"""Errors that a visitor can do something about."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from digitcore.errors import DigitcoreError
from digitcore.text import plain


@contextmanager
def error_box() -> Iterator[None]:
    """Shows a `DigitcoreError` as a message instead of a traceback, and carries on after the block."""
    try:
        yield
    except DigitcoreError as error:
        show_error(error)


def show_error(error: DigitcoreError) -> None:
    """Shows an error's message; names in it appear literally, commands between backticks as code."""
    pieces = re.split(r"(`[^`]+`|\s)", str(error))
    words = "".join(piece if piece.startswith("`") or piece.isspace() else plain(piece) for piece in pieces)
    st.error(words, icon=":material/error:")
