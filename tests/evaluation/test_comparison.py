"""Statistics of paired answers against statsmodels, exact arithmetic, published figures and simulation."""

import itertools
from dataclasses import replace
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import binom, binomtest
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests

import digitcore
from digitcore.evaluation.comparison import (
    OUTCOMES,
    answer_matrix,
    average_evaluations,
    cochran_q,
    compare,
    compare_pairs,
    compare_per_digit,
    frequency,
    mcnemar_mid_p,
    outcomes,
    overall_test,
    paired_interval,
)
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL

COUNTS = st.integers(0, 60)


def _evaluation(name: str, labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> Evaluation:
    logits = np.eye(10, dtype=np.float32)[predictions] * 5
    return Evaluation(name, "made-up", f"{name}-{predictions.sum()}", np.arange(len(labels)) + 100, labels, logits)


def _random_evaluations(count: int, *, digits: int = 400, seed: int = 0, error_rate: float = 0.1) -> list[Evaluation]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, digits)
    hard = rng.random(digits) < 2 * error_rate
    evaluations = []
    for i in range(count):
        wrong = hard & (rng.random(digits) < 0.4 + 0.1 * (i % 3))
        evaluations.append(
            _evaluation(f"c{i}", labels, np.where(wrong, (labels + rng.integers(1, 10, digits)) % 10, labels))
        )
    return evaluations


def _with_counts(both: int, only_a: int, only_b: int, neither: int) -> tuple[Evaluation, Evaluation]:
    labels = np.zeros(both + only_a + only_b + neither, dtype=np.int64)
    a = np.repeat([0, 0, 1, 1], [both, only_a, only_b, neither])
    b = np.repeat([0, 1, 0, 1], [both, only_a, only_b, neither])
    return _evaluation("A", labels, a), _evaluation("B", labels, b)


@given(only_a=COUNTS, only_b=COUNTS)
def test_mid_p_in_exact_arithmetic(only_a: int, only_b: int) -> None:
    """The probability of all outcomes less likely than the one seen, and half that of those as likely."""
    differing = only_a + only_b
    seen = abs(only_a - only_b)
    expected = Fraction(0)
    for k in range(differing + 1):
        probability = Fraction(comb(differing, k), 2**differing)
        distance = abs(2 * k - differing)
        expected += probability if distance > seen else probability / 2 if distance == seen else 0
    if only_a == only_b:  # the outcome is its own mirror image; the middle counts once
        expected += Fraction(comb(differing, only_a), 2**differing) / 2
    assert mcnemar_mid_p(only_a, only_b) == pytest.approx(float(expected), abs=1e-9)


@given(only_a=COUNTS, only_b=COUNTS)
def test_mid_p_is_the_exact_p_of_statsmodels_less_half_of_the_outcome_seen(only_a: int, only_b: int) -> None:
    differing = only_a + only_b
    exact = mcnemar(np.array([[9, only_a], [only_b, 9]]), exact=True).pvalue
    if only_a != only_b:
        exact -= comb(differing, only_a) / 2**differing
        assert exact <= binomtest(only_a, differing).pvalue
    assert mcnemar_mid_p(only_a, only_b) == pytest.approx(exact, abs=1e-9)


def test_mid_p_of_the_published_example() -> None:
    """Fagerland et al. 2013, table 1 (Bentur et al. 2009): 7 against 1 of 21 children, mid-p 0.039."""
    assert mcnemar_mid_p(7, 1) == pytest.approx(0.0391, abs=5e-5)


