"""How the canvas is shown: as large as the page has room for, light or dark. Its own pixels stay the same."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

INKS = {"theme": "As the page", "light": "Light", "dark": "Dark"}
"""How drawings can be shown, and how the page calls it."""
_DARK = "invert(0.9)"  # ground a little lighter than a dark page, so that its edges are seen
_NAME = "Drawing canvas. With the keyboard, use Sample digits or Upload."
_HERE = Path(__file__).parent


def canvas_display(canvas: str, *, ink: str) -> None:
    """Shows the canvas with this key, and pictures of drawings, in one of `INKS`; the canvas gets a name and keys."""
    _component()(
        key="canvas-display",
        data={"canvas": canvas, "name": _NAME, "sheet": _sheet(), "ink": ink, "dark": _DARK},
        width="content",
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    script = (_HERE / "canvas_display.js").read_text(encoding="utf-8")
    return st.components.v2.component("canvas_display", js=script, isolate_styles=False)


@st.cache_data(max_entries=1, show_spinner=False)
def _sheet() -> str:
    return (_HERE / "canvas_display.css").read_text(encoding="utf-8")
