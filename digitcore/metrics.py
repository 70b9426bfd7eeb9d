"""Labels and logits -> numbers, with intervals.

Confidence is the probability of the most probable class; of equal logits the smallest class is taken.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest

__all__ = ["accuracy_score", "brier_loss", "expected_calibration_error", "log_loss", "wilson_interval"]

_CALIBRATION_BINS = 15


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
    labels: NDArray[np.int64], logits: NDArray[np.float32], *, bins: int = _CALIBRATION_BINS
) -> float:
    """Mean distance between confidence and accuracy over equally wide bins of confidence, weighted by count.

    A bin holds its upper edge, not its lower one. In [0, 1].
    Source: M. P. Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    _check(labels, logits)
    confidence = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    right = logits.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def _check(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> None:
    if labels.ndim != 1 or logits.ndim != 2 or len(labels) != len(logits) or len(labels) == 0:
        raise ValueError(
            f"labels and logits must be (N,) and (N, classes) with N > 0, got {labels.shape} and {logits.shape}"
        )
