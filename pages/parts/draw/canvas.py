"""The drawing canvas: strokes that survive other pages, undo, clear, and digits put on it to be drawn over."""

import base64
import io
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit_drawable_canvas import CanvasResult, st_canvas

from pages.shared.gallery import Tile, gallery, tile_sheet
from pages.shared.state import Drawing, Sketch, drawing

SIDE = 336
"""Pixels: 12 to each of the 28, and no wider than the narrowest phone's page."""
DEFAULT_BRUSH = 24
_KEY = "canvas"
_KEPT_STEPS = 100
_MOST_EARLIER = 12
_THUMBNAIL = 56
_WANTED = "wanted-drawing"


def earlier_drawings() -> None:
    """The last drawings with their answers; a click brings one back, and can be undone."""
    current = drawing()
    if current.earlier:
        tiles = [
            Tile(each.id, each.answer, f"bring back this drawing, read as {each.answer}") for each in current.earlier
        ]
        gallery(tiles, current.sheet, picked=None, picks=_WANTED, key="earlier-drawings")


def drawing_canvas(*, brush: int) -> NDArray[np.uint8] | None:
    """The canvas with its buttons; returns its pixels (SIDE, SIDE, 4), or None while nothing is on it."""
    current = drawing()
    if _KEY not in st.session_state:  # a new canvas on the page: show it what the last one had
        _keep(current)
        _place(current, current.objects)
    wanted = st.session_state.pop(_WANTED, None)
    for sketch in [each for each in current.earlier if each.id == wanted]:
        _bring_back(current, sketch)
    result = st_canvas(
        key=_KEY,
        width=SIDE,
        height=SIDE,
        stroke_width=brush,
        stroke_color="#000000",
        background_color="#ffffff",
        initial_drawing={"objects": current.placed, "revision": current.revision},
        return_image_data=True,
    )
    _receive(current, result)
    with st.container(horizontal=True, gap="small"):
        st.button("Undo", icon=":material/undo:", on_click=_undo, disabled=not current.past)
        st.button("Clear", icon=":material/delete:", on_click=_clear, disabled=not current.objects)
    return current.picture


def put_on_canvas(ink: NDArray[np.uint8]) -> None:
    """Replaces what is on the canvas by a digit (28, 28), each of its pixels a square; it can be drawn over."""
    enlarged = ink.repeat(SIDE // 28, axis=0).repeat(SIDE // 28, axis=1)  # (SIDE, SIDE)
    black = np.zeros_like(enlarged)
    rgba = np.dstack([black, black, black, enlarged])
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, format="PNG")
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    origin = {"left": 0, "top": 0, "originX": "left", "originY": "top"}
    current = drawing()
    _keep(current)
    _remember(current)
    _show(current, [{"type": "Image", "src": source, **origin}])
    white = 255 - enlarged
    current.picture = np.dstack([white, white, white, np.full_like(white, 255)])


def _keep(current: Drawing) -> None:
    """Puts what is on the canvas, which is about to go, with the earlier drawings, unless it is there already."""
    if current.picture is None or not current.objects:
        return
    grey = current.picture[:, :, :3].mean(axis=2).reshape(_THUMBNAIL, SIDE // _THUMBNAIL, _THUMBNAIL, -1)
    thumbnail = grey.mean(axis=(1, 3)).astype(np.uint8)  # (_THUMBNAIL, _THUMBNAIL)
    if any(np.array_equal(thumbnail, each.thumbnail) for each in current.earlier):
        return
    png = io.BytesIO()
    Image.fromarray(current.picture).save(png, format="PNG")
    sketch = Sketch(_new_id(current), current.objects, png.getvalue(), thumbnail, current.answer)
    current.earlier = [sketch, *current.earlier][:_MOST_EARLIER]
    current.sheet = tile_sheet(np.stack([each.thumbnail for each in current.earlier]))


def _bring_back(current: Drawing, sketch: Sketch) -> None:
    _keep(current)
    _remember(current)
    _show(current, sketch.objects)
    current.picture = np.asarray(Image.open(io.BytesIO(sketch.png)))
    sketch.id = _new_id(current)  # or a second click on it would be none: the gallery reports changes


def _new_id(current: Drawing) -> int:
    return 1 + max((each.id for each in current.earlier), default=0)


def _receive(current: Drawing, result: CanvasResult) -> None:
    """Takes over what the canvas sent, if that is new."""
    sent = result.image_bytes
    if sent is None or sent == current.sent:
        return
    if not current.awaited:
        _remember(current)
    objects: list[dict[str, Any]] = (result.json_data or {}).get("objects", [])
    current.sent, current.awaited = sent, False
    current.objects = objects
    current.picture = result.image_data if objects else None


def _place(current: Drawing, objects: list[dict[str, Any]]) -> None:
    current.placed = objects
    current.revision += 1


def _show(current: Drawing, objects: list[dict[str, Any]]) -> None:
    """Tells the canvas what to show; it answers with the pixels in a moment."""
    _place(current, objects)
    current.objects, current.awaited = objects, True
    if not objects:
        current.picture = None


def _remember(current: Drawing) -> None:
    current.past = [*current.past, current.objects][-_KEPT_STEPS:]


def _undo() -> None:
    current = drawing()
    if current.past:
        _show(current, current.past.pop())


def _clear() -> None:
    current = drawing()
    _keep(current)
    _remember(current)
    _show(current, [])
