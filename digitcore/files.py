"""Atomic file writes, and array files read without pickle."""

import errno
import hashlib
import io
import json
import os
import secrets
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PACKAGED_FILES", "load_arrays", "update_copies", "write_atomically"]

PACKAGED_FILES = Path(__file__).resolve().parent / "_app"
"""What a wheel holds of `weights/`, `pages/`, `.streamlit/` and `dashboard.py`; missing in a checkout."""

_RECORD = ".copies.json"  # version and SHA-256 of the files that update_copies has written

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
    """Writes data so that path holds the old contents or the new, never a part. Makes missing folders.

    Raises:
        OSError: it cannot be written, or belongs to the installed package.
    """
    if path.resolve().is_relative_to(PACKAGED_FILES):
        reason = "it belongs to the installed package; set DIGITCORE_WEIGHTS to a folder of your own"
        raise PermissionError(errno.EACCES, reason, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    # Not tempfile.mkstemp, whose files are readable by their owner alone: here the process's umask decides.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def update_copies(source: Path, target: Path, *, version: str) -> None:
    """Copies the files below source into target, unless this version of them has been copied there already.

    Only missing files and unchanged copies are written; what was added or changed in target stays as it is.

    Raises:
        OSError: a file cannot be read or written.
    """
    record = _read_record(target / _RECORD)
    if record["version"] == version:
        return
    digests = {}
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name, data = path.relative_to(source).as_posix(), path.read_bytes()
        digests[name] = hashlib.sha256(data).hexdigest()
        copied_path = target / name
        if not copied_path.exists() or _digest(copied_path) == record["digests"].get(name):
            write_atomically(copied_path, data)
    write_atomically(target / _RECORD, json.dumps({"version": version, "digests": digests}, indent=2).encode())


def _read_record(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        record = json.loads(path.read_bytes())
        if isinstance(record, dict) and isinstance(record.get("digests"), dict) and "version" in record:
            return record
    return {"version": None, "digests": {}}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        raise ValueError(f"{path} is not a readable array file ({type(error).__name__}: {error})") from error
