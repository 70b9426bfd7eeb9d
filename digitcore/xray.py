"""What each stage of preprocessing is worth: the inputs that the network would get without it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitcore.errors import BlankImageError
from digitcore.preprocessing import (
    FITTED_SIDE,
    INPUT_SIDE,
    DigitImage,
    Preprocessed,
    centre_mass,
    preprocess_ink,
    resize_ink,
)

__all__ = ["Variant", "variants"]


@dataclass(frozen=True, eq=False)
class Variant:
    """A model input made in another way."""

    name: str
    model_input: NDArray[np.uint8]  # (28, 28)


def variants(image: DigitImage, preprocessed: Preprocessed) -> list[Variant]:
    """The inputs that a picture gives with one stage of `preprocess` left out, and at last with all but the ink.

    `preprocessed` is what `preprocess` made of the image. Where a picture's plain grey values are all 0, so that
    nothing is seen without making out the ink, there is no variant for that stage.
    """
    ink, cropped, fitted = preprocessed.ink, preprocessed.cropped, preprocessed.fitted
    made = [
        Variant("not cropped", centre_mass(resize_ink(ink, _within(ink, FITTED_SIDE)))),
        Variant("shape not kept", centre_mass(resize_ink(cropped, (FITTED_SIDE, FITTED_SIDE)))),
        Variant("no margin", centre_mass(resize_ink(cropped, _within(cropped, INPUT_SIDE)))),
        Variant("box centred, not mass", _centre_box(fitted)),
        Variant("plain resize", resize_ink(ink, (INPUT_SIDE, INPUT_SIDE))),
    ]
    try:
        plain = Variant("colours as they are", preprocess_ink(_grey(image)).model_input)
    except BlankImageError:
        return made
    return [plain, *made]


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
