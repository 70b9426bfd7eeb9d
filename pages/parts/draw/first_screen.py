"""The first screen: a digit draws itself on the empty canvas and is answered."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.errors import CheckpointError
from digitcore.imaging.stroke_links import decode_drawing
from digitcore.imaging.strokes import InkStroke
from pages.parts.draw.examples import GHOST, ghost_answer
from pages.parts.draw.store import STORE, is_untouched
from pages.shared.drawing import SIDE
from pages.shared.pickers import picked_classifier


def first_screen(canvas: str) -> None:
    """Plays it over the canvas with this key, until the visitor has done anything."""
    play = is_untouched() and st.session_state.get("source") == "Draw"
    data: dict[str, object] = {"play": play}
    if play:
        strokes = [layer for layer in decode_drawing(GHOST, side=SIDE) if isinstance(layer, InkStroke)]
        data |= {"canvas": canvas, "side": SIDE, "store": STORE, "words": _words()}
        data |= {"paths": [_path(stroke) for stroke in strokes], "width": strokes[0].width}
    _component()(key="first-screen", data=data)


def _words() -> str:
    try:
        return ghost_answer(picked_classifier())
    except CheckpointError:  # the page says so elsewhere
        return ""


def _path(stroke: InkStroke) -> str:
    return "M" + " L".join(f"{x:.0f} {y:.0f}" for x, y in stroke.points)


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    script = (Path(__file__).parent / "first_screen.js").read_text(encoding="utf-8")
    return st.components.v2.component("first_screen", js=script, isolate_styles=False)
