"""Measures against strokes of known form, and against independent formulae."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from digitcore.data.datasets import DigitSet
from digitcore.imaging.preprocessing import preprocess_ink
from digitcore.imaging.shape import SHAPE_MEASURES, RankedValue, hint, measure_shapes, placement, rank_shape
from digitcore.imaging.strokes import render_strokes

_FINE = 10  # pixels a pixel


def _drawn(points: NDArray[np.float64], brush: float) -> NDArray[np.uint8]:
    """A stroke (P, 2) with round ends, in pixels of the 28, averaged from a fine rendering."""
    fine = render_strokes([(points * _FINE).astype(np.float32)], side=28 * _FINE, brush=brush * _FINE)
    return np.rint(fine.reshape(28, _FINE, 28, _FINE).mean(axis=(1, 3))).astype(np.uint8)


def _bar(degrees: float, *, brush: float = 2.0) -> NDArray[np.uint8]:
    """A straight stroke of 16 pixels that leans so far to the right of upright."""
    way = 8 * np.array([np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])
    return _drawn(np.stack([14 - way, 14 + way]), brush)


@pytest.mark.parametrize("brush", [2.0, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 80, 90])
def test_thickness_is_the_brush(brush: float, degrees: float) -> None:
    assert measure_shapes(_bar(degrees, brush=brush)[np.newaxis])["thickness"][0] == pytest.approx(brush, abs=0.3)


@pytest.mark.parametrize("brush", [2.0, 3.0, 4.0])
def test_thickness_of_a_ring(brush: float) -> None:
    """It has no ends, which makes it look a little thicker."""
    turn = np.linspace(0, 2 * np.pi, 100)
    ring = _drawn(14 + np.stack([7 * np.cos(turn), 9 * np.sin(turn)], axis=1), brush)
    assert measure_shapes(ring[np.newaxis])["thickness"][0] == pytest.approx(brush, rel=0.12)


@pytest.mark.parametrize("degrees", [-40, -20, 0, 5, 20, 40])
def test_slant_is_that_of_the_bar(degrees: float) -> None:
    values = measure_shapes(_bar(degrees)[np.newaxis])
    assert values["slant"][0] == pytest.approx(degrees, abs=1.5)


@pytest.mark.parametrize("pixels_a_row", [-1, 1])
def test_a_shear_moves_the_slant(validation_digits: DigitSet, pixels_a_row: int) -> None:
    """By rows moved a whole pixel each, the tangent of the slant grows by exactly 1."""
    images = np.zeros((20, 28, 28), dtype=np.uint8)
    images[:, 10:18, 10:18] = validation_digits.images[::250, 10:18, 10:18]
    sheared = np.stack([np.roll(images[:, i], (14 - i) * pixels_a_row, axis=1) for i in range(28)], axis=1)
    before, after = (np.tan(np.radians(measure_shapes(batch)["slant"])) for batch in (images, sheared))
    np.testing.assert_allclose(after - before, pixels_a_row, atol=1e-5)


def test_against_loops(validation_digits: DigitSet) -> None:
    images = validation_digits.images[::500]
    values = measure_shapes(images)
    for i, image in enumerate(images):
        rows, columns = np.nonzero(image)
        weights = image[rows, columns] / 255
        row = np.average(rows, weights=weights)
        covariance = np.cov(rows, columns, aweights=weights, bias=True)
        height = rows.max() - rows.min() + 1
        assert values["ink"][i] == pytest.approx(weights.sum())
        assert values["width"][i] == pytest.approx((columns.max() - columns.min() + 1) / height)
        assert values["slant"][i] == pytest.approx(
            -np.degrees(np.arctan(covariance[0, 1] / covariance[0, 0])), abs=1e-3
        )
        assert values["balance"][i] == pytest.approx((row - rows.min() + 0.5) / height)


def test_mirrors(validation_digits: DigitSet) -> None:
    images = validation_digits.images[::50]
    straight, beside, below = (
        measure_shapes(images),
        measure_shapes(images[:, :, ::-1]),
        measure_shapes(images[:, ::-1]),
    )
    for name in ("thickness", "ink", "width"):
        np.testing.assert_allclose(beside[name], straight[name], rtol=1e-5)
        np.testing.assert_allclose(below[name], straight[name], rtol=1e-5)
    np.testing.assert_allclose(beside["slant"], -straight["slant"], atol=1e-3)
    np.testing.assert_allclose(beside["balance"], straight["balance"], atol=1e-6)
    np.testing.assert_allclose(below["balance"], 1 - straight["balance"], atol=1e-6)


def test_a_wider_brush_is_thicker(draw: Callable[..., NDArray[np.uint8]]) -> None:
    for digit in range(10):
        inputs = [preprocess_ink(draw(digit, brush=brush)).model_input for brush in (8, 14, 20, 28, 36)]
        values = measure_shapes(np.stack(inputs))
        assert (np.diff(values["thickness"]) > 0).all(), digit
        assert (np.diff(values["ink"]) > 0).all(), digit


def test_validation_digits(validation_digits: DigitSet) -> None:
    """MNIST's strokes are two to three pixels thick and lean to the right; a 1 is narrower than a 0."""
    values = measure_shapes(validation_digits.images)
    assert 2 < np.median(values["thickness"]) < 3
    assert 3 < np.median(values["slant"]) < 12
    ones, zeros = (values["width"][validation_digits.labels == digit] for digit in (1, 0))
    assert np.median(ones) < 0.6 * np.median(zeros)


