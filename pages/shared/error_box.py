"""Errors that a visitor can do something about."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from digitcore.errors import DigitcoreError


@contextmanager
def error_box() -> Iterator[None]:
    """Shows a `DigitcoreError` as a message instead of a traceback, and carries on after the block."""
    try:
        yield
    except DigitcoreError as error:
        st.error(str(error), icon=":material/error:")
