"""Fixtures that several test files use.

`DIGITCORE_DATA` may name a folder with the MNIST files and the pen strokes; tests marked `needs_mnist` or
`needs_pen_digits` are skipped where they are missing. Nothing is written outside temporary folders.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import hypothesis.configuration
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from digitcore.data.datasets import DigitSet, is_available, load_digits
from digitcore.data.pen_digits import PenDigit, load_pen_digits
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from digitcore.settings import load_settings
from tests.filled_sheets import FilledSheet, fill_sheet, photograph_sheet

hypothesis.settings.register_profile(
    "digitcore",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("digitcore")

if sys.platform != "win32":
    import fcntl

_SKIPS = {
    "needs_mnist": (
        "reads the MNIST files",
        lambda: is_available("mnist-test") and is_available("mnist-train"),
        "the MNIST files are not on this machine: set DIGITCORE_DATA to a folder that holds MNIST/raw",
    ),
    "needs_pen_digits": (
        "reads the pen strokes",
        lambda: (load_settings().data_directory / "drawn" / "pendigits.npz").is_file(),
        "the pen strokes are not on this machine: set DIGITCORE_DATA to a folder that holds drawn/pendigits.npz",
    ),
}

# In a process of its own, where measuring the coverage does not slow it down.
_DRAW = """
import sys
from digitcore.data.datasets import load_digits
for name in sys.argv[1:]:
    load_digits(name)
"""

# One writing of each digit, in a box of any size: x to the right, y downwards.
_STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(5, 0), (1, 2), (0, 6), (2, 11), (5, 12), (8, 10), (9, 6), (8, 2), (5, 0)]],
    1: [[(0, 3), (3, 0), (3, 12)]],
    2: [[(0, 3), (3, 0), (7, 2), (6, 6), (0, 12), (8, 12)]],
    3: [[(0, 1), (4, 0), (7, 3), (3, 6), (7, 9), (4, 12), (0, 11)]],
    4: [[(3, 0), (0, 7), (8, 7)], [(6, 3), (6, 12)]],
    5: [[(7, 0), (1, 0), (0, 5), (5, 5), (7, 9), (4, 12), (0, 11)]],
    6: [[(6, 0), (1, 5), (0, 10), (3, 12), (6, 10), (5, 7), (0, 8)]],
    7: [[(0, 0), (8, 0), (3, 12)], [(2, 6), (7, 6)]],
    8: [[(6, 2), (3, 0), (0, 3), (6, 8), (4, 12), (0, 10), (6, 3), (6, 2)]],
    9: [[(7, 3), (4, 0), (0, 3), (3, 6), (7, 3), (6, 12)]],
}


def pytest_configure(config: pytest.Config) -> None:
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        threads = max(1, (os.cpu_count() or 1) // int(workers))  # together no more than there are cores
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)
    for marker, (what, _, _) in _SKIPS.items():
        config.addinivalue_line("markers", f"{marker}: {what}; skipped where they are missing")
    folder = tempfile.TemporaryDirectory(prefix="digitcore-tests-")
    config.add_cleanup(folder.cleanup)
    hypothesis.configuration.set_hypothesis_home_dir(folder.name)
    os.environ["DIGITCORE_CACHE"] = f"{folder.name}/cache"  # for fixtures that last longer than `cache_folder`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for marker, (_, available, reason) in _SKIPS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that DIGITCORE_CACHE names."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DIGITCORE_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def datasets_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of added sets, which is not there yet, that DIGITCORE_DATASETS names."""
    folder = tmp_path_factory.mktemp("state") / "datasets"
    monkeypatch.setenv("DIGITCORE_DATASETS", str(folder))
    return folder


