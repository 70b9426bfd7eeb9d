"""Names of points: what is computed to lie apart lies apart when it is drawn."""

import numpy as np
import pytest

from digitcore.reports.labels import PLACES, Place, label_places


def box(x: float, y: float, name: str, place: Place) -> tuple[float, float, float, float]:
    """Of a name as a browser draws it, roughly: 6.5 px to a character, 12 px high."""
    length = 6.5 * len(name)
    left = x + place.dx - {"left": 0.0, "center": length / 2, "right": length}[place.align]
    return left, y + place.dy - 6, left + length, y + place.dy + 6


def overlaps(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("seed", range(20))
def test_names_lie_apart_and_inside(seed: int) -> None:
    """Nine names, most of them of two points that nearly touch, in the width of the layout and in twice that width."""
    random = np.random.default_rng(seed)
    centres = np.array([(x, y) for x in (90, 200, 310) for y in (60, 200)], dtype=float)[:5]
    centres += random.uniform(-20, 20, centres.shape)
    x, y = np.concatenate([centres, centres[:4] + random.uniform(-9, 9, (4, 2))]).T
    names = ["baseline", "compact", "standard", "world", "mlp", "ensemble-5", "touching", "quick", "distilled"]
    places = [PLACES[i] for i in label_places(x, y, names, width=400, height=260)]
    for scale in (1, 2):
        boxes = [box(scale * x[i], y[i], names[i], places[i]) for i in range(9)]
        assert not [(i, j) for i in range(9) for j in range(i) if overlaps(boxes[i], boxes[j])]
        assert all(left >= 0 and right <= 400 * scale for left, _, right, _ in boxes)


def test_a_single_name_stands_above_to_the_right_unless_it_would_be_cut_off() -> None:
    middle, edge = np.array([200.0]), np.array([390.0])
    assert PLACES[label_places(middle, middle, ["compact"], width=400, height=400)[0]].align == "left"
    assert PLACES[label_places(edge, middle, ["compact"], width=400, height=400)[0]].align == "right"


def test_points_without_a_name_are_places_taken() -> None:
    x, y = np.array([100.0, 112.0]), np.array([100.0, 92.0])
    assert label_places(x, y, ["one", ""], width=400, height=400)[0] != 0
