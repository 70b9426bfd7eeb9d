"""Drawings as short texts: what comes back, how short they are, and texts that are not drawings."""

import base64
import contextlib
import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import digitcore
from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits
from digitcore.errors import ImageError
from digitcore.imaging.canvas_json import compose, layer_of, object_of, render_object
from digitcore.imaging.stroke_links import GRID, MOST_CHARACTERS, Drawing, decode_drawing, encode_drawing, simplify
from digitcore.imaging.strokes import InkStroke, place_strokes, render_strokes

SIDE = 336
_COORDINATES = st.floats(-GRID, 2 * GRID, width=32)
_POINTS = st.lists(st.tuples(_COORDINATES, _COORDINATES), min_size=1, max_size=12)
_STROKES = st.builds(
    lambda points, width: InkStroke(np.array(points, dtype=np.float32), width), _POINTS, st.integers(1, 48)
)


def _distance(points: NDArray[np.float32], line: NDArray[np.float32]) -> float:
    """The greatest distance of a point from a line of many points."""
    return float(np.linalg.norm(points[:, np.newaxis] - line, axis=2).min(axis=1).max())


def _dense(line: NDArray[np.float32], count: int = 200) -> NDArray[np.float32]:
    """The line with so many points from each of its points to the next."""
    share = np.linspace(0, 1, count, endpoint=False)[:, np.newaxis]
    pieces = [(1 - share) * start + share * end for start, end in itertools.pairwise(line)]
    return np.concatenate([*pieces, line[-1:]]).astype(np.float32)


@given(st.lists(_STROKES, max_size=6))
def test_strokes_come_back_to_within_the_grid(strokes: list[InkStroke]) -> None:
    decoded = decode_drawing(encode_drawing(strokes, side=SIDE), side=SIDE)
    assert len(decoded) == len(strokes)
    for before, after in zip(strokes, decoded, strict=True):
        assert isinstance(after, InkStroke)
        assert after.width == before.width
        np.testing.assert_array_equal(after.points, after.points.round())
        assert np.linalg.norm(after.points[[0, -1]] - before.points[[0, -1]], axis=1).max() <= 0.71
        assert _distance(before.points, _dense(after.points)) <= 0.5 + 0.71 + 3.0  # tolerance, grid, `_dense`
        assert _distance(after.points, before.points) <= 0.71


@given(_POINTS.filter(lambda points: len(points) > 2), st.floats(0.1, 50))
def test_no_point_is_further_from_a_simplified_line_than_the_tolerance(
    points: list[tuple[float, float]], tolerance: float
) -> None:
    line = np.array(points, dtype=np.float32)
    simple = simplify(line, tolerance=tolerance)
    assert {tuple(point) for point in simple.tolist()} <= {tuple(point) for point in line.tolist()}
    np.testing.assert_array_equal(simple[[0, -1]], line[[0, -1]])
    assert _distance(line, _dense(simple)) <= tolerance + 4.0  # that far apart are the points of `_dense`


def test_a_straight_line_is_two_points() -> None:
    line = np.linspace((10, 20), (300, 200), 80).astype(np.float32)
    np.testing.assert_array_equal(simplify(line, tolerance=0.5), line[[0, -1]])


def test_a_sample_digit_comes_back_exactly_with_what_was_drawn_over_it() -> None:
    ink = _sample()
    stroke = InkStroke(np.array([(10, 10), (50, 300)], dtype=np.float32), 24)
    code = encode_drawing([ink, stroke], side=SIDE)
    picture, line = decode_drawing(code, side=SIDE)
    assert isinstance(picture, np.ndarray)
    np.testing.assert_array_equal(picture, ink)
    assert isinstance(line, InkStroke)
    np.testing.assert_array_equal(line.points, stroke.points)


def _sample() -> NDArray[np.uint8]:
    return digitcore.load_digits("mnist-validation").images[0]


def test_every_sample_digit_fits_in_a_link() -> None:
    lengths = [len(encode_drawing([ink], side=SIDE)) for ink in digitcore.load_digits("mnist-validation").images[:500]]
    assert max(lengths) <= 600


def test_more_than_a_link_can_carry_is_an_error() -> None:
    generator = np.random.default_rng(0)
    scribble = InkStroke(generator.uniform(0, SIDE, size=(1500, 2)).astype(np.float32), 6)
    with pytest.raises(ImageError, match="more on the canvas than a link can carry"):
        encode_drawing([scribble], side=SIDE)
    with pytest.raises(ImageError, match="one sample digit"):
        encode_drawing([_sample(), _sample()], side=SIDE)


