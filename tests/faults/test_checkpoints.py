"""Hostile checkpoints: refused or shown in bounded time and memory, dropped into the folder or added."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import calls
from tests.faults.costs import cost_of, linux_only
from tests.faults.hostile_checkpoints import CHECKPOINTS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),  # of torch, about foreign files
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
]

MOST_SECONDS = 1  # of processor time
MOST_BYTES = 50_000_000  # beside the file itself
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
        record_property("cost", cost)
    assert all(cost.outcome.isprintable() and len(cost.outcome) < 1500 for cost in costs), costs
    assert max(cost.seconds for cost in costs) < MOST_SECONDS, costs
    assert max(cost.elsewhere for cost in costs) < MOST_ELSEWHERE, costs
    assert max(cost.peak for cost in costs) < MOST_BYTES + path.stat().st_size, costs
