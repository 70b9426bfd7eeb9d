"""A closer look at one answer; only the detail that is picked is computed, when the pen rests."""

from collections.abc import Callable, Sequence

import streamlit as st

from digitcore.models.numbers import PictureReading
from pages.parts.draw.read import ReadDigit, read_digits
from pages.parts.draw.reproduce import reproduce_number_panel, reproduce_panel
from pages.parts.draw.similar import similar_panel
from pages.parts.draw.stages import preprocessing_panel
from pages.parts.draw.votes import opinions_panel
from pages.parts.draw.why import why_panel
from pages.shared.error_box import error_box

_WHICH = "which-digit"
_REPRODUCE = "Reproduce"
_UNSEEN = "\N{WORD JOINER}"
"""Tells equal digits apart, which Streamlit would otherwise take for one and the same choice."""
_DETAILS: dict[str, Callable[[ReadDigit], None]] = {
    "Preprocessing": preprocessing_panel,
    "Why": why_panel,
    "All models": opinions_panel,
    "Similar digits": similar_panel,
    _REPRODUCE: reproduce_panel,
}


def details_panel(read: PictureReading | None) -> None:
    """The picked detail of one digit of those that were read in a picture; how to read a number again, of all.

    The choice is there before any picture: a widget that is not shown would lose what the address says.
    """
    st.header("Look closer", anchor=False)
    picked = st.segmented_control(
        "Look closer", list(_DETAILS), default="Preprocessing", required=True, key="look", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if read is None:
        return
    if read.number is not None and picked == _REPRODUCE:
        with error_box():
            reproduce_number_panel(read.image, read.number)
        return
    digits = read_digits(read)
    digit = digits[_which(digits) if len(digits) > 1 else 0]
    if not digit.prediction.model_input.any():
        st.caption("There is no ink to look at.")
        return
    with error_box():
        _DETAILS[picked](digit)


def _which(digits: Sequence[ReadDigit]) -> int:
    """The position of the digit to look at, which stays when strokes are added."""
    st.session_state[_WHICH] = min(st.session_state.get(_WHICH, 0), len(digits) - 1)
    labels = [f"{digit.prediction.digit}{_UNSEEN * i}" for i, digit in enumerate(digits)]
    which = st.pills(
        "Digit", range(len(labels)), required=True, key=_WHICH, format_func=labels.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    return which or 0
