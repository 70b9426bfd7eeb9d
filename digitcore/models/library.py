"""The checkpoints of a folder; a file is read again when it is new or has changed."""

import functools
import hashlib
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from digitcore.errors import CheckpointError
from digitcore.files import temporary_folder
from digitcore.formats.endings import READ, REFUSED, ending_of, stem_of
from digitcore.formats.layers_file import layers_path
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, read_checkpoint
from digitcore.models.conventions import sidecar_path, sidecar_stamp
from digitcore.models.own_files import (
    add_file,
    check_room,
    is_listed,
    manifest_path,
    own_files,
    remove_file,
    rename_file,
    shipped_checksums,
)
from digitcore.settings import load_settings
from digitcore.text import printable

__all__ = [
    "CheckpointEntry",
    "CheckpointLibrary",
    "UnusableCheckpoint",
    "UsableCheckpoint",
    "load_checkpoint",
    "shared_library",
]

_LOGGER = logging.getLogger(__name__)
_PREFERRED = ("world", "compact")  # where nobody has chosen: the best at drawn digits first
_ENDINGS = [*READ, *REFUSED]
_NETWORKS_KEPT = 16  # by one library, in memory
_Stamp: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class UsableCheckpoint:
    """A file of the weights folder whose network can be loaded."""

    name: str
    path: Path
    size: int  # bytes
    metadata: CheckpointMetadata
    parameters: int
    digest: str
    is_verified: bool
    """Whether the file is one that the folder was shipped with, unchanged."""


@dataclass(frozen=True)
class UnusableCheckpoint:
    """A file of the weights folder whose network cannot be loaded, and why."""

    name: str
    path: Path
    size: int  # bytes
    problem: str
    is_pending: bool = False
    """Whether it is still being tried out, and may be usable in a moment."""


