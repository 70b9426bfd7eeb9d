"""Draw a digit: what the model answers, how sure it is, and what it sees."""

from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from digitcore.imaging.preprocessing import DigitImage, for_display, read_image
from digitcore.models.numbers import PictureReading, read_picture
from digitcore.text import plain
from pages.parts.draw.answer import answer_panel, nothing_yet_panel, number_panel
from pages.parts.draw.canvas import CANVAS, DEFAULT_BRUSH, drawing_canvas, drawing_tools, earlier_drawings
from pages.parts.draw.details import details_panel
from pages.parts.draw.examples import examples
from pages.parts.draw.first_screen import first_screen
from pages.parts.draw.follow import catch_up, follow_readings, publish_reading, published_reading
from pages.parts.draw.links import open_link
from pages.parts.draw.live import live_answer
from pages.parts.draw.read import answer_in_short
from pages.parts.draw.samples import put_picked_sample, samples
from pages.parts.draw.share import share_dialog
from pages.parts.draw.store import store_drawing
from pages.parts.draw.verdict import verdict_panel
from pages.shared.background import nothing_pending
from pages.shared.drawing import SIDE, current_drawing
from pages.shared.error_box import error_box
from pages.shared.pickers import picked_classifier
from pages.shared.state import Picture, keep_picture, picture

_SOURCES = {
    "Draw": ":material/draw: Draw",
    "Upload": ":material/upload: Upload",
    "Camera": ":material/photo_camera: Camera",
}
_INVITATIONS = {
    "Draw": "Draw a digit from 0 to 9, or a number. Large is best.",
    "Upload": "Choose a picture of a digit or a number: a scan, a photograph, a screenshot.",
    "Camera": "Hold a digit up to the camera, large and well lit.",
}
_ONE_DIGIT = "one-digit"


@st.fragment
def draw_and_answer() -> None:
    """One fragment, so that a stroke reruns this and nothing else."""
    put_picked_sample()
    area = st.container(horizontal=True, gap="medium", key="draw-area")  # its two parts wrap: pages/styles/draw.css
    drawing_part, answer_part = area.container(key="drawing-part"), area.container(key="answer-part")
    with drawing_part:
        source = st.segmented_control(
            "Source", list(_SOURCES), default="Draw", required=True, format_func=lambda name: _SOURCES[name],
            key="source", label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
        image = _drawn() if source == "Draw" else _pictured(source)
    with answer_part:
        if source == "Draw":
            live_answer()
        strokes = current_drawing().strokes_in_picture if source == "Draw" else None
        read = None if image is None else _answer(image, strokes=strokes)
        if image is None:
            nothing_yet_panel(_INVITATIONS[source], strokes=strokes)
        if read is not None and source == "Draw":
            current_drawing().answer = answer_in_short(read)
        verdict_panel(read, drawn=source == "Draw")
    _below(source, read)
    if source == "Draw":
        earlier_drawings()
    store_drawing(CANVAS)
    publish_reading(read)


@st.fragment
def look_closer() -> None:
    """What need not be there with the answer, in runs of its own, once the pen rests."""
    catch_up()
    nothing_pending()
    details_panel(published_reading())
    first_screen(CANVAS)
    follow_readings()


def _answer(image: DigitImage, *, strokes: int | None) -> PictureReading | None:
    """Reads a picture and shows the answer; None where the picture cannot be used."""
    read = None
    with error_box():
        classifier = picked_classifier()
        read = read_picture(classifier, image)
        name, is_number = classifier.checkpoint.name, read.number is not None
        if st.session_state.get(_ONE_DIGIT):
            read = replace(read, number=None)
        if read.number is None:
            answer_panel(read.prediction, checkpoint=name, strokes=strokes)
        else:
            number_panel(read.number, checkpoint=name, strokes=strokes)
        if is_number:
            st.toggle("Read as one digit", key=_ONE_DIGIT)
    return read


def _drawn() -> NDArray[np.uint8] | None:
    picture = drawing_canvas(brush=st.session_state.get("brush", DEFAULT_BRUSH))
    drawing_tools()
    return picture


def _below(source: str, read: PictureReading | None) -> None:
    """Digits to put on the canvas, and what others can be given; below the answer, which comes first on a phone."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if source == "Draw":
            samples()
        share = st.button("Share", icon=":material/share:", key="share", disabled=read is None)
        if source == "Draw":
            examples()
    if share and read is not None:
        share_dialog(read, one_digit=bool(st.session_state.get(_ONE_DIGIT)))


def _pictured(source: str) -> DigitImage | None:
    """The last picture uploaded or taken; it stays until there is another."""
    if source == "Upload":
        file = st.file_uploader("Picture", key="upload", label_visibility="collapsed")
    else:
        file = st.camera_input("Photograph", key="camera", label_visibility="collapsed")
    if file is not None:
        keep_picture(source, Picture(file.name, file.getvalue()))
    last = picture(source)
    return None if last is None else _shown(last)


def _shown(last: Picture) -> Image.Image | None:
    """Shows a picture; None where it cannot be used."""
    image = None
    with error_box():
        image = read_image(last.data, name=last.name)
        pixels = for_display(image, longest=SIDE)
        st.image(pixels, width=pixels.shape[1], alt="the picture to be read")
        st.caption(plain(last.name))
    return image


with st.container(horizontal=True, vertical_alignment="center", key="draw-title"):
    st.title("Draw a digit", anchor=False)
    st.toggle("Presentation", key="presentation", bind="query-params")  # takes effect in pages/styles/presentation.css
open_link(one_digit=_ONE_DIGIT)
draw_and_answer()
look_closer()
