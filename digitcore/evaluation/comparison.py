"""Statistical comparison of checkpoints on the same digits.

Every checkpoint reads every digit, so the answers are paired: only the digits that exactly one of two checkpoints gets
right count. Differences in accuracy are B minus A: positive where B is better. Where writers are known, intervals and
tests allow for each having written many digits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtr, chdtrc, logsumexp, ndtri

from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL, holm_corrected, sign_flip_p, spread_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LEAST_WRITERS",
    "OUTCOMES",
    "Comparison",
    "Outcome",
    "OverallTest",
    "answer_matrix",
    "average_evaluations",
    "cochran_q",
    "compare",
    "compare_groups",
    "compare_pairs",
    "compare_per_digit",
    "frequency",
    "mcnemar_mid_p",
    "outcomes",
    "overall_test",
    "paired_interval",
]

LEAST_WRITERS = 6
"""The fewest writers of whom a sign-flip test can reach that level: 2 / 2^6 is below it, 2 / 2^5 is not."""

Outcome = Literal["both right", "only A", "only B", "neither"]
OUTCOMES: tuple[Outcome, ...] = ("both right", "only A", "only B", "neither")


@dataclass(frozen=True)
class Comparison:
    """Checkpoint A against checkpoint B on the same digits."""

    a: str
    b: str
    dataset: str
    digits: int
    both_right: int
    only_a: int
    """Digits that A gets right and B does not."""
    only_b: int
    neither: int
    alike_wrong: int
    """Digits among `neither` with the same wrong answer from both."""
    agreement: int
    """Digits with the same answer from both, right or wrong."""
    difference: float
    """Accuracy of B minus that of A, in [-1, 1]."""
    interval: tuple[float, float]
    """95% interval of the difference that allows for writers: `paired_interval` of the effective number of digits."""
    plain_interval: tuple[float, float]
    """95% interval of the difference as if each digit were of another person, see `paired_interval`."""
    p: float
    """What decides: `sign_flip_p` over writers; where they are not known, `mid_p`."""
    mid_p: float
    """As if each digit were of another person, see `mcnemar_mid_p`."""
    writers: int | None
    """Number of people who wrote the digits; None where they are not known."""
    verdict: str
    """Which one is better, in words, or that there is no clear winner."""

    @property
    def errors_a(self) -> int:
        """Digits that A gets wrong."""
        return self.only_b + self.neither

    @property
    def errors_b(self) -> int:
        """Digits that B gets wrong."""
        return self.only_a + self.neither

    @property
    def better(self) -> str | None:
        """Name of the better checkpoint; None where there is no clear winner."""
        if self.p >= SIGNIFICANCE_LEVEL:
            return None
        return self.a if self.only_a > self.only_b else self.b


def compare(a: Evaluation, b: Evaluation) -> Comparison:
    """Compares checkpoint A with checkpoint B.

    Raises:
        ValueError: the evaluations are not of the same digits.
    """
    right_a, right_b = _correctness([a, b])
    paired = _compare_answers(right_a, right_b, a.writers)
    same_answer = a.predictions == b.predictions
    return Comparison(
        a=a.checkpoint,
        b=b.checkpoint,
        dataset=a.dataset,
        digits=len(a),
        both_right=int((right_a & right_b).sum()),
        only_a=paired.only_a,
        only_b=paired.only_b,
        neither=int((~right_a & ~right_b).sum()),
        alike_wrong=int((~right_a & ~right_b & same_answer).sum()),
        agreement=int(same_answer.sum()),
        difference=paired.difference,
        interval=(paired.low, paired.high),
        plain_interval=paired_interval(paired.only_a, paired.only_b, len(a)),
        p=paired.p,
        mid_p=paired.mid_p,
        writers=None if a.writers is None else len(np.unique(a.writers)),
        verdict=_verdict(a.checkpoint, b.checkpoint, paired, p=paired.p),
    )


def outcomes(a: Evaluation, b: Evaluation) -> NDArray[np.str_]:
    """One of `OUTCOMES` for each digit (N,).

    Raises:
        ValueError: the evaluations are not of the same digits.
    """
    right_a, right_b = _correctness([a, b])
    names = np.array(OUTCOMES)
    outcome_names: NDArray[np.str_] = names[2 * ~right_a + ~right_b]
    return outcome_names


def answer_matrix(a: Evaluation, b: Evaluation) -> NDArray[np.int64]:
    """Counts (10, 10) of digits by A's answer, in rows, and B's answer, in columns.

    Raises:
        ValueError: the evaluations are not of the same digits.
    """
    _check_same_digits([a, b])
    classes = a.logits.shape[1]
    return np.bincount(a.predictions * classes + b.predictions, minlength=classes**2).reshape(classes, classes)


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """Two-sided mid-p value of the exact McNemar test, in (0, 1].

    only_a, only_b: numbers of digits that only A or only B gets right. Where both are equally good, only_a follows a
    binomial distribution with probability 1/2. The mid-p value counts half the probability of the observed outcome.

    >>> mcnemar_mid_p(1, 3)  # 2 * (P(0) + P(1) / 2) of 4 tosses of a coin: 2 * (1/16 + 2/16)
    0.375

    Source: M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Medical Research Methodology 13:91 (2013).
    """
    fewer, differing = min(only_a, only_b), only_a + only_b
    below = bdtr(fewer - 1, differing, 0.5) if fewer else 0.0
    return float(bdtr(fewer, differing, 0.5) + below)


def paired_interval(only_a: int, only_b: int, digits: int, *, level: float = 0.95) -> tuple[float, float]:
    """Tango's score interval of the difference (only_b - only_a) / digits of two paired proportions, in [-1, 1].

    It contains the differences that a score test would not reject, and has a width even where no digit differs.

    >>> low, high = paired_interval(1, 3, 100)
    >>> round(low, 3), round(high, 3)
    (-0.028, 0.076)

    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998) 891-908.
    """
    return _tango_bounds(only_a, only_b, digits, critical=float(ndtri((1 + level) / 2)))


def _tango_bounds(only_a: float, only_b: float, digits: float, *, critical: float) -> tuple[float, float]:
    """Tango's interval of counts that need not be whole numbers."""
    observed = (only_b - only_a) / digits

    def excess(difference: float) -> float:
        return _tango_score(only_a, only_b, digits, difference) - critical

    def shortfall(difference: float) -> float:
        return _tango_score(only_a, only_b, digits, difference) + critical

    edge = 1 - 1e-12
    low = -1.0 if excess(-edge) < 0 else float(brentq(excess, -edge, observed, xtol=1e-12))
    high = 1.0 if shortfall(edge) > 0 else float(brentq(shortfall, observed, edge, xtol=1e-12))
    return low, high


