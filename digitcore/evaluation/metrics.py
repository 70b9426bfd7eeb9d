"""Classification metrics with intervals, from labels and logits.

Everywhere labels are int64 (N,) and logits float32 (N, C), N > 0. The prediction is the class with the greatest
logit, the smallest class where several are equal; the confidence is its probability. Intervals are 95% intervals of
`share_interval`: Wilson's, or where `writers` (N,) are given, one that allows for several digits of one person. Tables
are data frames; proportions are in [0, 1], and NaN where there are no cases.

The examples use four digits of three classes, the third of which is answered wrongly:

>>> labels = np.array([0, 1, 1, 2])
>>> probabilities = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]
>>> logits = np.log(np.array(probabilities, dtype=np.float32))
>>> (logits.argmax(axis=1) == labels).tolist()
[True, True, False, True]
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from digitcore.evaluation.intervals import critical_value, share_interval, wilson_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CALIBRATION_BINS",
    "SURE",
    "Outcomes",
    "SureAnswers",
    "accuracy_score",
    "brier_loss",
    "calibration_error_by_chance",
    "calibration_error_interval",
    "class_table",
    "confidence_scores",
    "confused_pairs",
    "confusion_matrix",
    "confusion_order",
    "coverage_table",
    "digit_table",
    "expected_calibration_error",
    "log_loss",
    "outcomes_at",
    "reliability_table",
    "right_answers",
    "sure_answers",
    "wilson_interval",
    "writer_table",
]

CALIBRATION_BINS = 15
SURE = 0.9995
"""Confidence from which an answer is called over 99.9% sure."""
_ROWS = 20_000  # of logits at a time
_Writers: TypeAlias = NDArray[np.int64] | None
_Logits: TypeAlias = NDArray[np.floating]


def accuracy_score(labels: NDArray[np.int64], logits: _Logits) -> float:
    """Share of digits whose most probable class is their label, in [0, 1].

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> accuracy_score(labels, logits)
    0.75
    """
    return float(right_answers(labels, logits).mean())


def right_answers(labels: NDArray[np.int64], logits: _Logits) -> NDArray[np.bool_]:
    """Whether the most probable class of each digit (N,) is its label.

    >>> right_answers(np.array([0, 1]), np.array([[9, 0], [9, 0]], dtype=np.float32)).tolist()
    [True, False]
    """
    _check(labels, logits)
    return np.concatenate([logits[rows].argmax(axis=1) == labels[rows] for rows in _blocks(len(labels))])


def log_loss(labels: NDArray[np.int64], logits: _Logits) -> float:
    """Mean negative natural logarithm of the label's probability, in nats, at least 0.

    The labels of the example have the probabilities 0.8, 0.7, 0.3 and 0.6.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> round(log_loss(labels, logits), 4), round(-float(np.mean(np.log([0.8, 0.7, 0.3, 0.6]))), 4)
    (0.5737, 0.5737)
    """
    _check(labels, logits)
    total = 0.0
    for rows in _blocks(len(labels)):
        log_probabilities = log_softmax(logits[rows].astype(np.float64), axis=1)
        total -= float(log_probabilities[np.arange(len(log_probabilities)), labels[rows]].sum())
    return total / len(labels)


def brier_loss(labels: NDArray[np.int64], logits: _Logits) -> float:
    """Mean squared distance between the probabilities and the one-hot label, summed over classes, in [0, 2].

    A certain and wrong answer costs 2. The third digit costs (0.6 - 0)² + (0.3 - 1)² + (0.1 - 0)² = 0.86.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> round(brier_loss(labels, logits), 4), round((0.06 + 0.14 + 0.86 + 0.26) / 4, 4)
    (0.33, 0.33)

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review (1950).
    """
    _check(labels, logits)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    return float(((probabilities - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1).mean())


def expected_calibration_error(labels: NDArray[np.int64], logits: _Logits, *, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between confidence and accuracy over equally wide bins of confidence, weighted by count, in [0, 1].

    A bin includes its upper edge, not its lower one. In two bins, all four confidences are in the upper one: their mean
    is 0.675, the accuracy 0.75.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> round(expected_calibration_error(labels, logits, bins=2), 4)
    0.075

    Source: M. P. Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    _check(labels, logits)
    sums = np.zeros(bins)
    for _, gaps, bin_of in _gaps(labels, logits, bins):
        sums += np.bincount(bin_of, weights=gaps, minlength=bins)
    return float(np.abs(sums).sum() / len(labels))


def calibration_error_interval(
    labels: NDArray[np.int64], logits: _Logits, *, writers: _Writers = None, bins: int = CALIBRATION_BINS
) -> tuple[float, float]:
    """95% interval of `expected_calibration_error`, by leaving out each writer, or each digit where they are unknown.

    Its half width is `critical_value` times the root of the summed squares of the changes; it ends at 0 and 1.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> low, high = calibration_error_interval(np.tile(labels, 50), np.tile(logits, (50, 1)), bins=2)
    >>> round(low, 3), round(high, 3)
    (0.019, 0.131)
    """
    _check(labels, logits)
    error = expected_calibration_error(labels, logits, bins=bins)
    people = len(labels) if writers is None else int((np.bincount(writers) > 0).sum())
    if people == 1:
        return 0.0, 1.0
    changes = (
        _changes_by_digit(labels, logits, bins, error)
        if writers is None
        else _changes_by_writer(labels, logits, bins, error, writers)
    )
    reach = critical_value(people) * np.sqrt(changes)
    return max(0.0, float(error - reach)), min(1.0, float(error + reach))


def _changes_by_digit(labels: NDArray[np.int64], logits: _Logits, bins: int, error: float) -> float:
    """The summed squares of the changes of the calibration error as each digit is left out."""
    sums = np.zeros(bins)
    for _, gaps, bin_of in _gaps(labels, logits, bins):
        sums += np.bincount(bin_of, weights=gaps, minlength=bins)
    changes = 0.0
    for _, gaps, bin_of in _gaps(labels, logits, bins):
        left = np.abs(sums).sum() - np.abs(sums[bin_of]) + np.abs(sums[bin_of] - gaps)
        changes += float(((left / (len(labels) - 1) - error) ** 2).sum())
    return changes


def _changes_by_writer(
    labels: NDArray[np.int64], logits: _Logits, bins: int, error: float, writers: NDArray[np.int64]
) -> float:
    """The same as each writer is left out."""
    sizes = np.bincount(writers)
    cells = np.zeros((len(sizes), bins))  # sums of each writer, of each bin
    for rows, gaps, bin_of in _gaps(labels, logits, bins):
        np.add.at(cells, (writers[rows], bin_of), gaps)
    cells, sizes = cells[sizes > 0], sizes[sizes > 0]
    left = np.abs(cells.sum(axis=0) - cells).sum(axis=1) / (len(labels) - sizes)
    return float(((left - error) ** 2).sum())


def calibration_error_by_chance(logits: _Logits, *, bins: int = CALIBRATION_BINS) -> float:
    """The `expected_calibration_error` to expect if each answer were right with exactly its confidence.

    It is above 0, the more so the fewer digits there are: an error of about this size does not speak against it.
    The mean of 200 drawn sets of right and wrong answers.

    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> [round(calibration_error_by_chance(np.tile(logits, (n, 1)), bins=2), 2) for n in (1, 100)]
    [0.18, 0.02]

    Source: J. Bröcker, "Estimating reliability and resolution of probability forecasts through decomposition of the
    empirical score", Climate Dynamics 39 (2012) 655-667, for the bias.
    """
    confidence, generator = confidence_scores(logits), np.random.default_rng(0)
    bin_of = _confidence_bins(confidence, bins)
    errors = [
        np.abs(np.bincount(bin_of, weights=(generator.random(len(logits)) < confidence) - confidence)).sum()
        for _ in range(200)
    ]
    return float(np.mean(errors)) / len(logits)


@dataclass(frozen=True)
class SureAnswers:
    """The answers that are called over 99.9% sure."""

    count: int
    right: int
    interval: tuple[float, float]
    """95% interval of the share that is right."""


def sure_answers(labels: NDArray[np.int64], logits: _Logits, *, writers: _Writers = None) -> SureAnswers:
    """How many answers are given with a confidence of at least `SURE`, and how many of them are right.

    >>> sure_answers(np.array([0, 1]), np.array([[9, 0], [9, 0]], dtype=np.float32)).right
    1
    """
    _check(labels, logits)
    sure = np.concatenate([confidence_scores(logits[rows]) >= SURE for rows in _blocks(len(logits))])
    right = right_answers(labels, logits)
    _, low, high = _proportion(right, sure, writers) if sure.any() else (0.0, 0.0, 1.0)
    return SureAnswers(int(sure.sum()), int((sure & right).sum()), (low, high))


def confidence_scores(logits: _Logits) -> NDArray[np.float64]:
    """Confidence (N,) of each prediction: the probability of the most probable class.

    >>> confidence_scores(np.log(np.array([[0.8, 0.2], [0.5, 0.5]], dtype=np.float32))).round(3).tolist()
    [0.8, 0.5]
    """
    confidence = np.empty(len(logits))
    for rows in _blocks(len(logits)):
        confidence[rows] = softmax(logits[rows].astype(np.float64), axis=1).max(axis=1)
    return confidence


def confusion_matrix(labels: NDArray[np.int64], logits: _Logits) -> NDArray[np.int64]:
    """Counts (C, C): true classes in rows, predicted classes in columns.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> confusion_matrix(labels, logits).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    _check(labels, logits)
    classes = logits.shape[1]
    cells = labels * classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_table(labels: NDArray[np.int64], logits: _Logits, *, writers: _Writers = None) -> "pd.DataFrame":
    """One row per class: `digit`, `support`, `errors`; `precision`, `recall`, `f1`, each with `_low` and `_high`.

    F1 is 2J / (1 + J) with the proportion J = TP / (TP + FP + FN); its interval is that of J, transformed alike.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> class_table(labels, logits)[["digit", "support", "errors", "precision", "recall"]]
       digit  support  errors  precision  recall
    0      0        1       0        0.5     1.0
    1      1        2       1        1.0     0.5
    2      2        1       0        1.0     1.0
    """
    import pandas as pd  # in the functions, since a prediction does not need it

    _check(labels, logits)
    predictions = logits.argmax(axis=1)
    rows = []
    for digit in range(logits.shape[1]):
        true, predicted = labels == digit, predictions == digit
        rows.append(
            {"digit": digit, "support": true.sum(), "errors": (true & ~predicted).sum()}
            | _named("precision", _proportion(true, predicted, writers))
            | _named("recall", _proportion(predicted, true, writers))
            | _named(
                "f1", [2 * share / (1 + share) for share in _proportion(true & predicted, true | predicted, writers)]
            )
        )
    return pd.DataFrame(rows)


