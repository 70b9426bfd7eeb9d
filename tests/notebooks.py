"""Runs the notebooks on their small budget: `python -m tests.notebooks` brings their committed outputs up to date."""

import os
import shutil
import tempfile
from pathlib import Path

import nbclient
import nbformat

from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def small_budget(folder: Path) -> dict[str, str]:
    """Environment variables of a run that writes only into this folder, which gets a copy of the shipped weights."""
    weights = shutil.copytree(ROOT / "weights", folder / "weights")
    return {
        "DIGITCORE_NOTEBOOK_BUDGET": "small",
        "DIGITCORE_WEIGHTS": str(weights),
        "DIGITCORE_DATABASE_URL": f"sqlite:///{folder / 'annotations.sqlite'}",
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "jupyter"),
        "OMP_NUM_THREADS": "1",  # two on a busy machine wait for each other
        "PYTHONPATH": str(ROOT),  # this checkout, whatever is installed
    }


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in a fresh kernel, without what depends on the moment or the machine."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Writes a notebook with one text layout, whatever the versions of the tools."""
    path.write_text(
        nbformat.writes(notebook, version=4, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= small_budget(Path(directory))
        for notebook_path in NOTEBOOKS:
            write(execute(notebook_path), notebook_path)
