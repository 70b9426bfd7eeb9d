"""Intervals and tests that allow for writers: worked cases, oracles, and simulated people as different as real ones."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from digitcore.evaluation.comparison import LEAST_WRITERS, overall_test
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL, share_interval, sign_flip_p, spread_of, wilson_interval

Effects = NDArray[np.float64]

# Error rate and design effect: by how much the writers enlarge the variance. Measured by leaving out each writer.
MNIST = {"world on mnist-test": (0.0030, 1.11), "mlp on mnist-test": (0.0187, 2.58)}
PEN = {
    "world on ten writers": (0.0068, 3.4),
    "compact on ten writers": (0.0360, 17.1),
    "mlp on ten writers": (0.0965, 15.1),
}
CASES = [
    *(pytest.param(297, 34, *figures, id=f"{name}, 297") for name, figures in MNIST.items()),
    *(pytest.param(10, 250, *figures, id=name) for name, figures in PEN.items()),
    *(pytest.param(5, 250, *figures, id=name.replace("ten", "five")) for name, figures in PEN.items()),
]
KINDS = ["beta-binomial", "logistic-normal"]


def _error_rates(
    kind: str, *, mean: float, correlation: float, shape: tuple[int, int], generator: np.random.Generator
) -> Effects:
    """Error rates of people, with this mean and the variance `correlation * mean * (1 - mean)`."""
    if kind == "beta-binomial":
        strength = 1 / correlation - 1
        return generator.beta(mean * strength, (1 - mean) * strength, shape)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def centre(deviation: float) -> float:
        return float(brentq(lambda middle: weights @ expit(middle + deviation * nodes) - mean, -30, 10))

    def excess(deviation: float) -> float:
        rates = expit(centre(deviation) + deviation * nodes)
        return float(weights @ rates**2 - mean**2 - correlation * mean * (1 - mean))

    deviation = float(brentq(excess, 0.01, 6))
    rates: Effects = expit(centre(deviation) + deviation * generator.standard_normal(shape))
    return rates


def _simulate(
    kind: str, writers: int, digits: int, mean: float, effect: float, *, count: int
) -> list[NDArray[np.int64]]:
    """Numbers of errors (writers,) of so many simulated sets."""
    generator = np.random.default_rng(0)
    shape = (count, writers)
    correlation = (effect - 1) / (digits - 1)
    rates = _error_rates(kind, mean=mean, correlation=correlation, shape=shape, generator=generator)
    return list(generator.binomial(digits, rates))


def _outcomes(errors: NDArray[np.int64], digits: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each digit is wrong, and its writer."""
    return (np.arange(digits) < errors[:, np.newaxis]).ravel(), np.repeat(np.arange(len(errors)), digits)


def _coverage(kind: str, writers: int, digits: int, mean: float, effect: float, *, count: int) -> float:
    simulated = _simulate(kind, writers, digits, mean, effect, count=count)
    intervals = [share_interval(*_outcomes(errors, digits)) for errors in simulated]
    return float(np.mean([low <= mean <= high for low, high in intervals]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("writers", "digits", "mean", "effect"), CASES)
def test_intervals_cover_in_a_few_simulated_sets(
    kind: str, writers: int, digits: int, mean: float, effect: float
) -> None:
    """93% within three standard errors of 400 sets, where intervals by digit cover far less."""
    assert _coverage(kind, writers, digits, mean, effect, count=400) >= 0.93 - 3 * 0.0128


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("writers", "digits", "mean", "effect"), CASES)
def test_intervals_cover(kind: str, writers: int, digits: int, mean: float, effect: float) -> None:
    """At least 93% of 10,000 sets; the standard error is 0.25%."""
    assert _coverage(kind, writers, digits, mean, effect, count=10_000) >= 0.93


def test_intervals_by_digit_would_not_cover() -> None:
    simulated = _simulate("beta-binomial", 10, 250, *PEN["compact on ten writers"], count=400)
    intervals = [wilson_interval(int(errors.sum()), 2_500) for errors in simulated]
    assert np.mean([low <= 0.036 <= high for low, high in intervals]) < 0.5


def _false_verdicts(kind: str, writers: int, digits: int, mean: float, effect: float, *, count: int) -> float:
    """How often one of two equally good checkpoints is called better."""
    simulated = _simulate(kind, writers, digits, mean, effect, count=2 * count)
    p = [sign_flip_p(a - b) for a, b in zip(simulated[::2], simulated[1::2], strict=True)]
    return float(np.mean(np.array(p) < SIGNIFICANCE_LEVEL))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("writers", "digits", "mean", "effect"), CASES)
