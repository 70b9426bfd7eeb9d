"""A drawing with its answer for others: a link, the same as a QR code, and a picture."""

import numpy as np
import segno
import streamlit as st

from digitcore.errors import ImageError
from digitcore.imaging.preprocessing import for_display
from digitcore.models.numbers import PictureReading
from digitcore.reports.drawing_card import drawing_card
from pages.parts.draw.links import link_to_drawing
from pages.shared.drawing import SIDE
from pages.shared.error_box import visible
from pages.shared.pickers import picked_classifier
from pages.shared.templates import show_template
from pages.shared.words import percent


@st.dialog("Share", icon=":material/share:")
def share_dialog(read: PictureReading, *, one_digit: bool) -> None:
    """The link of the drawing, as text and as a QR code, and the picture to save; of an upload the picture alone."""
    checkpoint = picked_classifier().checkpoint.name
    if st.session_state["source"] == "Draw":
        try:
            _link(link_to_drawing(checkpoint=checkpoint, one_digit=one_digit))
        except ImageError as error:
            st.info(visible(str(error)), icon=":material/link_off:")
    st.download_button(
        "Save picture", _card(read, checkpoint), "drawing.png", "image/png", icon=":material/download:",
        help="The drawing, the answer and its bars.", on_click="ignore",
    )  # fmt: skip


def _link(link: str) -> None:
    code = segno.make(link, error="l", micro=False)
    show_template("share.html", address=code.svg_data_uri(border=4, light="white", omitsize=True))
    st.caption("Whoever opens it gets this drawing, read by the same model.")
    st.code(link, None, wrap_lines=True)


def _card(read: PictureReading, checkpoint: str) -> bytes:
    picture = read.image if isinstance(read.image, np.ndarray) else for_display(read.image, longest=SIDE)
    if read.number is not None:
        number = read.number
        words = f"{percent(number.confidence)} sure of all" if number.reason is None else number.reason
        bars = [_bar(digit.prediction.digit, digit.prediction.confidence) for digit in number.digits]
        return drawing_card(picture, answer=number.number, words=words, bars=bars, best=None, checkpoint=checkpoint)
    prediction, refusal = read.prediction, read.prediction.refusal
    bars = [_bar(digit, float(share)) for digit, share in enumerate(prediction.probabilities)]
    return drawing_card(
        picture,
        answer=str(prediction.digit) if refusal is None else refusal.kind.capitalize(),
        words=f"{percent(prediction.confidence)} sure" if refusal is None else refusal.advice,
        bars=bars,
        best=prediction.digit if refusal is None else None,
        checkpoint=checkpoint,
    )


def _bar(digit: int, share: float) -> tuple[str, float, str]:
    return str(digit), share, percent(share)
