"""Fine-tuning for visitors: each run in a process of its own, one after another.

A job is a folder of the cache folder. What the process finds out it adds to `progress.jsonl`, and `alive` is locked
while it lives, so that neither a closed page nor a killed process leaves anything in doubt. This file is the program
of that process, too.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.errors import DigitcoreError, TrainingError
from digitcore.evaluation.comparison import Comparison
from digitcore.files import load_arrays, write_atomically
from digitcore.models.checkpoints import Checkpoint, read_checkpoint
from digitcore.models.library import CheckpointLibrary
from digitcore.settings import load_settings
from digitcore.training.fine_tuning import FineTuned, TuningProgress, fine_tune

if sys.platform != "win32":
    import fcntl

__all__ = [
    "MOST_JOBS",
    "Job",
    "JobState",
    "free_name",
    "job_digits",
    "job_of",
    "keep_result",
    "remove_job",
    "start_job",
    "stop_job",
]

JobState: TypeAlias = Literal["waiting", "running", "finished", "stopped", "failed"]

MOST_JOBS = 8
"""Jobs that may wait or run at a time."""

_LOGGER = logging.getLogger(__name__)
_REQUEST, _DIGITS, _PROGRESS, _STOP, _ALIVE = "request.json", "digits.npz", "progress.jsonl", "stop", "alive"
_LOOK_SECONDS = 0.2  # between two looks whether it is a job's turn
_KEPT_SECONDS = 86_400  # that a job without a process is kept
_POLITENESS = 10  # as of `nice`: visitors come first
_LOST = "The process has ended before its time: start it again."


@dataclass(frozen=True)
class Job:
    """A visitor's fine-tuning as it stands."""

    start: str
    """Name of the checkpoint that learns."""
    name: str
    """Of the new checkpoint."""
    state: JobState
    ahead: int
    """Jobs whose turn comes first."""
    progress: tuple[TuningProgress, ...]
    result: FineTuned | None
    """Of a finished job."""
    problem: str
    """Why it failed."""

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")


def start_job(owner: str, start: Checkpoint, own: DigitSet, sessions: NDArray[np.int64], *, name: str) -> None:
    """Starts the fine-tuning of a checkpoint in a process of its own; what the owner had before is removed.

    owner: a key of the visitor, of which only a hash is stored. name: of the new checkpoint.

    Raises:
        TrainingError: the owner has a job that is not finished, there are too many, or no process can be started.
    """
    if sys.platform == "win32":
        raise TrainingError("Pages cannot fine-tune on Windows: use `digitcore train --from NAME --data SET`.")
    if start.path is None:
        raise ValueError("start must have been read from a file")
    try:
        with _locked(_jobs_folder() / "start.lock"):
            _check_room(owner)
            _remove_old(owner)
            _start(_new_folder(owner), start.path, own, sessions, name=name)
    except OSError as error:
        raise TrainingError(f"Fine-tuning cannot start ({error.strerror or error}): see DIGITCORE_CACHE.") from error


def job_of(owner: str) -> Job | None:
    """The owner's last job; None where there is none."""
    folder = _folder_of(owner)
    with suppress(OSError, ValueError, KeyError, TypeError):  # of a job that is being removed
        return None if folder is None else _read(folder)
    return None


def job_digits(owner: str) -> tuple[DigitSet, NDArray[np.int64]]:
    """The own digits that the owner's last job was given, and the session of each (N,).

    Raises:
        TrainingError: the owner has no job.
    """
    folder = _folder_of(owner)
    with suppress(OSError, ValueError, KeyError):  # of a job that is being removed
        if folder is not None:
            return _read_digits(folder)
    raise TrainingError("There is no fine-tuning: start one first.")


def stop_job(owner: str) -> None:
    """Has the owner's job end soon, if there is one."""
    folder = _folder_of(owner)
    with suppress(OSError):
        if folder is not None:
            (folder / _STOP).touch()


def keep_result(owner: str, library: CheckpointLibrary) -> str:
    """Adds the new checkpoint to a library, removes the job, and returns the name that the checkpoint has there.

    Raises:
        TrainingError: the owner has no finished job.
        CheckpointError: it cannot be added.
    """
    job = job_of(owner)
    if job is None or job.result is None:
        raise TrainingError("There is no model to keep: fine-tune one first.")
    name = free_name(job.name, library.usable_names())
    library.add(f"{name}.safetensors", job.result.output.read_bytes())
    remove_job(owner)
    return name


def remove_job(owner: str) -> None:
    """Removes the owner's job and all that belongs to it; a process that is at work ends."""
    folder = _folder_of(owner)
    if folder is not None:
        stop_job(owner)
        shutil.rmtree(folder, ignore_errors=True)


