"""The measuring itself, not the times."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from digitcore.evaluation import growth
from digitcore.evaluation.growth import GrowthCurve, slope_of
from digitcore.models.classifier import load_classifier
from digitcore.models.numbers import read_number
from digitcore.serving import speed
from digitcore.serving.cli import main


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_is_the_power_of_the_size(power: float) -> None:
    sizes = [1, 10, 100, 1_000]
    assert slope_of(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_what_each_call_takes_does_not_hide_the_slope() -> None:
    assert slope_of([1, 10, 100, 1_000, 10_000], [5, 5, 6, 14, 104]) == pytest.approx(0.62, abs=0.01)
    assert slope_of([1_000, 10_000], [0.1, 1.0]) == pytest.approx(1)


def test_the_pictures_are_what_their_sizes_say() -> None:
    classifier = load_classifier("compact")
    assert read_number(classifier, growth._number_of(5)).number == "77777"
    assert all(classifier.predict(growth._seven(side)).digit == 7 for side in (112, 336, 1_000))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that take no time."""
    monkeypatch.setattr(growth, "_DIGITS", (10, 40))
    monkeypatch.setattr(growth, "_CHECKPOINTS", (1, 2))
    monkeypatch.setattr(growth, "_LENGTHS", (1, 2))
    monkeypatch.setattr(growth, "_SIDES", (28, 112))
    monkeypatch.setattr(growth, "_BLOCK", 20)


@pytest.mark.usefixtures("small")
def test_the_command_tells_every_curve_and_draws_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    callers = GrowthCurve("POST /predict, an answer", "callers", (1, 4), (0.01, 0.01))
    monkeypatch.setattr(speed, "measure_callers", lambda *, quick: iter([callers]))
    chart = tmp_path / "growth.svg"
    assert main(["bench", "--only", "growth", "--quick", "--json", "--chart", str(chart)]) == 0
    curves = json.loads(capsys.readouterr().out)
    assert [curve["unit"] for curve in curves] == ["digits", "checkpoints", "digits of it", "pixels a side", "callers"]
    assert all(np.isfinite(curve["slope"]) for curve in curves)
    assert all(len(curve["seconds"]) == len(curve["sizes"]) for curve in curves)
    text = "".join(ElementTree.parse(chart).getroot().itertext())
    assert all(curve["work"] in text for curve in curves)
    assert main(["bench", "--only", "growth", "--quick"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "| POST /predict, an answer | callers | 0.00 | 1: 0.01, 4: 0.01 |  |"
    )
