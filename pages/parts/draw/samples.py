"""Sample digits to put on the canvas."""

import streamlit as st

from pages.parts.draw.explanations import sample_digits, sample_sheet
from pages.shared.drawing import put_on_canvas
from pages.shared.gallery import Tile, gallery

_PICKED = "sample"


def put_picked_sample() -> None:
    """Puts the digit on the canvas that was just clicked, if one was; before the canvas is shown."""
    digit = st.session_state.pop(_PICKED, None)
    if digit is not None:
        put_on_canvas(sample_digits()[digit])


def samples() -> None:
    """The digits, one of each."""
    with st.popover("Sample digits", icon=":material/apps:"):
        st.caption("From MNIST's validation digits. Draw over one to see what changes the answer.")
        tiles = [Tile(digit, str(digit), f"put this handwritten {digit} on the canvas") for digit in range(10)]
        with st.container(width=350):  # five in a row
            gallery(
                tiles, sample_sheet(), picked=None, picks=_PICKED, key="sample-digits", follow=False,
                label="Sample digits",
            )  # fmt: skip
