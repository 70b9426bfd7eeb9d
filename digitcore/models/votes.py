"""Votes of several checkpoints on one picture."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.models.classifier import DigitClassifier
from digitcore.models.probabilities import answers_from

__all__ = ["Vote", "collect_votes", "majority"]


@dataclass(frozen=True)
class Vote:
    """The answer of one checkpoint."""

    checkpoint: str
    digit: int
    confidence: float


def collect_votes(classifiers: Iterable[DigitClassifier], model_input: NDArray[np.uint8]) -> list[Vote]:
    """The answer of each classifier for a model input uint8 (28, 28), in their order, on one thread."""
    votes = []
    for classifier in classifiers:
        (logits,) = classifier.logits_by_batch(model_input[np.newaxis], threads=1)
        (answer,) = answers_from(logits)
        votes.append(Vote(classifier.checkpoint.name, answer.digit, answer.confidence))
    return votes


def majority(votes: Sequence[Vote]) -> int:
    """The digit that most of them name; of equally many the one named with more confidence in sum.

    Raises:
        ValueError: there are no votes.
    """
    if not votes:
        raise ValueError("votes must not be empty")
    confidences: dict[int, list[float]] = defaultdict(list)
    for vote in votes:
        confidences[vote.digit].append(vote.confidence)
    return max(confidences, key=lambda digit: (len(confidences[digit]), sum(confidences[digit])))
