"""What visitors have done with files from outside; `costs` counts what that takes.

Each function prepares a call that says what has become of the file, or raises one of our exceptions.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from digitcore.formats.layers_file import layers_path
from digitcore.imaging.preprocessing import read_image
from digitcore.models.classifier import load_classifier
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint
from digitcore.models.numbers import read_number, read_picture
from tests.paths import WEIGHTS

Call: TypeAlias = Callable[[], str]
USABLE = "usable"
torch.set_num_threads(1)  # a process that is forked has no other threads
_CLASSIFIER = load_classifier(WEIGHTS / "world.safetensors")


def warm_up() -> None:
    """Does what is done once, so that it is not counted."""
    read_picture(_CLASSIFIER, np.eye(28, dtype=np.uint8) * 255)
    read_number(_CLASSIFIER, np.eye(28, dtype=np.uint8) * 255)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "foreign.pt"
        torch.save({"weight": torch.zeros(10, 784), "bias": torch.zeros(10)}, path)
        layers_path(path).write_text("Flatten; Linear(784, 10)", encoding="utf-8")
        CheckpointLibrary(Path(folder)).entries()
    if importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime"):
        from tests.faults.hostile_onnx import HONEST

        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "honest.onnx").write_bytes(HONEST())
            CheckpointLibrary(Path(folder)).entries()


def picture(path: Path) -> Call:
    """The digit or the number on a picture, as the page, the API and the command line read it."""
    return lambda: read_picture(_CLASSIFIER, read_image(path.read_bytes())).answer


def number(path: Path) -> Call:
    """The number on a picture, or why there is none."""
    return lambda: read_number(_CLASSIFIER, read_image(path.read_bytes())).number


def dropped(path: Path) -> Call:
    """What a list says about a checkpoint that is the only one in its folder."""

    def list_it() -> str:
        (entry,) = CheckpointLibrary(path.parent).entries()
        return USABLE if isinstance(entry, UsableCheckpoint) else entry.problem

    return list_it


def added(path: Path) -> Call:
    """What somebody is told who adds a checkpoint to an empty folder; the file itself is in memory already."""
    folder, data = path.parent / "empty", path.read_bytes()
    folder.mkdir()

    def add() -> str:
        CheckpointLibrary(folder).add(path.name, data)
        return USABLE

    return add
