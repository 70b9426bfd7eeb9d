"""The page, the API, the command line and Python give the same answer to the same picture."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi import UploadFile
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

import digitcore
from digitcore.imaging.preprocessing import read_image
from digitcore.models.library import CheckpointLibrary
from digitcore.serving.api import predict
from digitcore.serving.cli import main
from tests.drawn_forms import GAPS, drawn
from tests.paths import WEIGHTS

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def pictures(draw: Draw, encode: Callable[..., bytes]) -> dict[str, bytes]:
    """Files, by what is on them."""
    digits = [draw(digit, 1, side=200, brush=12) for digit in range(10)]
    gaps = ("4, in two parts", "5, its bar far", "8, in two loops")
    inks = {form: drawn(GAPS[form], brush=14) for form in gaps}
    inks |= {"a 7": digits[7], "87": np.hstack([digits[8], digits[7]]), "nothing": np.zeros((90, 90), np.uint8)}
    inks["two lines"] = np.vstack([np.hstack(digits[1:3]), np.hstack(digits[3:5])])
    two, three = np.pad(draw(2, brush=14), ((0, 0), (0, 150))), np.pad(draw(3, brush=14), ((0, 0), (150, 0)))
    inks["touching"] = np.maximum(two, three)
    inks["noise"] = np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)
    return {name: encode(255 - ink) for name, ink in inks.items()}


def _by_page(app: AppTest, picture: bytes) -> tuple[str, float, bool, str | None]:
    app.file_uploader(key="upload").set_value(("picture.png", picture, "image/png")).run()
    reading = app.session_state["reading"]
    return reading.answer, reading.confidence, reading.accepted, reading.reason


def _in_short(answer: dict[str, object]) -> tuple[object, ...]:
    """Digit or number, confidence, whether it is accepted, and why not, of an answer in JSON."""
    digits = str(answer.get("number", answer.get("prediction")))
    return digits, answer["confidence"], answer["accepted"], answer["reason"]


def test_all_give_the_same_answer(
    visit: Callable[..., AppTest], pictures: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = visit(checkpoint="world")
    app.segmented_control(key="source").set_value("Upload").run()
    classifier, library = digitcore.load_classifier("world"), CheckpointLibrary(WEIGHTS)
    paths = [tmp_path / f"{position}.png" for position in range(len(pictures))]
    for path, picture in zip(paths, pictures.values(), strict=True):
        path.write_bytes(picture)
    capsys.readouterr()
    assert main(["predict", "--checkpoint=world", "--json", *map(str, paths)]) == 0
    by_command_line = json.loads(capsys.readouterr().out)
    for (name, picture), answer in zip(pictures.items(), by_command_line, strict=True):
        file = UploadFile(io.BytesIO(picture), filename="picture.png")
        by_api = predict(file, library, threading.Semaphore(1), checkpoint="world").model_dump()
        reading = digitcore.read_picture(classifier, read_image(picture))
        by_python = (reading.answer, reading.confidence, reading.accepted, reading.reason)
        assert _in_short(answer) == _in_short(by_api) == by_python == _by_page(app, picture), name
        assert ("digits" in answer, "digits" in by_api) == (reading.number is not None,) * 2
