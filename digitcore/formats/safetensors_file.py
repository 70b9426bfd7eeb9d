"""Files of safetensors: names and shapes of tensors first, and their values only when they are asked for."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
from torch import Tensor

__all__ = ["SafetensorsError", "SafetensorsFile"]

_MOST_HEADER_BYTES = 1 << 20
_MOST_TENSORS = 10_000
_MOST_VALUE_SIZE = 8  # bytes


class SafetensorsError(Exception):
    """A file cannot be read; the message is the reason."""


class SafetensorsFile:
    """An open file of safetensors, whose header must be of a bounded size and name nothing twice."""

    metadata: Mapping[str, str]
    shapes: dict[str, tuple[int, ...]]
    """Shapes of the tensors by name."""

    def __init__(self, stream: BinaryIO) -> None:
        """The header of an open file, which must stay open.

        Raises:
            SafetensorsError: it cannot be read.
        """
        self._stream = stream
        size = int.from_bytes(stream.read(8), "little")
        if size > _MOST_HEADER_BYTES:
            raise SafetensorsError(f"its header has {size:,} bytes; {_MOST_HEADER_BYTES:,} are the most")
        try:
            header = json.loads(stream.read(size), object_pairs_hook=_without_repetition)
        except (ValueError, RecursionError) as error:
            raise SafetensorsError(str(error)) from error
        if not isinstance(header, dict) or len(header) > _MOST_TENSORS:
            raise SafetensorsError(f"its header is not a list of at most {_MOST_TENSORS:,} tensors")
        self.metadata = header.pop("__metadata__", {})
        if not isinstance(self.metadata, dict) or not all(isinstance(text, str) for text in self.metadata.values()):
            raise SafetensorsError("its metadata are not text")
        self.shapes = {name: _shape(entry) for name, entry in header.items()}
        self._values_start = 8 + size

    def read(self) -> dict[str, Tensor]:
        """The tensors by name. Memory is bounded by the number of values in their shapes.

        Raises:
            SafetensorsError: they cannot be read.
        """
        values = sum(map(math.prod, self.shapes.values()))
        size = self._stream.seek(0, os.SEEK_END)
        if size - self._values_start > _MOST_VALUE_SIZE * values:
            raise SafetensorsError("it is longer than its tensors")
        self._stream.seek(0)
        try:
            return safetensors.torch.load(self._stream.read(size))
        except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise SafetensorsError(str(error)) from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("its header names something twice")
    return values


def _shape(entry: object) -> tuple[int, ...]:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise SafetensorsError("its header gives a tensor no shape")
    return tuple(shape)
