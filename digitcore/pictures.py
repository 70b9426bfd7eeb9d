"""Digits as pictures inside HTML: PNGs as data addresses, so that no other file is needed."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["digit_sheet", "png_address"]


def png_address(pixels: NDArray[np.uint8]) -> str:
    """Grey pixels (H, W) as the data address of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def digit_sheet(images: NDArray[np.uint8], *, columns: int) -> str:
    """All images (N, H, W) on one PNG, so many beside each other, as a data address; the rest of the last row is 0."""
    count, height, width = images.shape
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width), dtype=np.uint8)
    padded[:count] = images
    grid = padded.reshape(rows, columns, height, width).swapaxes(1, 2)
    return png_address(grid.reshape(rows * height, columns * width))
