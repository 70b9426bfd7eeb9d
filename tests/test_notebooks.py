"""The notebooks run, their committed outputs are current, and what they train is in the dashboard."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import nbformat
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.browser.conftest import running_dashboard
from tests.notebooks import NOTEBOOKS, execute, small_budget

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")
TRAINED_HERE = "trained-here"  # tag of cells whose figures come from networks trained in the notebook
TOLERANCES = {True: 0.4, False: 1e-3}  # relative: few steps of training magnify the rounding of the machine


@pytest.fixture
def copied_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped weights that DIGITCORE_WEIGHTS names; nothing else is written outside either."""
    for name, value in small_budget(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "weights"


def _text(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(_cell_text(cell) for cell in notebook.cells)


def _cell_text(cell: nbformat.NotebookNode) -> str:
    """All that a cell printed or returned as text; pictures are left out."""
    outputs = cell.get("outputs", [])
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def _kinds(cell: nbformat.NotebookNode) -> list[list[str]]:
    """What a cell shows, in any order: the name of a stream, or the media types of a result."""
    return sorted([output.get("name", ""), *sorted(output.get("data", {}))] for output in cell.get("outputs", []))


def _check_current(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Compares a run with the committed outputs: texts but for numbers, numbers with a tolerance, pictures by number.

    Where it fails although the code is right, `python -m tests.notebooks` writes the outputs anew.
    """
    committed = nbformat.read(path, as_version=4)
    for cell, expected in zip(notebook.cells, committed.cells, strict=True):
        assert _kinds(cell) == _kinds(expected)
        text, expected_text = (" ".join(_cell_text(version).split()) for version in (cell, expected))
        assert NUMBER.sub("#", text) == NUMBER.sub("#", expected_text)
        tolerance = TOLERANCES[TRAINED_HERE in expected.metadata.get("tags", [])]
        numbers, expected_numbers = (
            [float(number.replace(",", "")) for number in NUMBER.findall(version)] for version in (text, expected_text)
        )
        assert numbers == pytest.approx(expected_numbers, rel=tolerance)


def test_there_are_three() -> None:
    assert [path.name for path in NOTEBOOKS] == ["1-data.ipynb", "2-training.ipynb", "3-evaluation.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_committed_with_results_of_no_machine_in_particular(path: Path) -> None:
    """Outputs of one run from top to bottom, without errors, warnings, paths and times, in a small file."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    assert "error" not in {output.output_type for output in outputs}
    assert not re.search(r"(?<![\w.<])/(?:\w+/)+|\d:\d\d|\d ?m?s\b|it/s", _text(notebook))
    assert path.stat().st_size < 300_000


@pytest.mark.parametrize("number", [pytest.param(0, marks=[pytest.mark.needs_mnist, pytest.mark.needs_pen_digits]), 2])
def test_its_outputs_are_current(number: int, copied_weights: Path) -> None:
    _check_current(execute(NOTEBOOKS[number]), NOTEBOOKS[number])


@pytest.mark.slow
@pytest.mark.needs_mnist
@pytest.mark.parametrize("number", range(3))
def test_it_runs_on_all_digits_and_epochs(number: int, copied_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_NOTEBOOK_BUDGET", "full")
    notebook = execute(NOTEBOOKS[number])
    assert notebook.cells[-1].outputs
    print(_text(notebook))


@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_it_runs_without_mnist(number: int, copied_weights: Path, data_folder: Path) -> None:
    notebook = execute(NOTEBOOKS[number])
    assert notebook.cells[-1].outputs


@pytest.mark.slow
@pytest.mark.needs_mnist
def test_what_is_trained_is_in_the_dashboard_at_once(
    copied_weights: Path, tmp_path: Path, draw: Callable[..., NDArray[np.uint8]], encode: Callable[..., bytes]
) -> None:
    """Three new checkpoints, one of them `torch.save(model.state_dict(), ...)`, in a server that has been running."""
    with running_dashboard(tmp_path, DIGITCORE_WEIGHTS=str(copied_weights)) as address:
        before = {entry["name"] for entry in httpx.get(f"{address}/checkpoints").json()}
        notebook = execute(NOTEBOOKS[1])
        _check_current(notebook, NOTEBOOKS[1])
        after = {entry["name"]: entry for entry in httpx.get(f"{address}/checkpoints").json()}
        new = set(after) - before
        for name in new:
            answer = httpx.post(f"{address}/predict?checkpoint={name}", files={"image": encode(draw(1))}).json()
            assert answer["checkpoint"] == name
            assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert new == {"notebook-quick", "notebook-mine", "notebook-plain"}
    assert all(entry["problem"] is None for entry in after.values())
    assert "validation errors" in _text(notebook)
