"""The drawing in the memory of the browser's tab: a reload, or a server that starts again, does not lose it.

What comes back has been outside, and is checked as any input is.
"""

import json
import logging
import uuid
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.errors import ImageError
from digitcore.imaging.canvas_json import checked_objects
from pages.shared.drawing import SIDE, current_drawing

STORE = "digitcore-drawing "
"""What it is called there, before the path of the page."""
_KEY, _VISIT, _ASKED = "drawing-store", "visit", "drawing-store-asked"
_MOST_CHARACTERS = 1_000_000
_LOGGER = logging.getLogger(__name__)


def is_untouched() -> bool:
    """Whether the visitor has drawn nothing yet, nor brought anything from before a reload."""
    return current_drawing().is_new and not st.session_state.get(_ASKED)


def store_drawing(canvas: str) -> None:
    """Has the tab remember what is on the canvas with this key.

    Or puts there what it remembers, and reruns the fragment that calls it.
    """
    objects = json.dumps(current_drawing().objects, separators=(",", ":")) if current_drawing().objects else ""
    _component()(
        key=_KEY,
        data={
            "store": STORE,
            "canvas": canvas,
            "visit": st.session_state.setdefault(_VISIT, str(uuid.uuid4())),
            "untouched": is_untouched(),
            "objects": objects if len(objects) <= _MOST_CHARACTERS else "",
        },
        on_found_change=_restore,
    )


def _restore() -> None:
    stored_drawing = st.session_state[_KEY]["found"]
    if not is_untouched():
        return
    st.session_state[_ASKED] = True
    try:
        if not isinstance(stored_drawing, str) or len(stored_drawing) > _MOST_CHARACTERS:
            return
        current_drawing().replace_by(checked_objects(json.loads(stored_drawing), side=SIDE))
    except (ImageError, ValueError, RecursionError):
        _LOGGER.warning("What the browser had stored is not a drawing: ignored.")


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    script = (Path(__file__).parent / "store.js").read_text(encoding="utf-8")
    return st.components.v2.component("drawing_store", js=script)