def _score_by_likelihood(only_a: int, only_b: int, digits: int, difference: float) -> float:
    """The score statistic with the nuisance parameter found by maximising the likelihood numerically."""
    same = digits - only_a - only_b

    def minus_log_likelihood(share_a: float) -> float:
        shares = (share_a, share_a + difference, 1 - 2 * share_a - difference)
        counts = (only_a, only_b, same)
        return -sum(n * np.log(max(share, 1e-300)) for n, share in zip(counts, shares, strict=True) if n)

    low, high = max(0.0, -difference), (1 - difference) / 2
    result = minimize_scalar(minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    variance = digits * (2 * result.x + difference - difference**2)
    return float((only_b - only_a - digits * difference) / np.sqrt(variance))


@pytest.mark.parametrize(
    ("only_a", "only_b", "digits"), [(9, 3, 44), (12, 4, 10_000), (31, 60, 10_000), (1, 7, 21), (200, 20, 1_797)]
)
def test_the_ends_of_the_interval_lie_where_a_score_test_begins_to_reject(
    only_a: int, only_b: int, digits: int
) -> None:
    low, high = paired_interval(only_a, only_b, digits)
    assert low < (only_b - only_a) / digits < high
    assert _score_by_likelihood(only_a, only_b, digits, low) == pytest.approx(1.959964, abs=1e-3)
    assert _score_by_likelihood(only_a, only_b, digits, high) == pytest.approx(-1.959964, abs=1e-3)


def test_the_interval_of_the_published_example() -> None:
    """M. W. Fagerland et al., "Recommended tests and confidence intervals for paired binomial proportions",
    Statistics in Medicine 33 (2014): Tango's interval for 1 against 7 of 21 is -0.517 to -0.026.
    """
    low, high = paired_interval(7, 1, 21)
    assert (low, high) == pytest.approx((-0.517, -0.026), abs=5e-4)


@given(only_a=COUNTS, only_b=COUNTS, same=st.integers(0, 10_000))
def test_the_interval_is_mirrored_and_holds_the_difference(only_a: int, only_b: int, same: int) -> None:
    digits = only_a + only_b + same
    if digits == 0:
        return
    low, high = paired_interval(only_a, only_b, digits)
    assert -1 <= low <= (only_b - only_a) / digits <= high <= 1
    assert paired_interval(only_b, only_a, digits) == pytest.approx((-high, -low), abs=1e-9)
    assert paired_interval(only_a, only_b, digits, level=0.5)[1] <= high + 1e-12


@pytest.mark.parametrize(("share_a", "share_b"), [(0.002, 0.002), (0.001, 0.004), (0.02, 0.01), (0.0005, 0.0005)])
def test_the_interval_covers_the_truth_as_often_as_it_says(share_a: float, share_b: float) -> None:
    """2,000 simulated pairs of checkpoints on 10,000 digits."""
    rng = np.random.default_rng(7)
    draws = rng.multinomial(10_000, [share_a, share_b, 1 - share_a - share_b], size=2_000)
    intervals = {(a, b): paired_interval(a, b, 10_000) for a, b in {(int(a), int(b)) for a, b, _ in draws}}
    covered = [intervals[int(a), int(b)][0] <= share_b - share_a <= intervals[int(a), int(b)][1] for a, b, _ in draws]
    assert 0.935 <= np.mean(covered) <= 0.985


def test_no_digit_differs() -> None:
    low, high = paired_interval(0, 0, 10_000)
    assert -0.001 < low < 0 < high < 0.001


@pytest.mark.parametrize("differing", [4, 10, 30, 100, 400])
def test_false_alarms_of_the_verdict(differing: int) -> None:
    """10,000 pairs of equally good checkpoints, by the expected number of digits that only one gets right of 10,000."""
    rng = np.random.default_rng(differing)
    share = differing / 20_000
    draws = rng.multinomial(10_000, [share, share, 1 - 2 * share], size=10_000)
    p = {(a, b): mcnemar_mid_p(a, b) for a, b in {(int(a), int(b)) for a, b, _ in draws}}
    alarms = np.mean([p[int(a), int(b)] < SIGNIFICANCE_LEVEL for a, b, _ in draws])
    print(f"\nfalse alarms, {differing} digits differ: {alarms:.2%} of 10,000")
    assert alarms <= 0.05 + 1.96 * np.sqrt(0.05 * 0.95 / 10_000)


@pytest.mark.slow
def test_false_alarms_of_the_verdict_without_simulation() -> None:
    """Of equally good checkpoints at most 5 % are told apart, whatever the expected number of digits that differ."""
    numbers = np.arange(801)
    alarms = np.array([_share_rejected(int(n)) for n in numbers])
    for expected in (1, 2, 4, 7, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 600):
        assert binom.pmf(numbers, 10_000, expected / 10_000) @ alarms <= 0.05


def _share_rejected(differing: int) -> float:
    rejected = [k for k in range(differing + 1) if mcnemar_mid_p(k, differing - k) < SIGNIFICANCE_LEVEL]
    return float(binom.pmf(rejected, differing, 0.5).sum())


def test_false_alarms_between_simulated_checkpoints() -> None:
    """The whole of `compare`: 500 pairs that err alike on hard digits and equally often."""
    alarms = 0
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 10, 2_000)
    for _ in range(500):
        hard = rng.random(2_000) < 0.03
        a, b = (
            _evaluation(name, labels, np.where(hard & (rng.random(2_000) < 0.5), (labels + 1) % 10, labels))
            for name in "AB"
        )
        alarms += compare(a, b).better is not None
    assert alarms <= 500 * 0.05 + 3 * np.sqrt(500 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("counts", "better", "words"),
    [
        (
            (9_920, 14, 45, 21),
            "B",
            "B is better: 31 fewer errors in 10,000; a gap this large happens by chance about 1 time in",
        ),
        (
            (9_940, 10, 20, 30),
            None,
            "No clear winner: A makes 50 and B 40 errors in 10,000; a gap this large happens by chance about 1 time in",
        ),
        (
            (90, 10, 0, 0),
            "A",
            "A is better: 10 fewer errors in 100; a gap this large happens by chance about 1 time in 1,000",
        ),
        ((95, 0, 0, 5), None, "No clear winner: both are wrong on the same digits, 5 of 100"),
        ((0, 0, 0, 7), None, "No clear winner: both are wrong on the same digits, 7 of 7"),
    ],
)
def test_the_verdict_in_words(counts: tuple[int, int, int, int], better: str | None, words: str) -> None:
    comparison = compare(*_with_counts(*counts))
    assert comparison.better == better
    assert comparison.verdict.startswith(words)
    assert (comparison.both_right, comparison.only_a, comparison.only_b, comparison.neither) == counts
    assert comparison.errors_a == counts[2] + counts[3]
    assert comparison.errors_b == counts[1] + counts[3]
    assert comparison.difference == pytest.approx((counts[2] - counts[1]) / sum(counts))


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (1.0, "more often than not"),
        (0.51, "more often than not"),
        (0.5, "about 1 time in 2"),
        (0.3, "about 1 time in 3"),
        (0.11, "about 1 time in 9"),
        (0.059, "about 1 time in 17"),
        (0.049, "about 1 time in 20"),
        (0.0005, "about 1 time in 2,000"),
        (1 / 2_140, "about 1 time in 2,100"),
        (1e-9, "less than 1 time in 1,000,000"),
    ],
)
def test_frequency_in_words(p: float, words: str) -> None:
    assert frequency(p) == words


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_cochran_q_against_statsmodels(count: int) -> None:
    evaluations = _random_evaluations(count, seed=count)
    right = np.stack([evaluation.predictions == evaluation.labels for evaluation in evaluations], axis=1).astype(int)
    expected = cochrans_q(right)
    result = cochran_q(evaluations)
    assert result.statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert result.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert result.degrees_of_freedom == count - 1


