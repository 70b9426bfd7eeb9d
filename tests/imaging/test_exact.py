"""Exact arithmetic against fractions, and against Pillow and SciPy, which round."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.imaging.exact import area_sums, cubic_sums, enlarge_bilinear, least_squares, rounded, smooth
from digitcore.settings import load_settings

sides = st.integers(1, 12)
images = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.uint8, shape))
large_images = st.tuples(st.integers(8, 40), st.integers(8, 40)).flatmap(lambda shape: arrays(np.uint8, shape))


def _overlap(pixel: int, target: int, *, source: int, count: int) -> Fraction:
    """Length that a pixel of `source` shares with one of `count` equal stretches, in pixels."""
    start, end = Fraction(target * source, count), Fraction((target + 1) * source, count)
    return max(Fraction(0), min(end, Fraction(pixel + 1)) - max(start, Fraction(pixel)))


def _keys(distance: Fraction) -> Fraction:
    """Keys's cubic convolution kernel with a = -1/2."""
    x = abs(distance)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x < 2 else Fraction(0)


def _product(rows: list[list[Fraction]], image: NDArray[np.uint8], columns: list[list[Fraction]]) -> list[Fraction]:
    """Weighted sums of the pixels, row by row."""
    pixels = [[int(value) for value in line] for line in image]
    return [
        sum((a * b * value for a, line in zip(row, pixels, strict=True) for b, value in zip(column, line, strict=True)),
            Fraction(0))
        for row in rows
        for column in columns
    ]  # fmt: skip


@given(image=images, height=sides, width=sides)
def test_area_sums_are_exact(image: NDArray[np.uint8], height: int, width: int) -> None:
    rows, columns = (
        [[count * _overlap(i, j, source=source, count=count) for i in range(source)] for j in range(count)]
        for source, count in zip(image.shape, (height, width), strict=True)
    )
    sums = area_sums(image, (height, width))
    assert sums.shape == (height, width)
    assert [Fraction(value) for value in sums.ravel().tolist()] == _product(rows, image, columns)


@given(image=images, height=sides, width=sides)
def test_cubic_sums_are_exact(image: NDArray[np.uint8], height: int, width: int) -> None:
    rows, columns = (
        [[_keys((j + Fraction(1, 2)) * source / count - i - Fraction(1, 2)) for i in range(source)]
         for j in range(count)]
        for source, count in zip(image.shape, (height, width), strict=True)
    )  # fmt: skip
    sums, weights = cubic_sums(image, (height, width))
    ratios = [Fraction(a) / Fraction(b) for a, b in zip(sums.ravel().tolist(), weights.ravel().tolist(), strict=True)]
    totals = [sum(row) * sum(column) for row in rows for column in columns]
    expected = [total / weight for total, weight in zip(_product(rows, image, columns), totals, strict=True)]
    assert ratios == expected


@given(height=sides, width=sides, factor=st.integers(1, 6), seed=st.integers(0, 1000))
def test_area_sums_against_pillow(height: int, width: int, factor: int, seed: int) -> None:
    """Where no pixel is cut: Pillow gives one that is cut to one side alone."""
    image = np.random.default_rng(seed).integers(0, 256, (height * factor, width * factor), dtype=np.uint8)
    expected = Image.fromarray(image.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    np.testing.assert_allclose(area_sums(image, (height, width)) / image.size, expected, atol=0.01)


@given(image=images, factor=st.integers(1, 4))
def test_cubic_sums_against_pillow(image: NDArray[np.uint8], factor: int) -> None:
    height, width = (factor * side for side in image.shape)
    expected = Image.fromarray(image.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    sums, weights = cubic_sums(image, (height, width))
    np.testing.assert_allclose(sums / weights, expected, atol=0.01)


@given(image=images, height=st.integers(0, 30), width=st.integers(0, 30))
def test_enlargement_against_pillow(image: NDArray[np.uint8], height: int, width: int) -> None:
    shape = (image.shape[0] + height, image.shape[1] + width)
    expected = Image.fromarray(image.astype(np.float32)).resize(shape[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(enlarge_bilinear(image.astype(np.float64), shape), expected, atol=0.501)


@given(image=large_images, sigma=st.floats(0.3, 12))
def test_smoothing_against_scipy(image: NDArray[np.uint8], sigma: float) -> None:
    levels = image.astype(np.float64) * 257
    expected = ndimage.gaussian_filter(levels, sigma)
    np.testing.assert_allclose(smooth(levels, sigma=sigma), expected, atol=4)  # of 65,535


def test_least_squares_against_numpy() -> None:
    generator = np.random.default_rng(0)
    terms, values = generator.normal(size=(5, 40)), generator.normal(size=40)
    expected, *_ = np.linalg.lstsq(terms.T, values)
    assert least_squares(list(terms), values) == pytest.approx(expected)
    repeated = [terms[0], 2 * terms[0], *terms[1:]]
    assert least_squares(repeated, values) == pytest.approx([expected[0], 0, *expected[1:]])


def test_halves_are_rounded_upwards() -> None:
    assert rounded(np.array([-1.5, -0.5, 0.49, 0.5, 1.5, 2.5])).tolist() == [-1, 0, 0, 1, 2, 3]


@pytest.mark.parametrize("shape", [(1, 1), (20, 20), (19, 20), (1, 20), (120, 119)])
def test_sums_over_the_largest_picture_are_exact(shape: tuple[int, int]) -> None:
    white = np.full((1021, 1024), 65535.0)
    assert (area_sums(white, shape) == 65535 * white.size).all()
    noise = np.random.default_rng(0).integers(0, 65536, white.shape)
    assert area_sums(noise.astype(np.float64), shape).sum() == int(noise.sum()) * shape[0] * shape[1]
    assert 255 * load_settings().max_image_pixels < 2**53


def test_cubic_sums_of_the_largest_enlargement_are_whole_numbers_that_float64_holds() -> None:
    """Inks of up to 20 pixels are brought to 20; the weights grow with the cube of that."""
    for source in range(1, 20):
        white = np.full((source, source), 255, dtype=np.uint8)
        sums, weights = cubic_sums(white, (20, 20))
        assert np.abs(sums).max() < 2**53
        assert (sums == 255 * weights).all()
