"""The drawing of one visitor: what is on the canvas, what was on it before, and digits put on it."""

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from digitcore.imaging.canvas_json import compose, digit_object, render_object
from pages.shared.gallery import tile_sheet

SIDE = 336
"""Of the canvas, in its own pixels: 12 to each of the 28, however large it is shown."""
_UNDO_STEPS = 100
_MOST_EARLIER = 12
_THUMBNAIL_SIDE = 56


@dataclass
class Sketch:
    """A drawing that is no longer on the canvas."""

    id: int
    objects: list[dict[str, Any]]
    png: bytes
    """Its pixels, as `Drawing.picture` had them."""
    thumbnail: NDArray[np.uint8]
    """The same, small and grey: (56, 56)."""
    answer: str


@dataclass
class Drawing:
    """The drawing canvas of one visitor."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    """What is on it, as the canvas describes it."""
    picture: NDArray[np.uint8] | None = None
    """The same as pixels (H, W, 4); None while nothing is on it."""
    past: list[list[dict[str, Any]]] = field(default_factory=list)
    """What was on it before each change, oldest first."""
    future: list[list[dict[str, Any]]] = field(default_factory=list)
    """What was on it before each undo, the last one at the end; empty after any other change."""
    placed: list[dict[str, Any]] = field(default_factory=list)
    """What the canvas was last told to show; strokes have come over it since."""
    revision: int = 0
    """Grows each time the canvas is told to show something."""
    sent: bytes | None = None
    """The last PNG that came from the canvas; it comes again with every rerun."""
    awaited: bool = False
    """Whether the next PNG answers what the canvas was told to show, rather than a stroke."""
    replaced: list[dict[str, Any]] = field(default_factory=list)
    """What was on it before that."""
    answer: str = ""
    """What it was last read as: a number, or why the answer was refused."""
    earlier: list[Sketch] = field(default_factory=list)
    """Drawings that were on the canvas before, the last one first."""
    sheet: str = ""
    """Their thumbnails, as the gallery takes them."""

    @property
    def strokes_in_picture(self) -> int | None:
        """How many objects `picture` shows; None until the canvas has sent the pixels of what it was told to show."""
        return None if self.awaited else len(self.objects)

    @property
    def is_new(self) -> bool:
        """Whether nothing has ever been on the canvas; not so where it was undone."""
        return not (self.objects or self.past or self.future)

    def place(self, objects: list[dict[str, Any]]) -> None:
        """Tells the canvas what to show, without a change to what is known of it."""
        self.placed = objects
        self.revision += 1

    def place_anew(self) -> None:
        """Tells a canvas that is new on the page what to show, which sends no pixels of what it begins with."""
        if self.awaited:
            self.picture, self.awaited = _rendered(self.objects), False
        self.place(self.objects)

    def show(self, objects: list[dict[str, Any]]) -> None:
        """Tells the canvas what to show; it answers with the pixels in a moment."""
        self.place(objects)
        self.objects, self.replaced, self.awaited = objects, self.objects, True
        if not objects:
            self.picture = None

    def receive(self, png: bytes, objects: list[dict[str, Any]], pixels: NDArray[np.uint8] | None) -> None:
        """Takes over what the canvas sent and had not sent before, unless it sent it before it was told otherwise."""
        if self.awaited and objects == self.replaced != self.objects:
            self.sent = png
            return
        if not self.awaited or len(objects) != len(self.objects):  # a stroke may come with what the canvas was told
            self._remember()
        self.sent, self.awaited = png, False
        self.objects = objects
        self.picture = pixels if objects else None

    def undo(self) -> None:
        """Shows what was on the canvas before the last change."""
        if self.past:
            self.future.append(self.objects)
            self.show(self.past.pop())

    def redo(self) -> None:
        """Shows what was on the canvas before the last undo."""
        if self.future:
            self.past.append(self.objects)
            self.show(self.future.pop())

    def clear(self) -> None:
        """Empties the canvas; what was on it is kept with the earlier drawings, and can be undone."""
        self.keep_earlier()
        self._remember()
        self.show([])

    def replace_by(self, objects: list[dict[str, Any]]) -> None:
        """Shows these objects instead, which can be drawn over; they are read before the canvas has drawn them.

        Raises:
            ImageError: one of them is of a kind that the canvas does not give, or damaged.
        """
        picture = _rendered(objects)
        self.keep_earlier()
        self._remember()
        self.show(objects)
        self.picture = picture

    def bring_back(self, sketch: Sketch) -> None:
        """Shows an earlier drawing instead."""
        self.keep_earlier()
        self._remember()
        self.show(sketch.objects)
        self.picture = np.asarray(Image.open(io.BytesIO(sketch.png)))

    def keep_earlier(self) -> None:
        """Puts what is on the canvas, which is about to go, with the earlier drawings, unless it is there already."""
        if self.picture is None or not self.objects:
            return
        thumbnail = _thumbnail(self.picture)
        if any(np.array_equal(thumbnail, sketch.thumbnail) for sketch in self.earlier):
            return
        new_id = 1 + max((sketch.id for sketch in self.earlier), default=0)
        sketch = Sketch(new_id, self.objects, _png(self.picture), thumbnail, self.answer)
        self.earlier = [sketch, *self.earlier][:_MOST_EARLIER]
        self.sheet = tile_sheet(np.stack([sketch.thumbnail for sketch in self.earlier]))

    def _remember(self) -> None:
        self.past = [*self.past, self.objects][-_UNDO_STEPS:]
        self.future = []


def current_drawing() -> Drawing:
    """The drawing of the visitor whose page this is."""
    drawing: Drawing = st.session_state.setdefault("drawing", Drawing())
    return drawing


def put_on_canvas(ink: NDArray[np.uint8]) -> None:
    """Replaces what is on the visitor's canvas by a digit (28, 28); for callbacks."""
    current_drawing().replace_by([digit_object(ink, side=SIDE)])


def _rendered(objects: list[dict[str, Any]]) -> NDArray[np.uint8] | None:
    """Pixels (SIDE, SIDE, 4) much as the canvas draws them; None of nothing."""
    if not objects:
        return None
    white = 255 - compose([render_object(one, side=SIDE)[0] for one in objects], shape=(SIDE, SIDE))
    return np.dstack([white, white, white, np.full_like(white, 255)])


def _thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (SIDE, SIDE, 4), small and grey."""
    grey = picture[:, :, :3].mean(axis=2).reshape(_THUMBNAIL_SIDE, SIDE // _THUMBNAIL_SIDE, _THUMBNAIL_SIDE, -1)
    thumbnail: NDArray[np.uint8] = grey.mean(axis=(1, 3)).astype(np.uint8)
    return thumbnail


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
