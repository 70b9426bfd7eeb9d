"""Array files (`.npz`), read whole and without pickle."""

import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_arrays"]

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
