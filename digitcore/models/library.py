"""The checkpoints of a folder, read again when a file is new or changed."""

import functools
import json
import os
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from digitcore.errors import CheckpointError
from digitcore.files import write_atomically
from digitcore.models.checkpoints import SUFFIXES, Checkpoint, CheckpointMetadata, read_checkpoint
from digitcore.models.onnx import sidecar_path, sidecar_stamp
from digitcore.settings import load_settings

__all__ = ["CheckpointEntry", "CheckpointLibrary", "load_checkpoint", "shared_library"]

_FILE_NAME = re.compile(rf"[^\W_][\w.+ -]{{0,99}}({'|'.join(map(re.escape, SUFFIXES))})")
_PREFERRED = ("world", "compact")  # where nobody has chosen: the best at drawn digits first
_NETWORKS_KEPT = 16  # by one library, in memory


@dataclass(frozen=True)
class CheckpointEntry:
    """One file of the weights folder: a usable checkpoint, or the problem with it."""

    name: str
    path: Path
    size: int  # bytes
    problem: str | None = None
    metadata: CheckpointMetadata | None = None
    parameters: int | None = None
    digest: str | None = None


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The checkpoint of this name in the weights folder, or in the file at this path.

    A string is a path if it ends in one of `SUFFIXES` or contains a path separator.

    Raises:
        CheckpointError: it is missing, broken, or fits no known architecture.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(SUFFIXES) or os.sep in name_or_path:
        return read_checkpoint(Path(name_or_path))
    return CheckpointLibrary(load_settings().weights_directory).load(name_or_path)


class CheckpointLibrary:
    """All checkpoints in one folder, read again when a file is new or changed. Safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._entries: dict[Path, tuple[tuple[int, ...], CheckpointEntry]] = {}
        self._networks: OrderedDict[Path, Checkpoint] = OrderedDict()

    def entries(self) -> list[CheckpointEntry]:
        """One entry a file, by name; empty where the folder is missing."""
        with self._lock:
            found = {path: self._entry(path) for path in self._files()}
            self._entries = {path: self._entries[path] for path in found}
        entries = sorted(found.values(), key=lambda entry: (entry.name, SUFFIXES.index(entry.path.suffix)))
        first = {entry.name: entry for entry in reversed(entries) if entry.problem is None}
        return [_shadowed(entry, first.get(entry.name, entry)) for entry in entries]

    def usable_names(self) -> list[str]:
        """The names that `load` takes."""
        return [entry.name for entry in self.entries() if entry.problem is None]

    def default_name(self) -> str:
        """The name to start with.

        Raises:
            CheckpointError: no file in the folder can be used.
        """
        names = self.usable_names()
        if not names:
            raise CheckpointError(
                f"{self.directory} holds no usable checkpoint: run `python -m digitcore train compact`, "
                "or copy a .safetensors or .pt file there."
            )
        return next((name for name in _PREFERRED if name in names), names[0])

    def load(self, name: str) -> Checkpoint:
        """The usable checkpoint of this name, never a path.

        Raises:
            CheckpointError: there is none, or the file cannot be used.
        """
        with self._lock:  # only the files of this name: a folder may hold hundreds
            named = [self._entry(path) for path in self._files_named(name)]
        usable = next((entry for entry in named if entry.problem is None), None)
        if usable is None:
            if named:
                raise CheckpointError(str(named[0].problem))
            known = ", ".join(self.usable_names()) or "none"
            raise CheckpointError(f"There is no checkpoint {name!r} in {self.directory}. There are: {known}.")
        with self._lock:
            kept = self._networks.get(usable.path)
            if kept is None or kept.digest != usable.digest:
                kept = read_checkpoint(usable.path)
            self._keep(kept, usable.path)
        return kept

    def add(self, file_name: str, data: bytes, *, convention: Mapping[str, str] | None = None) -> CheckpointEntry:
        """Puts a checkpoint file of this name into the folder, if it can be used. Nothing is written over.

        `convention` is the input convention of an ONNX file, as in `onnx_models`, where it does not declare one.

        Raises:
            CheckpointError: the name or the contents cannot be used, a checkpoint of this name is there already, or
                the folder cannot be written to.
        """
        if not _FILE_NAME.fullmatch(file_name):
            raise CheckpointError(
                f"{file_name!r} is no name for a checkpoint: use letters, digits, - and _, ending in "
                f"{', '.join(SUFFIXES)}."
            )
        with tempfile.TemporaryDirectory() as folder:
            candidate = Path(folder) / file_name
            candidate.write_bytes(data)
            if convention is not None:
                sidecar_path(candidate).write_text(json.dumps(convention))
            try:
                read_checkpoint(candidate)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(f"{folder}{os.sep}", "")) from error
        path = self.directory / file_name
        if self._files_named(path.stem):
            raise CheckpointError(f"There is a checkpoint {path.stem!r} already: rename the file and add it again.")
        try:
            if convention is not None:
                write_atomically(sidecar_path(path), json.dumps(convention).encode())
            write_atomically(path, data)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written ({error.strerror or error}).") from error
        with self._lock:
            return self._entry(path)

    def _files(self) -> list[Path]:
        return [path for path in self.directory.iterdir() if _is_listed(path)] if self.directory.is_dir() else []

    def _files_named(self, name: str) -> list[Path]:
        if Path(name).name != name:
            return []
        paths = [self.directory / f"{name}{suffix}" for suffix in SUFFIXES]
        return [path for path in paths if _is_listed(path)]

    def _entry(self, path: Path) -> CheckpointEntry:
        try:
            status = path.stat()
        except OSError as error:  # gone since the folder was read
            return self._remember(path, (0, 0), CheckpointEntry(path.stem, path, 0, problem=f"{path}: {error}"))
        stamp = (status.st_mtime_ns, status.st_size, *sidecar_stamp(path))
        if path in self._entries and self._entries[path][0] == stamp:
            return self._entries[path][1]
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            return self._remember(path, stamp, CheckpointEntry(path.stem, path, status.st_size, problem=str(error)))
        self._keep(checkpoint, path)
        entry = CheckpointEntry(
            name=checkpoint.name,
            path=path,
            size=status.st_size,
            metadata=checkpoint.metadata,
            parameters=checkpoint.parameters,
            digest=checkpoint.digest,
        )
        return self._remember(path, stamp, entry)

    def _remember(self, path: Path, stamp: tuple[int, ...], entry: CheckpointEntry) -> CheckpointEntry:
        self._entries[path] = (stamp, entry)
        return entry

    def _keep(self, checkpoint: Checkpoint, path: Path) -> None:
        self._networks[path] = checkpoint
        self._networks.move_to_end(path)
        while len(self._networks) > _NETWORKS_KEPT:
            self._networks.popitem(last=False)


@functools.cache
def shared_library(directory: Path) -> CheckpointLibrary:
    """The one library of a folder in this process, so that nothing is read and kept twice."""
    return CheckpointLibrary(directory)


def _is_listed(path: Path) -> bool:
    return path.suffix in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _shadowed(entry: CheckpointEntry, first: CheckpointEntry) -> CheckpointEntry:
    """entry, or the problem that first, which can be used and has the same name, comes before it."""
    if first is entry or entry.problem is not None:
        return entry
    return CheckpointEntry(
        entry.name, entry.path, entry.size, problem=f"{entry.path} is hidden by {first.path.name}: rename one of them."
    )
