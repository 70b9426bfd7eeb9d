"""Calibration after training, on validation digits only: the temperature and the refusal threshold."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from digitcore.models.refusal import RefusalScore, refusal_scores

__all__ = ["FALSE_REFUSAL_RATE", "REFUSAL_SCORE", "choose_refusal_threshold", "fit_temperature"]

FALSE_REFUSAL_RATE = 0.008
"""Share of validation digits that new checkpoints may refuse: below the 1% that is allowed, with a margin."""
REFUSAL_SCORE: RefusalScore = "energy"
"""Refusal score of new checkpoints. At the same rate of false refusals, `standard` and `compact` refuse more scribbles,
doodles, noise and fashion items with it than with the confidence, and fewer pen digits. Measured by
`python -m digitcore bench --only refusals`.
"""


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature within [0.1, 10]: the divisor of logits (N, 10) with the lowest log loss on labels (N,).

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    rows = np.arange(len(labels))

    def log_loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_temperature)
        return float(-log_softmax(scaled, axis=1)[rows, labels].mean())

    result = minimize_scalar(log_loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(result.x))


def choose_refusal_threshold(
    logits: NDArray[np.float32],
    *,
    temperature: float,
    score: RefusalScore = REFUSAL_SCORE,
    rate: float = FALSE_REFUSAL_RATE,
) -> float:
    """The refusal score below which at most the share `rate` of the answers lies; logits (N, 10)."""
    scores = np.sort(refusal_scores(logits.astype(np.float64) / temperature, score))
    return float(scores[int(rate * len(scores))])