def test_cochran_q_where_nothing_differs() -> None:
    one = _random_evaluations(1)[0]
    result = cochran_q([one, one, one])
    assert (result.statistic, result.p) == (0.0, 1.0)
    with pytest.raises(ValueError, match="at least two, got 1"):
        cochran_q([one])


@pytest.mark.parametrize("count", [2, 3, 8])
def test_cochran_q_of_one_digit_by_each_writer_is_that_of_digits(count: int) -> None:
    evaluations = _random_evaluations(count, seed=count)
    expected = cochran_q(evaluations)
    writers = np.random.default_rng(count).permutation(len(evaluations[0].labels))
    result = cochran_q([replace(one, writers=writers) for one in evaluations])
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.p))


def test_cochran_q_of_writers_is_close_to_all_orders_of_their_counts() -> None:
    """Six writers, three checkpoints: each of the 6^6 ways to order the counts within the writers."""
    right = np.random.default_rng(5).integers(20, 30, (3, 6))
    sums = np.zeros((1, 3))
    for counts in right.T:
        sums = (sums[:, np.newaxis] + np.array(list(itertools.permutations(counts)))).reshape(-1, 3)
    observed, of_all = right.sum(axis=1).var(), sums.var(axis=1)
    assert overall_test(right).p == pytest.approx(float((of_all >= observed - 1e-9).mean()), abs=0.02)


