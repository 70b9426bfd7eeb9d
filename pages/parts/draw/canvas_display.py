"""How the canvas is shown: as large as the page has room for, while its own pixels stay the same."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_HERE = Path(__file__).parent
_NAME = "Drawing canvas. With the keyboard, use Sample digits or Upload."


def canvas_display(canvas: str) -> None:
    """Shows the canvas with this key in our style, now and whenever the page makes it anew."""
    _component()(
        key="canvas-display",
        data={
            "canvas": canvas,
            "name": _NAME,
            "sheet": (_HERE / "canvas_display.css").read_text(encoding="utf-8"),
        },
        width="content",
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    script = (_HERE / "canvas_display.js").read_text(encoding="utf-8")
    return st.components.v2.component("canvas_display", js=script, isolate_styles=False)
