"""The answers of checkpoints to pictures, in memory: for sets that grow digit by digit while somebody writes."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnswerMemory", "picture_keys"]


def picture_keys(images: NDArray[np.uint8]) -> list[bytes]:
    """A key for each of the images (N, 28, 28): the same for the same pixels, and for no others."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]


class AnswerMemory:
    """Calibrated logits by checkpoint and picture. Safe to share between threads."""

    def __init__(self, most: int = 400_000) -> None:
        """most: answers that are kept; of more than that, those of the checkpoint that came first are dropped."""
        self._most = most
        self._answers: dict[str, dict[bytes, NDArray[np.float32]]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def missing(self, checkpoint: str, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """The rows of the pictures (N,) to which the answers of the checkpoint with this digest are not known."""
        with self._lock:
            known = self._answers.get(checkpoint, {})
            return np.array([row for row, key in enumerate(keys) if key not in known], dtype=np.int64)

    def logits(self, checkpoint: str, keys: Sequence[bytes]) -> NDArray[np.float32] | None:
        """The logits (N, 10) of the checkpoint with this digest; None where one of them is not known."""
        with self._lock:
            known = self._answers.get(checkpoint, {})
            if not all(key in known for key in keys):
                return None
            return np.array([known[key] for key in keys], dtype=np.float32).reshape(-1, 10)

    def add(self, checkpoint: str, keys: Sequence[bytes], logits: NDArray[np.float32]) -> None:
        """Remembers the logits (N, 10) of the checkpoint with this digest for these pictures."""
        with self._lock:
            self._answers.setdefault(checkpoint, {}).update(zip(keys, np.array(logits), strict=True))
            while self._count() > self._most:
                del self._answers[next(iter(self._answers))]

    def _count(self) -> int:
        return sum(map(len, self._answers.values()))
