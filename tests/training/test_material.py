from itertools import islice

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.data.pen_digits import load_pen_digits
from digitcore.data.synthetic_digits import write_digit
from digitcore.data.synthetic_outliers import draw_outlier, resembles_digit
from digitcore.training.losses import NO_DIGIT
from digitcore.training.material import draw_material, load_material, material_names, named_sources, rows_of


@pytest.mark.needs_mnist
def test_mnist_alone_is_mnist() -> None:
    material = load_material(["mnist-train"])
    assert material.digest == load_digits("mnist-train").digest
    assert named_sources(material.name) == ("mnist-train",)


def test_rows_are_told_by_the_set_they_come_from() -> None:
    ids = np.array([3, 8, 9, 0, 1, 0])
    material = DigitSet("a + b + c", ids, np.zeros((6, 28, 28), dtype=np.uint8), np.zeros(6, dtype=np.int64))
    assert rows_of(["a"], material).tolist() == [True] * 3 + [False] * 3
    assert rows_of(["c", "b"], material).tolist() == [False] * 3 + [True] * 3
    assert not rows_of([], material).any()
    with pytest.raises(ValueError, match="whole datasets"):
        rows_of(["a"], material.subset(np.array([0, 5, 4, 3, 2, 1])))


def test_unknown_material_is_named_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="names must be some of mnist-train, written, pen-train, no-digits"):
        load_material(["mnist-test"])
    with pytest.raises(ValueError, match="names must be some of"):
        load_material([])


def test_no_material_holds_what_judges() -> None:
    assert not set(material_names()) & {"mnist-test", "mnist-validation", "pen-digits", "uci-digits"}


@pytest.mark.parametrize("name", ["written", pytest.param("no-digits", marks=pytest.mark.slow)])
def test_drawn_material_is_the_same_every_time(name: str) -> None:
    count = 4 if name == "no-digits" else 12
    first, again = (list(islice(draw_material(name), count)) for _ in range(2))
    for (image, label), (same_image, same_label) in zip(first, again, strict=True):
        assert image.shape == (28, 28)
        assert image.dtype == np.uint8
        assert image.max() > 100
        assert np.array_equal(image, same_image)
        assert label == same_label
    labels = {label for _, label in first}
    assert labels == ({NO_DIGIT} if name == "no-digits" else set(range(10)))


@pytest.mark.needs_pen_digits
def test_pen_strokes_are_of_the_first_twenty_writers_only() -> None:
    labels = [label for _, label in islice(draw_material("pen-train"), 90)]
    expected = [digit.label for digit in load_pen_digits() if digit.writer <= 20][:30]
    assert labels[::3] == labels[1::3] == labels[2::3] == expected


@pytest.mark.slow
def test_digits_resemble_digits_and_signs_do_not() -> None:
    generator = np.random.default_rng(1)
    digits = [resembles_digit(write_digit(i % 10, generator=generator)) for i in range(200)]
    assert sum(digits) >= 190
    cross = [np.array([[0, 0], [1, 1]], dtype=np.float32), np.array([[0, 1], [1, 0]], dtype=np.float32)]
    corner = [np.array([[0, 0], [0, 1], [0, 1], [1, 1]], dtype=np.float32)]
    assert not resembles_digit(cross)
    assert not resembles_digit(corner)


def test_outliers_stay_on_the_canvas_and_differ() -> None:
    generator = np.random.default_rng(0)
    drawings = [draw_outlier(side=112, brush=7, generator=generator) for _ in range(80)]
    assert all(drawing.shape == (112, 112) and drawing.any() for drawing in drawings)
    assert len({drawing.tobytes() for drawing in drawings}) == 80
