"""From a picture to a prediction, with one checkpoint."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from digitcore.errors import ImageError
from digitcore.imaging.preprocessing import (
    DigitImage,
    Preprocessed,
    blank_stages,
    extract_ink,
    normalize,
    preprocess_ink,
)
from digitcore.imaging.segmentation import PictureInk
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.engine import using_threads
from digitcore.models.library import load_checkpoint
from digitcore.models.probabilities import Answer, answers_from
from digitcore.models.refusal import Refusal, refuse_answer, refuse_ink

__all__ = ["BATCH_SIZE", "DigitClassifier", "Prediction", "all_cores", "load_classifier"]

BATCH_SIZE = 500
"""Digits put through a network at a time."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of a checkpoint for one picture."""

    digit: int
    """The most probable class; of equal ones the smallest."""
    confidence: float
    """Its probability."""
    probabilities: NDArray[np.float32]  # (10,), their sum is 1
    refusal: Refusal | None
    """Why the answer should not be relied on; None where it may be."""
    preprocessed: Preprocessed
    """How the picture came to be the network's input."""

    @property
    def accepted(self) -> bool:
        """Whether the answer may be relied on. A refused picture has an answer too: that of the network."""
        return self.refusal is None

    @property
    def reason(self) -> str | None:
        """Why it may not be, in words: the kind of refusal, a colon, and what to do."""
        return None if self.refusal is None else self.refusal.reason

    @property
    def model_input(self) -> NDArray[np.uint8]:
        """What the network saw: (28, 28), 255 = ink."""
        return self.preprocessed.model_input


class DigitClassifier:
    """A checkpoint at work. It holds no state of its own, so threads may share one."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def predict(self, image: DigitImage) -> Prediction:
        """The answer for a picture of one digit; for a blank one, the answer for no ink at all.

        Raises:
            ImageError: its pixels cannot be used.
            ValueError: an array that is not uint8 of shape (H, W), (H, W, 3) or (H, W, 4).
        """
        return self.predict_inks([PictureInk(extract_ink(image))])[0]

    def predict_batch(self, images: Sequence[DigitImage]) -> list[Prediction]:
        """One prediction a picture, equal to those of `predict` up to rounding in the seventh decimal.

        Raises:
            ImageError, ValueError: as for `predict`; an `ImageError` names the position of the picture, from 0.
        """
        pictures = []
        for position, image in enumerate(images):
            try:
                pictures.append(PictureInk(extract_ink(image)))
            except ImageError as error:
                raise type(error)(f"Picture {position} of {len(images)}: {error}") from error
        return self.predict_inks(pictures, threads=all_cores())

    def predict_inks(self, pictures: Sequence[PictureInk], *, threads: int = 1) -> list[Prediction]:
        """One prediction a picture whose ink has been extracted, each as one digit, as `predict` has them."""
        if not pictures:
            return []
        stages = [_stages(picture.pixels) for picture in pictures]
        inputs = np.stack([preprocessed.model_input for preprocessed in stages])
        logits = np.concatenate(list(self.logits_by_batch(inputs, threads=threads)))
        rows = zip(logits, answers_from(logits), pictures, stages, strict=True)
        return [self._prediction(*row) for row in rows]

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated logits (N, 10), divided by the checkpoint's temperature, of model inputs uint8 (N, 28, 28)."""
        return np.concatenate([np.empty((0, 10), np.float32), *self.logits_by_batch(images)])

    def logits_by_batch(
        self, images: NDArray[np.uint8], *, threads: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """The same, batch by batch, so that a caller can show progress. Default: a thread a core."""
        temperature = np.float32(self.checkpoint.metadata.temperature)
        for start in range(0, len(images), BATCH_SIZE):
            batch = normalize(images[start : start + BATCH_SIZE]).numpy()
            yield self.checkpoint.engine.logits(batch, threads=threads or all_cores()) / temperature

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's own description (N, F) of model inputs uint8 (N, 28, 28), just before the last layer."""
        network = self.checkpoint.network
        starts = range(0, len(images), BATCH_SIZE)
        with using_threads(all_cores()), torch.inference_mode():
            batches = [network.forward_features(normalize(images[start : start + BATCH_SIZE])) for start in starts]
        return torch.cat(batches).numpy()

    def _prediction(
        self, logits: NDArray[np.float32], answer: Answer, picture: PictureInk, preprocessed: Preprocessed
    ) -> Prediction:
        metadata = self.checkpoint.metadata
        refusal = refuse_ink(picture) or refuse_answer(
            logits, score=metadata.refusal_score, threshold=metadata.refusal_threshold
        )
        return Prediction(answer.digit, answer.confidence, answer.probabilities, refusal, preprocessed)


def _stages(ink: NDArray[np.uint8]) -> Preprocessed:
    return preprocess_ink(ink) if ink.any() else blank_stages(ink)


def load_classifier(name_or_path: str | Path) -> DigitClassifier:
    """A classifier with the checkpoint of this name in the weights folder, or in the file at this path.

    Raises:
        CheckpointError: it is missing, broken, or fits no known architecture.
    """
    return DigitClassifier(load_checkpoint(name_or_path))


def all_cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