@given(st.text(max_size=60) | st.text(alphabet="ABCDEFabcdef0123456789-_", max_size=2000).map("1".__add__))
def test_any_text_is_a_drawing_near_the_canvas_or_one_error(code: str) -> None:
    drawing: Drawing = []
    with contextlib.suppress(ImageError):
        drawing = decode_drawing(code, side=SIDE)
    points = [layer.points for layer in drawing if isinstance(layer, InkStroke)]
    together = np.concatenate([np.zeros((1, 2)), *points])
    assert together.min() >= -SIDE
    assert together.max() <= 2 * SIDE


def _code(body: bytes) -> str:
    return "1" + base64.urlsafe_b64encode(body).decode().rstrip("=")


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(bytes(200_000)) + packer.flush()
    return bytes([0, 128 | len(packed) & 127, len(packed) >> 7]) + packed


@pytest.mark.parametrize(
    "code",
    [
        "2AAAA",
        "1A",
        "1" + "A" * MOST_CHARACTERS,
        _code(bytes([24])),
        _code(bytes([24, 0])),
        _code(bytes([24, 3, 1, 1])),
        _code(bytes([24, 255, 255, 3, 1, 1])),
        _code(bytes([24, 1, 255, 255, 255, 255, 1])),
        _code(bytes([24, 1, 255, 127, 1])),
        _code(bytes([255, 127, 1, 1, 1])),
        _code(bytes([0, 5, 1, 2, 3, 4, 5])),
        _code(_bomb()),
        "1AA AA",
        "1äöü",
    ],
)
def test_damaged_and_hostile_codes_are_one_error(code: str) -> None:
    with pytest.raises(ImageError, match="does not hold a drawing"):
        decode_drawing(code, side=SIDE)


def test_a_code_of_nothing_is_an_empty_drawing() -> None:
    assert encode_drawing([], side=SIDE) == "1"
    assert decode_drawing("1", side=SIDE) == []


def test_objects_of_the_canvas_and_back() -> None:
    """A stroke is drawn as it was, to within the grid; a dot stays a dot."""
    hook = {
        "type": "Path", "originX": "center", "originY": "center", "left": 105.0585, "top": 98.426, "strokeWidth": 24,
        "path": [["M", 70, 0], ["Q", 100, -3, 105, -3], ["Q", 150, -4, 115, 98], ["L", 80, 190]],
    }  # fmt: skip
    dot = object_of(InkStroke(np.array([(50, 60)], dtype=np.float32), 20), side=SIDE)
    for canvas_object in (hook, dot):
        before = render_object(canvas_object, side=SIDE)[0]
        (layer,) = decode_drawing(encode_drawing([layer_of(canvas_object, side=SIDE)], side=SIDE), side=SIDE)
        after = render_object(object_of(layer, side=SIDE), side=SIDE)[0]
        assert np.abs(after.astype(int) - before).sum() < 0.05 * before.sum(dtype=int)


@pytest.mark.needs_pen_digits
def test_drawings_are_short_and_read_the_same() -> None:
    """Of writers who were never trained on, in varying places, sizes and brushes."""
    generator = np.random.default_rng(7)
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS]
    classifier = digitcore.load_classifier("world")
    before, after, lengths = [], [], []
    for i in generator.choice(len(digits), size=60, replace=False):
        brush = int(generator.integers(6, 49))
        position = (float(generator.random()), float(generator.random()))
        extent = float(generator.uniform(0.35, 0.8))
        placed = [
            _dense(stroke, 20)
            for stroke in place_strokes(digits[i].strokes, side=SIDE, extent=extent, position=position, brush=brush)
        ]
        before.append(render_strokes(placed, side=SIDE, brush=brush))
        code = encode_drawing([InkStroke(stroke, brush) for stroke in placed], side=SIDE)
        objects = [object_of(layer, side=SIDE) for layer in decode_drawing(code, side=SIDE)]
        layers = [render_object(canvas_object, side=SIDE)[0] for canvas_object in objects]
        after.append(compose(layers, shape=(SIDE, SIDE)))
        lengths.append(len(code))
    assert np.percentile(lengths, [50, 100]).tolist() <= [130, 300]
    answers = [[prediction.digit for prediction in classifier.predict_batch(images)] for images in (before, after)]
    assert answers[0] == answers[1]
