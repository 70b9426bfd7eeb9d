"""Hostile pictures: an answer or an ImageError in bounded time and memory, whatever is in a file."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from digitcore.errors import ImageError
from digitcore.imaging.preprocessing import extract_ink, read_image
from tests.faults import calls
from tests.faults.costs import cost_of, linux_only
from tests.faults.hostile_pictures import FILES, PICTURES, WHOLE

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged TIFF files

MOST_SECONDS = 1.5  # of processor time
MOST_KEPT = 50_000_000  # bytes


def read(data: bytes) -> str:
    """What is the matter with a picture; empty where its ink can be seen."""
    try:
        extract_ink(read_image(data))
    except ImageError as error:
        return str(error)
    return ""


def test_there_are_many() -> None:
    assert len(PICTURES) >= 120


@pytest.mark.parametrize("kind", list(FILES)[::9])
def test_hostile_pictures_are_read_or_refused(kind: str) -> None:
    assert len(read(FILES[kind]())) < 300


@linux_only
@pytest.mark.faults
@pytest.mark.parametrize("kind", PICTURES)
def test_hostile_pictures_take_bounded_time_and_memory(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """As what it shows and as a number."""
    path = tmp_path / "picture"
    path.write_bytes(PICTURES[kind]())
    costs = [cost_of(call, path) for call in (calls.picture, calls.number)]
    for cost in costs:
        record_property("cost", asdict(cost))
    assert all(cost.outcome.isprintable() and len(cost.outcome) < 1000 for cost in costs)
    assert max(cost.seconds for cost in costs) < MOST_SECONDS, costs
    assert max(cost.kept for cost in costs) < MOST_KEPT, costs


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.faults)])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_mutated_picture_is_read_or_refused(kind: str, count: int, mutations: Callable[..., object]) -> None:
    problems = [read(data) for data in mutations(WHOLE[kind](), count)]
    assert len(problems) == count
    assert all(problem.isprintable() for problem in problems)
    assert np.mean([bool(problem) for problem in problems]) > 0.05
