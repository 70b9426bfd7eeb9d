"""Intervals and tests of shares, which allow for several digits being written by one person.

A person's digits resemble each other, so 250 digits of one writer tell less than 250 digits of as many writers. Where
writers are known, an interval is the usual one of a smaller set, the effective one, whose size follows from how much
the figure changes when one writer is left out. Where they are not, each digit counts as if it were of another person.

`values` are one number for each digit (N,), `writers` the number of its writer (N,), or None where it is not known.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit  # scipy.stats, which has them too, takes half a second to import

__all__ = [
    "SIGNIFICANCE_LEVEL",
    "Spread",
    "basis",
    "critical_value",
    "holm_corrected",
    "share_interval",
    "sign_flip_p",
    "spread_of",
    "wilson_bounds",
    "wilson_interval",
]

SIGNIFICANCE_LEVEL = 0.05
"""A difference is called real where its p value is below this level."""
_LEVEL = 0.95
_LEAST_WRITERS = 2
_AT_ONCE = 100_000  # values


@dataclass(frozen=True)
class Spread:
    """How much less a mean over digits tells than one over as many digits of different people."""

    effect: float
    """The design effect: by how much the writers enlarge the variance, at least 1."""
    critical: float
    """Number of standard errors from the mean to an end of its 95% interval; infinite for a single writer."""


def basis(writers: int | None) -> str:
    """What an interval or a test of digits by so many people rests on, in words; None: they are not known.

    >>> basis(5), basis(None)
    ('allowing for 5 writers', 'as if each digit were of another person')
    """
    return "as if each digit were of another person" if writers is None else f"allowing for {writers:,} writers"


def wilson_interval(successes: int, trials: int, *, level: float = _LEVEL) -> tuple[float, float]:
    """Wilson score interval of a proportion, of which `successes` in `trials` were observed.

    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    return wilson_bounds(successes / trials, trials, critical=float(ndtri((1 + level) / 2)))


def wilson_bounds(share: float, trials: float, *, critical: float) -> tuple[float, float]:
    """Wilson's interval of a share in so many trials, which need not be a whole number."""
    if np.isinf(critical):
        return 0.0, 1.0
    weight = critical**2 / trials
    centre = share + weight / 2
    reach = critical * np.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    low, high = (centre - reach) / (1 + weight), (centre + reach) / (1 + weight)
    return (0.0 if share == 0 else max(0.0, float(low))), (1.0 if share == 1 else min(1.0, float(high)))


def share_interval(hits: NDArray[np.bool_], writers: NDArray[np.int64] | None) -> tuple[float, float]:
    """95% interval of the share of hits: Wilson's of the effective number of digits.

    Two people wrote five digits each, all of one and none of the other are hits:

    >>> hits = np.repeat([True, False], 5)
    >>> low, high = share_interval(hits, np.repeat([1, 2], 5))
    >>> round(low, 3), round(high, 3)
    (0.001, 0.999)
    >>> share_interval(hits, None) == wilson_interval(5, 10)
    True

    Source: N. Dean, M. Pagano, "Evaluating confidence interval methods for binomial proportions in clustered surveys",
    Journal of Survey Statistics and Methodology 3 (2015) 484-503.
    """
    if writers is None:
        return wilson_interval(int(hits.sum()), len(hits))
    share = float(hits.mean())
    spread = spread_of(hits, writers, plain_variance=share * (1 - share) / len(hits))
    return wilson_bounds(share, len(hits) / spread.effect, critical=spread.critical)


def spread_of(
    values: NDArray[np.bool_] | NDArray[np.int64], writers: NDArray[np.int64], *, plain_variance: float
) -> Spread:
    """The design effect of a mean, and the critical value of its interval.

    plain_variance: variance of the mean if each digit were of another person.

    The variance by writer is the sum of the squared changes of the mean as each writer is left out (CR3). The critical
    value is that of Student's t with writers / 2 degrees of freedom, about half the usual number, since the error
    rates of people are skewed: with it, simulated intervals of 5, 10 and 297 writers hold what they promise
    (tests/evaluation/test_intervals.py).

    Source: R. M. Bell, D. F. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage
    samples", Survey Methodology 28 (2002) 169-181.
    """
    sizes = np.bincount(writers)
    present = sizes > 0
    sums = np.zeros(len(sizes))
    for start in range(0, len(values), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        sums += np.bincount(writers[rows], weights=values[rows], minlength=len(sizes))
    sizes, sums = sizes[present], sums[present]
    critical = critical_value(len(sizes))
    if np.isinf(critical):
        return Spread(1.0, critical)
    changes = (sums.sum() - sums) / (sizes.sum() - sizes) - sums.sum() / sizes.sum()
    effect = float((changes**2).sum()) / plain_variance if plain_variance > 0 else 1.0
    return Spread(max(1.0, effect), critical)


@lru_cache
def critical_value(writers: int) -> float:
    """Number of standard errors from a figure of so many writers to an end of its 95% interval, see `spread_of`."""
    return float(stdtrit(writers / 2, (1 + _LEVEL) / 2)) if writers >= _LEAST_WRITERS else float("inf")


def sign_flip_p(differences: NDArray[np.int64]) -> float:
    """Two-sided p value of the exact sign-flip test that sums (G,) of differences, one for each writer, are around 0.

    Where two checkpoints are equally good, each writer's difference is as likely as its opposite. The p value is the
    share of all ways to flip the signs that give a sum at least as far from 0.

    Fewer than six writers with a difference can never give a p value below 0.05:

    >>> sign_flip_p(np.array([3, 2, 4, 1, 5])), sign_flip_p(np.array([3, 2, 4, 1, 5, 2]))
    (0.0625, 0.03125)

    Source: R. A. Fisher, "The Design of Experiments", 1935, section 21.
    """
    sizes = np.abs(differences[differences != 0])
    total = int(sizes.sum())
    chances = np.zeros(2 * total + 1)  # of each sum from -total to total
    chances[total] = 1
    for size in sizes:
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    sums = np.arange(-total, total + 1)
    return float(min(1.0, chances[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def holm_corrected(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P values (M,) corrected for their number, in the same order.

    However the tests depend on each other, the chance that any true hypothesis gets a value below a level is at most
    that level.

    >>> holm_corrected(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979) 65-70.
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected
