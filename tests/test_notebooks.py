"""The notebooks run from top to bottom on a small budget, and what they train is in the dashboard at once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import nbclient
import nbformat
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.browser.conftest import running_dashboard
from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def copied_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped weights that DIGITCORE_WEIGHTS names; nothing else is written outside either."""
    folder = Path(shutil.copytree(ROOT / "weights", tmp_path / "weights"))
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(folder))
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path / 'annotations.sqlite'}")
    monkeypatch.setenv("DIGITCORE_NOTEBOOK_BUDGET", "small")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two on a busy machine wait for each other
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    return folder


def _run(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


def _text(notebook: nbformat.NotebookNode) -> str:
    """All that the cells printed or returned as text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_there_are_three() -> None:
    assert [path.name for path in NOTEBOOKS] == ["1-data.ipynb", "2-training.ipynb", "3-evaluation.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_committed_without_results(path: Path) -> None:
    """Run, then "clear all outputs": what they say is what they say here and now."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert json.dumps(json.loads(path.read_text()), indent=1, ensure_ascii=False) + "\n" == path.read_text()


@pytest.mark.parametrize("number", [0, 2])
def test_it_runs(number: int, copied_weights: Path) -> None:
    notebook = _run(NOTEBOOKS[number])
    assert notebook.cells[-1].outputs


@pytest.mark.slow
@pytest.mark.needs_mnist
@pytest.mark.parametrize("number", range(3))
def test_it_runs_on_all_digits_and_epochs(number: int, copied_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_NOTEBOOK_BUDGET", "full")
    notebook = _run(NOTEBOOKS[number])
    assert notebook.cells[-1].outputs
    print(_text(notebook))


@pytest.mark.parametrize("number", [0, 1])
def test_it_runs_without_mnist(number: int, copied_weights: Path, data_folder: Path) -> None:
    notebook = _run(NOTEBOOKS[number])
    assert notebook.cells[-1].outputs


@pytest.mark.needs_mnist
def test_what_is_trained_is_in_the_dashboard_at_once(
    copied_weights: Path, tmp_path: Path, draw: Callable[..., NDArray[np.uint8]], encode: Callable[..., bytes]
) -> None:
    """Three new checkpoints, one of them `torch.save(model.state_dict(), ...)`, in a server that has been running."""
    with running_dashboard(tmp_path, DIGITCORE_WEIGHTS=str(copied_weights)) as address:
        before = {each["name"] for each in httpx.get(f"{address}/checkpoints").json()}
        notebook = _run(NOTEBOOKS[1])
        after = {each["name"]: each for each in httpx.get(f"{address}/checkpoints").json()}
        new = set(after) - before
        for name in new:
            answer = httpx.post(f"{address}/predict?checkpoint={name}", files={"image": encode(draw(1))}).json()
            assert answer["checkpoint"] == name
            assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert new == {"notebook-quick", "notebook-mine", "notebook-plain"}
    assert all(each["problem"] is None for each in after.values())
    assert "validation errors" in _text(notebook)
