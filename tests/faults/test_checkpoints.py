"""Hostile checkpoints: refused or shown in bounded time and memory, dropped into the folder or added."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from digitcore.errors import CheckpointError
from digitcore.models.checkpoints import read_checkpoint
from tests.faults import calls
from tests.faults.costs import cost_of, linux_only
from tests.faults.hostile_checkpoints import CHECKPOINTS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),  # of torch, about foreign files
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
]

MOST_SECONDS = 1  # of processor time
MOST_BYTES = 50_000_000
MOST_COPIES = 2  # of a file that can be used
MOST_ELSEWHERE = 4  # seconds of processor time in the process that tries an ONNX file out


def test_there_are_many() -> None:
    assert len(CHECKPOINTS) >= 150


@linux_only
@pytest.mark.faults
@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_hostile_checkpoints_take_bounded_time_and_memory(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    suffix, write = CHECKPOINTS[kind]
    folder = tmp_path / "weights"
    folder.mkdir()
    path = folder / f"hostile{suffix}"
    write(path)
    costs = [cost_of(call, path) for call in (calls.dropped, calls.added)]
    for cost in costs:
        record_property("cost", asdict(cost))
    assert all(cost.outcome.isprintable() and len(cost.outcome) < 1500 for cost in costs), costs
    assert max(cost.seconds for cost in costs) < MOST_SECONDS, costs
    assert max(cost.elsewhere for cost in costs) < MOST_ELSEWHERE, costs
    for cost in costs:
        copies = MOST_COPIES if cost.outcome == calls.USABLE else 0
        assert cost.peak < MOST_BYTES + copies * path.stat().st_size, costs


def _read_mutated(path: Path, mutated: Iterator[bytes]) -> list[str]:
    """What is the matter with each mutation of a file; empty where it can be read."""
    problems = []
    for data in mutated:
        path.write_bytes(data)
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            problems.append(str(error))
        else:
            problems.append("")
    return problems


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.faults)])
def test_a_mutated_safetensors_file_is_read_or_refused(
    count: int, tmp_path: Path, save_random: Callable[..., Path], mutations: Callable[[bytes, int], Iterator[bytes]]
) -> None:
    path = save_random(tmp_path / "one.safetensors")
    problems = _read_mutated(path, mutations(path.read_bytes(), count))
    assert len(problems) == count
    assert all(problem.isprintable() and len(problem) < 1500 for problem in problems)


_PROBE_ALL = """
import json, os, sys
from pathlib import Path
import numpy as np, onnx, onnxruntime
from digitcore.models.onnx_probe import UnfitModelError, _probe
pixels = np.zeros((10, 28, 28), np.uint8)
for size in json.loads(sys.stdin.buffer.readline()):
    Path("model.onnx").write_bytes(sys.stdin.buffer.read(size))
    child = os.fork()
    if child:
        print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    try:
        _probe(Path("model.onnx"), pixels, {"unit bright": (1, 0)})
        os._exit(0)
    except UnfitModelError:
        os._exit(1)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        os._exit(2)
"""


@linux_only
@pytest.mark.parametrize("count", [20, pytest.param(10_000, marks=pytest.mark.faults)])
def test_a_mutated_onnx_file_is_tried_or_refused(
    count: int, tmp_path: Path, mutations: Callable[[bytes, int], Iterator[bytes]]
) -> None:
    """By the program that tries it out, each in a process of its own, as in life."""
    pytest.importorskip("onnxruntime")
    from tests.faults.hostile_onnx import smallest

    files = list(mutations(smallest(), count))
    sizes = json.dumps([len(data) for data in files]).encode() + b"\n"
    command = [sys.executable, "-c", _PROBE_ALL]
    done = subprocess.run(command, input=sizes + b"".join(files), capture_output=True, cwd=tmp_path, check=True)
    statuses = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith(b"status ")]
    assert len(statuses) == count
    assert 2 not in statuses, done.stderr.decode()
    assert {0, 1} <= set(statuses)