def test_pairs_with_holms_correction() -> None:
    evaluations = _random_evaluations(5, digits=2_000, seed=11)
    table = compare_pairs(evaluations)
    assert list(zip(table["a"], table["b"], strict=True)) == list(
        itertools.combinations([f"c{i}" for i in range(5)], 2)
    )
    expected = multipletests(table["mid_p"], alpha=SIGNIFICANCE_LEVEL, method="holm")
    assert np.allclose(table["holm_p"], expected[1], atol=1e-9)
    assert (table["better"].notna() == expected[0]).all()
    for row in table.itertuples():
        pair = compare(evaluations[int(row.a[1:])], evaluations[int(row.b[1:])])
        assert (row.errors_a, row.errors_b) == (pair.errors_a, pair.errors_b)
        assert (row.only_a, row.only_b, row.mid_p) == (pair.only_a, pair.only_b, pair.mid_p)
        assert (row.low, row.high) == pair.interval
        if row.holm_p >= SIGNIFICANCE_LEVEL:
            assert row.verdict.startswith("No clear winner")
        if row.better is not None:
            assert row.verdict.startswith(f"{row.better} is better")
            assert row.better == (row.a if row.errors_a < row.errors_b else row.b)
    assert table["better"].notna().any()


def test_per_digit() -> None:
    a, b = _random_evaluations(2, digits=3_000, seed=5)
    table = compare_per_digit(a, b)
    assert table["digit"].tolist() == list(range(10))
    assert table["digits"].sum() == 3_000
    assert (table["errors_a"].sum(), table["errors_b"].sum()) == (a.errors, b.errors)
    assert np.allclose(table["holm_p"], multipletests(table["mid_p"], method="holm")[1], atol=1e-9)
    other_ids = a.ids[a.labels != 4]
    of_four = compare(a.without(other_ids), b.without(other_ids))
    assert table["mid_p"][4] == of_four.mid_p
    assert (table["low"][4], table["high"][4]) == of_four.interval


def test_outcomes_and_answers_add_up() -> None:
    a, b = _random_evaluations(2, seed=9)
    comparison, result = compare(a, b), outcomes(a, b)
    counts = (comparison.both_right, comparison.only_a, comparison.only_b, comparison.neither)
    assert tuple(int((result == name).sum()) for name in OUTCOMES) == counts
    assert all(((result == "only A") == ((a.predictions == a.labels) & (b.predictions != b.labels))).tolist())
    matrix = answer_matrix(a, b)
    assert matrix.sum() == len(a)
    assert matrix.trace() == comparison.agreement
    assert comparison.alike_wrong == comparison.agreement - comparison.both_right
    assert matrix[3, 5] == ((a.predictions == 3) & (b.predictions == 5)).sum()


def test_an_ensemble_says_the_mean_of_its_members_probabilities() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    members = [
        Evaluation(f"m{i}", "made-up", f"f{i}", np.arange(200), labels, rng.normal(0, 4, (200, 10)).astype(np.float32))
        for i in range(3)
    ]
    average = average_evaluations(members, name="all")
    expected = np.mean([softmax(member.logits.astype(np.float64), axis=1) for member in members], axis=0)
    assert np.allclose(np.exp(average.logits), expected, atol=1e-6)
    assert np.array_equal(average.predictions, expected.argmax(axis=1))
    alone = average_evaluations(members[:1], name="one")
    assert np.array_equal(alone.predictions, members[0].predictions)
    assert average.fingerprint == average_evaluations(members[::-1], name="all").fingerprint
    assert average.fingerprint != average_evaluations(members[:2], name="all").fingerprint
    with pytest.raises(ValueError, match="at least one"):
        average_evaluations([], name="none")


def test_only_the_same_digits_can_be_compared() -> None:
    a = _random_evaluations(1)[0]
    other = _random_evaluations(1, digits=300)[0]
    for function in (compare, outcomes, answer_matrix, compare_per_digit):
        with pytest.raises(ValueError, match="of the same digits, got 400 of made-up and 300 of made-up"):
            function(a, other)
    with pytest.raises(ValueError, match="of the same digits"):
        compare(a, a.without([100]))
    with pytest.raises(ValueError, match="of the same digits"):
        compare_pairs([a, a, other])


def test_the_public_name() -> None:
    a, b = _with_counts(5, 1, 2, 3)
    assert digitcore.compare(a, b) == compare(a, b)
