"""What something costs: processor time and memory, counted in a process of its own."""

import ctypes
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from digitcore.errors import DigitcoreError
from tests.faults.calls import Call

MOST_SECONDS = 30  # of processor time, after which a process is stopped
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")


@dataclass(frozen=True)
class Cost:
    """What a call has returned, and what it took."""

    outcome: str
    seconds: float
    """Of processor time in its own process."""
    elsewhere: float
    """Of processor time in processes that it has started."""
    peak: int
    """Bytes that it had more at the most than before."""
    kept: int
    """Bytes that it had more afterwards than before."""


def cost_of(prepare: Callable[[Path], Call], path: Path) -> Cost:
    """What the call that `prepare(path)` gives costs in a process that has answered before.

    An AssertionError if the process ends without an answer.
    """
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_measure, args=(prepare, path, sender))
    process.start()
    sender.close()
    try:
        cost: Cost = receiver.recv()
    except EOFError:
        process.join()
        raise AssertionError(f"{path.name} ended the process: exit code {process.exitcode}") from None
    process.join()
    return cost


def _measure(prepare: Callable[[Path], Call], path: Path, sender: Connection) -> None:
    import resource

    call = prepare(path)
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before, programs = _memory("VmRSS"), _memory("RssFile")
    started, children = time.process_time(), _children()
    try:
        outcome = call()
    except DigitcoreError as error:
        outcome = str(error)
    seconds, peak = time.process_time() - started, _memory("VmHWM")
    before += _memory("RssFile") - programs  # parts of programs that it had not used since it was forked
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    sender.send(Cost(outcome, seconds, _children() - children, peak - before, _memory("VmRSS") - before))


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _context() -> Any:  # noqa: ANN401 - mypy knows no type for a context of this kind
    if sys.platform != "linux":
        return None
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that wait for others would count as well
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.faults.warmed_up"])  # the first is what processes of tests import
    return context


_CONTEXT = _context()
