"""Tables of logarithms and exponentials that come out the same with every C library."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from digitcore.imaging import photograph

STEPS, WHITE = photograph._LOGARITHM_STEPS, photograph._GREY_LEVELS
SHARES = np.maximum(np.arange(WHITE + 1) / WHITE, photograph._LEAST_LIGHT)
EXPONENTS = np.arange(photograph._DARKEST, photograph._BRIGHTEST + 1)
LEAST_DISTANCE = 1e-6
"""From a tie. The last bit of a float64 here is 3e-11 at most."""


def _logarithm(i: int) -> Decimal:
    return Decimal(float(SHARES[i])).ln() * STEPS


def _exponential(i: int) -> Decimal:
    return (Decimal(int(EXPONENTS[i])) / STEPS).exp() * WHITE


@pytest.mark.parametrize(
    ("approximate", "exact", "table"),
    [
        pytest.param(np.log(SHARES) * STEPS, _logarithm, photograph._logarithms() * STEPS, id="logarithms"),
        pytest.param(np.exp(EXPONENTS / STEPS) * WHITE, _exponential, photograph._exponentials(), id="exponentials"),
    ],
)
def test_no_entry_lies_near_a_tie(
    approximate: NDArray[np.float64], exact: Callable[[int], Decimal], table: NDArray[np.float64]
) -> None:
    """Where an entry is nearest to a half, 28 digits tell how near, and to which side it is rounded."""
    distances = np.abs(np.abs(approximate - np.rint(approximate)) - 0.5)
    for i in np.argsort(distances)[:50].tolist():
        nearest = exact(i).to_integral_value()
        assert float(Decimal("0.5") - abs(exact(i) - nearest)) > LEAST_DISTANCE
        assert table[i] == float(nearest)
