"""Handwritten-digit recognition: a picture in, a digit out, and honest figures about how often that is right.

>>> import numpy as np
>>> classifier = load_classifier("compact")
>>> drawing = np.zeros((280, 280), dtype=np.uint8)
>>> drawing[40:240, 130:150] = 255
>>> classifier.predict(drawing).digit
1
"""

from digitcore.classifier import DigitClassifier, Prediction, load_classifier
from digitcore.comparison import Comparison, compare
from digitcore.datasets import DigitSet, load_digits
from digitcore.errors import (
    AnnotationError,
    BlankImageError,
    CheckpointError,
    DatasetError,
    DatasetMissingError,
    DigitcoreError,
    ImageError,
    TrainingError,
)
from digitcore.evaluation import Evaluation, evaluate

__all__ = [
    "AnnotationError",
    "BlankImageError",
    "CheckpointError",
    "Comparison",
    "DatasetError",
    "DatasetMissingError",
    "DigitClassifier",
    "DigitSet",
    "DigitcoreError",
    "Evaluation",
    "ImageError",
    "Prediction",
    "TrainingError",
    "compare",
    "evaluate",
    "load_classifier",
    "load_digits",
]
