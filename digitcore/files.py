"""Atomic file writes, temporary folders, and array files read without pickle."""

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import struct
import sys
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if sys.platform != "win32":
    import fcntl

__all__ = [
    "PACKAGED_FILES",
    "atomic_file",
    "load_arrays",
    "partial_file",
    "remove_leftovers",
    "remove_temporary_folders",
    "temporary_folder",
    "update_copies",
    "write_arrays",
    "write_atomically",
]

PACKAGED_FILES = Path(__file__).resolve().parent / "_app"
"""What a wheel holds of `weights/`, `pages/`, `.streamlit/` and `dashboard.py`; missing in a checkout."""

_AT_ONCE = 1 << 20  # bytes of an array that are written at a time
_PARTIAL = ".partial-"  # what the names of files begin with that are being written
_TEMPORARY = ".digitcore-"  # what the names of temporary folders begin with
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
    """Writes data so that path holds the old contents or the new, never a part; see `atomic_file`.

    Raises:
        OSError: it cannot be written, or belongs to the installed package.
    """
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of path when the block ends without an error. Makes missing folders.

    Removes what earlier writes that were killed have left in the folder.

    Raises:
        OSError: it cannot be written, or belongs to the installed package.
    """
    if path.resolve().is_relative_to(PACKAGED_FILES):
        reason = "it belongs to the installed package; set DIGITCORE_WEIGHTS to a folder of your own"
        raise PermissionError(errno.EACCES, reason, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    temporary, descriptor = _new_partial(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # or it could not be renamed
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def partial_file(folder: Path) -> Iterator[Path]:
    """An empty file in a folder for what is being fetched; removed afterwards, or where the process has been killed."""
    path, descriptor = _new_partial(folder)
    try:
        yield path
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes the files that writes have left in a folder whose process was killed; of a missing folder none."""
    with suppress(OSError):
        for path in folder.glob(f"{_PARTIAL}*"):
            _remove_unless_in_use(path)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder among the system's temporary files, for this user alone; removed afterwards.

    Where the process is killed, the next one that makes such a folder removes it.
    """
    remove_temporary_folders()
    folder, lock = _new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_temporary_folders() -> None:
    """Removes the temporary folders of this user whose process was killed. Windows cannot tell which these are."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
            _remove_folder_unless_in_use(folder)


def _new_folder() -> tuple[Path, int | None]:
    """A new folder that `remove_temporary_folders` lets be while the descriptor is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
        if sys.platform == "win32":
            return folder, None
        with suppress(FileNotFoundError):  # taken for a leftover before it was locked
            lock = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # of file systems without locks, where leftovers stay
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_folder_unless_in_use(folder: Path) -> None:
    if sys.platform == "win32":
        return
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_uid == os.getuid():  # or root would remove those of others
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _new_partial(folder: Path) -> tuple[Path, int]:
    """A new file that `remove_leftovers` lets be, and its descriptor."""
    while True:
        path = folder / f"{_PARTIAL}{secrets.token_hex(4)}"
        # Not tempfile.mkstemp, whose files are readable by their owner alone: here the process's umask decides.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if sys.platform != "win32":
            with suppress(OSError):  # of file systems without locks, where leftovers stay
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0:  # taken for a leftover before it was locked
                os.close(descriptor)
                continue
        return path, descriptor


def _remove_unless_in_use(path: Path) -> None:
    """Removes a file that no process writes to; Windows removes none that is open."""
    with suppress(OSError):
        if sys.platform == "win32":
            path.unlink()
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)


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


def write_arrays(file: BinaryIO, **arrays: NDArray[Any]) -> None:
    """Writes arrays as `numpy.savez_compressed` does, a part of each at a time."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            values = np.ascontiguousarray(array)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = np.lib.format.header_data_from_array_1_0(values)
                np.lib.format.write_array_header_1_0(member, header)
                contents = values.reshape(-1).view(np.uint8) if values.size else values
                for start in range(0, values.nbytes, _AT_ONCE):
                    member.write(contents[start : start + _AT_ONCE].data)


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
