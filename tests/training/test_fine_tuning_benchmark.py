import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.pen_digits import pen_digits_file
from digitcore.models.library import load_checkpoint
from digitcore.serving.cli import main
from digitcore.training.benchmark import Trial, describe_trials, trial_writers
from tests.paths import WEIGHTS

TRIAL = Trial(
    1, 20, 0, errors_before=10, errors_after=4, others=230, validation_before=20, validation_after=23, seconds=3
)


def test_writers_are_those_that_a_checkpoint_has_not_learned_from() -> None:
    compact, world = (load_checkpoint(WEIGHTS / f"{name}.safetensors") for name in ("compact", "world-compact"))
    assert trial_writers(compact, choosing=False) == list(range(1, 31))
    assert trial_writers(compact, choosing=True) == list(range(1, 26))
    assert trial_writers(world, choosing=False) == list(range(21, 31))


def test_the_intervals_are_those_of_a_bootstrap_over_writers() -> None:
    after = [0, 2, 4, 6, 8]
    trials = [replace(TRIAL, writer=writer, errors_after=errors) for writer, errors in enumerate(after)]
    figures = describe_trials([*trials, *(replace(trial, seed=1) for trial in trials)])
    assert (figures.writers, figures.errors_before, figures.errors_after) == (5, 50, 20)
    assert figures.change == pytest.approx(-0.6)
    draws = np.random.default_rng(9).choice(after, (50_000, 5)).mean(axis=1) / 10 - 1
    assert figures.change_interval == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.02)
    assert (figures.validation_rise, figures.validation_interval) == (3, (3, 3))


def test_writers_without_errors_change_nothing() -> None:
    figures = describe_trials([replace(TRIAL, errors_before=0, errors_after=0)])
    assert (figures.change, figures.change_interval) == (0, (0, 0))


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_one_writer_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_some_of(writer=26, path=tmp_path / "drawn" / "pendigits.npz")
    monkeypatch.setenv("DIGITCORE_DATA", str(tmp_path))
    assert main(["bench", "--checkpoint", "compact", "--only", "fine-tuning", "--runs", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["writer_range"][0], row["digits"]) for row in rows] == [(1, 20), (1, 50), (26, 20), (26, 50)]
    assert all(row["writers"] == 1 and row["errors_before"] <= 60 - row["digits"] for row in rows)
    assert all(abs(row["validation_rise"]) < 30 for row in rows)


def _write_some_of(*, writer: int, path: Path) -> None:
    """Six digits of each kind by one writer."""
    with np.load(pen_digits_file()) as file:
        arrays = dict(file)
    mine = np.flatnonzero(arrays["writer"] == writer)
    chosen = np.concatenate([mine[arrays["label"][mine] == label][:6] for label in range(10)])
    digits = np.split(np.arange(len(arrays["stroke_ptr"]) - 1), arrays["digit_ptr"][1:-1])
    strokes = np.split(arrays["points"], arrays["stroke_ptr"][1:-1])
    kept = [[strokes[i] for i in digits[digit]] for digit in chosen]
    path.parent.mkdir()
    np.savez(
        path,
        points=np.concatenate([stroke for digit in kept for stroke in digit]),
        stroke_ptr=np.cumsum([0, *(len(stroke) for digit in kept for stroke in digit)]),
        digit_ptr=np.cumsum([0, *map(len, kept)]),
        label=arrays["label"][chosen],
        writer=arrays["writer"][chosen],
    )
