"""A drawing and how it was read, as one picture to keep or to send."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["drawing_card"]

_WIDTH, _HEIGHT = 960, 540
_MARGIN = 48
_SIDE = 336  # of the drawing
_ROW = 30  # from one bar to the next
_MOST_BARS = 12
_GROUND, _INK, _QUIET, _TRACK, _BAR, _BEST = "#ffffff", "#1f2933", "#5f6b7a", "#e4e7eb", "#8c96a3", "#2f74c8"


def drawing_card(
    picture: NDArray[np.uint8],
    *,
    answer: str,
    words: str,
    bars: Sequence[tuple[str, float, str]],
    best: int | None,
    checkpoint: str,
) -> bytes:
    """A PNG of a drawing (H, W), (H, W, 3) or (H, W, 4) as it was drawn, beside its answer and the bars.

    bars: what each is for, a share in [0, 1], and that in words; of more than twelve the first. best: the position of
    the one that stands out, if one does. Characters that Pillow's own font does not have show as boxes.
    """
    card = Image.new("RGB", (_WIDTH, _HEIGHT), _GROUND)
    draw = ImageDraw.Draw(card)
    drawing = Image.fromarray(picture).convert("RGB")
    drawing.thumbnail((_SIDE, _SIDE))
    left, top = _MARGIN + (_SIDE - drawing.width) // 2, _MARGIN + (_SIDE - drawing.height) // 2
    card.paste(drawing, (left, top))
    draw.rectangle((_MARGIN - 1, _MARGIN - 1, _MARGIN + _SIDE, _MARGIN + _SIDE), outline=_TRACK)
    below = _MARGIN + _SIDE + 24
    _write(draw, (_MARGIN, below), answer, size=64, width=_SIDE, fill=_INK)
    _write(draw, (_MARGIN, below + 76), words, size=22, width=_WIDTH - 2 * _MARGIN, fill=_QUIET)
    right = _MARGIN + _SIDE + 56
    _write(draw, (right, _MARGIN - 6), f"Read by {checkpoint}", size=22, width=_WIDTH - _MARGIN - right, fill=_QUIET)
    for i, bar in enumerate(bars[:_MOST_BARS]):
        _bar(draw, (right, _MARGIN + 44 + i * _ROW), *bar, stands_out=i == best)
    png = io.BytesIO()
    card.save(png, format="PNG", optimize=True)
    return png.getvalue()


def _bar(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], name: str, share: float, words: str, *, stands_out: bool
) -> None:
    left, top = place
    start, end = left + 32, _WIDTH - _MARGIN - 84
    fill, ink = (_BEST, _INK) if stands_out else (_BAR, _QUIET)
    _write(draw, (left, top - 2), name, size=20, width=28, fill=ink)
    draw.rounded_rectangle((start, top + 2, end, top + 18), radius=4, fill=_TRACK)
    length = round((end - start) * share)
    if length:
        draw.rounded_rectangle((start, top + 2, start + length, top + 18), radius=min(4, length // 2), fill=fill)
    _write(draw, (end + 14, top - 2), words, size=20, width=80, fill=ink)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, *, size: int, width: int, fill: str) -> None:
    """Text, smaller or cut off where it would be wider."""
    font = ImageFont.load_default(size)
    while draw.textlength(text, font=font) > width and size > 14:
        size -= 2
        font = ImageFont.load_default(size)
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(f"{text}...", font=font) > width:
            text = text[:-1]
        text += "..."
    draw.text(place, text, fill=fill, font=font)
