"""Small pictures of digits inside a page."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.imaging.png import png_address
from pages.shared.templates import show_template


@dataclass(frozen=True)
class InlinePicture:
    """A picture as a template shows it."""

    address: str
    """The PNG itself, as a data address."""
    width: int
    height: int
    """On the page, in pixels."""
    alt: str
    caption: str


def inline_picture(pixels: NDArray[np.uint8], *, longest: int, caption: str, alt: str | None = None) -> InlinePicture:
    """Ink (H, W), light on black, or colours (H, W, 3), its longer side `longest` pixels.

    Without `alt` the caption stands for it.
    """
    scale = longest / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return InlinePicture(png_address(pixels), width, height, caption if alt is None else alt, caption)


def pictures_row(
    pictures: Iterable[tuple[NDArray[np.uint8], str]], *, longest: int = 50, name: str = "pictures"
) -> None:
    """Pictures of ink (H, W), or coloured ones (H, W, 3), beside each other, each with its caption.

    `longest` is the longer side in pixels, `name` what tests find the row by.
    """
    row = [inline_picture(pixels, longest=longest, caption=caption) for pixels, caption in pictures]
    show_template("pictures.html", pictures=row, name=name)