def test_few_verdicts_on_simulated_sets_are_false(
    kind: str, writers: int, digits: int, mean: float, effect: float
) -> None:
    assert _false_verdicts(kind, writers, digits, mean, effect, count=300) <= 0.05 + 3 * 0.0126


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("writers", "digits", "mean", "effect"), CASES)
def test_at_most_one_verdict_in_twenty_is_false(
    kind: str, writers: int, digits: int, mean: float, effect: float
) -> None:
    """Of 10,000 pairs; two standard errors are 0.4%."""
    assert _false_verdicts(kind, writers, digits, mean, effect, count=10_000) <= 0.054


def _falsely_different(writers: int, digits: int, mean: float, effect: float, *, checkpoints: int, count: int) -> float:
    """How often checkpoints that are equally good are called different."""
    simulated = _simulate("beta-binomial", writers, digits, mean, effect, count=checkpoints * count)
    sets = np.reshape(simulated, (count, checkpoints, writers))
    return float(np.mean([overall_test(errors).p < SIGNIFICANCE_LEVEL for errors in sets]))


@pytest.mark.parametrize("checkpoints", [2, 8])
@pytest.mark.parametrize(("writers", "digits", "mean", "effect"), CASES)
def test_few_of_several_equal_checkpoints_are_called_different(
    writers: int, digits: int, mean: float, effect: float, checkpoints: int
) -> None:
    share = _falsely_different(writers, digits, mean, effect, checkpoints=checkpoints, count=300)
    assert share <= 0.05 + 3 * 0.0126


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", [2, 3, 8])
@pytest.mark.parametrize(("writers", "digits", "mean", "effect"), CASES)
def test_at_most_one_in_twenty_of_several_equal_checkpoints_is_called_different(
    writers: int, digits: int, mean: float, effect: float, checkpoints: int
) -> None:
    """Of 10,000 sets; two standard errors are 0.4%."""
    share = _falsely_different(writers, digits, mean, effect, checkpoints=checkpoints, count=10_000)
    assert share <= 0.054


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_is_that_of_statsmodels(successes: int, more: int) -> None:
    trials = successes + more
    expected = proportion_confint(successes, trials, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=1e-12)


def test_a_writer_with_all_errors_makes_the_interval_wide() -> None:
    """By hand: leaving out each of five writers with ten digits each."""
    errors = np.array([5, 0, 0, 0, 0])
    wrong, writers = _outcomes(errors, 10)
    changes = [(5 - k) / 40 - 5 / 50 for k in errors]
    effect = float(np.square(changes).sum()) / (0.1 * 0.9 / 50)
    spread = spread_of(wrong, writers, plain_variance=0.1 * 0.9 / 50)
    assert spread.effect == pytest.approx(effect)
    assert spread.critical == pytest.approx(t.ppf(0.975, 2.5))
    low, high = share_interval(wrong, writers)
    plain_low, plain_high = wilson_interval(5, 50)
    assert low < plain_low < plain_high < high


@given(st.lists(st.integers(0, 9), min_size=2, max_size=12))
def test_intervals_hold_the_share_and_are_never_narrower_than_by_digit(errors: list[int]) -> None:
    wrong, writers = _outcomes(np.array(errors), 9)
    low, high = share_interval(wrong, writers)
    plain_low, plain_high = wilson_interval(int(wrong.sum()), len(wrong))
    assert 0 <= low <= plain_low <= wrong.mean() <= plain_high <= high <= 1


def test_one_writer_tells_nothing_about_others() -> None:
    assert share_interval(np.array([True, False, True]), np.array([7, 7, 7])) == (0.0, 1.0)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_sign_flips_are_counted_as_by_trying_them_all(differences: list[int]) -> None:
    observed = abs(sum(differences))
    sums = [abs(sum(sign * size for sign, size in zip(signs, differences, strict=True)))
            for signs in product((-1, 1), repeat=len(differences))]  # fmt: skip
    assert sign_flip_p(np.array(differences)) == pytest.approx(np.mean([total >= observed for total in sums]))


def test_it_takes_six_writers_for_a_verdict() -> None:
    p = {count: sign_flip_p(np.full(count, 3)) for count in range(1, 9)}
    assert min(count for count in p if p[count] < SIGNIFICANCE_LEVEL) == LEAST_WRITERS


def test_sign_flips_of_writers_with_one_digit_are_mcnemars_test() -> None:
    """17 digits that only one of two gets right, 6 of them for A."""
    from scipy.stats import binomtest

    differences = np.array([1] * 11 + [-1] * 6 + [0] * 80)
    assert sign_flip_p(differences) == pytest.approx(binomtest(6, 17).pvalue)
