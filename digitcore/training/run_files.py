"""The files of a training run: its state, and its figures as a CSV table and as a TensorBoard log."""

import csv
import hashlib
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from digitcore.errors import TrainingError
from digitcore.files import remove_leftovers, write_atomically
from digitcore.training.tensorboard import TensorBoardLog

__all__ = ["RunFiles", "check_state_file", "check_writable", "pack_state", "read_state", "unpack_state"]

Figures = Mapping[str, float]


class RunFiles:
    """The state file of a run, and its table and log beside it under the same name; the table and the log stay."""

    def __init__(self, state_file: Path, history: Sequence[Figures]) -> None:
        """Starts the log with the figures of the finished epochs."""
        self._state_file = state_file
        self._log = TensorBoardLog(state_file.with_suffix(""), history)

    def write_epoch(self, history: Sequence[Figures], state: bytes | None) -> None:
        """Writes the figures of all finished epochs, and the state; None deletes the state of a finished run.

        Raises:
            TrainingError: a file cannot be written. The state of the epoch before is still there.
        """
        try:
            if state is not None:
                write_atomically(self._state_file, state)
            write_atomically(self._state_file.with_suffix(".csv"), _as_csv(history))
            self._log.add(history[-1])
            if state is None:
                self._state_file.unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(
                f"The state of the run cannot be written to {self._state_file.parent} ({error.strerror}): make room, "
                "then go on with the same command and --resume."
            ) from error

    def close(self) -> None:
        """Ends the log."""
        self._log.close()


def check_state_file(path: Path, *, resume: bool) -> None:
    """Checks the state file of a run that is to start.

    Raises:
        TrainingError: it cannot be written, or it is there without `resume`.
    """
    check_writable(path, advice="set DIGITCORE_CACHE to a folder that can be written to")
    if path.exists() and not resume:
        raise TrainingError(f"{path} holds a run that was stopped: go on with --resume, or delete it to start anew.")


def check_writable(path: Path, *, advice: str) -> None:
    """Checks that a file can be written, before hours of training; `advice` ends the message.

    Raises:
        TrainingError: it cannot.
    """
    if path.is_dir():
        raise TrainingError(f"{path} is a folder, not a file: {advice}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise TrainingError(f"{path} cannot be written ({error.strerror}): {advice}.") from error


def read_state(path: Path) -> bytes | None:
    """The contents of a state file; None where there is none and the run starts anew.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}): delete it to start anew.") from error


def pack_state(state: Mapping[str, Any]) -> bytes:
    """The state as bytes, after their SHA-256."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def unpack_state(contents: bytes, *, device: torch.device) -> dict[str, Any]:
    """The state in the bytes of `pack_state`; nothing in it is executed.

    Raises:
        ValueError: the checksum differs.
    """
    if hashlib.sha256(contents[32:]).digest() != contents[:32]:
        raise ValueError("its checksum differs")
    state: dict[str, Any] = torch.load(io.BytesIO(contents[32:]), map_location=device, weights_only=True)
    return state


def _as_csv(history: Sequence[Figures]) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    return table.getvalue().encode()
