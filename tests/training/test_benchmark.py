"""The measurement of a training, not its values."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.serving.cli import main
from digitcore.training.benchmark import TrainingRun, benchmark_recipe, describe_runs
from digitcore.training.recipes import load_recipe

TINY = replace(load_recipe("quick"), epochs=2, batch_size=32)


def _few(digits: DigitSet) -> dict[str, DigitSet]:
    """300 digits to learn; the very same to follow, so that the goal can be reached, and to test."""
    few = digits.subset(np.arange(0, 5_000, 17)[:300])
    return {
        name: DigitSet(name, few.ids, few.images, few.labels)
        for name in ("mnist-train", "mnist-validation", "mnist-test")
    }


@pytest.mark.needs_mnist
def test_each_run_is_a_seed_and_ends_as_train_does(validation_digits: DigitSet) -> None:
    sets = _few(validation_digits)
    runs = list(benchmark_recipe(TINY, runs=2, load=sets.__getitem__, load_training=lambda names: sets[names[0]]))
    assert [run.seed for run in runs] == [0, 1]
    for run in runs:
        assert run.test_errors == run.validation_errors > 3  # the same digits; two epochs are too few
        assert run.seconds_to_goal is None
        assert run.seconds > run.yardstick > 0
    again = next(benchmark_recipe(TINY, runs=1, load=sets.__getitem__, load_training=lambda names: sets[names[0]]))
    assert again.validation_errors == runs[0].validation_errors


def test_the_goal_is_99_percent(validation_digits: DigitSet) -> None:
    sets = _few(validation_digits)
    (run,) = benchmark_recipe(
        replace(TINY, epochs=25, average_decay=0.9),
        runs=1,
        load=sets.__getitem__,
        load_training=lambda names: sets[names[0]],
    )
    assert run.validation_errors <= 3
    assert run.seconds_to_goal is not None
    assert 0 < run.seconds_to_goal <= run.seconds


def test_in_words() -> None:
    runs = [TrainingRun(0, 10.0, 12.0, 40, 80, 0.001), TrainingRun(1, 14.0, 16.0, 45, 90, 0.002)]
    words = describe_runs(runs)
    assert words.startswith("99% in 2 of 2 after 12.0 s (8500 x the yardstick), finished after 14.0 s")
    assert words.endswith("42.5 validation errors, 85.0 test errors")
    slow = [runs[0], replace(runs[1], seconds_to_goal=None, test_errors=None)]
    assert describe_runs(slow).startswith("99% in 1 of 2 after 10.0 s (10000 x the yardstick), finished")
    never = replace(runs[0], seconds_to_goal=None)
    assert describe_runs([never]).startswith("99% in 0 of 1, finished")
    assert "test" not in describe_runs([slow[1]])


def test_on_the_command_line(
    validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = _few(validation_digits)
    measured = list(
        benchmark_recipe(
            replace(TINY, epochs=1), runs=2, load=sets.__getitem__, load_training=lambda names: sets[names[0]]
        )
    )
    monkeypatch.setattr(digitcore.serving.cli_bench, "benchmark_recipe", lambda recipe, runs: iter(measured[:runs]))
    assert main(["bench", "--recipe", "quick", "--runs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["seed 0", "seed 1", "mean of 2"]
    assert main(["bench", "--recipe", "quick", "--runs", "1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert math.isclose(row["seconds"], measured[0].seconds)


def test_training_digits_are_needed(data_folder: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--recipe", "quick", "--runs", "1"]) == 1
    assert "python -m digitcore download" in capsys.readouterr().err
