"""Handwritten-digit recognition: a picture in, a digit out, and honest figures about how often that is right.

>>> import numpy as np
>>> classifier = load_classifier("compact")
>>> drawing = np.zeros((280, 280), dtype=np.uint8)
>>> drawing[40:240, 130:150] = 255
>>> classifier.predict(drawing).digit
1
"""

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.errors import (
    AnnotationConflictError,
    AnnotationError,
    BlankImageError,
    CheckpointError,
    ClassError,
    CorrectionConflictError,
    CorrectionError,
    DatasetError,
    DatasetMissingError,
    DigitcoreError,
    HandwritingError,
    HandwritingFullError,
    ImageError,
    StoreError,
    TrainingError,
)
from digitcore.evaluation.comparison import Comparison, compare
from digitcore.evaluation.evaluation import Evaluation, evaluate
from digitcore.imaging.segmentation import DigitInk, find_digits
from digitcore.models.classifier import DigitClassifier, Prediction, load_classifier
from digitcore.models.numbers import FoundDigit, NumberReading, PictureReading, read_number, read_picture
from digitcore.serving.show import show

__all__ = [
    "AnnotationConflictError",
    "AnnotationError",
    "BlankImageError",
    "CheckpointError",
    "ClassError",
    "Comparison",
    "CorrectionConflictError",
    "CorrectionError",
    "DatasetError",
    "DatasetMissingError",
    "DigitClassifier",
    "DigitInk",
    "DigitSet",
    "DigitcoreError",
    "Evaluation",
    "FoundDigit",
    "HandwritingError",
    "HandwritingFullError",
    "ImageError",
    "NumberReading",
    "PictureReading",
    "Prediction",
    "StoreError",
    "TrainingError",
    "compare",
    "evaluate",
    "find_digits",
    "load_classifier",
    "load_digits",
    "read_number",
    "read_picture",
    "show",
]