def _named(name: str, proportion: Sequence[float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), proportion, strict=True))


def confused_pairs(labels: NDArray[np.int64], logits: _Logits, *, writers: _Writers = None) -> "pd.DataFrame":
    """The wrong answers by true and predicted class, most frequent first, then smaller classes first.

    Columns `true`, `predicted`, `count`, and `share` of the digits of the true class, with `low` and `high`.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> confused_pairs(labels, logits)[["true", "predicted", "count", "share"]]
       true  predicted  count  share
    0     1          0      1    0.5
    """
    import pandas as pd

    matrix, predictions = confusion_matrix(labels, logits), logits.argmax(axis=1)
    rows = [
        (true, predicted, int(matrix[true, predicted]), *_proportion(predictions == predicted, labels == true, writers))
        for true, predicted in np.argwhere(matrix)
        if true != predicted
    ]
    table = pd.DataFrame(rows, columns=["true", "predicted", "count", "share", "low", "high"])
    return table.sort_values("count", ascending=False, kind="stable", ignore_index=True)


def confusion_order(matrix: NDArray[np.int64]) -> list[int]:
    """The classes, ordered so that those that are often confused are neighbours.

    Average-linkage clustering with optimal leaf ordering; the distance falls with the share of mutual errors.

    >>> confusion_order(np.array([[9, 0, 1], [0, 9, 0], [2, 0, 8]]))  # 0 and 2 are confused
    [1, 2, 0]
    """
    from scipy.cluster.hierarchy import leaves_list, linkage  # takes half a second to import
    from scipy.spatial.distance import squareform

    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    mutual = (shares + shares.T) / 2
    np.fill_diagonal(mutual, 0)
    distance = 1 - mutual / max(float(mutual.max()), np.finfo(np.float64).tiny)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]


