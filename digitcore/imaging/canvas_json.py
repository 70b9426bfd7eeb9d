"""Rendering of drawings that the canvas describes in Fabric's JSON, object by object.

Objects are strokes ("Path", quadratic curves of one width) and images of digits ("Image"). Both may have been moved,
turned and stretched with the canvas's own tools.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitcore.errors import ImageError
from digitcore.imaging.png import png_address
from digitcore.imaging.preprocessing import read_image
from digitcore.imaging.strokes import InkStroke, render_strokes, transform_points

__all__ = [
    "checked_objects",
    "compose",
    "cut_out",
    "digit_object",
    "is_stroke",
    "layer_of",
    "object_of",
    "render_object",
]

_MOST_OBJECTS = 500
_MOST_COMMANDS = 20_000  # of all strokes together
_LONGEST_SOURCE = 100_000  # characters of a picture
_STEP = 8  # pixels between points on a curve
_MOST_POINTS = 64  # on one curve
_LEAST_SHARE = 0.02  # of the ink of a part
_ORIGINS = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}

_NUMBERS = ("left", "top", "scaleX", "scaleY", "angle")
_LOOK = {"fill": None, "stroke": "#000000", "strokeLineCap": "round", "strokeLineJoin": "round"}
_PNG = "data:image/png;base64,"

_Points = NDArray[np.float64]


def is_stroke(canvas_object: Mapping[str, Any]) -> bool:
    """Whether an object of the canvas is a stroke, which can be rendered in several pieces."""
    return canvas_object.get("type") == "Path"


def render_object(canvas_object: Mapping[str, Any], *, side: int, pieces: int = 1) -> NDArray[np.uint8]:
    """Ink uint8 (pieces, side, side), 255 = ink, of one object on a square canvas.

    The pieces of a stroke are equally long, in the order in which it was drawn, and meet in round ends. An image has
    one piece.

    Raises:
        ImageError: the object is of another kind, or is damaged.
    """
    with _damage_reported():
        if is_stroke(canvas_object):
            return _render_path(canvas_object, side=side, pieces=pieces)
        if canvas_object.get("type") == "Image":
            return _render_image(canvas_object, side=side)[np.newaxis]
    raise ImageError(
        f"The drawing has an object of kind {canvas_object.get('type')!r}, which is neither a stroke nor a picture: "
        "clear it and draw again."
    )


def checked_objects(objects: object, *, side: int) -> list[dict[str, Any]]:
    """Objects that were the canvas's own, back from where anything may have become of them; anew, with nothing else.

    Raises:
        ImageError: they are not what the canvas gives, or too many.
    """
    with _damage_reported():
        if not isinstance(objects, list) or len(objects) > _MOST_OBJECTS:
            raise ValueError("not a list of objects, or too many")
        checked = [_checked(canvas_object) for canvas_object in objects]
        if sum(len(canvas_object.get("path", ())) for canvas_object in checked) > _MOST_COMMANDS:
            raise ValueError("strokes too long")
    for canvas_object in checked:
        render_object(canvas_object, side=side)
    return checked


def _checked(canvas_object: dict[str, Any]) -> dict[str, Any]:
    placement = {name: float(canvas_object[name]) for name in _NUMBERS if name in canvas_object}
    placement |= {name: canvas_object.get(name) is True for name in ("flipX", "flipY")}
    origins = {name: canvas_object.get(name, "left") for name in ("originX", "originY")}
    if not set(origins.values()) <= _ORIGINS.keys() or not np.isfinite(list(placement.values())).all():
        raise ValueError("an object without a place")
    if is_stroke(canvas_object):
        path = [[command, *map(float, numbers)] for command, *numbers in canvas_object["path"]]
        if {command for command, *_ in path} - {"M", "L", "Q"}:
            raise ValueError("a stroke with another command")
        return {
            "type": "Path",
            "path": path,
            "strokeWidth": float(canvas_object["strokeWidth"]),
            **_LOOK,
            **placement,
            **origins,
        }
    source = canvas_object["src"]
    if not source.startswith(_PNG) or len(source) > _LONGEST_SOURCE:
        raise ValueError("a picture from elsewhere, or too large")
    return {"type": "Image", "src": source, **placement, **origins}


def layer_of(canvas_object: Mapping[str, Any], *, side: int) -> InkStroke | NDArray[np.uint8]:
    """An object of a square canvas as a stroke with points close together, or as a digit (28, 28) that covers it.

    Raises:
        ImageError: the object is of another kind, or is damaged.
    """
    if not is_stroke(canvas_object):
        ink = render_object(canvas_object, side=side)[0]
        return np.asarray(Image.fromarray(ink).resize((28, 28), Image.Resampling.BOX))
    with _damage_reported():
        points, width = _placed(canvas_object, side=side)
    return InkStroke(points.astype(np.float32), width)


def object_of(layer: InkStroke | NDArray[np.uint8], *, side: int) -> dict[str, Any]:
    """The object that shows a stroke, straight from point to point, or a digit (28, 28), on a square canvas."""
    if not isinstance(layer, InkStroke):
        return digit_object(layer, side=side)
    points = layer.points.astype(np.float64)
    if len(points) == 1:  # as the canvas describes a dot
        points = points + np.array([[-0.02, 0], [0.02, 0]])
    left, top = (points.min(axis=0) + points.max(axis=0)) / 2
    start, *others = points.round(2).tolist()
    look = {"stroke": "#000000", "strokeWidth": layer.width, "strokeLineCap": "round", "strokeLineJoin": "round"}
    place = {"left": left, "top": top, "originX": "center", "originY": "center"}
    return {
        "type": "Path",
        "path": [["M", *start], *(["L", *point] for point in others)],
        "fill": None,
        **look,
        **place,
    }


def digit_object(ink: NDArray[np.uint8], *, side: int) -> dict[str, Any]:
    """The object that shows a digit (28, 28) on a square canvas, each of its pixels a square."""
    enlarged = ink.repeat(side // 28, axis=0).repeat(side // 28, axis=1)  # (side, side)
    black = np.zeros_like(enlarged)
    source = png_address(np.dstack([black, black, black, enlarged]))
    return {"type": "Image", "src": source, "left": 0, "top": 0, "originX": "left", "originY": "top"}


def compose(layers: Sequence[NDArray[np.uint8]], *, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Ink uint8 of this shape (H, W), of layers (H, W) of opaque ink over each other; without layers, all 0."""
    free = np.ones(shape, dtype=np.float32)
    for layer in layers:
        free *= 1 - layer.astype(np.float32) / 255
    ink: NDArray[np.uint8] = np.rint(255 * (1 - free)).astype(np.uint8)
    return ink


