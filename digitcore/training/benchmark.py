"""Training benchmark: time and errors of a recipe over several seeds, times against a yardstick of the same run."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from digitcore.data.datasets import DigitSet, is_available, load_digits
from digitcore.evaluation.evaluation import evaluate
from digitcore.evaluation.timing import yardstick_seconds
from digitcore.files import temporary_folder
from digitcore.models.classifier import load_classifier
from digitcore.training.loop import EpochResult, train
from digitcore.training.material import load_material
from digitcore.training.recipes import Recipe

__all__ = ["TrainingRun", "benchmark_recipe", "describe_runs"]

_GOAL_ACCURACY = 0.99


@dataclass(frozen=True)
class TrainingRun:
    """One training run; times start before the digits are loaded."""

    seed: int
    seconds_to_goal: float | None
    """To the end of the first epoch with 99% accuracy on the validation digits; None where there is none."""
    seconds: float
    """To the finished checkpoint."""
    validation_errors: int
    """Of the finished checkpoint."""
    test_errors: int | None
    """None where the test digits are not on this machine."""
    yardstick: float
    """`yardstick_seconds`, measured just before."""


def benchmark_recipe(
    recipe: Recipe,
    *,
    runs: int,
    load: Callable[[str], DigitSet] = load_digits,
    load_training: Callable[[Sequence[str]], DigitSet] = load_material,
) -> Iterator[TrainingRun]:
    """Trains a recipe with the seeds 0 to `runs` - 1, each time in a temporary folder.

    Raises:
        DatasetMissingError: training digits are not on this machine.
        TrainingError: as `train`.
    """
    for seed in range(runs):
        yardstick = yardstick_seconds()
        with temporary_folder() as folder:
            output = folder / f"{recipe.name}.safetensors"
            started = time.perf_counter()
            training, validation = load_training(recipe.material), load("mnist-validation")
            results = train(recipe, training=training, validation=validation, output=output, seed=seed)
            epochs = [(result, time.perf_counter() - started) for result in results if isinstance(result, EpochResult)]
            goal_errors = (1 - _GOAL_ACCURACY) * len(validation) + 1e-9
            goal_seconds = [seconds for result, seconds in epochs if result.validation_errors <= goal_errors]
            last, seconds = epochs[-1]
            classifier = load_classifier(output)
            test_errors = evaluate(classifier, load("mnist-test")).errors if is_available("mnist-test") else None
        yield TrainingRun(
            seed=seed,
            seconds_to_goal=goal_seconds[0] if goal_seconds else None,
            seconds=seconds,
            validation_errors=last.validation_errors,
            test_errors=test_errors,
            yardstick=yardstick,
        )


def describe_runs(runs: Sequence[TrainingRun]) -> str:
    """The means of several runs in words, times with their ratio to the yardstick.

    >>> describe_runs([TrainingRun(0, 9.0, 12.0, 45, 90, yardstick=0.003)])
    '99% in 1 of 1 after 9.0 s (3000 x the yardstick), finished after 12.0 s, 45.0 validation errors, 90.0 test errors'
    """
    reached = [(run.seconds_to_goal, run.yardstick) for run in runs if run.seconds_to_goal is not None]
    words = f"99% in {len(reached)} of {len(runs)}"
    if reached:
        ratio = fmean(seconds / yardstick for seconds, yardstick in reached)
        words += f" after {fmean(seconds for seconds, _ in reached):.1f} s ({ratio:.0f} x the yardstick)"
    words += f", finished after {fmean(run.seconds for run in runs):.1f} s"
    words += f", {fmean(run.validation_errors for run in runs):.1f} validation errors"
    tested = [run.test_errors for run in runs if run.test_errors is not None]
    return words + (f", {fmean(tested):.1f} test errors" if tested else "")
