"""A closer look at one answer: the visitor picks what at, and only that is computed with each stroke."""

from collections.abc import Callable
from typing import TypeAlias

import streamlit as st

from digitcore.classifier import Prediction
from digitcore.preprocessing import DigitImage
from pages.shared.opinions import opinions_panel
from pages.shared.panels import error_box
from pages.shared.reproduce import reproduce_panel
from pages.shared.similar import similar_panel
from pages.shared.why import why_panel
from pages.shared.xray import xray_panel

Read: TypeAlias = tuple[DigitImage, Prediction]
"""A picture of one digit and what is said of it."""

_WHICH = "which-digit"
_DETAILS: dict[str, Callable[[DigitImage, Prediction], None]] = {
    "X-ray": xray_panel,
    "Why": why_panel,
    "All checkpoints": opinions_panel,
    "Similar digits": similar_panel,
    "Reproduce": reproduce_panel,
}


def details_panel(reading: list[Read] | None) -> None:
    """The picked detail of one digit of those that were read in a picture.

    The choice is there before any picture: a widget that is not shown would lose what the address says.
    """
    st.subheader("Look closer", anchor=False)
    picked = st.segmented_control(
        "Look closer", list(_DETAILS), default="X-ray", required=True, key="look", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if reading is None:
        return
    image, prediction = reading[_which(reading) if len(reading) > 1 else 0]
    if not prediction.model_input.any():
        st.caption("There is no ink to look at.")
        return
    with error_box():
        _DETAILS[picked](image, prediction)


def _which(reading: list[Read]) -> int:
    """The position of the digit to look at, which stays when strokes are added."""
    st.session_state[_WHICH] = min(st.session_state.get(_WHICH, 0), len(reading) - 1)
    digits = [str(prediction.digit) for _, prediction in reading]
    which: int = st.pills(
        "Digit", range(len(reading)), required=True, key=_WHICH, format_func=digits.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    return which