def cut_out(
    layers: Sequence[NDArray[np.uint8]], part: NDArray[np.uint8], *, left: int, top: int
) -> list[NDArray[np.uint8]]:
    """The layers (H, W) of a drawing cropped to a part of its ink (h, w), such as one digit of several.

    left, top: where the part lies in the drawing. A layer with less than a fiftieth of the part's ink is left out.
    """
    height, width = part.shape
    cropped = [np.where(part > 0, layer[top : top + height, left : left + width], 0) for layer in layers]
    return [layer for layer in cropped if layer.sum(dtype=np.int64) >= _LEAST_SHARE * part.sum(dtype=np.int64)]


@contextmanager
def _damage_reported() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, binascii.Error) as error:
        raise ImageError(
            f"The drawing has an object that cannot be read ({error}): clear it and draw again."
        ) from error


def _render_path(canvas_object: Mapping[str, Any], *, side: int, pieces: int) -> NDArray[np.uint8]:
    placed, brush = _placed(canvas_object, side=side)
    parts = [part.astype(np.float32) for part in _split(placed, pieces)]
    return np.stack([render_strokes([part], side=side, brush=brush) for part in parts])


def _placed(canvas_object: Mapping[str, Any], *, side: int) -> tuple[_Points, float]:
    """Points (P, 2) close together on a stroke where it lies on the canvas, and its width, both in pixels."""
    curves = list(_curves(canvas_object["path"]))
    matrix = _matrix(canvas_object)
    # Fabric places the middle of the bounding box of cubic curves that use each control point twice.
    box = np.concatenate([_sampled(np.stack([start, control, control, end])) for start, control, end in curves])
    least, greatest = box.min(axis=0), box.max(axis=0)
    points = np.concatenate([curves[0][:1], *(_sampled(curve)[1:] for curve in curves)])
    placed = transform_points(points - (least + greatest) / 2, matrix) + _centre(canvas_object, greatest - least)
    brush = float(canvas_object["strokeWidth"]) * float(np.sqrt(abs(_determinant(matrix))))
    if not (np.isfinite(placed).all() and 0 < brush < 10 * side and np.abs(placed).max() < 100 * side):
        raise ValueError("a stroke far off the canvas")
    return placed, brush


