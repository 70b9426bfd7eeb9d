"""Links that carry a drawing: opened, and made for what is on the canvas."""

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from digitcore.errors import ImageError
from digitcore.imaging.canvas_json import layer_of, object_of
from digitcore.imaging.stroke_links import decode_drawing, encode_drawing
from pages.shared.drawing import SIDE, current_drawing
from pages.shared.error_box import visible
from pages.shared.state import CHECKPOINT

_DRAWING, _ONE = "drawing", "one-digit"
"""Names in the address."""


def open_link(*, one_digit: str) -> None:
    """Puts the drawing of the address on the canvas, and takes it out of the address: what follows changes it.

    one_digit: the name in the session state of the choice to read the drawing as one digit, which a link carries too.
    """
    if _DRAWING not in st.query_params:
        return
    code, one = st.query_params[_DRAWING], _ONE in st.query_params
    for name in {_DRAWING, _ONE} & st.query_params.keys():
        del st.query_params[name]
    try:
        current_drawing().replace_by(objects_in(code))
        st.session_state.pop("source", None)  # its default is to draw
        st.session_state[one_digit] = one
    except ImageError as error:
        st.info(visible(str(error)), icon=":material/link_off:")


def objects_in(code: str) -> list[dict[str, Any]]:
    """What the canvas shows for a code of `encode_drawing`.

    Raises:
        ImageError: it is not such a code.
    """
    return [object_of(layer, side=SIDE) for layer in decode_drawing(code, side=SIDE)]


def link_to_drawing(*, checkpoint: str, one_digit: bool) -> str:
    """The address that opens what is on the canvas with a checkpoint, wherever the visitor has this page from.

    Raises:
        ImageError: there is more on the canvas than a link can carry.
    """
    layers = [layer_of(canvas_object, side=SIDE) for canvas_object in current_drawing().objects]
    parameters = {CHECKPOINT: checkpoint, _DRAWING: encode_drawing(layers, side=SIDE)}
    if one_digit:
        parameters[_ONE] = "yes"
    address = (st.context.url or "http://localhost:8501").rstrip("/")
    return f"{address}/?{urlencode(parameters)}"
