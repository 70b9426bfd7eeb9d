"""Commands and code to copy: they mean what they should to a shell and to Python, whatever the files are called.

The browser tests run all three as they stand.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

import digitcore
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import Prediction
from digitcore.models.numbers import read_number
from digitcore.serving.cli import main
from digitcore.serving.snippets import command_line, curl_command, python_code

HOSTILE = [
    "plain",
    "two words",
    'it\'s "quoted"',
    "$(touch owned) `touch owned`; touch owned #",
    "--json",
    "back\\slash\\n",
    "{braces} %s é 漢",
    "named.pt",
    "a&b=c+d%20?#",
]
FILE = "it's $HOME.png"


@pytest.fixture(params=HOSTILE)
def checkpoint(request: pytest.FixtureRequest, weights_folder: Path, save_random: Callable[..., Path]) -> Checkpoint:
    return digitcore.load_classifier(save_random(weights_folder / f"{request.param}.safetensors")).checkpoint


@pytest.fixture
def picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Callable[..., NDArray], encode: Callable[..., bytes]
) -> NDArray:
    """Also in `FILE` in the working folder."""
    monkeypatch.chdir(tmp_path)
    drawn: NDArray = 255 - draw(4)
    Path(FILE).write_bytes(encode(drawn))
    return drawn


def words(command: str) -> list[str]:
    """What a shell makes of a command."""
    process = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True)
    return process.stdout.decode().split("\0")[:-1]


def expected(checkpoint: Checkpoint, picture: NDArray) -> Prediction:
    return digitcore.DigitClassifier(checkpoint).predict(picture)


def test_the_command_line(checkpoint: Checkpoint, picture: NDArray, capsys: pytest.CaptureFixture[str]) -> None:
    python, *arguments = words(command_line(checkpoint, file=FILE))
    assert [Path(python).name, *arguments[:2]] == ["python", "-m", "digitcore"]
    assert main(arguments[2:]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    wanted = expected(checkpoint, picture)
    assert (answer["prediction"], answer["confidence"]) == (wanted.digit, wanted.confidence)
    assert not Path("owned").exists()


def test_the_code(checkpoint: Checkpoint, picture: NDArray, capsys: pytest.CaptureFixture[str]) -> None:
    exec(python_code(checkpoint, file=FILE), {})
    digit, confidence = capsys.readouterr().out.split()
    wanted = expected(checkpoint, picture)
    assert (int(digit), float(confidence)) == (wanted.digit, wanted.confidence)


def test_all_the_digits_on_a_picture(
    checkpoint: Checkpoint, picture: NDArray, capsys: pytest.CaptureFixture[str], encode: Callable[..., bytes]
) -> None:
    two = np.hstack([picture, picture])
    Path(FILE).write_bytes(encode(two))
    wanted = read_number(digitcore.DigitClassifier(checkpoint), two)
    assert len(wanted.number) == 2
    assert main(words(command_line(checkpoint, file=FILE, number=True))[3:]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["number"], answer["confidence"]) == (wanted.number, wanted.confidence)
    exec(python_code(checkpoint, file=FILE, number=True), {})
    number, confidence = capsys.readouterr().out.split()
    assert (number, float(confidence)) == (wanted.number, wanted.confidence)


def test_the_code_refuses_other_weights(
    weights_folder: Path, picture: NDArray, save_random: Callable[..., Path]
) -> None:
    path = save_random(weights_folder / "mine.safetensors")
    code = python_code(digitcore.load_classifier(path).checkpoint, file=FILE)
    save_random(path, seed=1)
    with pytest.raises(AssertionError):
        exec(code, {})


@pytest.mark.parametrize("page", ["", "/", "/?look=Why"])
def test_curl_names_the_checkpoint_in_the_address(checkpoint: Checkpoint, page: str) -> None:
    program, flag, form, address = words(curl_command(checkpoint, file=FILE, address=f"http://localhost:8501{page}"))
    assert (program, flag, form) == ("curl", "-F", f"image=@{FILE}")
    assert address.startswith("http://localhost:8501/predict?")
    assert parse_qs(urlsplit(address).query) == {"checkpoint": [checkpoint.name]}


def test_curl_keeps_the_folder_of_the_server() -> None:
    compact = digitcore.load_classifier("compact").checkpoint
    command = curl_command(compact, file="digit.png", address="https://example.org/digits/")
    assert command == "curl -F image=@digit.png 'https://example.org/digits/predict?checkpoint=compact'"
    command = curl_command(compact, file="two.png", address="https://example.org", number=True)
    assert command == "curl -F image=@two.png 'https://example.org/predict?checkpoint=compact&mode=number'"
    command = curl_command(compact, file="two.png", address="https://example.org", one_digit=True)
    assert command == "curl -F image=@two.png 'https://example.org/predict?checkpoint=compact&mode=digit'"
    assert " --digit " in command_line(compact, file="two.png", one_digit=True)
