"""What a visitor has picked and uploaded, kept over reruns and visits to other pages."""

from dataclasses import dataclass

import streamlit as st


@dataclass
class Picture:
    """A picture that was uploaded or taken with the camera."""

    name: str
    data: bytes


def picture(source: str) -> Picture | None:
    """The last picture from this source in this visit."""
    return st.session_state.get(f"picture-{source}")


def keep_picture(source: str, last: Picture) -> None:
    """Keeps a picture as the last one from this source."""
    st.session_state[f"picture-{source}"] = last


ANY = "any"
"""The choice of a filter that excludes nothing."""
CHECKPOINT, DATASET, TRUE, PREDICTED, DIGIT = "checkpoint", "dataset", "true", "predicted", "digit"
FORM, WRITER, COLUMN, VALUE = "form", "writer", "column", "value"
"""Names in the session state and in the address, the same on every page."""
CORRECTED = "corrected"
"""Whether figures are with the labels that visitors have corrected."""
ADDED_DATASET = "added-dataset"
"""The set of digits that was just added, which the sidebar picks next."""


SHEET, EXPLORE = "digit-sheet", "explore"
"""Keys of fragments: what shows the picked digit, and the one around it, with the gallery."""


def picked_digit() -> int | None:
    """The id of the picked digit; where nothing has been picked in this visit to the page, the one in the address."""
    if DIGIT not in st.session_state:
        text = st.query_params.get(DIGIT, "")
        st.session_state[DIGIT] = int(text) if text.isdecimal() and len(text) < 10 else None
    digit: int | None = st.session_state[DIGIT]
    return digit


def address_digit() -> None:
    """Puts the picked digit into the address.

    Not by a widget that is bound to the address: that would leave the last digit there when none is picked any more.
    """
    digit = picked_digit()
    if digit is None:
        st.query_params.pop(DIGIT, None)
    elif st.query_params.get(DIGIT) != str(digit):
        st.query_params[DIGIT] = str(digit)


def forget_digit() -> None:
    """Picks no digit, no slice and no answers, which belong to one set; for callbacks."""
    filters = (SAYS_A, SAYS_B, EITHER, COLUMN, VALUE)
    st.session_state.update({name: ANY for name in filters if name in st.session_state})
    st.session_state[DIGIT] = None


def show_errors(**filters: object) -> None:
    """Goes to the errors page with these filters and no others."""
    for name in (TRUE, PREDICTED, DIGIT, FORM, WRITER, COLUMN, VALUE, "show", "labels", "confidence"):
        st.session_state.pop(name, None)
    st.session_state.update(filters)
    st.switch_page("pages/errors.py", query_params={})


def show_cell(true: int, predicted: int) -> None:
    """Goes to the confusion page with this cell picked, in the address too."""
    for name in (TRUE, PREDICTED, DIGIT):
        st.session_state.pop(name, None)
    st.switch_page("pages/confusion.py", query_params={TRUE: str(true), PREDICTED: str(predicted)})


VIEW, A, B, CHOSEN, OUTCOME = "view", "a", "b", "chosen", "outcome"
"""Likewise, on the page that compares checkpoints."""
LEADERBOARD, PAIR, SEVERAL = "Leaderboard", "A against B", "Several"
"""Its views."""
NEED_TWO = "There is only one model: train another, or add one in the leaderboard."
"""Their message where there is nothing to compare."""
SAYS_A, SAYS_B, EITHER = "says-a", "says-b", "either"
"""Filters of `PAIR`: A's answer, B's answer, the answer of either."""


def compare_two(a: str, b: str) -> None:
    """Shows checkpoint a against checkpoint b; for callbacks."""
    for name in (OUTCOME, TRUE, SAYS_A, SAYS_B, EITHER, COLUMN, VALUE, DIGIT):
        st.session_state.pop(name, None)
    st.session_state.update({VIEW: PAIR, A: a, B: b})


def compare_several(names: list[str]) -> None:
    """Shows these checkpoints together; for callbacks."""
    st.session_state.update({VIEW: SEVERAL, CHOSEN: names})
