"""Fine-tuning in real processes: turns, a killed process, stopping, keeping."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.models.library import CheckpointLibrary, load_checkpoint
from digitcore.training.fine_tuning_jobs import Job, job_of, keep_result, remove_job, start_job, stop_job
from tests.paths import WEIGHTS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such locks on Windows")


def _wait_until(condition: Callable[[Job], bool], owner: str) -> Job:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        job = job_of(owner)
        if job is not None and condition(job):
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job of {owner} is still {job_of(owner)}")


def _process_of(folder: Path) -> int:
    """The number of the process whose last argument is this folder."""
    for commands in Path("/proc").glob("[0-9]*/cmdline"):
        if commands.read_bytes().rstrip(b"\0").endswith(os.fsencode(folder)):
            return int(commands.parent.name)
    raise AssertionError(f"no process is at work in {folder}")


@pytest.fixture
def start(data_folder: Path, validation_digits: DigitSet) -> Callable[..., None]:
    """A function that starts a job for an owner, where MNIST is missing."""
    own = validation_digits.subset(np.arange(0, 5_000, 100))
    checkpoint = load_checkpoint(WEIGHTS / "compact.safetensors")

    def started(owner: str) -> None:
        start_job(owner, checkpoint, own, np.repeat([1, 2], 25), name=f"{owner}-mine")

    return started


def test_a_job_that_cannot_be_done_says_why(validation_digits: DigitSet, data_folder: Path) -> None:
    few, checkpoint = validation_digits.subset(np.arange(12)), load_checkpoint(WEIGHTS / "compact.safetensors")
    start_job("ann", checkpoint, few, np.zeros(12, np.int64), name="compact-mine")
    job = _wait_until(lambda job: not job.is_open, "ann")
    assert (job.state, job.start, job.name, job.progress) == ("failed", "compact", "compact-mine", ())
    assert "12 digits are too few" in job.problem
    remove_job("ann")
    assert job_of("ann") is None


@pytest.mark.slow
def test_jobs_take_turns_and_outlive_a_killed_one(
    start: Callable[..., None], cache_folder: Path, weights_folder: Path
) -> None:
    assert job_of("ann") is None
    start("ann")
    _wait_until(lambda job: job.state == "running", "ann")
    with pytest.raises(TrainingError, match="not finished"):
        start("ann")
    start("ben")
    start("eve")
    assert [job_of(owner).ahead for owner in ("ann", "ben", "eve")] == [0, 1, 2]
    stop_job("eve")
    assert _wait_until(lambda job: not job.is_open, "eve").state == "stopped"

    (folder, *_) = sorted((cache_folder / "fine-tuning").glob("*-*"))
    os.kill(_process_of(folder), signal.SIGKILL)
    killed = _wait_until(lambda job: not job.is_open, "ann")
    assert (killed.state, killed.result) == ("failed", None)
    assert "ended before its time" in killed.problem

    finished = _wait_until(lambda job: not job.is_open, "ben")
    assert (finished.state, finished.problem) == ("finished", "")
    assert [look.step for look in finished.progress] == list(range(0, 201, 25))
    assert finished.result is not None
    assert finished.result.own.b == "ben-mine"
    assert finished.result.own.errors_b == finished.progress[-1].own_errors
    assert finished.result.test is None

    with pytest.raises(TrainingError, match="no model to keep"):
        keep_result("ann", CheckpointLibrary(weights_folder))
    name = keep_result("ben", CheckpointLibrary(weights_folder))
    assert load_checkpoint(name).metadata.recipe["starts_from"] == "compact"
    assert job_of("ben") is None
    remove_job("ann")
    remove_job("eve")
    assert list((cache_folder / "fine-tuning").glob("*-*")) == []
