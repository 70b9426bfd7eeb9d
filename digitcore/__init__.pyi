from .data.datasets import (
    DigitSet as DigitSet,
    load_digits as load_digits,
)
from .errors import (
    AnnotationConflictError as AnnotationConflictError,
    AnnotationError as AnnotationError,
    BlankImageError as BlankImageError,
    CheckpointError as CheckpointError,
    ClassError as ClassError,
    CorrectionConflictError as CorrectionConflictError,
    CorrectionError as CorrectionError,
    DatasetError as DatasetError,
    DatasetMissingError as DatasetMissingError,
    DigitcoreError as DigitcoreError,
    HandwritingError as HandwritingError,
    HandwritingFullError as HandwritingFullError,
    ImageError as ImageError,
    StoreError as StoreError,
    TrainingError as TrainingError,
)
from .evaluation.comparison import (
    Comparison as Comparison,
    compare as compare,
)
from .evaluation.evaluation import (
    Evaluation as Evaluation,
    evaluate as evaluate,
)
from .imaging.segmentation import (
    DigitInk as DigitInk,
    find_digits as find_digits,
)
from .models.classifier import (
    DigitClassifier as DigitClassifier,
    Prediction as Prediction,
    load_classifier as load_classifier,
)
from .models.numbers import (
    FoundDigit as FoundDigit,
    NumberReading as NumberReading,
    PictureReading as PictureReading,
    read_number as read_number,
    read_picture as read_picture,
)
from .serving.show import (
    show as show,
)
