"""Checkpoint files that visitors add to a folder, rename and remove: those that `manifest.json` does not name.

Whatever changes a folder does so under a lock, so that of two who take one name at the same time, in this process or in
another, only one succeeds.
"""

import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from digitcore.errors import CheckpointError
from digitcore.files import write_atomically
from digitcore.formats.endings import READ, ending_of, stem_of
from digitcore.formats.layers_file import layers_path
from digitcore.models.conventions import sidecar_path
from digitcore.settings import load_settings

__all__ = [
    "add_file",
    "check_room",
    "is_listed",
    "manifest_path",
    "own_files",
    "remove_file",
    "rename_file",
    "shipped_checksums",
]

_NAME = re.compile(r"[^\W_][\w.+ -]{0,99}")


def manifest_path(directory: Path) -> Path:
    """The file that names what a folder was shipped with."""
    return directory / "manifest.json"


def shipped_checksums(directory: Path) -> dict[str, str]:
    """SHA-256 by file name of the checkpoints that a folder was shipped with; empty where it has no manifest."""
    with suppress(OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        entries = json.loads(manifest_path(directory).read_bytes())
        return {str(entry["file"]): str(entry["sha256"]) for entry in entries.values()}
    return {}


def is_listed(path: Path) -> bool:
    """Whether a path is that of a checkpoint file, usable or not."""
    with suppress(OSError):  # of names that the file system cannot hold
        return bool(ending_of(path.name)) and not path.name.startswith(".") and path.is_file()
    return False


def own_files(directory: Path) -> list[str]:
    """Names of the checkpoint files in a folder that it was not shipped with, in order."""
    shipped = shipped_checksums(directory)
    paths = directory.iterdir() if directory.is_dir() else []
    return sorted(path.name for path in paths if is_listed(path) and path.name not in shipped)


def check_room(directory: Path, file_name: str, *, size: int) -> None:
    """Checks whether a file of this name and size (bytes) may be added.

    Raises:
        CheckpointError: the name cannot be used or is taken, or there are too many own files, or too large ones.
    """
    _check_name(directory, file_name)
    limits, own = load_settings(), own_files(directory)
    with _naming_errors(directory):
        size += sum((directory / name).stat().st_size for name in own)
    if len(own) >= limits.max_added_files:
        raise CheckpointError(
            f"There are {len(own)} added models, and {limits.max_added_files} are the most: remove one first."
        )
    if size > limits.max_added_bytes:
        raise CheckpointError(
            f"All added models together would take {size / 1e6:,.0f} MB, and {limits.max_added_bytes / 1e6:,.0f} MB "
            "are the most: remove one first."
        )


def add_file(directory: Path, file_name: str, data: bytes, *, beside: Mapping[str, bytes]) -> None:
    """Writes a new checkpoint file, and first what is to stand beside it: contents by file name.

    Raises:
        CheckpointError: as `check_room`, or the folder cannot be written to.
    """
    path = directory / file_name
    with _naming_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            check_room(directory, file_name, size=len(data))
            for name, contents in beside.items():
                write_atomically(directory / name, contents)
            hidden = path.with_name(f".{secrets.token_hex(8)}")
            write_atomically(hidden, data)
            try:
                _place(hidden, path)
            finally:
                hidden.unlink(missing_ok=True)


def rename_file(directory: Path, file_name: str, name: str) -> None:
    """Gives an own file another name, the suffix staying; what stands beside it goes with it.

    Raises:
        CheckpointError: it is not an own file, or the name cannot be used or is taken, or nothing can be written.
    """
    path, new_file_name = directory / file_name, f"{name}{file_name[len(stem_of(file_name)) :]}"
    with _naming_errors(path), _alone(directory):
        _check_own(directory, file_name)
        _check_name(directory, new_file_name)
        renamed = directory / new_file_name
        for beside in (sidecar_path, layers_path):
            with suppress(FileNotFoundError):
                beside(path).rename(beside(renamed))
        _place(path, renamed)


def remove_file(directory: Path, file_name: str) -> None:
    """Deletes an own file and what stands beside it.

    Raises:
        CheckpointError: it is not an own file, or cannot be deleted.
    """
    path = directory / file_name
    with _naming_errors(path), _alone(directory):
        _check_own(directory, file_name)
        path.unlink()
        for beside in (sidecar_path, layers_path):
            beside(path).unlink(missing_ok=True)


def _check_own(directory: Path, file_name: str) -> None:
    if file_name not in own_files(directory):
        raise CheckpointError(f"{file_name!r} is not an added model: only these can be renamed or removed.")


def _check_name(directory: Path, file_name: str) -> None:
    name = stem_of(file_name)
    if ending_of(file_name) not in READ or not _NAME.fullmatch(name):
        raise CheckpointError(
            f"{file_name!r} cannot be the name of a checkpoint: use letters, digits, - and _, ending in "
            f"{', '.join(READ)}."
        )
    if directory.is_dir() and any(stem_of(path.name) == name and is_listed(path) for path in directory.iterdir()):
        raise CheckpointError(f"There is a checkpoint {name!r} already: choose another name.")


@contextmanager
def _naming_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a CheckpointError that names the path."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path} cannot be changed ({error.strerror or error}).") from error


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keeps others from changing the folder, where the system can lock one."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # of file systems that know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _place(source: Path, target: Path) -> None:
    """Renames a file, unless the new name has been taken meanwhile."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # of file systems where a file has one name only
        source.rename(target)
    source.unlink(missing_ok=True)
