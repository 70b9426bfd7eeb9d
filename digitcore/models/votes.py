"""What several checkpoints say about one picture."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.models.classifier import DigitClassifier
from digitcore.models.probabilities import answers_from

__all__ = ["Opinion", "ask_all", "majority"]


@dataclass(frozen=True)
class Opinion:
    """What one checkpoint says."""

    checkpoint: str
    digit: int
    confidence: float


def ask_all(classifiers: Iterable[DigitClassifier], model_input: NDArray[np.uint8]) -> list[Opinion]:
    """What each of these says about a model input uint8 (28, 28), in their order; on one thread, as for one digit."""
    opinions = []
    for classifier in classifiers:
        (logits,) = classifier.logits_by_batch(model_input[np.newaxis], threads=1)
        (answer,) = answers_from(logits)
        opinions.append(Opinion(classifier.checkpoint.name, answer.digit, answer.confidence))
    return opinions


def majority(opinions: Sequence[Opinion]) -> int:
    """The digit that most of them name; of equally many the one named with more confidence in sum.

    Raises:
        ValueError: there are no opinions.
    """
    if not opinions:
        raise ValueError("opinions must not be empty")
    votes: dict[int, list[float]] = defaultdict(list)
    for opinion in opinions:
        votes[opinion.digit].append(opinion.confidence)
    return max(votes, key=lambda digit: (len(votes[digit]), sum(votes[digit])))