def _tango_score(only_a: float, only_b: float, digits: float, difference: float) -> float:
    """Tango's statistic: how many standard errors the observed difference is above this one."""
    linear = -only_a - only_b + (2 * digits - only_b + only_a) * difference
    constant = -only_a * difference * (1 - difference)
    share_a = (np.sqrt(max(linear**2 - 8 * digits * constant, 0.0)) - linear) / (4 * digits)
    variance = digits * (2 * share_a + difference * (1 - difference))
    distance = only_b - only_a - digits * difference
    if distance == 0:
        return 0.0
    return float(distance / np.sqrt(variance)) if variance > 0 else float(np.sign(distance) * np.inf)


@dataclass(frozen=True)
class OverallTest:
    """Result of a test whether several checkpoints differ at all."""

    statistic: float
    degrees_of_freedom: int
    p: float


def cochran_q(evaluations: Sequence[Evaluation]) -> OverallTest:
    """Cochran's Q test of the hypothesis that all checkpoints are equally accurate, with the chi-squared distribution.

    Where writers are known, what is compared are the right answers of each checkpoint on all digits of one writer, not
    on one digit: if the checkpoints are equally accurate, a writer's counts could as well belong to them in any other
    order. With one digit by each writer this is Cochran's statistic; for two checkpoints, McNemar's without correction.
    Where all are right on equally many digits of each writer, the statistic is 0 and p is 1.

    Sources: W. G. Cochran, "The comparison of percentages in matched samples", Biometrika 37 (1950) 256-266. E. J. G.
    Pitman, "Significance tests which may be applied to samples from any populations. III", Biometrika 29 (1938)
    322-335, for counts; tests/evaluation/test_intervals.py measures how often it is wrong.

    Raises:
        ValueError: there are fewer than two evaluations, or they are not of the same digits.
    """
    if len(evaluations) < 2:
        raise ValueError(f"evaluations must be at least two, got {len(evaluations)}")
    right, writers = _correctness(evaluations), evaluations[0].writers
    return overall_test(
        right.astype(np.int64) if writers is None else np.stack([_by_writer(row, writers) for row in right])
    )


