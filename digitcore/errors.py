"""Exceptions that a user can meet and do something about.

::

    DigitcoreError
    ├── ImageError          a picture that cannot be read or used
    │   └── BlankImageError     ... because there is nothing on it
    ├── CheckpointError     a checkpoint that is missing, damaged or does not fit
    ├── DatasetError        digits that are damaged, or other than their name says
    │   └── DatasetMissingError ... or not on this machine
    ├── StoreError          what visitors leave that cannot be read or stored
    │   ├── AnnotationError     ... stars and notes
    │   │   └── AnnotationConflictError ... because somebody else has changed them
    │   ├── CorrectionError     ... corrected labels
    │   │   └── CorrectionConflictError ... because somebody else has corrected them
    │   └── HandwritingError    ... digits of their own hand
    │       ├── HandwritingFullError ... because there are as many as may be
    │       └── ClassError          ... because the class cannot be joined, or is over
    └── TrainingError       a training run that cannot start or continue

Each message says what happened, to which file, and what to do. A mistake of the calling code is a `ValueError`
with the argument, the rule and the value.
"""

__all__ = [
    "AnnotationConflictError",
    "AnnotationError",
    "BlankImageError",
    "CheckpointError",
    "ClassError",
    "CorrectionConflictError",
    "CorrectionError",
    "DatasetError",
    "DatasetMissingError",
    "DigitcoreError",
    "HandwritingError",
    "HandwritingFullError",
    "ImageError",
    "StoreError",
    "TrainingError",
]


class DigitcoreError(Exception):
    """Base of every error that a user can meet and do something about."""


class ImageError(DigitcoreError):
    """A picture cannot be read or used."""


class BlankImageError(ImageError):
    """A picture has no ink on it: every pixel is of (nearly) one colour."""


class CheckpointError(DigitcoreError):
    """A checkpoint is missing, damaged or does not fit."""


class DatasetError(DigitcoreError):
    """A dataset is damaged or is not what its name says."""


class DatasetMissingError(DatasetError):
    """A dataset is not on this machine."""


class StoreError(DigitcoreError):
    """What visitors leave cannot be read or stored."""


class AnnotationError(StoreError):
    """Stars and notes cannot be read or stored."""


class AnnotationConflictError(AnnotationError):
    """A star or a note has been changed by somebody else since it was read."""


class CorrectionError(StoreError):
    """Corrected labels cannot be read or stored."""


class CorrectionConflictError(CorrectionError):
    """A label has been corrected by somebody else since it was read."""


class HandwritingError(StoreError):
    """Digits that visitors have written cannot be read or stored."""


class HandwritingFullError(HandwritingError):
    """A notebook, or all together, hold as many digits as may be stored."""


class ClassError(HandwritingError):
    """A class cannot be joined, or is over."""


class TrainingError(DigitcoreError):
    """A training run cannot start or continue."""
