"""Drawings as short texts, for links and QR codes.

A code is the version of its format and the base64url form of bytes, stroke after stroke: its width, the number of its
points, the first point, and the way from each point to the next, all as numbers of variable length. Points lie on a
grid of 336 to the side of the canvas. A digit (28, 28) that was placed on the canvas has the width 0, its length, and
its compressed ink.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from digitcore.errors import ImageError
from digitcore.imaging.strokes import InkStroke

__all__ = ["GRID", "MOST_CHARACTERS", "Drawing", "decode_drawing", "encode_drawing", "simplify"]

GRID = 336
"""Steps to the side of the canvas."""
MOST_CHARACTERS = 1200
"""Of a code: a QR code holds it and the rest of an address, and a projector still shows it."""

_VERSION = "1"
_TOLERANCES = (0.5, 1.0, 2.0, 4.0)  # steps that a simplified stroke may be off: the first with which it is short enough
_PICTURE = 0  # in place of a width
_PICTURE_SIDE = 28
_LEAST, _GREATEST = -GRID, 2 * GRID  # of a coordinate: a pen may leave the canvas and come back

Drawing = list[InkStroke | NDArray[np.uint8]]
"""Strokes, and digits (28, 28) that cover the canvas."""


def encode_drawing(drawing: Sequence[InkStroke | NDArray[np.uint8]], *, side: int) -> str:
    """The code of strokes in pixels of a square canvas and of at most one digit (28, 28) below or above them.

    Strokes are simplified until the code is short enough: in almost all drawings by half a step of the grid.

    Raises:
        ImageError: there is more on the canvas than a link can carry.
    """
    if sum(isinstance(layer, np.ndarray) for layer in drawing) > 1:
        raise ImageError("A link can carry one sample digit, not several.")
    for tolerance in _TOLERANCES:
        body = b"".join(_encoded(layer, scale=GRID / side, tolerance=tolerance) for layer in drawing)
        code = _VERSION + base64.urlsafe_b64encode(body).decode().rstrip("=")
        if len(code) <= MOST_CHARACTERS:
            return code
    raise ImageError("There is more on the canvas than a link can carry.")


def decode_drawing(code: str, *, side: int) -> Drawing:
    """The drawing of a code, in pixels of a square canvas; strokes are straight from point to point.

    Raises:
        ImageError: the code is not one of `encode_drawing`, whatever else it is.
    """
    try:
        if len(code) > MOST_CHARACTERS or not code.startswith(_VERSION):
            raise ValueError("unknown version, or too long")
        text = code.removeprefix(_VERSION)
        body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        drawing = list(_decoded(body, scale=side / GRID))
        if sum(isinstance(layer, np.ndarray) for layer in drawing) > 1:
            raise ValueError("several digits")
    except (ValueError, binascii.Error, zlib.error) as error:
        raise ImageError("The link does not hold a drawing: part of it may be missing. Copy it again.") from error
    return drawing


def simplify(points: NDArray[np.float32], *, tolerance: float) -> NDArray[np.float32]:
    """Those of the points (P, 2) of a line that are needed for all others to lie within a tolerance of it.

    Source: U. Ramer, "An iterative procedure for the polygonal approximation of plane curves", 1972; D. Douglas and
    T. Peucker, 1973.
    """
    needed = np.zeros(len(points), dtype=bool)
    needed[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(points[first + 1 : last], points[first], points[last])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            needed[middle] = True
            spans += [(first, middle), (middle, last)]
    return points[needed]


def _distances(
    points: NDArray[np.float32], start: NDArray[np.float32], end: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Of points (P, 2) from the line between two points."""
    way = end - start
    length = float((way * way).sum())
    share = ((points - start) * way).sum(axis=1, keepdims=True) / length if length else np.zeros((len(points), 1))
    distances: NDArray[np.float32] = np.linalg.norm(points - start - np.clip(share, 0, 1) * way, axis=1)
    return distances


def _encoded(layer: InkStroke | NDArray[np.uint8], *, scale: float, tolerance: float) -> bytes:
    if isinstance(layer, np.ndarray):
        if layer.shape != (_PICTURE_SIDE, _PICTURE_SIDE):
            raise ValueError(f"a digit must be (28, 28), not {layer.shape}")
        ink = zlib.compress(layer.tobytes(), 9, wbits=-15)
        return bytes([_PICTURE]) + _number(len(ink)) + ink
    line = simplify(layer.points * np.float32(scale), tolerance=tolerance)
    points = np.clip(np.rint(line), _LEAST, _GREATEST).astype(np.int64)
    steps = np.diff(points, axis=0, prepend=0).ravel()
    signless = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    width = min(GRID, max(1, round(layer.width * scale)))
    return _number(width) + _number(len(points)) + b"".join(_number(int(number)) for number in signless)


def _decoded(body: bytes, *, scale: float) -> Iterator[InkStroke | NDArray[np.uint8]]:
    place = 0
    while place < len(body):
        width, place = _read_number(body, place)
        count, place = _read_number(body, place)
        if width == _PICTURE:
            yield _picture(body[place : place + count])
            place += count
            continue
        if not 1 <= count <= len(body) or width > GRID:
            raise ValueError("a stroke without points, or wider than the canvas")
        steps = np.zeros(2 * count, dtype=np.int64)
        for i in range(len(steps)):
            signless, place = _read_number(body, place)
            steps[i] = -(signless + 1) // 2 if signless % 2 else signless // 2
        points = steps.reshape(count, 2).cumsum(axis=0)
        if points.min() < _LEAST or points.max() > _GREATEST:
            raise ValueError("a stroke far off the canvas")
        yield InkStroke((points * scale).astype(np.float32), width * scale)


def _picture(compressed: bytes) -> NDArray[np.uint8]:
    unpacker = zlib.decompressobj(wbits=-15)
    ink = unpacker.decompress(compressed, _PICTURE_SIDE**2 + 1)  # however much more there is
    if len(ink) != _PICTURE_SIDE**2 or not unpacker.eof:
        raise ValueError("a digit of another size")
    return np.frombuffer(ink, dtype=np.uint8).reshape(_PICTURE_SIDE, _PICTURE_SIDE)


def _number(value: int) -> bytes:
    """Seven bits to a byte, the lowest first; the eighth says that more follow."""
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def _read_number(body: bytes, place: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    value = 0
    for shift in (0, 7, 14):
        if place >= len(body):
            raise ValueError("the end is missing")
        value |= (body[place] & 127) << shift
        place += 1
        if body[place - 1] < 128:
            return value, place
    raise ValueError("a number too great")
