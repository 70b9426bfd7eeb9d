"""Objects of the canvas, rendered; the browser tests compare the same with what the canvas itself draws."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.errors import ImageError
from digitcore.imaging.canvas_json import (
    checked_objects,
    compose,
    cut_out,
    digit_object,
    is_stroke,
    render_object,
)
from digitcore.imaging.strokes import render_strokes

SIDE = 200
# As Fabric 7.4 gave it; its box is that of cubic curves with the control taken twice, so wider than the curve itself.
HOOK: dict[str, Any] = {
    "type": "Path", "originX": "center", "originY": "center", "left": 105.0585, "top": 98.426, "width": 70.117,
    "height": 203.1961, "strokeWidth": 24, "scaleX": 1, "scaleY": 1, "angle": 0, "flipX": False, "flipY": False,
    "path": [["M", 70, 0], ["Q", 100, -3, 105, -3], ["Q", 150, -4, 115, 98], ["L", 80, 190]],
}  # fmt: skip
LINE: dict[str, Any] = {
    "type": "Path", "originX": "center", "originY": "center", "left": 100, "top": 80, "strokeWidth": 16,
    "path": [["M", 40, 60], ["Q", 40, 60, 100, 80], ["L", 160, 100]],
}  # fmt: skip
DOT: dict[str, Any] = {
    "type": "Path", "originX": "center", "originY": "center", "left": 50, "top": 50, "strokeWidth": 20,
    "path": [["M", 49.98, 50], ["L", 50.02, 50]],
}  # fmt: skip


def _ink(described: dict[str, Any], **changes: object) -> NDArray[np.float64]:
    return render_object({**described, **changes}, side=SIDE)[0] / 255


def _middle(ink: NDArray[np.float64]) -> tuple[float, float]:
    row, column = ndimage.center_of_mass(ink)
    return column + 0.5, row + 0.5


def test_a_straight_stroke() -> None:
    ends = [np.array([(40, 60), (160, 100)], dtype=np.float32)]
    difference = np.abs(_ink(LINE) - render_strokes(ends, side=SIDE, brush=16) / 255)
    assert difference.sum() < 0.03 * _ink(LINE).sum()
    assert _middle(_ink(LINE)) == pytest.approx((100, 80), abs=0.5)


def test_a_dot() -> None:
    assert _ink(DOT).sum() == pytest.approx(np.pi * 10**2, rel=0.06)
    assert _middle(_ink(DOT)) == pytest.approx((50, 50), abs=0.5)


def test_moved() -> None:
    assert np.array_equal(_ink(LINE, left=110, top=105)[25:, 10:], _ink(LINE)[:-25, :-10])


def test_turned() -> None:
    turned = _ink(LINE, left=100, top=100, angle=90)
    np.testing.assert_allclose(_middle(turned), (100, 100), atol=0.5)
    assert np.abs(turned - np.rot90(_ink(LINE, top=100), -1)).sum() < 0.05 * turned.sum()


def test_flipped() -> None:
    flipped = _ink(LINE, flipX=True)
    assert np.abs(flipped - _ink(LINE)[:, ::-1]).sum() < 0.05 * flipped.sum()


def test_stretched() -> None:
    assert _ink(LINE, scaleX=0.5, scaleY=0.5).sum() == pytest.approx(_ink(LINE).sum() / 4, rel=0.03)


def test_origins() -> None:
    """The same place told by a corner."""
    corner = _ink(LINE, originX="left", originY="top", left=40, top=60)
    assert np.array_equal(corner, _ink(LINE))


def test_pieces_make_the_whole() -> None:
    whole = _ink(HOOK, left=100, top=100, scaleX=0.7, scaleY=0.7)
    pieces = render_object({**HOOK, "left": 100, "top": 100, "scaleX": 0.7, "scaleY": 0.7}, side=SIDE, pieces=4) / 255
    assert pieces.shape == (4, SIDE, SIDE)
    assert np.abs(pieces.max(axis=0) - whole).max() < 0.6  # edges
    assert np.abs(pieces.max(axis=0) - whole).sum() < 0.01 * whole.sum()
    assert np.ptp(pieces.sum(axis=(1, 2))) < 0.06 * whole.sum()


def _image(ink: NDArray[np.uint8], **changes: object) -> dict[str, Any]:
    black = np.zeros_like(ink)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([black, black, black, ink])).save(buffer, format="PNG")
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"type": "Image", "src": source, "left": 0, "top": 0, "originX": "left", "originY": "top", **changes}


def test_an_image() -> None:
    ink = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    assert np.array_equal(render_object(_image(ink), side=SIDE)[0], ink)
    centred = _image(ink, originX="center", originY="center", left=SIDE / 2, top=SIDE / 2)
    assert np.array_equal(render_object(centred, side=SIDE)[0], ink)
    assert np.array_equal(render_object(_image(ink, left=30, top=10), side=SIDE)[0][10:, 30:], ink[:-10, :-30])
    smaller = np.full((SIDE, SIDE), 255, np.uint8)
    assert render_object(_image(smaller, scaleX=0.5, scaleY=0.25), side=SIDE)[0].sum() / 255 == pytest.approx(
        SIDE**2 / 8, rel=0.02
    )


def test_layers_cover_each_other() -> None:
    half = np.full((4, 4), 128, np.uint8)
    full, none = np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8)
    assert np.array_equal(compose([half, full], shape=(4, 4)), full)
    assert np.array_equal(compose([half, none], shape=(4, 4)), half)
    assert compose([half, half], shape=(4, 4)).tolist() == [[192] * 4] * 4
    assert np.array_equal(compose([], shape=(4, 4)), none)


def test_a_part_has_its_own_strokes() -> None:
    """Two digits beside each other, of two strokes and one: cut to one of them, its strokes alone make up its ink."""
    layers = [render_object({**LINE, "left": 50, "top": top, "scaleX": 0.5}, side=SIDE)[0] for top in (60, 90)]
    other = render_object({**HOOK, "left": 155}, side=SIDE)[0]
    mine = compose(layers, shape=(SIDE, SIDE))
    assert not mine[:, 100:].any()
    assert not other[:, :100].any()
    cut = cut_out([*layers, other], mine[20:130, :100], left=0, top=20)
    assert [layer.shape for layer in cut] == [(110, 100)] * 2
    assert np.array_equal(compose(cut, shape=(110, 100)), mine[20:130, :100])
    assert len(cut_out([*layers, other], other[:, 100:], left=100, top=0)) == 1


def test_kinds() -> None:
    assert is_stroke(HOOK)
    assert not is_stroke(_image(np.zeros((2, 2), np.uint8)))
    with pytest.raises(ImageError, match="kind 'Rect'"):
        render_object({"type": "Rect"}, side=SIDE)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": []},
        {"path": [["M", 0, 0]]},
        {"path": [["M", 0, 0], ["C", 1, 1, 2, 2, 3, 3]]},
        {"path": [["M", 0, 0], ["L", "x", 1]]},
        {"path": [["M", 0, 0], ["L", float("nan"), 1]]},
        {"path": None},
        {"path": [["M"], ["L", 1, 1]]},
        {"left": 1e300},
        {"left": "nowhere"},
        {"originX": "somewhere"},
        {"strokeWidth": 0},
        {"strokeWidth": 1e9},
        {"scaleX": 0},
        {"type": "Image"},
        {"type": "Image", "src": "http://example.com/4.png"},
        {"type": "Image", "src": "data:image/png;base64,AAAA"},
        {**_image(np.zeros((2, 2), np.uint8)), "scaleX": 0},
    ],
    ids=str,
)
def test_damaged_objects(changes: dict[str, Any]) -> None:
    with pytest.raises(ImageError):
        render_object({**LINE, **changes}, side=SIDE)


def test_objects_that_come_back_are_made_anew_with_nothing_else() -> None:
    ink = np.zeros((28, 28), dtype=np.uint8)
    ink[5:20, 10:14] = 200
    digit = digit_object(ink, side=SIDE)
    hook = {**HOOK, "stroke": "url(https://example.org/)", "clipPath": {"type": "Image", "src": "https://example.org/"}}
    checked = checked_objects([hook, DOT, digit], side=SIDE)
    assert not {"clipPath", "width"} & {name for canvas_object in checked for name in canvas_object}
    assert "example.org" not in str(checked)
    for before, after in zip([HOOK, DOT, digit], checked, strict=True):
        np.testing.assert_array_equal(render_object(after, side=SIDE), render_object(before, side=SIDE))


@pytest.mark.parametrize(
    "objects",
    [
        None,
        {},
        "text",
        [None],
        [[]],
        [{"type": "Rect"}],
        [{**HOOK, "path": None}],
        [{**HOOK, "path": []}],
        [{**HOOK, "path": [["M", 0, 0], ["A", 1, 1]]}],
        [{**HOOK, "path": [["M", 0, 0], ["L", "x", 1]]}],
        [{**HOOK, "left": float("nan")}],
        [{**HOOK, "left": 10**400}],
        [{**HOOK, "left": 1e9}],
        [{**HOOK, "originX": "https://example.org"}],
        [{**HOOK, "originX": []}],
        [{**HOOK, "strokeWidth": -1}],
        [{**HOOK, "path": [["M", 0, 0]] + [["L", 1, 1]] * 30_000}],
        [DOT] * 501,
        [{"type": "Image", "src": "https://example.org/digit.png"}],
        [{"type": "Image", "src": "data:image/png;base64," + "A" * 200_000}],
        [{"type": "Image", "src": "data:image/png;base64,AAAA"}],
        [{"type": "Image", "src": 7}],
    ],
)
def test_objects_that_the_canvas_does_not_give_are_an_error(objects: object) -> None:
    with pytest.raises(ImageError):
        checked_objects(objects, side=SIDE)
