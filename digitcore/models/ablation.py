"""Ablation of the preprocessing: the network's inputs and answers with one stage left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitcore.errors import BlankImageError
from digitcore.imaging.preprocessing import (
    FITTED_SIDE,
    INPUT_SIDE,
    DigitImage,
    Preprocessed,
    centre_mass,
    preprocess_ink,
    resize_ink,
)
from digitcore.models.classifier import DigitClassifier
from digitcore.models.probabilities import answers_from

__all__ = ["Variant", "variant_inputs", "variants"]


@dataclass(frozen=True, eq=False)
class Variant:
    """A model input made in another way, and what a checkpoint answers."""

    name: str
    model_input: NDArray[np.uint8]  # (28, 28)
    digit: int
    confidence: float


def variants(classifier: DigitClassifier, image: DigitImage, preprocessed: Preprocessed) -> list[Variant]:
    """What the classifier answers to each of `variant_inputs`."""
    inputs = variant_inputs(image, preprocessed)
    (logits,) = classifier.logits_by_batch(np.stack(list(inputs.values())), threads=1)
    return [
        Variant(name, model_input, answer.digit, answer.confidence)
        for (name, model_input), answer in zip(inputs.items(), answers_from(logits), strict=True)
    ]


def variant_inputs(image: DigitImage, preprocessed: Preprocessed) -> dict[str, NDArray[np.uint8]]:
    """The inputs (28, 28) that a picture gives with one stage of `preprocess` left out, and at last with all but the
    first, by what is different.

    `preprocessed` is what `preprocess` made of the image. Where its plain grey values are all 0, so that nothing can
    be seen without making out the ink, there is none for that stage.
    """
    ink, cropped, fitted = preprocessed.ink, preprocessed.cropped, preprocessed.fitted
    inputs = {
        "not cropped": centre_mass(resize_ink(ink, _within(ink, FITTED_SIDE))),
        "shape not kept": centre_mass(resize_ink(cropped, (FITTED_SIDE, FITTED_SIDE))),
        "no margin": centre_mass(resize_ink(cropped, _within(cropped, INPUT_SIDE))),
        "box centred, not mass": _centre_box(fitted),
        "plain resize": resize_ink(ink, (INPUT_SIDE, INPUT_SIDE)),
    }
    try:
        return {"colours as they are": preprocess_ink(_grey(image)).model_input, **inputs}
    except BlankImageError:
        return inputs


def _grey(image: DigitImage) -> NDArray[np.uint8]:
    """Grey values (H, W) as they are, opacity left out."""
    picture = Image.fromarray(np.ascontiguousarray(image)) if isinstance(image, np.ndarray) else image
    return np.asarray(picture.convert("L"))


def _within(ink: NDArray[np.uint8], side: int) -> tuple[int, int]:
    """The shape of ink (H, W) when its longer side is brought to so many pixels."""
    height, width = (max(1, round(length * side / max(ink.shape))) for length in ink.shape)
    return height, width


def _centre_box(fitted: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A black (28, 28) picture with fitted (h, w) in its middle."""
    centred = np.zeros((INPUT_SIDE, INPUT_SIDE), dtype=np.uint8)
    height, width = fitted.shape
    top, left = (INPUT_SIDE - height) // 2, (INPUT_SIDE - width) // 2
    centred[top : top + height, left : left + width] = fitted
    return centred
