"""What visitors have done with files from outside; `costs` counts what that takes."""

from pathlib import Path

import numpy as np
import torch

from digitcore.errors import CheckpointError, ImageError
from digitcore.imaging.preprocessing import read_image
from digitcore.models.classifier import load_classifier
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint
from digitcore.models.numbers import read_number
from tests.paths import WEIGHTS

torch.set_num_threads(1)  # a process that is forked has no other threads
_CLASSIFIER = load_classifier(WEIGHTS / "world.safetensors")


def warm_up() -> None:
    """Does what is done once, so that it is not counted."""
    _CLASSIFIER.predict(np.eye(28, dtype=np.uint8) * 255)
    read_number(_CLASSIFIER, np.eye(28, dtype=np.uint8) * 255)


def predict(path: Path) -> str:
    """The digit on a picture, or why there is none."""
    try:
        return str(_CLASSIFIER.predict(read_image(path.read_bytes())).digit)
    except ImageError as error:
        return str(error)


def number(path: Path) -> str:
    """The number on a picture, or why there is none."""
    try:
        return read_number(_CLASSIFIER, read_image(path.read_bytes())).number
    except ImageError as error:
        return str(error)


def dropped(path: Path) -> str:
    """What a list says about a checkpoint that is the only one in its folder; "usable" where it can be used."""
    (entry,) = CheckpointLibrary(path.parent).entries()
    return "usable" if isinstance(entry, UsableCheckpoint) else entry.problem


def added(path: Path) -> str:
    """What somebody is told who adds a checkpoint to an empty folder; "usable" where it can be used."""
    folder = path.parent / "empty"
    folder.mkdir()
    try:
        CheckpointLibrary(folder).add(path.name, path.read_bytes())
    except CheckpointError as error:
        return str(error)
    return "usable"
