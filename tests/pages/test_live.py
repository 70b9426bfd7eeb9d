"""The live answer under Node: the same bytes, probabilities and digits as digitcore has for the same pixels; and where
there is one.
"""

import itertools
import json
import shutil
import subprocess
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from digitcore.data.datasets import load_digits
from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits
from digitcore.imaging.photograph import is_noisy
from pages.parts.draw.live import live_module
from pages.shared.drawing import SIDE
from tests.live_pictures import (
    NETWORK,
    Picture,
    check_answers,
    on_canvas,
    pen_drawings,
    random_drawings,
    sample_on_canvas,
    special_pictures,
)
from tests.pages.conftest import Visit, is_fine
from tests.paths import ROOT, WEIGHTS


def test_the_weights_are_sent_where_there_are_any(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the page is as it was where the folder holds other checkpoints only, or another network under this name."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(folder))
    file = folder / f"{NETWORK}.safetensors"
    shutil.copy(WEIGHTS / "baseline.safetensors", folder)
    assert _weights_sent(visit()) == []
    shutil.copy(WEIGHTS / "mlp.safetensors", file)
    assert _weights_sent(visit()) == []
    shutil.copy(WEIGHTS / file.name, file)
    assert _weights_sent(visit()) == [file.read_bytes()]


def _weights_sent(app: AppTest) -> list[bytes]:
    assert is_fine(app)
    return [component.proto.bytes for component in app.get("bidi_component") if component.key == "live"]


@pytest.fixture
def node() -> str:
    path = shutil.which("node")
    if path is None:
        pytest.skip("no node on the PATH; the browser tests compare the same module in Chromium")
    return path


def _live_answers(node: str, pictures: Sequence[Picture], folder: Path) -> list[dict[str, Any]]:
    module, data = folder / "live.mjs", folder / "pictures"
    module.write_text(live_module(), encoding="utf-8")
    with data.open("wb") as file:
        for picture in pictures:
            pixels = zlib.compress(picture.tobytes(), level=1)
            file.write(len(pixels).to_bytes(4, "little") + pixels)
    weights = WEIGHTS / f"{NETWORK}.safetensors"
    command = [node, ROOT / "tests" / "live_answers.mjs", module, weights, str(SIDE), data]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def _check(node: str, pictures: Iterable[Picture], folder: Path) -> None:
    remaining = iter(pictures)
    while batch := list(itertools.islice(remaining, 250)):
        check_answers(_live_answers(node, batch, folder), batch)


def test_special_pictures(node: str, tmp_path: Path) -> None:
    _check(node, special_pictures(), tmp_path)


def test_random_drawings(node: str, tmp_path: Path) -> None:
    _check(node, random_drawings(80, seed=1), tmp_path)


def test_sample_digits(node: str, tmp_path: Path) -> None:
    _check(node, map(sample_on_canvas, load_digits("mnist-validation").images[::100]), tmp_path)


def test_what_is_no_clean_picture_is_not_guessed_at(node: str, tmp_path: Path) -> None:
    """Noise, a full canvas, a transparent ground, cards and frames take other roads on the server, not ported."""
    generator = np.random.default_rng(3)
    (drawing,) = random_drawings(1, seed=3)
    noisy = [drawing.copy() for _ in range(16)]
    for share, picture in zip(np.geomspace(0.0001, 0.99, len(noisy)), noisy, strict=True):
        grain = generator.integers(0, 16, (SIDE, SIDE, 1), dtype=np.uint8) * (generator.random((SIDE, SIDE, 1)) < share)
        picture[:, :, :3] = np.maximum(picture[:, :, :3], 20) - grain
    hatched = on_canvas(np.tile(np.array([255, 130, 90, 0], np.uint8), (SIDE, SIDE // 4)))
    transparent = drawing.copy()
    transparent[:, :, 3] = 255 - drawing[:, :, 0]
    card, framed = np.zeros((2, SIDE, SIDE), np.uint8)
    card[20:300, 40:260] = 255 - drawing[20:300, 40:260, 0] // 2
    framed[60:280, 90:250] = np.pad(np.zeros((208, 148), np.uint8), 6, constant_values=255)
    framed[120:200, 160:180] = 255
    others = [transparent, on_canvas(card), on_canvas(framed)]
    answers = _live_answers(node, [*noisy, hatched, *others], tmp_path)
    expected = [is_noisy(_relative_ink(picture)) for picture in [*noisy, hatched]]
    assert {True, False} == set(expected)
    assert [answer["kind"] == "other" for answer in answers] == [*expected, *[True] * len(others)]


def _relative_ink(picture: Picture) -> np.ndarray:
    grey = picture[:, :, 0].astype(np.float32) / np.float32(255)
    width = SIDE // 50
    inner = np.zeros(grey.shape, bool)
    inner[width:-width, width:-width] = True
    difference = np.abs(grey - np.median(grey[~inner]))
    return difference / difference.max()


@pytest.mark.slow
@pytest.mark.needs_mnist
def test_all_test_digits_as_samples(node: str, tmp_path: Path) -> None:
    _check(node, map(sample_on_canvas, load_digits("mnist-test").images), tmp_path)


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_all_pen_drawings(node: str, tmp_path: Path) -> None:
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS]
    assert len(digits) == 2498
    _check(node, pen_drawings(digits), tmp_path)


@pytest.mark.slow
def test_five_thousand_random_drawings(node: str, tmp_path: Path) -> None:
    _check(node, random_drawings(5000, seed=2), tmp_path)