CheckpointEntry: TypeAlias = UsableCheckpoint | UnusableCheckpoint
"""One file of the weights folder."""


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The checkpoint of this name in the weights folder, or in the file at this path.

    A string is a path if it ends as a checkpoint file does or contains a path separator.

    Raises:
        CheckpointError: it is missing or damaged, or does not fit a known architecture.
    """
    if isinstance(name_or_path, Path) or ending_of(name_or_path) or os.sep in name_or_path:
        return read_checkpoint(Path(name_or_path))
    return CheckpointLibrary(load_settings().weights_directory).load(name_or_path)


class CheckpointLibrary:
    """All checkpoints in one folder. Threads may share it.

    A file is read by one thread while the others that want the same file wait; whoever wants another file does not.
    """

    def __init__(
        self, directory: Path, *, read: Callable[[Path], Checkpoint] = read_checkpoint, background: bool = False
    ) -> None:
        """The library of this folder, which reads a file with `read`.

        With `background` nobody waits for the trial of an ONNX file, which takes seconds: one is tried after another,
        and until then its entry is pending, and `load` refuses it.
        """
        self.directory = directory
        self._read = read
        self._background = background
        self._lock = threading.Lock()  # guards what follows, and is never held while a file is read
        self._file_locks: dict[Path, threading.Lock] = {}  # each held while its file is read
        self._entries: dict[Path, tuple[_Stamp, CheckpointEntry]] = {}
        self._networks: OrderedDict[Path, Checkpoint] = OrderedDict()  # the one used last stands last
        self._waiting: dict[Path, None] = {}  # files to be tried in the background, the first one now

    def entries(self) -> list[CheckpointEntry]:
        """One entry per file, by name; empty where the folder is missing.

        A list says of every file whether it can be used, so it waits until files that are new or have changed have
        been read once, unless that is done in the background. `load` and `default_name` wait for no other file.
        """
        paths = self._files()
        entries = sorted(map(self._entry, paths), key=lambda entry: (entry.name, _rank(entry.path)))
        self._forget_all_but(paths)
        first = {entry.name: entry for entry in reversed(entries) if isinstance(entry, UsableCheckpoint)}
        return [_hidden(entry, first[entry.name]) if entry.name in first else entry for entry in entries]

    def usable_names(self) -> list[str]:
        """The names that `load` takes."""
        return [entry.name for entry in self.entries() if isinstance(entry, UsableCheckpoint)]

    def default_name(self) -> str:
        """The name to start with.

        Raises:
            CheckpointError: no file in the folder can be used.
        """
        for name in _PREFERRED:
            if isinstance(self._first_of(name), UsableCheckpoint):
                return name
        names = self.usable_names()
        if not names:
            raise CheckpointError(
                f"{self.directory} holds no usable checkpoint: run `python -m digitcore train compact`, "
                "or copy a .safetensors or .pt file there."
            )
        return names[0]

    def load(self, name: str) -> Checkpoint:
        """The usable checkpoint of this name, never a path.

        Raises:
            CheckpointError: there is none, or the file cannot be used.
        """
        match self._first_of(name):
            case UsableCheckpoint() as entry:
                return self._checkpoint(entry)
            case UnusableCheckpoint(problem=problem):
                raise CheckpointError(problem)
        known_names = ", ".join(self.usable_names()) or "none"
        raise CheckpointError(f"There is no checkpoint {name!r} in {self.directory}. There are: {known_names}.")

    def add(
        self, file_name: str, data: bytes, *, convention: Mapping[str, str] | None = None, layers: str = ""
    ) -> UsableCheckpoint:
        """Puts a checkpoint file of this name into the folder, if it can be used. No file is overwritten.

        `convention` declares how the network takes its digits, as in `models.conventions`; `layers` are the lines of a
        layers file, where the network is none of the known ones.

        Raises:
            CheckpointError: the name or the contents cannot be used, a checkpoint of this name is there already, too
                much has been added, or the folder cannot be written to.
        """
        check_room(self.directory, file_name, size=len(data))
        beside = {}
        if convention is not None:
            beside[sidecar_path(self.directory / file_name).name] = json.dumps(convention).encode()
        if layers.strip():
            beside[layers_path(self.directory / file_name).name] = layers.encode(errors="replace")
        self._check(file_name, data, beside=beside)
        add_file(self.directory, file_name, data, beside=beside)
        entry = self._entry_once_read(self.directory / file_name)
        if isinstance(entry, UnusableCheckpoint):  # somebody has changed it meanwhile
            raise CheckpointError(entry.problem)
        return entry

    def own_files(self) -> list[str]:
        """Names of the files that the folder was not shipped with: these can be renamed and removed."""
        return own_files(self.directory)

    def rename(self, file_name: str, name: str) -> None:
        """Gives one of the own files another name, without a suffix. Networks in use go on.

        Raises:
            CheckpointError: it is not an own file, or the name cannot be used or is taken, or nothing can be written.
        """
        rename_file(self.directory, file_name, name)

    def remove(self, file_name: str) -> None:
        """Deletes one of the own files. Networks in use go on.

        Raises:
            CheckpointError: it is not an own file, or cannot be deleted.
        """
        remove_file(self.directory, file_name)

    def _check(self, file_name: str, data: bytes, *, beside: Mapping[str, bytes]) -> None:
        """Raises a CheckpointError that names only the file if data cannot be used."""
        with temporary_folder() as folder:
            candidate = folder / file_name
            try:
                candidate.write_bytes(data)
                for name, contents in beside.items():
                    (folder / name).write_bytes(contents)
                self._read(candidate)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(f"{folder}{os.sep}", "")) from error
            except (OSError, UnicodeEncodeError) as error:  # a name that this file system cannot hold, or a full disk
                reason = error.strerror if isinstance(error, OSError) else error.reason
                raise CheckpointError(f"{file_name} cannot be written ({reason}): try a shorter name.") from error

    def _files(self) -> list[Path]:
        return [path for path in self.directory.iterdir() if is_listed(path)] if self.directory.is_dir() else []

    def _files_named(self, name: str) -> list[Path]:
        paths = self.directory.iterdir() if self.directory.is_dir() else []
        return sorted([path for path in paths if stem_of(path.name) == name and is_listed(path)], key=_rank)

    def _first_of(self, name: str) -> CheckpointEntry | None:
        """Of the files with this name the first that can be used, else the first; None where there is no file."""
        first = None
        for path in self._files_named(name):
            entry = self._entry(path)
            if isinstance(entry, UsableCheckpoint):
                return entry
            first = first or entry
        return first

    def _entry(self, path: Path) -> CheckpointEntry:
        entry = self._known_entry(path)
        if entry is None and self._background and ending_of(path.name) == ".onnx":
            return self._pending_entry(path)
        return entry or self._entry_once_read(path)

    def _entry_once_read(self, path: Path) -> CheckpointEntry:
        with self._file_lock(path):
            return self._known_entry(path) or self._read_entry(path)

    def _pending_entry(self, path: Path) -> UnusableCheckpoint:
        with self._lock:
            is_idle = not self._waiting
            self._waiting.setdefault(path)
        if is_idle:
            threading.Thread(target=self._read_waiting, args=(path,), daemon=True).start()
        try:
            size = path.stat().st_size
        except OSError:  # gone since the folder was read
            size = 0
        problem = f"{printable(str(path))} is being tried out: look again in a moment."
        return UnusableCheckpoint(printable(stem_of(path.name)), path, size, problem, is_pending=True)

    def _read_waiting(self, path: Path | None) -> None:
        """Reads a file and then all others that wait, one after another."""
        while path is not None:
            try:
                self._entry_once_read(path)
            except Exception:  # of a machine without memory or processes: the next list asks again
                _LOGGER.exception("%s cannot be tried out", printable(str(path)))
            with self._lock:
                del self._waiting[path]
                path = next(iter(self._waiting), None)

    def _known_entry(self, path: Path) -> CheckpointEntry | None:
        """The entry of a file that has not changed since it was read."""
        with self._lock:
            stamp, entry = self._entries.get(path, (None, None))
        try:
            return entry if stamp is not None and stamp == _stamp(path) else None
        except OSError:
            return None

    def _read_entry(self, path: Path) -> CheckpointEntry:
        try:
            size, stamp = path.stat().st_size, _stamp(path)
        except OSError as error:  # gone since the folder was read
            return UnusableCheckpoint(stem_of(path.name), path, 0, problem=printable(f"{path}: {error}"))
        try:
            self._check_place(path)
            checkpoint = self._read_network(path)
        except CheckpointError as error:
            entry: CheckpointEntry = UnusableCheckpoint(printable(stem_of(path.name)), path, size, problem=str(error))
        else:
            entry = UsableCheckpoint(
                name=checkpoint.name,
                path=path,
                size=size,
                metadata=checkpoint.metadata,
                parameters=checkpoint.parameters,
                digest=checkpoint.digest,
                is_verified=_is_verified(path),
            )
        with self._lock:
            self._entries[path] = (stamp, entry)
        return entry

    def _check_place(self, path: Path) -> None:
        """Raises a CheckpointError for a file that lies elsewhere, or whose name cannot be shown."""
        if not path.name.isprintable():
            raise CheckpointError(f"{printable(str(path))} has a name that cannot be shown: rename it.")
        if path.is_symlink() and not path.resolve().is_relative_to(self.directory.resolve()):
            raise CheckpointError(f"{path} is a link out of its folder: copy the file there.")

    def _checkpoint(self, entry: UsableCheckpoint) -> Checkpoint:
        checkpoint = self._known_checkpoint(entry)
        if checkpoint is None:
            with self._file_lock(entry.path):
                checkpoint = self._known_checkpoint(entry) or self._read_network(entry.path)
        return checkpoint

    def _known_checkpoint(self, entry: UsableCheckpoint) -> Checkpoint | None:
        with self._lock:
            checkpoint = self._networks.get(entry.path)
            if checkpoint is None or checkpoint.digest != entry.digest:
                return None
            self._networks.move_to_end(entry.path)
            return checkpoint

    def _read_network(self, path: Path) -> Checkpoint:
        checkpoint = self._read(path)
        with self._lock:
            self._networks[path] = checkpoint
            self._networks.move_to_end(path)
            while len(self._networks) > _NETWORKS_KEPT:
                self._networks.popitem(last=False)
        return checkpoint

    def _file_lock(self, path: Path) -> threading.Lock:
        with self._lock:
            return self._file_locks.setdefault(path, threading.Lock())

    def _forget_all_but(self, paths: list[Path]) -> None:
        with self._lock:
            for path in {*self._file_locks, *self._entries, *self._networks}.difference(paths):
                self._file_locks.pop(path, None)
                self._entries.pop(path, None)
                self._networks.pop(path, None)


@functools.cache
def shared_library(directory: Path) -> CheckpointLibrary:
    """The one library of a folder in this process, so that nothing is read and held in memory twice.

    It tries ONNX files in the background.
    """
    return CheckpointLibrary(directory, background=True)


def _rank(path: Path) -> int:
    """Of the files with one name the least comes first."""
    return _ENDINGS.index(ending_of(path.name))


def _stamp(path: Path) -> _Stamp:
    """Time of change and size of a file, of what stands beside it and of the manifest; differs when one has changed."""
    status = path.stat()
    return (
        status.st_mtime_ns,
        status.st_size,
        *sidecar_stamp(sidecar_path(path)),
        *sidecar_stamp(layers_path(path)),
        *_manifest_stamp(path.parent),
    )


def _manifest_stamp(directory: Path) -> tuple[int, ...]:
    try:
        return (manifest_path(directory).stat().st_mtime_ns,)
    except OSError:
        return ()


def _is_verified(path: Path) -> bool:
    """Whether a file is one of its folder's manifest, unchanged."""
    checksum = shipped_checksums(path.parent).get(path.name)
    if checksum is None:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == checksum


def _hidden(entry: CheckpointEntry, first: UsableCheckpoint) -> CheckpointEntry:
    """Entry itself, or where it can be used but stands behind first, which has the same name, that problem."""
    if entry is first or isinstance(entry, UnusableCheckpoint):
        return entry
    problem = f"{entry.path} is hidden by {first.path.name}: rename one of them."
    return UnusableCheckpoint(entry.name, entry.path, entry.size, problem)
