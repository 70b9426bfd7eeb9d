"""Atomic file writes, and array files read without pickle."""

import io
import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_arrays", "write_atomically"]

_DAMAGES = (
    EOFError,
    KeyError,
    IndexError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_atomically(path: Path, data: bytes) -> None:
    """Writes data so that path holds the old contents or the new, never a part. Makes missing folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would keep other users of the folder out
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def load_arrays(path: Path, *, only: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name: all, or those of these names that it has.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is damaged, or holds Python objects.
    """
    contents = io.BytesIO(path.read_bytes())
    try:
        with np.load(contents, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if only is None or name in only}
    except _DAMAGES as error:
        raise ValueError(f"{path} is no sound array file ({type(error).__name__}: {error})") from error
