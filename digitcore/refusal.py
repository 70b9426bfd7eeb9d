"""Refusals: pictures whose answer should not be relied on, each with the reason and what to do about it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Refusal", "RefusalKind", "refuse_answer", "refuse_ink"]

RefusalKind: TypeAlias = Literal["blank", "unsure"]


@dataclass(frozen=True)
class Refusal:
    """Why an answer should not be relied on."""

    kind: RefusalKind
    advice: str

    @property
    def reason(self) -> str:
        """The kind and what to do about it, in words."""
        return f"{self.kind}: {self.advice}"


_BLANK = Refusal("blank", "draw or choose a digit")


def refuse_ink(ink: NDArray[np.uint8]) -> Refusal | None:
    """Why this ink (H, W), 255 = ink, is not one whole digit, whatever a network says of it; None: it may be one."""
    return None if ink.any() else _BLANK


def refuse_answer(probabilities: NDArray[np.float32], *, threshold: float) -> Refusal | None:
    """Why an answer with these probabilities (10,) should not be relied on; None: it is confident enough.

    The greatest of them must reach `threshold`.
    """
    digit = int(probabilities.argmax())
    confidence = float(probabilities[digit])
    if confidence >= threshold:
        return None
    return Refusal("unsure", f"{confidence:.0%} for the best answer, {digit}")
