"""The same prediction elsewhere: the very picture to download, and what to type where it lies."""

import io
from pathlib import PurePath

import numpy as np
import streamlit as st
from PIL import Image

from digitcore.imaging.preprocessing import DigitImage
from digitcore.models.numbers import NumberReading
from digitcore.serving.snippets import command_line, curl_command, python_code
from pages.parts.draw.read import ReadDigit
from pages.shared.panels import picked_classifier, plain
from pages.shared.state import Picture, picture


def reproduce_panel(digit: ReadDigit) -> None:
    """Download and snippets for the picked checkpoint and one digit."""
    prediction = digit.prediction
    _reproduce(digit.image, said=str(prediction.digit), confidence=prediction.confidence, number=False)


def reproduce_number_panel(image: DigitImage, reading: NumberReading) -> None:
    """The same for all the digits on a picture."""
    _reproduce(image, said=reading.number, confidence=reading.confidence, number=True)


def _reproduce(image: DigitImage, *, said: str, confidence: float, number: bool) -> None:
    checkpoint = picked_classifier().checkpoint
    file = _file(image, called="number" if number else "digit")
    st.download_button(file.name, file.data, file.name, icon=":material/download:", on_click="ignore")
    st.caption(
        f"The picture that was read. On it **{plain(checkpoint.name)}**, SHA-256 `{checkpoint.digest}`, "
        f"answers {said} with a confidence of {confidence:.6f}:"
    )
    st.code(
        curl_command(checkpoint, file=file.name, address=st.context.url or "http://localhost:8501", number=number),
        "sh",
        wrap_lines=True,
    )
    st.caption("With the picture in this project's folder:")
    st.code(command_line(checkpoint, file=file.name, number=number), "sh", wrap_lines=True)
    st.code(python_code(checkpoint, file=file.name, number=number), "python")


def _file(image: DigitImage, *, called: str) -> Picture:
    """The file as it was given; of a drawing a PNG with the same pixels."""
    if isinstance(image, np.ndarray):
        png = io.BytesIO()
        Image.fromarray(image).save(png, format="PNG")
        return Picture(f"{called}.png", png.getvalue())
    given = picture(st.session_state["source"])
    assert given is not None  # or there were no picture
    suffix = PurePath(given.name).suffix
    return Picture(f"{called}{suffix if suffix[1:].isalnum() else ''}", given.data)
