"""From logits to probabilities, the digit and its confidence: the same for every answer that anybody is given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

__all__ = ["Answer", "answers_from", "probabilities_from"]


@dataclass(frozen=True, eq=False)
class Answer:
    """What one row of logits says."""

    digit: int
    """The most probable class; of equal ones the smallest."""
    confidence: float
    """Its probability."""
    probabilities: NDArray[np.float32]  # (10,), their sum is 1


def answers_from(logits: NDArray[np.floating]) -> list[Answer]:
    """The answer that each row of calibrated logits (N, 10) stands for."""
    rows = probabilities_from(logits)
    return [Answer(int(row.argmax()), float(row.max()), row) for row in rows]


def probabilities_from(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """The probabilities (N, 10) of calibrated logits (N, 10): their softmax, in double precision, rounded to single."""
    probabilities: NDArray[np.float32] = softmax(logits.astype(np.float64), axis=1).astype(np.float32)
    return probabilities
