"""Why a network answers as it does: the digits it knows that look most alike to it."""

import numpy as np
from numpy.typing import NDArray

from digitcore.classifier import DigitClassifier

__all__ = ["nearest_rows"]


def nearest_rows(
    classifier: DigitClassifier,
    image: NDArray[np.uint8],
    *,
    reference_features: NDArray[np.float32],
    count: int = 5,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the `count` most similar reference digits, nearest first, and their cosine similarities.

    Similar means a small angle in the space of `DigitClassifier.features`, of which `reference_features` (N, F) is a
    part; `image` is a model input uint8 (28, 28). Of equal ones the smaller row comes first.
    """
    feature = classifier.features(image[np.newaxis])[0]
    lengths = np.linalg.norm(reference_features, axis=1) * np.linalg.norm(feature)
    similarity = (reference_features @ feature) / np.maximum(lengths, np.finfo(np.float32).tiny)
    rows = np.argsort(-similarity, kind="stable")[:count]
    return rows, similarity[rows].astype(np.float32)
