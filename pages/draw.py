"""Draw a digit: what the network says, how sure it is, and what it saw."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from digitcore.preprocessing import read_image
from pages.shared import resources
from pages.shared.canvas import SIDE, drawing_canvas, put_on_canvas
from pages.shared.panels import answer_panel, error_box, input_panel, picked_classifier
from pages.shared.state import Picture, keep_picture, picture

_SOURCES = {
    "Draw": ":material/draw: Draw",
    "Upload": ":material/upload: Upload",
    "Camera": ":material/photo_camera: Camera",
}


@st.fragment
def draw_and_answer() -> None:
    """One fragment, so that a stroke reruns this and nothing else."""
    left, right, seen = st.columns([SIDE, 300, 320], gap="large")
    with left:
        image = _image()
    with error_box():
        if image is None:
            with right:
                st.caption("The answer appears here, as you draw.")
            return
        prediction = picked_classifier().predict(image)
        with right:
            answer_panel(prediction)
        with seen:
            st.caption("What the network sees")
            input_panel(prediction.preprocessed)


def _image() -> Image.Image | NDArray[np.uint8] | None:
    """The picture to be read, from the source that is picked; None where there is none yet."""
    source = st.segmented_control(
        "Source", list(_SOURCES), default="Draw", required=True, format_func=lambda name: _SOURCES[name],
        key="source", label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    if source == "Draw":
        return _drawn()
    return _pictured(source)


def _drawn() -> NDArray[np.uint8] | None:
    st.caption("Draw a digit from 0 to 9, of any size, anywhere.")
    brush = st.session_state.get("brush", 24)
    pixels = drawing_canvas(brush=brush)
    st.slider("Brush width", 6, 48, 24, key="brush", format="%d px", persist_state="session")
    with st.popover("Sample digits", icon=":material/apps:"):
        st.caption("From the MNIST validation set. Draw over it to see what changes the answer.")
        samples = resources.digits("mnist-validation")
        for row in (range(5), range(5, 10)):
            for column, digit in zip(st.columns(5, wrap=False), row, strict=True):
                ink = samples.images[samples.labels == digit][0]
                column.image(255 - ink, width=44, alt=f"a handwritten {digit}")
                column.button(str(digit), key=f"sample-{digit}", on_click=put_on_canvas, args=(ink,))
    return pixels


def _pictured(source: str) -> Image.Image | None:
    """The last picture uploaded or taken; it stays until there is another."""
    if source == "Upload":
        st.caption("A picture of one digit, in any colours: a scan, a photograph, a screenshot.")
        given = st.file_uploader("Picture", key="upload", label_visibility="collapsed")
    else:
        st.caption("Hold one digit into the camera, large and well lit.")
        given = st.camera_input("Photograph", key="camera", label_visibility="collapsed")
    if given is not None:
        keep_picture(source, Picture(given.name, given.getvalue()))
    kept = picture(source)
    if kept is None:
        return None
    with error_box():
        image = read_image(kept.data, name=kept.name)
        st.image(image, caption=kept.name, width=SIDE, alt="the picture to be read")
        return image


st.title("Draw a digit")
draw_and_answer()
