"""Training benchmarks: a recipe over several seeds, and fine-tuning on the pen writers.

Times of recipes are given against a yardstick of the same run. Ways to fine-tune are compared on writers 1 to 25, none
of whom the networks trained on MNIST alone have seen; writers 26 to 30 are for final figures.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, is_available, load_digits
from digitcore.data.pen_digits import JUDGING_WRITERS, REPORTING_WRITERS, draw_at_random, load_pen_digits
from digitcore.evaluation.evaluation import evaluate
from digitcore.evaluation.timing import yardstick_seconds
from digitcore.files import temporary_folder
from digitcore.imaging.preprocessing import preprocess_ink
from digitcore.imaging.strokes import BRUSHES
from digitcore.models.architectures import DigitNetwork
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import load_classifier
from digitcore.training.augmentation import Augmentation
from digitcore.training.fine_tuning import METHOD, Method, fine_tuning_steps, known_digits, network_logits
from digitcore.training.loop import EpochResult, train
from digitcore.training.material import load_material
from digitcore.training.recipes import Recipe

__all__ = [
    "METHODS",
    "SIZES",
    "TrainingRun",
    "Trial",
    "TrialFigures",
    "benchmark_recipe",
    "describe_runs",
    "describe_trials",
    "draw_writers",
    "run_trials",
    "trial_writers",
]

SIZES = (20, 50)
"""How many digits a writer gives, as many of each kind."""
METHODS = {
    "chosen": METHOD,
    "without mixing": replace(METHOD, known=0),
    "labels instead of old answers": replace(METHOD, old_answers=0.0),
    "only the last layer": replace(METHOD, only_head=True),
    "only the last layer, larger steps": replace(METHOD, only_head=True, learning_rate=1e-2),
    "smaller steps": replace(METHOD, learning_rate=1e-3),
    "larger steps": replace(METHOD, learning_rate=1e-2),
    "own digits as they are": replace(METHOD, augmentation=Augmentation()),
}
"""What was tried, by name."""

_GOAL_ACCURACY = 0.99
_RESAMPLES = 10_000  # of the writers, for an interval
_LEVEL = 0.95


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


@dataclass(frozen=True)
class Trial:
    """One writer's digits learned, and the others read."""

    writer: int
    digits: int
    """That were learned from."""
    seed: int
    errors_before: int
    """On the writer's other digits."""
    errors_after: int
    others: int
    """Number of these other digits."""
    validation_before: int
    """Errors on mnist-validation."""
    validation_after: int
    seconds: float
    """Processor time of the fine-tuning."""


@dataclass(frozen=True)
class TrialFigures:
    """Means of trials with as many digits, and 95% intervals by bootstrap over the writers."""

    writers: int
    errors_before: float
    """Of all writers together, the mean over the seeds."""
    errors_after: float
    change: float
    """Share of the errors that came or, below 0, went."""
    change_interval: tuple[float, float]
    validation_rise: float
    """Errors on mnist-validation that came."""
    validation_interval: tuple[float, float]
    seconds: float


def trial_writers(checkpoint: Checkpoint, *, choosing: bool) -> list[int]:
    """The writers that a checkpoint has not learned from; to choose a method, less those that only report."""
    writers = JUDGING_WRITERS if "pen-train" in checkpoint.metadata.trained_on else range(1, JUDGING_WRITERS.stop)
    return [writer for writer in writers if not (choosing and writer in REPORTING_WRITERS)]


def draw_writers(writers: Sequence[int]) -> DigitSet:
    """The pen digits of these writers, drawn as on the canvas and preprocessed; ids are positions in the file.

    Raises:
        DatasetMissingError, DatasetError: as for `load_pen_digits`.
    """
    chosen = [(i, digit) for i, digit in enumerate(load_pen_digits()) if digit.writer in writers]
    images = []
    for i, digit in chosen:
        generator = np.random.default_rng(i)
        ink = draw_at_random(digit, brush=float(generator.choice(BRUSHES)), generator=generator)
        images.append(preprocess_ink(ink).model_input)
    return DigitSet(
        "pen strokes",
        np.array([i for i, _ in chosen], dtype=np.int64),
        np.array(images, dtype=np.uint8),
        np.array([digit.label for _, digit in chosen], dtype=np.int64),
        np.array([digit.writer for _, digit in chosen], dtype=np.int64),
    )