def overall_test(right: NDArray[np.int64]) -> OverallTest:
    """The test of `cochran_q` from the number of right answers (checkpoints, blocks): of a digit, or of a writer."""
    checkpoints = len(right)
    sums = right.sum(axis=1)
    within = float(right.var(axis=0, ddof=1).sum())
    statistic = float(((sums - sums.mean()) ** 2).sum() / within) if within > 0 else 0.0
    return OverallTest(statistic, checkpoints - 1, float(chdtrc(checkpoints - 1, statistic)))


def _by_writer(values: NDArray[np.bool_] | NDArray[np.int64], writers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(writers, weights=values).astype(np.int64)


def compare_pairs(evaluations: Sequence[Evaluation]) -> "pd.DataFrame":
    """One row per pair: `a`, `b`, `digits`, `errors_a`, `errors_b`, `only_a`, `only_b`, `difference`, `low`, `high`,
    `p`, `mid_p`, `holm_p`, `better`, `verdict`.

    `p` is what decides, see `Comparison`. `holm_p` is `p` corrected for the number of pairs, see `holm_corrected`;
    where it is below `SIGNIFICANCE_LEVEL`, `better` names the better one, else it is None, and `verdict` says so in
    words. The interval is not corrected.

    Raises:
        ValueError: they are not of the same digits.
    """
    import pandas as pd

    right = _correctness(evaluations)
    names = [evaluation.checkpoint for evaluation in evaluations]
    pairs = list(combinations(range(len(evaluations)), 2))
    paired = [_compare_answers(right[i], right[j], evaluations[0].writers) for i, j in pairs]
    table = _paired_table(paired)
    table.insert(0, "a", [names[i] for i, _ in pairs])
    table.insert(1, "b", [names[j] for _, j in pairs])
    ahead = np.where(table["difference"] > 0, table["b"], table["a"]).astype(object)
    table["better"] = pd.Series(ahead, dtype=object).where(table["holm_p"] < SIGNIFICANCE_LEVEL, None)
    table["verdict"] = [
        _verdict(names[i], names[j], pair, p=p)
        for (i, j), pair, p in zip(pairs, paired, table["holm_p"].tolist(), strict=True)
    ]
    return table


def compare_per_digit(a: Evaluation, b: Evaluation) -> "pd.DataFrame":
    """One row per class: `digit`, and the columns of `compare_groups`, the difference being that of recall.

    Raises:
        ValueError: the evaluations are not of the same digits.
    """
    return compare_groups(a, b, a.labels).rename(columns={"group": "digit"})


def compare_groups(
    a: Evaluation, b: Evaluation, groups: NDArray[np.int64], *, by_digit: bool = False
) -> "pd.DataFrame":
    """One row per group of digits, `groups` (N,) being a number for each digit: `group`, `digits`, `errors_a`,
    `errors_b`, `only_a`, `only_b`, `difference` (of accuracy) with `low` and `high`, `p`, `mid_p`, and `holm_p`, which
    is `p` corrected for the number of groups.

    by_digit: take each digit as if it were of another person, though writers are known.

    Raises:
        ValueError: the evaluations are not of the same digits.
    """
    right_a, right_b = _correctness([a, b])
    writers = None if by_digit else a.writers
    names = np.unique(groups)
    table = _paired_table(
        [
            _compare_answers(right_a[inside], right_b[inside], None if writers is None else writers[inside])
            for inside in (groups == name for name in names)
        ]
    )
    table.insert(0, "group", names)
    return table


class _Paired(NamedTuple):
    """Figures of two checkpoints on the same digits."""

    digits: int
    errors_a: int
    errors_b: int
    only_a: int
    only_b: int
    difference: float
    low: float
    high: float
    p: float
    mid_p: float


def _compare_answers(
    right_a: NDArray[np.bool_], right_b: NDArray[np.bool_], writers: NDArray[np.int64] | None
) -> _Paired:
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    digits = len(right_a)
    gains = right_b.astype(np.int64) - right_a  # (N,)
    low, high = paired_interval(only_a, only_b, digits) if writers is None else _interval_by_writer(gains, writers)
    mid_p = mcnemar_mid_p(only_a, only_b)
    return _Paired(
        digits=digits,
        errors_a=int((~right_a).sum()),
        errors_b=int((~right_b).sum()),
        only_a=only_a,
        only_b=only_b,
        difference=(only_b - only_a) / digits,
        low=low,
        high=high,
        p=mid_p if writers is None else sign_flip_p(_by_writer(gains, writers)),
        mid_p=mid_p,
    )


def _interval_by_writer(gains: NDArray[np.int64], writers: NDArray[np.int64]) -> tuple[float, float]:
    """95% interval of the mean of gains (N,): 1 where only B is right, -1 where only A is, else 0."""
    spread = spread_of(gains, writers, plain_variance=float(gains.var()) / len(gains))
    if np.isinf(spread.critical):
        return -1.0, 1.0
    only_a, only_b = float((gains < 0).sum()), float((gains > 0).sum())
    effect = spread.effect
    return _tango_bounds(only_a / effect, only_b / effect, len(gains) / effect, critical=spread.critical)


def _paired_table(rows: Sequence[_Paired]) -> "pd.DataFrame":
    import pandas as pd  # here, since a prediction does not need it

    table = pd.DataFrame(rows, columns=list(_Paired._fields))
    table["holm_p"] = holm_corrected(table["p"].to_numpy(dtype=np.float64))
    return table


def average_evaluations(evaluations: Sequence[Evaluation], *, name: str) -> Evaluation:
    """The evaluation of an ensemble of this name: its logits are the logarithms of the members' mean probabilities.

    Raises:
        ValueError: there are no evaluations, or they are not of the same digits.
    """
    _check_same_digits(evaluations)
    first = evaluations[0]
    logits = np.stack([evaluation.logits.astype(np.float64) for evaluation in evaluations])
    log_probabilities = logits - logsumexp(logits, axis=2, keepdims=True)
    mean = logsumexp(log_probabilities, axis=0) - np.log(len(evaluations))
    members = " ".join(sorted(evaluation.fingerprint for evaluation in evaluations))
    return Evaluation(
        checkpoint=name,
        dataset=first.dataset,
        fingerprint=hashlib.sha256(members.encode()).hexdigest()[:16],
        ids=first.ids,
        labels=first.labels,
        logits=mean.astype(np.float32),
        writers=first.writers,
    )


def frequency(p: float) -> str:
    """How often an event of probability p happens, in words.

    >>> frequency(0.0005)
    'about 1 time in 2,000'
    """
    if p > 0.5:
        return "more often than not"
    if p < 1e-6:
        return "less than 1 time in 1,000,000"
    once_in = 1 / p
    digits = int(np.floor(np.log10(once_in)))
    return f"about 1 time in {round(once_in, min(0, 1 - digits)):,.0f}"


def _verdict(a: str, b: str, paired: _Paired, *, p: float) -> str:
    """The result in words; p is that of `Comparison`, corrected where there are several pairs."""
    differing = paired.only_a + paired.only_b
    if differing == 0:
        return f"No clear winner: both are wrong on the same digits, {paired.errors_a:,} of {paired.digits:,}"
    chance = f"a gap this large happens by chance {frequency(p)}"
    if p >= SIGNIFICANCE_LEVEL:
        errors = f"{a} makes {paired.errors_a:,} and {b} {paired.errors_b:,} errors in {paired.digits:,}"
        return f"No clear winner: {errors}; {chance}"
    better = a if paired.only_a > paired.only_b else b
    fewer = abs(paired.only_a - paired.only_b)
    return f"{better} is better: {fewer:,} fewer errors in {paired.digits:,}; {chance}"


def _correctness(evaluations: Sequence[Evaluation]) -> NDArray[np.bool_]:
    """Whether each checkpoint is right on each digit, (checkpoints, N)."""
    _check_same_digits(evaluations)
    return np.stack([evaluation.predictions == evaluation.labels for evaluation in evaluations])


def _check_same_digits(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise ValueError("evaluations must be at least one, got none")
    first = evaluations[0]
    for other in evaluations[1:]:
        if not (np.array_equal(first.ids, other.ids) and np.array_equal(first.labels, other.labels)):
            raise ValueError(
                f"evaluations must be of the same digits, got {len(first):,} of {first.dataset} "
                f"and {len(other):,} of {other.dataset}"
            )
