"""Labels and logits -> numbers, with intervals.

Everywhere labels are int64 (N,) and logits float32 (N, C), N > 0. The prediction is the class with the greatest
logit, of equal ones the smallest; confidence is its probability. Intervals are 95 % Wilson intervals unless said
otherwise. Tables are data frames, their shares fractions in [0, 1]; a share of nothing is NaN.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CALIBRATION_BINS",
    "Outcomes",
    "accuracy_score",
    "brier_loss",
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
    "wilson_interval",
]

CALIBRATION_BINS = 15


def accuracy_score(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Share of digits whose most probable class is their label, in [0, 1]. labels: (N,), logits: (N, 10)."""
    _check(labels, logits)
    return float((logits.argmax(axis=1) == labels).mean())


def wilson_interval(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Interval for a probability of which `successes` in `trials` were seen.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    interval = binomtest(successes, trials).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def log_loss(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Mean of minus the natural logarithm of the probability given to the label, in nats, at least 0."""
    _check(labels, logits)
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def brier_loss(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Mean squared distance between the probabilities and the one-hot label, summed over classes, in [0, 2].

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review (1950).
    """
    _check(labels, logits)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    return float(((probabilities - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1).mean())


def expected_calibration_error(
    labels: NDArray[np.int64], logits: NDArray[np.float32], *, bins: int = CALIBRATION_BINS
) -> float:
    """Mean distance between confidence and accuracy over equally wide bins of confidence, weighted by count.

    A bin holds its upper edge, not its lower one. In [0, 1].
    Source: M. P. Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    _check(labels, logits)
    confidence = confidence_scores(logits)
    right = logits.argmax(axis=1) == labels
    gaps = np.bincount(_confidence_bins(confidence, bins), weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def confidence_scores(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Confidence (N,) of each prediction."""
    confidence: NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    return confidence


def confusion_matrix(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Counts (C, C): true classes in rows, predicted ones in columns."""
    _check(labels, logits)
    classes = logits.shape[1]
    cells = labels * classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_table(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> "pd.DataFrame":
    """One row a class: `digit`, `support`, `errors`; `precision`, `recall`, `f1`, each with `_low` and `_high`.

    F1 is 2J / (1 + J), J = TP / (TP + FP + FN) being a share; its interval is J's, carried over.
    """
    import pandas as pd  # here and below in the functions: a prediction should not wait for it

    matrix = confusion_matrix(labels, logits)
    right, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    table = pd.DataFrame({"digit": np.arange(len(matrix)), "support": true, "errors": true - right})
    for name, trials in (("precision", predicted), ("recall", true), ("f1", true + predicted - right)):
        shares = np.array([_share(int(k), int(n)) for k, n in zip(right, trials, strict=True)])
        if name == "f1":
            shares = 2 * shares / (1 + shares)
        table[[name, f"{name}_low", f"{name}_high"]] = shares
    return table


def confused_pairs(matrix: NDArray[np.int64]) -> "pd.DataFrame":
    """The cells (true, predicted) of a confusion matrix off its diagonal that are not 0, most frequent first.

    `share` is of the digits with that true class, with `low` and `high`. Of equal counts the smaller classes first.
    """
    import pandas as pd

    support = matrix.sum(axis=1)
    rows = [
        (true, predicted, int(matrix[true, predicted]), *_share(int(matrix[true, predicted]), int(support[true])))
        for true, predicted in np.argwhere(matrix)
        if true != predicted
    ]
    table = pd.DataFrame(rows, columns=["true", "predicted", "count", "share", "low", "high"])
    return table.sort_values("count", ascending=False, kind="stable", ignore_index=True)


def confusion_order(matrix: NDArray[np.int64]) -> list[int]:
    """The classes in an order in which those that are often confused stand side by side.

    Average-linkage clustering with leaves ordered to bring neighbours together; the distance falls with the share
    of mutual errors.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    mutual = (shares + shares.T) / 2
    np.fill_diagonal(mutual, 0)
    distance = 1 - mutual / max(float(mutual.max()), np.finfo(np.float64).tiny)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]


def reliability_table(
    labels: NDArray[np.int64], logits: NDArray[np.float32], *, bins: int = CALIBRATION_BINS
) -> "pd.DataFrame":
    """One row a bin of confidence that is not empty, the bins of `expected_calibration_error`.

    Columns `lower` (open), `upper` (closed), `digits`, mean `confidence`, `accuracy` with `low` and `high`.
    """
    import pandas as pd

    _check(labels, logits)
    confidence, right = confidence_scores(logits), logits.argmax(axis=1) == labels
    bin_of = _confidence_bins(confidence, bins)
    rows = []
    for i in np.unique(bin_of):
        inside = bin_of == i
        accuracy, low, high = _share(int(right[inside].sum()), int(inside.sum()))
        rows.append((i / bins, (i + 1) / bins, int(inside.sum()), confidence[inside].mean(), accuracy, low, high))
    return pd.DataFrame(rows, columns=["lower", "upper", "digits", "confidence", "accuracy", "low", "high"])


def coverage_table(labels: NDArray[np.int64], logits: NDArray[np.float32], *, points: int = 400) -> "pd.DataFrame":
    """Accuracy against coverage: what happens when only the most confident digits are answered.

    At most `points` rows, from few digits answered to all: `threshold` (the least confidence that is answered),
    `answered` (digits), `coverage`, `errors` among them, `accuracy` among them with `low` and `high`.
    """
    import pandas as pd

    _check(labels, logits)
    confidence = confidence_scores(logits)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, errors = confidence[order], np.cumsum((logits.argmax(axis=1) != labels)[order])
    # Digits of equal confidence are answered together, so a point stands only where confidence changes.
    ends = np.flatnonzero(np.append(np.diff(sorted_confidence) < 0, True))
    changes = np.flatnonzero(np.diff(errors[ends], prepend=-1))  # keep every step of the curve, if there is room
    spread = np.linspace(0, len(ends) - 1, points // 2).round().astype(np.int64)
    kept = ends[np.unique(np.concatenate([spread, changes[: points // 2], [len(ends) - 1]]))]
    rows = []
    for end in kept:
        answered, wrong = int(end) + 1, int(errors[end])
        shares = _share(answered - wrong, answered)
        rows.append((sorted_confidence[end], answered, answered / len(labels), wrong, *shares))
    columns = ["threshold", "answered", "coverage", "errors", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Outcomes:
    """Numbers of digits when answers below a threshold are refused."""

    answered_right: int
    answered_wrong: int
    refused_right: int
    """Would have been right."""
    refused_wrong: int
    """Would have been wrong."""


def outcomes_at(labels: NDArray[np.int64], logits: NDArray[np.float32], *, threshold: float) -> Outcomes:
    """What happens when digits with a confidence below threshold are refused."""
    _check(labels, logits)
    answered = confidence_scores(logits) >= threshold
    right = logits.argmax(axis=1) == labels
    return Outcomes(
        answered_right=int((answered & right).sum()),
        answered_wrong=int((answered & ~right).sum()),
        refused_right=int((~answered & right).sum()),
        refused_wrong=int((~answered & ~right).sum()),
    )


def digit_table(ids: NDArray[np.int64], labels: NDArray[np.int64], logits: NDArray[np.float32]) -> "pd.DataFrame":
    """One row a digit: `id`, `true`, `predicted`, `right`, `confidence`, `margin`, `loss`.

    `margin` is the probability of the label less the greatest of the others, in [-1, 1]: negative where the answer
    is wrong. `loss` is minus the natural logarithm of the label's probability, in nats.
    """
    import pandas as pd

    _check(labels, logits)
    rows = np.arange(len(labels))
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    probabilities = np.exp(log_probabilities)
    of_label = probabilities[rows, labels]
    probabilities[rows, labels] = -1
    return pd.DataFrame(
        {
            "id": ids,
            "true": labels,
            "predicted": logits.argmax(axis=1),
            "right": logits.argmax(axis=1) == labels,
            "confidence": confidence_scores(logits),
            "margin": of_label - probabilities.max(axis=1),
            "loss": -log_probabilities[rows, labels],
        }
    )


def _share(successes: int, trials: int) -> tuple[float, float, float]:
    """The share with the ends of its interval; NaN three times where there were no trials."""
    if trials == 0:
        return (np.nan, np.nan, np.nan)
    return (successes / trials, *wilson_interval(successes, trials))


def _confidence_bins(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin (N,) of each confidence: bin i is (i / bins, (i + 1) / bins]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _check(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> None:
    if labels.ndim != 1 or logits.ndim != 2 or len(labels) != len(logits) or len(labels) == 0:
        raise ValueError(
            f"labels and logits must be (N,) and (N, classes) with N > 0, got {labels.shape} and {logits.shape}"
        )