@pytest.fixture(scope="session")
def drawn_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder, the same in all processes of a run, that holds the sets that are drawn on this machine."""
    run = tmp_path_factory.getbasetemp()
    folder = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "drawn-sets"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, (folder / "lock").open("w") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)  # one process draws, the others wait
        patch.setenv("DIGITCORE_CACHE", str(folder))
        names = [name for name in ("pen-digits", "written-forms") if is_available(name)]
        subprocess.run([sys.executable, "-c", _DRAW, *names], check=True)
    return folder


@pytest.fixture
def cached_drawn_sets(drawn_sets: Path, cache_folder: Path) -> None:
    """Puts the drawn sets into `cache_folder`."""
    shutil.copytree(drawn_sets, cache_folder, dirs_exist_ok=True)


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that DIGITCORE_WEIGHTS names."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that DIGITCORE_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("DIGITCORE_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def save_random() -> Callable[..., Path]:
    """A function that saves an untrained network: `save_random(path, seed=0, architecture="compact", **metadata)`."""

    def save(path: Path, *, seed: int = 0, architecture: str = "compact", **metadata: object) -> Path:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(architecture)
        save_checkpoint(path, network, CheckpointMetadata(architecture, **metadata))
        return path

    return save


@pytest.fixture(scope="session")
def strokes_of() -> Callable[..., list[Stroke]]:
    """A function from a digit and a seed to strokes: the same digit, written a little differently for each seed."""

    def strokes(digit: int, seed: int = 0) -> list[Stroke]:
        rng = np.random.default_rng([digit, seed])
        slant = rng.uniform(-0.15, 0.15)
        written = []
        for stroke in _STROKES[digit]:
            points = np.array(stroke, dtype=np.float32) + rng.normal(0, 0.25, (len(stroke), 2))
            points[:, 0] += slant * points[:, 1]
            written.append(points.astype(np.float32))
        return written

    return strokes


@pytest.fixture(scope="session")
def draw(strokes_of: Callable[..., list[Stroke]]) -> Callable[..., NDArray[np.uint8]]:
    """A function that draws a digit with a round brush: ink uint8 (side, side), 255 = ink."""

    def drawn(
        digit: int,
        seed: int = 0,
        *,
        side: int = 280,
        extent: float = 0.6,
        position: tuple[float, float] = (0.5, 0.5),
        brush: float = 18,
    ) -> NDArray[np.uint8]:
        placed = place_strokes(strokes_of(digit, seed), side=side, extent=extent, position=position, brush=brush)
        return render_strokes(placed, side=side, brush=brush)

    return drawn


@pytest.fixture(scope="session")
def pen_drawings() -> list[NDArray[np.uint8]]:
    """Every 250th pen digit as ink uint8 (280, 280); for tests marked `needs_pen_digits`."""
    drawings = []
    for digit in load_pen_digits()[::250]:
        placed = place_strokes(digit.strokes, side=280, extent=0.6, position=(0.5, 0.5), brush=18)
        drawings.append(render_strokes(placed, side=280, brush=18))
    return drawings


@pytest.fixture(scope="session")
def filled_sheet(strokes_of: Callable[..., list[Stroke]]) -> FilledSheet:
    """A sheet with digits of no real writer in most of its boxes."""
    digits = [PenDigit(tuple(strokes_of(digit, seed)), digit, 0) for digit in range(10) for seed in range(5)]
    return fill_sheet(digits, np.random.default_rng(0), pen="blue ballpoint", empty=0.2)


@pytest.fixture(scope="session")
def sheet_photograph(filled_sheet: FilledSheet) -> bytes:
    """A JPEG photograph of it, upright."""
    return photograph_sheet(filled_sheet, np.random.default_rng(1), longest=1400, turn=0)


@pytest.fixture(scope="session")
def validation_digits() -> DigitSet:
    return load_digits("mnist-validation")


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """A function from an array or a PIL image to the bytes of a picture file: `encode(picture, "PNG", **options)`."""

    def encoded(picture: NDArray[np.uint8] | Image.Image, file_format: str = "PNG", **options: object) -> bytes:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return encoded
