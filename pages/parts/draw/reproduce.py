"""The same prediction elsewhere: the picture to download, and the commands to run beside it."""

import io
from pathlib import PurePath

import numpy as np
import streamlit as st
from PIL import Image

from digitcore.imaging.preprocessing import DigitImage
from digitcore.models.numbers import NumberReading
from digitcore.serving.snippets import command_line, curl_command, python_code
from digitcore.text import plain
from pages.parts.draw.read import ReadDigit
from pages.shared.pickers import picked_classifier
from pages.shared.state import Picture, picture


def reproduce_panel(digit: ReadDigit) -> None:
    """Download and snippets for the picked checkpoint and one digit."""
    prediction = digit.prediction
    _reproduce(
        digit.image,
        answer=str(prediction.digit),
        confidence=prediction.confidence,
        one_digit=not prediction.accepted or digit.found is not None,  # or it might be read as a number
    )


def reproduce_number_panel(image: DigitImage, reading: NumberReading) -> None:
    """The same for all the digits on a picture."""
    _reproduce(image, answer=reading.number, confidence=reading.confidence, number=True)


def _reproduce(
    image: DigitImage, *, answer: str, confidence: float, number: bool = False, one_digit: bool = False
) -> None:
    checkpoint = picked_classifier().checkpoint
    file = _file(image, stem="number" if number else "digit")
    st.download_button(file.name, file.data, file.name, icon=":material/download:", on_click="ignore")
    st.caption(
        f"This is the picture that was read. For it **{plain(checkpoint.name)}** (SHA-256 `{checkpoint.digest}`) "
        f"answers {answer} with a confidence of {confidence:.6f}:"
    )
    address = st.context.url or "http://localhost:8501"
    request = curl_command(checkpoint, file=file.name, address=address, number=number, one_digit=one_digit)
    st.code(request, "sh", wrap_lines=True)
    st.caption("With the picture in the folder of this project:")
    st.code(command_line(checkpoint, file=file.name, number=number, one_digit=one_digit), "sh", wrap_lines=True)
    st.code(python_code(checkpoint, file=file.name, number=number), "python")


def _file(image: DigitImage, *, stem: str) -> Picture:
    """The file as it was given; of a drawing a PNG with the same pixels."""
    if isinstance(image, np.ndarray):
        png = io.BytesIO()
        Image.fromarray(image).save(png, format="PNG")
        return Picture(f"{stem}.png", png.getvalue())
    uploaded = picture(st.session_state["source"])
    assert uploaded is not None  # or there were no picture
    suffix = PurePath(uploaded.name).suffix
    return Picture(f"{stem}{suffix if suffix[1:].isalnum() else ''}", uploaded.data)
