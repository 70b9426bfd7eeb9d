"""PNG images as data URLs, which HTML can hold without another file."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["digit_sheet", "overlay", "png_address"]

_FOR, _AGAINST = (80, 160, 255), (255, 140, 40)  # blue and orange, which colour-blind people can tell apart
_DIMMED = 0.6  # of the ink's brightness, so that colours stand out on it


def png_address(pixels: NDArray[np.uint8]) -> str:
    """The data URL of a PNG of grey pixels (H, W) or colours (H, W, 3 or 4)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def digit_sheet(images: NDArray[np.uint8], *, columns: int) -> str:
    """The data URL of one PNG with all images (N, H, W), this many in a row; the rest of the last row is 0."""
    count, height, width = images.shape
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width), dtype=np.uint8)
    padded[:count] = images
    grid = padded.reshape(rows, columns, height, width).swapaxes(1, 2)
    return png_address(grid.reshape(rows * height, columns * width))


def overlay(ink: NDArray[np.uint8], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours (H, W, 3): ink (H, W) in grey on black, overlaid with values (H, W), blue above 0 and orange below.

    The opacity is proportional to the absolute value; the greatest is opaque.
    """
    greatest = float(np.abs(values).max())
    density = np.abs(values)[:, :, np.newaxis] / (greatest or 1)
    colour = np.where(values[:, :, np.newaxis] > 0, _FOR, _AGAINST)
    mixed = density * colour + (1 - density) * _DIMMED * ink[:, :, np.newaxis].astype(np.float64)
    coloured: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
    return coloured
