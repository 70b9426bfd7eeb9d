"""Resampling, smoothing and least squares: the same bits on every processor.

Sums of whole numbers below 2**53 are exact in float64, in any order, with or without fused multiply-add. So these
matrix products and filters give the same bits with every BLAS, instruction set and number of threads. Each function
says where it rounds; halves go upwards. Images are whole numbers, uint8 or float64.
"""

import functools
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Levels", "area_sums", "cubic_sums", "enlarge_bilinear", "least_squares", "rounded", "smooth"]

Levels = NDArray[np.float64]
"""Whole numbers in float64."""


def rounded(values: Levels) -> Levels:
    """Values to the nearest whole number, halves upwards."""
    return np.floor(values + 0.5)


def area_sums(values: NDArray[np.uint8] | Levels, shape: tuple[int, int]) -> Levels:
    """Sums (h, w) over equal stretches of whole numbers (H, W), h * w times the mean of each times H * W / (h * w).

    Divided by H * W they are the means over the stretches, with shares of the pixels that these cut.
    """
    rows, columns = (_overlaps(*sides) for sides in zip(values.shape, shape, strict=True))
    sums: Levels = rows @ values.astype(np.float64) @ columns.T
    return sums


@functools.lru_cache(maxsize=256)
def _overlaps(source: int, target: int) -> Levels:
    """How much of each of `target` equal stretches lies in each of `source` pixels, in pixels / target: whole numbers.

    Shape (target, source); a row adds up to `source`.
    """
    starts, pixels = np.arange(target)[:, np.newaxis] * source, np.arange(source) * target
    overlaps = np.minimum(starts + source, pixels + target) - np.maximum(starts, pixels)
    weights: Levels = np.clip(overlaps, 0, None).astype(np.float64)
    weights.flags.writeable = False
    return weights


def cubic_sums(values: NDArray[np.uint8], shape: tuple[int, int]) -> tuple[Levels, Levels]:
    """Weighted sums (h, w) of whole numbers (H, W) by cubic convolution, and the sums of their weights."""
    rows, columns = (_cubic_weights(*sides) for sides in zip(values.shape, shape, strict=True))
    sums: Levels = rows @ values.astype(np.float64) @ columns.T
    return sums, np.multiply.outer(rows.sum(axis=1), columns.sum(axis=1))


def _cubic_weights(source: int, target: int) -> Levels:
    """Whole weights (target, source) of the pixels around each new one; those beyond the edge are left out.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981), with
    a = -1/2. All distances are multiples of 1 / (2 * target), so twice the cube of that makes the weights whole.
    """
    unit = 2 * target
    places = (2 * np.arange(target)[:, np.newaxis] + 1) * source - target  # in units, of pixel centres
    distances = np.abs(places - unit * np.arange(source))
    near = 3 * distances**3 - 5 * distances**2 * unit + 2 * unit**3
    far = -(distances**3) + 5 * distances**2 * unit - 8 * distances * unit**2 + 4 * unit**3
    weights: Levels = np.where(distances <= unit, near, np.where(distances < 2 * unit, far, 0)).astype(np.float64)
    return weights


def enlarge_bilinear(values: Levels, shape: tuple[int, int]) -> Levels:
    """Whole numbers (H, W) enlarged to a shape, by linear interpolation between the pixels' centres."""
    for axis, (source, target) in enumerate(zip(values.shape, shape, strict=True)):
        places = (2 * np.arange(target) + 1) * source - target  # in units of 1 / (2 * target) pixel
        before, share = np.divmod(places, 2 * target)
        share = share[:, np.newaxis] if axis == 0 else share
        low = values.take(before.clip(0, source - 1), axis=axis)
        high = values.take((before + 1).clip(0, source - 1), axis=axis)
        values = low * (2 * target - share) + high * share
    return rounded(values / (4 * shape[0] * shape[1]))


def smooth(values: Levels, *, sigma: float) -> Levels:
    """Whole numbers (H, W) under a Gaussian of this standard deviation, in pixels, rounded after each axis."""
    weights = _gaussian_weights(sigma)
    for axis in (0, 1):
        values = rounded(ndimage.correlate1d(values, weights, axis=axis) / weights.sum())
    return values


@functools.lru_cache(maxsize=256)
def _gaussian_weights(sigma: float) -> Levels:
    """A Gaussian out to four standard deviations in whole numbers, 65,536 in the middle.

    `Decimal.exp` is rounded correctly on every machine; the last bit of `math.exp` depends on the C library.
    """
    radius = int(4 * sigma + 0.5)
    scale = 2 * Decimal(sigma) ** 2
    tail = [int((65536 * (-Decimal(x * x) / scale).exp()).to_integral_value()) for x in range(1, radius + 1)]
    weights = np.array([*reversed(tail), 65536, *tail], dtype=np.float64)
    weights.flags.writeable = False
    return weights


def least_squares(terms: Sequence[Levels], values: Levels) -> list[float]:
    """The factors of terms (N,) with which their sum comes nearest to values (N,).

    Not exact, but every sum has one order; NumPy's own solver calls LAPACK, whose last bits depend on the processor. A
    term that depends on those before it has the factor 0.
    """
    count = len(terms)
    system = np.array([[(a * b).sum() for b in [*terms, values]] for a in terms])  # (count, count + 1)
    least = 1e-12 * max(float(system[k, k]) for k in range(count))
    used = []
    for k in range(count):
        if system[k, k] > least:
            used.append(k)
            factors = system[:, k] / system[k, k]
            factors[k] = 0
            system = system - np.multiply.outer(factors, system[k])
    return [float(system[k, -1] / system[k, k]) if k in used else 0.0 for k in range(count)]