def _curves(path: Sequence[Sequence[Any]]) -> Iterator[_Points]:
    """Start, control and end (3, 2) of each line or quadratic curve of a path."""
    start = np.array(path[0][1:3], dtype=np.float64)
    for command, *numbers in path[1:]:
        ends = np.array(numbers, dtype=np.float64).reshape(-1, 2)
        if (command, len(ends)) not in (("L", 1), ("Q", 2)):
            raise ValueError(f"a stroke with the command {command!r}")
        yield np.stack([start, ends[0] if command == "Q" else (start + ends[0]) / 2, ends[-1]])
        start = ends[-1]


def _sampled(corners: _Points) -> _Points:
    """Points (P, 2) close together on the Bezier curve with these corners (C, 2), both ends among them."""
    length = float(np.linalg.norm(np.diff(corners, axis=0), axis=1).sum())
    share = np.linspace(0, 1, min(_MOST_POINTS, 2 + int(length / _STEP)))[:, np.newaxis]
    points = corners[:, np.newaxis]  # (C, 1, 2): de Casteljau's construction, for all shares at once
    while len(points) > 1:
        points = (1 - share) * points[:-1] + share * points[1:]
    sampled: _Points = points[0]
    return sampled


def _split(points: _Points, pieces: int) -> list[_Points]:
    """A path (P, 2) cut into equally long ones."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    cuts = np.linspace(0, along[-1], pieces + 1)
    corners = np.stack([np.interp(cuts, along, points[:, axis]) for axis in (0, 1)], axis=1)
    return [
        np.concatenate([corners[i : i + 1], points[(along > cuts[i]) & (along < cuts[i + 1])], corners[i + 1 : i + 2]])
        for i in range(pieces)
    ]


def _matrix(canvas_object: Mapping[str, Any]) -> _Points:
    """How an object is turned and stretched (2, 2)."""
    angle = np.radians(float(canvas_object.get("angle", 0)))
    across, down = (float(canvas_object.get(name, 1)) for name in ("scaleX", "scaleY"))
    flips = [-1 if canvas_object.get(name) else 1 for name in ("flipX", "flipY")]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: _Points = turn * np.array([across * flips[0], down * flips[1]])
    return matrix


def _determinant(matrix: _Points) -> float:
    return float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])


def _centre(canvas_object: Mapping[str, Any], size: _Points) -> _Points:
    """Where the centre (2,) of an object of this size lies on the canvas."""
    origins = [_ORIGINS[canvas_object.get(name, "left")] for name in ("originX", "originY")]
    unflipped = {**canvas_object, "flipX": False, "flipY": False}
    place = np.array([float(canvas_object.get(name, 0)) for name in ("left", "top")])
    centre: _Points = place + transform_points((0.5 - np.array(origins)) * size, _matrix(unflipped))
    return centre


def _render_image(canvas_object: Mapping[str, Any], *, side: int) -> NDArray[np.uint8]:
    data = base64.b64decode(canvas_object["src"].split(";base64,", 1)[1])
    values = np.asarray(read_image(data, name="the digit on the canvas").convert("RGBA"), dtype=np.float32) / 255
    darkness = (1 - values[:, :, :3].max(axis=2)) * values[:, :, 3]
    ink = Image.fromarray(np.rint(255 * darkness).astype(np.uint8))
    matrix = _matrix(canvas_object)
    if _determinant(matrix) == 0:
        raise ValueError("a picture without width or height")
    adjugate = np.array([[matrix[1, 1], -matrix[0, 1]], [-matrix[1, 0], matrix[0, 0]]])
    back = adjugate / _determinant(matrix)  # from the canvas to the picture
    centre = _centre(canvas_object, np.array(ink.size, dtype=np.float64))
    offset = np.array(ink.size) / 2 - transform_points(centre, back)
    coefficients = (*back[0], offset[0], *back[1], offset[1])
    return np.asarray(ink.transform((side, side), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))
