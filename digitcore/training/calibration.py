"""What is fitted after training, on validation digits only: the temperature and the refusal threshold."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

__all__ = ["FALSE_REFUSAL_RATE", "choose_refusal_threshold", "fit_temperature"]

FALSE_REFUSAL_RATE = 0.005
"""Share of validation digits that shipped checkpoints may refuse."""


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The divisor of logits (N, 10) that gives the least log loss on labels (N,), within [0.1, 10].

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    rows = np.arange(len(labels))

    def log_loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_temperature)
        return float(-log_softmax(scaled, axis=1)[rows, labels].mean())

    found = minimize_scalar(log_loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def choose_refusal_threshold(
    logits: NDArray[np.float32], *, temperature: float, rate: float = FALSE_REFUSAL_RATE
) -> float:
    """The confidence below which at most a share `rate` of these answers lies."""
    confidences = np.sort(softmax(logits.astype(np.float64) / temperature, axis=1).max(axis=1))
    return float(confidences[int(rate * len(confidences))])
