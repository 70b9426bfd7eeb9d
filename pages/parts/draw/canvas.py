"""The drawing canvas: strokes that survive other pages, its tools, and the earlier drawings."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit_drawable_canvas import st_canvas

from pages.parts.draw.canvas_display import INKS, canvas_display
from pages.parts.draw.read import REFUSED
from pages.shared.drawing import SIDE, current_drawing
from pages.shared.gallery import Tile, gallery

DEFAULT_BRUSH = 24
"""Pixels."""
CANVAS = "canvas"
"""Its key."""
_EARLIER = "earlier-drawing"


def drawing_canvas(*, brush: int) -> NDArray[np.uint8] | None:
    """The canvas; returns its pixels (SIDE, SIDE, 4), or None while nothing is on it."""
    drawing = current_drawing()
    if CANVAS not in st.session_state:  # a new canvas on the page: show it what the last one had
        drawing.keep_earlier()
        drawing.place_anew()
    picked = st.session_state.pop(_EARLIER, None)
    for sketch in [sketch for sketch in drawing.earlier if sketch.id == picked]:
        drawing.bring_back(sketch)
    result = st_canvas(
        key=CANVAS,
        width=SIDE,
        height=SIDE,
        stroke_width=brush,
        stroke_color="#000000",
        background_color="#ffffff",
        initial_drawing={"objects": drawing.placed, "revision": drawing.revision},
        return_image_data=True,
    )
    if result.image_bytes is not None and result.image_bytes != drawing.sent:
        drawing.receive(result.image_bytes, (result.json_data or {}).get("objects", []), result.image_data)
    return drawing.picture


def drawing_tools() -> None:
    """One row: undo, redo, clear, the width of the brush, and how drawings are shown."""
    drawing = current_drawing()
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="drawing-tools"):
        st.button("Undo", icon=":material/undo:", key="undo", on_click=drawing.undo, disabled=not drawing.past)
        st.button("Redo", icon=":material/redo:", key="redo", on_click=drawing.redo, disabled=not drawing.future)
        st.button("Clear", icon=":material/delete:", key="clear", on_click=drawing.clear, disabled=not drawing.objects)
        st.slider(
            "Brush width", 6, 48, DEFAULT_BRUSH, key="brush", format="%d px", label_visibility="collapsed",
            persist_state="session",
        )  # fmt: skip
        with st.popover("Canvas", icon=":material/contrast:", key="canvas-look"):
            ink = st.segmented_control(
                "Canvas", list(INKS), default="theme", required=True, format_func=INKS.__getitem__, key="ink",
                bind="query-params", persist_state="session",
            )  # fmt: skip
    canvas_display(CANVAS, ink=ink or "theme")


def earlier_drawings() -> None:
    """The last drawings with their answers; a click brings one back, and can be undone."""
    drawing = current_drawing()
    if drawing.earlier:
        tiles = [
            Tile(sketch.id, sketch.answer, f"bring back this drawing, {_in_words(sketch.answer)}")
            for sketch in drawing.earlier
        ]
        gallery(
            tiles, drawing.sheet, picked=None, picks=_EARLIER, key="earlier-drawings", follow=False,
            label="Earlier drawings",
        )  # fmt: skip


def _in_words(answer: str) -> str:
    return answer if answer == REFUSED else f"answer {answer}"