def free_name(start: str, taken: Collection[str]) -> str:
    """A name for what becomes of a checkpoint of this name.

    >>> free_name("compact", ["compact"]), free_name("compact-mine", ["compact", "compact-mine"])
    ('compact-mine', 'compact-mine-2')
    """
    stem = re.sub(r"-mine(-\d+)?$", "", start)
    names = (f"{stem}-mine{'' if number == 1 else f'-{number}'}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _jobs_folder() -> Path:
    return load_settings().cache_directory / "fine-tuning"


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def _new_folder(owner: str) -> Path:
    """A new folder whose name tells when it was made, and for whom."""
    folder = _jobs_folder() / f"{time.time_ns():020d}-{_hash(owner)}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    return folder


def _folders() -> list[Path]:
    """The folders of all jobs, the oldest first."""
    with suppress(OSError):
        return sorted(path for path in _jobs_folder().iterdir() if (path / _REQUEST).is_file())
    return []


def _older(folder: Path) -> list[Path]:
    """The folders of jobs whose turn comes before that of this one."""
    return [other for other in _folders() if other < folder]


def _folder_of(owner: str) -> Path | None:
    return next((folder for folder in reversed(_folders()) if folder.name.split("-")[1] == _hash(owner)), None)


def _check_room(owner: str) -> None:
    job = job_of(owner)
    if job is not None and job.is_open:
        raise TrainingError("Your last fine-tuning is not finished: wait for it, or stop it.")
    if sum(_is_alive(folder) for folder in _folders()) >= MOST_JOBS:
        raise TrainingError(f"{MOST_JOBS} others are waiting already: try again in some minutes.")


def _remove_old(owner: str) -> None:
    """Removes the owner's jobs of before, and all that have stood for a day."""
    for folder in (path for path in _jobs_folder().iterdir() if path.is_dir()):
        age = time.time() - int(folder.name.split("-")[0]) / 1e9
        if folder.name.split("-")[1] == _hash(owner) or (age > _KEPT_SECONDS and not _is_alive(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, start: Path, own: DigitSet, sessions: NDArray[np.int64], *, name: str) -> None:
    """Writes the files of a job and starts its process, which takes the lock over."""
    shutil.copy(start, folder / start.name)
    writers = np.zeros(len(own), dtype=np.int64) if own.writers is None else own.writers
    np.savez(
        folder / _DIGITS,
        dataset=np.array(own.name),
        ids=own.ids,
        images=own.images,
        labels=own.labels,
        writers=writers,
        sessions=sessions,
    )
    with _locked(folder / _ALIVE) as descriptor, (folder / "log").open("wb") as log:
        write_atomically(folder / _REQUEST, json.dumps({"start": start.name, "name": name}).encode())
        process = subprocess.Popen(
            [sys.executable, "-m", "digitcore.training.fine_tuning_jobs", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[descriptor],
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # so that it does not stay as a zombie


def _read_digits(folder: Path) -> tuple[DigitSet, NDArray[np.int64]]:
    arrays = load_arrays(folder / _DIGITS)
    columns = (arrays[name] for name in ("ids", "images", "labels", "writers"))
    return DigitSet(str(arrays["dataset"]), *columns), arrays["sessions"]


def _read(folder: Path) -> Job:
    request = json.loads((folder / _REQUEST).read_bytes())
    is_alive = _is_alive(folder)  # before its last lines are read
    lines = _lines(folder)
    progress = tuple(TuningProgress(**line["progress"]) for line in lines if "progress" in line)
    last = lines[-1] if lines else {}
    state: JobState = "running" if lines else "waiting"
    problem = ""
    if "result" in last:
        state = "finished"
    elif "stopped" in last:
        state = "stopped"
    elif "problem" in last or not is_alive:
        state, problem = "failed", last.get("problem", _LOST)
    return Job(
        start=Path(request["start"]).stem,
        name=request["name"],
        state=state,
        ahead=sum(map(_is_alive, _older(folder))) if state == "waiting" else 0,
        progress=progress,
        result=_parsed(last["result"]) if state == "finished" else None,
        problem=problem,
    )


def _lines(folder: Path) -> list[dict[str, Any]]:
    """What the process has said so far; a line that is being written is left out."""
    with suppress(FileNotFoundError):
        text = (folder / _PROGRESS).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return []


def _say(folder: Path, **message: object) -> None:
    with suppress(FileNotFoundError), (folder / _PROGRESS).open("a", encoding="utf-8") as file:  # of a removed job
        file.write(json.dumps(message, default=str) + "\n")


def _parsed(result: Mapping[str, Any]) -> FineTuned:
    comparisons = {name: _comparison(result[name]) for name in ("own", "validation", "test") if result[name]}
    return FineTuned(**{**result, "output": Path(result["output"]), "test": None, **comparisons})


def _comparison(fields: Mapping[str, Any]) -> Comparison:
    intervals = {name: tuple(fields[name]) for name in ("interval", "plain_interval")}
    return Comparison(**{**fields, **intervals})


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A file's descriptor under a lock that ends with the last process that has it open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_alive(folder: Path) -> bool:
    """Whether the process of a job lives."""
    try:
        descriptor = os.open(folder / _ALIVE, os.O_RDONLY)
    except OSError:
        return False
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _main() -> None:
    """Waits for the turn of the job in the folder that is the argument, and does it."""
    folder = Path(sys.argv[1])
    if sys.platform != "win32":
        os.nice(_POLITENESS)
    try:
        while any(map(_is_alive, _older(folder))) and not _is_stopped(folder):
            time.sleep(_LOOK_SECONDS)
        _run(folder)
    except DigitcoreError as error:
        _say(folder, problem=str(error))
    except Exception as error:  # so that the page does not wait in vain; the log has it whole
        _LOGGER.exception("%s", folder)
        _say(folder, problem=f"Something unforeseen happened ({type(error).__name__}: {error}).")


def _run(folder: Path) -> None:
    request = json.loads((folder / _REQUEST).read_bytes())
    results = fine_tune(
        read_checkpoint(folder / request["start"]),
        *_read_digits(folder),
        output=folder / f"{request['name']}.safetensors",
        validation=load_digits("mnist-validation"),
    )
    for result in results:
        if _is_stopped(folder):
            break
        _say(folder, **{"progress" if isinstance(result, TuningProgress) else "result": asdict(result)})
    else:
        return
    _say(folder, stopped=True)


def _is_stopped(folder: Path) -> bool:
    """Whether the job in a folder is not wanted any longer."""
    return not folder.is_dir() or (folder / _STOP).exists()


if __name__ == "__main__":
    _main()
