"""The measurements themselves, not their values."""

import io
import json

import numpy as np
import pytest

from digitcore.models.classifier import load_classifier
from digitcore.serving import speed
from digitcore.serving.cli import main
from digitcore.serving.speed import SpeedFigure


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 digits, and a tenth of a second of requests."""
    digits, requests = speed._digits, speed._requests
    monkeypatch.setattr(speed, "_digits", lambda count: digits(40))
    monkeypatch.setattr(speed, "all_cores", lambda: 1)
    monkeypatch.setattr(
        speed, "_requests", lambda port, data, **options: requests(port, data, **options | {"seconds": 0.1})
    )


@pytest.mark.usefixtures("short")
def test_every_figure_stands_beside_its_reference(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert main(["bench", "--only", "speed", "--quick", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [figure["unit"] for figure in figures] == ["ms", "ms", "s", "s", "ms", "requests/s", "requests/s"]
    for figure in figures:
        low, high = figure["quartiles"]
        assert low <= figure["value"] <= high
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["reference"])
        assert figure["ratio"] > 0


@pytest.mark.usefixtures("short")
def test_requests_are_answered_by_several_processes() -> None:
    (figure,) = speed._measure_requests([4], has_reference=False, rounds=1, seconds=0.1, processes=2)
    assert figure.name == "POST /predict, 4 callers, 2 processes"
    assert figure.value > 0
    assert figure.ratio is None


@pytest.mark.slow
def test_many_callers_are_all_answered() -> None:
    """More than wait at once by default."""
    (curve,) = speed.measure_callers(quick=True)
    assert curve.sizes[-1] == 64
    assert min(curve.seconds) > 0


def test_the_plain_road_reads_the_drawing() -> None:
    """So it does what it is compared with."""
    pytest.importorskip("onnxruntime")
    answer = speed._plain_answer(
        speed._plain_session(load_classifier("world"), threads=1), io.BytesIO(speed._drawing())
    )
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert answer["prediction"] == int(np.argmax(answer["probabilities"]))


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    figures = [
        SpeedFigure("one digit", "ms", 0.5, (0.4, 0.6), 0.25, (0.2, 0.3)),
        SpeedFigure("a drawing", "ms", 3.0, (2.0, 4.0), None, None),
    ]
    monkeypatch.setattr(speed, "measure_speed", lambda *, quick: iter(figures))
    assert main(["bench", "--only", "speed"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| one digit | 0.5 ms (0.4 to 0.6) | 0.25 ms (0.2 to 0.3) | 2.00 |",
        "| a drawing | 3 ms (2 to 4) | needs onnxruntime | |",
    ]
    assert main(["bench", "--only", "speed", "--json"]) == 0
    assert [row["ratio"] for row in json.loads(capsys.readouterr().out)] == [2.0, None]