def test_one_by_one_or_together(validation_digits: DigitSet) -> None:
    together = measure_shapes(validation_digits.images[:40])
    for i in range(40):
        alone = measure_shapes(validation_digits.images[i : i + 1])
        assert all(
            alone[measure.name][0] == pytest.approx(together[measure.name][i], rel=1e-5) for measure in SHAPE_MEASURES
        )


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28), np.uint8), np.ones((2, 28, 28)), np.ones((28, 28), np.uint8)], ids=str
)
def test_what_cannot_be_measured(images: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="images must"):
        measure_shapes(images)


def test_percentiles_against_scipy(validation_digits: DigitSet) -> None:
    reference = measure_shapes(validation_digits.images[::5])
    for image in validation_digits.images[::700]:
        for value in rank_shape(image, reference):
            expected = stats.percentileofscore(reference[value.measure.name], value.value, kind="mean")
            assert value.percentile == pytest.approx(expected, abs=0.2)  # values differ in the last bits


def test_there_must_be_others(validation_digits: DigitSet) -> None:
    with pytest.raises(ValueError, match="reference must have values"):
        rank_shape(validation_digits.images[0], {measure.name: np.empty(0) for measure in SHAPE_MEASURES})


def _values(**percentiles: float) -> list[RankedValue]:
    return [RankedValue(measure, 1.0, percentiles.get(measure.name, 50)) for measure in SHAPE_MEASURES]


def test_at_most_one_hint() -> None:
    assert hint(_values(), group="MNIST's 4s") is None
    assert hint(_values(thickness=1, slant=99), group="MNIST's 4s") is None
    words = hint(_values(thickness=0.4, slant=99.1), group="MNIST's 4s")
    assert words == "Thinner than 99% of MNIST's 4s: try a wider brush."
    words = hint(_values(thickness=0.4, slant=99.8), group="MNIST's 4s")
    assert words == "Slanted more to the right than 99% of MNIST's 4s: try it more upright."


def test_hint_for_a_hairline_is_a_wider_brush(
    draw: Callable[..., NDArray[np.uint8]], validation_digits: DigitSet
) -> None:
    reference = measure_shapes(validation_digits.images[validation_digits.labels == 3])
    for brush, advice in ((3, "try a wider brush"), (60, "try a narrower brush")):
        thin = preprocess_ink(draw(3, brush=brush)).model_input
        assert advice in (hint(rank_shape(thin, reference), group="MNIST's 3s") or "")


def test_where_it_was() -> None:
    ink = np.zeros((100, 200), dtype=np.uint8)
    ink[20:60, 30:50] = 255
    place = placement(preprocess_ink(ink))
    assert (place.size, place.across, place.down) == (40 / 200, 40 / 200, 40 / 100)