def reliability_table(
    labels: NDArray[np.int64], logits: _Logits, *, bins: int = CALIBRATION_BINS, writers: _Writers = None
) -> "pd.DataFrame":
    """One row per non-empty bin of confidence, with the bins of `expected_calibration_error`.

    Columns `lower` (exclusive), `upper` (inclusive), `digits`, mean `confidence`, `accuracy` with `low` and `high`.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> reliability_table(labels, logits, bins=2)[["lower", "upper", "digits", "confidence", "accuracy"]].round(3)
       lower  upper  digits  confidence  accuracy
    0    0.5    1.0       4       0.675      0.75
    """
    import pandas as pd

    _check(labels, logits)
    confidence, right = confidence_scores(logits), logits.argmax(axis=1) == labels
    bin_of = _confidence_bins(confidence, bins)
    rows = []
    for i in np.unique(bin_of):
        inside = bin_of == i
        accuracy, low, high = _proportion(right, inside, writers)
        rows.append((i / bins, (i + 1) / bins, int(inside.sum()), confidence[inside].mean(), accuracy, low, high))
    return pd.DataFrame(rows, columns=["lower", "upper", "digits", "confidence", "accuracy", "low", "high"])


def coverage_table(
    labels: NDArray[np.int64], logits: _Logits, *, points: int = 400, writers: _Writers = None
) -> "pd.DataFrame":
    """Accuracy against coverage when only the most confident digits are answered.

    At most `points` rows, from few digits answered to all: `threshold` (the lowest confidence that is answered),
    `answered` (digits), `coverage`, and among the answered `errors` and `accuracy` with `low` and `high`.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> coverage_table(labels, logits)[["threshold", "answered", "coverage", "errors", "accuracy"]].round(3)
       threshold  answered  coverage  errors  accuracy
    0        0.8         1      0.25       0      1.00
    1        0.7         2      0.50       0      1.00
    2        0.6         4      1.00       1      0.75
    """
    import pandas as pd

    _check(labels, logits)
    confidence = confidence_scores(logits)
    order = np.argsort(-confidence, kind="stable")
    right = logits.argmax(axis=1) == labels
    sorted_confidence, errors = confidence[order], np.cumsum(~right[order])
    # Digits of equal confidence are answered together, so there is a point only where the confidence changes.
    ends = np.flatnonzero(np.append(np.diff(sorted_confidence) < 0, True))
    changes = np.flatnonzero(np.diff(errors[ends], prepend=-1))  # every step of the curve, if there is room
    spread = np.linspace(0, len(ends) - 1, points // 2).round().astype(np.int64)
    point_ends = ends[np.unique(np.concatenate([spread, changes[: points // 2], [len(ends) - 1]]))]
    rows = []
    for end in point_ends:
        answered = int(end) + 1
        accuracy = _proportion(right, confidence >= sorted_confidence[end], writers)
        rows.append((sorted_confidence[end], answered, answered / len(labels), int(errors[end]), *accuracy))
    columns = ["threshold", "answered", "coverage", "errors", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Outcomes:
    """Numbers of digits by outcome when answers below a threshold are refused."""

    answered_right: int
    answered_wrong: int
    refused_right: int
    """Refused, though the answer would have been right."""
    refused_wrong: int
    """Refused, and the answer would have been wrong."""
    interval: tuple[float, float]
    """95% interval of the share right among the answers given; 0 to 1 where there is none."""

    @property
    def answered(self) -> int:
        """Answers given."""
        return self.answered_right + self.answered_wrong


def outcomes_at(labels: NDArray[np.int64], logits: _Logits, *, threshold: float, writers: _Writers = None) -> Outcomes:
    """Numbers of right and wrong answers, given and refused, when confidences below a threshold are refused.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> outcomes = outcomes_at(labels, logits, threshold=0.65)
    >>> outcomes.answered_right, outcomes.answered_wrong, outcomes.refused_right, outcomes.refused_wrong
    (2, 0, 1, 1)
    >>> [round(end, 2) for end in outcomes.interval]
    [0.34, 1.0]
    """
    _check(labels, logits)
    answered = confidence_scores(logits) >= threshold
    right = logits.argmax(axis=1) == labels
    return Outcomes(
        answered_right=int((answered & right).sum()),
        answered_wrong=int((answered & ~right).sum()),
        refused_right=int((~answered & right).sum()),
        refused_wrong=int((~answered & ~right).sum()),
        interval=_proportion(right, answered, writers)[1:] if answered.any() else (0.0, 1.0),
    )


def digit_table(ids: NDArray[np.int64], labels: NDArray[np.int64], logits: _Logits) -> "pd.DataFrame":
    """One row per digit: `id`, `true`, `predicted`, `right`, `confidence`, `margin`, `loss`.

    `margin` is the probability of the label minus the greatest of the others, in [-1, 1]: negative where the answer
    is wrong. `loss` is the negative natural logarithm of the label's probability, in nats.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> digit_table(np.array([7, 8, 9, 10]), labels, logits).round(2)
       id  true  predicted  right  confidence  margin  loss
    0   7     0          0   True         0.8     0.7  0.22
    1   8     1          1   True         0.7     0.5  0.36
    2   9     1          0  False         0.6    -0.3  1.20
    3  10     2          2   True         0.6     0.3  0.51
    """
    import pandas as pd

    _check(labels, logits)
    rows = np.arange(len(labels))
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    probabilities = np.exp(log_probabilities)
    label_probabilities = probabilities[rows, labels]
    probabilities[rows, labels] = -1
    return pd.DataFrame(
        {
            "id": ids,
            "true": labels,
            "predicted": logits.argmax(axis=1),
            "right": logits.argmax(axis=1) == labels,
            "confidence": confidence_scores(logits),
            "margin": label_probabilities - probabilities.max(axis=1),
            "loss": -log_probabilities[rows, labels],
        }
    )


def writer_table(labels: NDArray[np.int64], logits: _Logits, writers: NDArray[np.int64]) -> "pd.DataFrame":
    """One row per writer, most errors first: `writer`, `digits`, `errors`, and the `share` of errors.

    >>> labels = np.array([0, 1, 1, 2])
    >>> logits = np.log(np.array([[8, 1, 1], [2, 7, 1], [6, 3, 1], [1, 3, 6]], dtype=np.float32) / 10)
    >>> writer_table(labels, logits, np.array([21, 21, 22, 22]))
       writer  digits  errors  share
    0      22       2       1    0.5
    1      21       2       0    0.0
    """
    import pandas as pd

    _check(labels, logits)
    wrong = logits.argmax(axis=1) != labels
    table = pd.DataFrame({"writer": writers, "wrong": wrong}).groupby("writer")["wrong"].agg(["size", "sum", "mean"])
    table = table.set_axis(["digits", "errors", "share"], axis="columns").reset_index()
    return table.sort_values(["errors", "share"], ascending=False, kind="stable", ignore_index=True)


def _proportion(hits: NDArray[np.bool_], inside: NDArray[np.bool_], writers: _Writers) -> tuple[float, float, float]:
    """The share of hits among the digits inside, and the ends of its interval; three NaN where none is inside."""
    if not inside.any():
        return (np.nan, np.nan, np.nan)
    return (float(hits[inside].mean()), *share_interval(hits[inside], None if writers is None else writers[inside]))


def _gaps(
    labels: NDArray[np.int64], logits: _Logits, bins: int
) -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.int64]]]:
    """Block by block: its rows, by how much each answer is better than its confidence, and the bin of each."""
    for rows in _blocks(len(labels)):
        confidence = confidence_scores(logits[rows])
        yield rows, (logits[rows].argmax(axis=1) == labels[rows]) - confidence, _confidence_bins(confidence, bins)


def _blocks(rows: int) -> Iterator[slice]:
    """Slices of so many rows, so that what is computed from all of them needs little memory at a time."""
    return (slice(start, start + _ROWS) for start in range(0, rows, _ROWS))


def _confidence_bins(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin (N,) of each confidence: bin i is (i / bins, (i + 1) / bins]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _check(labels: NDArray[np.int64], logits: _Logits) -> None:
    if labels.ndim != 1 or logits.ndim != 2 or len(labels) != len(logits) or len(labels) == 0:
        raise ValueError(
            f"labels and logits must be (N,) and (N, classes) with N > 0, got {labels.shape} and {logits.shape}"
        )