def run_trials(
    network: DigitNetwork, digits: DigitSet, *, sizes: Sequence[int] = SIZES, runs: int = 1, method: Method = METHOD
) -> Iterator[Trial]:
    """Fine-tunes a network on each writer of the digits, with the seeds 0 to `runs` - 1.

    Raises:
        ValueError: the writers of the digits are not known.
        DatasetError: MNIST's files are damaged.
    """
    if digits.writers is None:
        raise ValueError("digits must have writers")
    validation = load_digits("mnist-validation")
    known = known_digits(network, seed=0)
    validation_before = _errors(network, validation)
    for writer in np.unique(digits.writers).tolist():
        written = digits.subset(np.flatnonzero(digits.writers == writer))
        for seed, size in ((seed, size) for seed in range(runs) for size in sizes):
            rows = _some_of_each(written.labels, size // 10, np.random.default_rng([seed, writer]))
            others = written.subset(np.setdiff1d(np.arange(len(written)), rows))
            tuned = copy.deepcopy(network).requires_grad_()
            started = time.process_time()
            for _ in fine_tuning_steps(tuned, written.subset(rows), known, method=method, seed=seed):
                pass
            yield Trial(
                writer=writer,
                digits=size,
                seed=seed,
                errors_before=_errors(network, others),
                errors_after=_errors(tuned, others),
                others=len(others),
                validation_before=validation_before,
                validation_after=_errors(tuned, validation),
                seconds=time.process_time() - started,
            )


def describe_trials(trials: Sequence[Trial]) -> TrialFigures:
    """The figures of trials of one size; the interval of each is by bootstrap over the writers.

    >>> one = Trial(1, 20, 0, errors_before=10, errors_after=4, others=230, validation_before=22, validation_after=23,
    ...             seconds=3.0)
    >>> figures = describe_trials([one, replace(one, writer=2, errors_before=6)])
    >>> figures.change, figures.validation_rise
    (-0.5, 1.0)
    """
    writers = np.unique([trial.writer for trial in trials])
    by_writer = np.array(
        [
            np.mean(
                [
                    (trial.errors_before, trial.errors_after, trial.validation_after - trial.validation_before)
                    for trial in trials
                    if trial.writer == writer
                ],
                axis=0,
            )
            for writer in writers
        ]
    )  # (writers, 3)
    drawn = np.random.default_rng(0).integers(0, len(writers), (_RESAMPLES, len(writers)))
    resampled = by_writer[drawn].sum(axis=1)  # (resamples, 3)
    before, after, rise = by_writer.sum(axis=0).tolist()
    return TrialFigures(
        writers=len(writers),
        errors_before=before,
        errors_after=after,
        change=float(_change(by_writer.sum(axis=0))),
        change_interval=_bounds(_change(resampled)),
        validation_rise=rise / len(writers),
        validation_interval=_bounds(resampled[:, 2] / len(writers)),
        seconds=float(np.mean([trial.seconds for trial in trials])),
    )


def _change(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors after (..., 1) as a change of those before (..., 0), in sums (..., 3); 0 where there were none."""
    return np.where(sums[..., 0] > 0, sums[..., 1] / np.maximum(sums[..., 0], 1e-9) - 1, 0.0)


def _bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _errors(network: DigitNetwork, digits: DigitSet) -> int:
    return int((network_logits(network, digits.images).argmax(dim=1).numpy() != digits.labels).sum())


def _some_of_each(labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """So many random rows of each label."""
    return np.concatenate([generator.permutation(np.flatnonzero(labels == label))[:count] for label in range(10)])
