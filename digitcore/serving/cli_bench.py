"""`digitcore bench`."""

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from digitcore.data.nondigits import FASHION_FOLDER
from digitcore.data.pen_digits import REPORTING_WRITERS
from digitcore.errors import DigitcoreError
from digitcore.evaluation.bench import PARTS, Measurement, measure_all
from digitcore.evaluation.growth import GrowthCurve, measure_growth
from digitcore.models.checkpoints import Checkpoint
from digitcore.serving.cli_common import (
    FILE,
    WholeNumber,
    checkpoint_option,
    json_option,
    named_classifier,
    print_error,
)
from digitcore.training.benchmark import (
    METHODS,
    SIZES,
    TrainingRun,
    TrialFigures,
    benchmark_recipe,
    describe_runs,
    describe_trials,
    draw_writers,
    run_trials,
    trial_writers,
)
from digitcore.training.recipes import load_recipe, recipe_names

if TYPE_CHECKING:
    from digitcore.serving.speed import SpeedFigure

__all__ = ["bench_command"]


@click.command("bench", short_help="measure what the project claims")
@checkpoint_option
@click.option("--drawings", type=WholeNumber(1), default=1248, metavar="N", help="Pen digits per brush (default: all).")
@click.option(
    "--only",
    type=click.Choice((*PARTS, "speed", "growth", "fine-tuning", "fine-tuning-methods")),
    help="One part of it (default: all up to refusals).",
)
@click.option("--quick", is_flag=True, help="Every figure roughly, from few digits and pictures, in about a minute.")
@click.option(
    "--fashion",
    type=FILE,
    default=FASHION_FOLDER,
    metavar="FOLDER",
    help=f"Files of Fashion-MNIST (default: {FASHION_FOLDER}).",
)
@click.option(
    "--recipe", "recipe_name", type=click.Choice(recipe_names()), metavar="RECIPE", help="Measure its training instead."
)
@click.option(
    "--runs", type=WholeNumber(1), default=5, metavar="N", help="Seeds of a training, from 0 on (default: 5)."
)
@click.option("--chart", type=FILE, metavar="FILE", help="With --only growth: also write its chart there, as SVG.")
@json_option
def bench_command(
    checkpoint_name: str | None,
    drawings: int,
    only: str | None,
    quick: bool,
    fashion: Path,
    recipe_name: str | None,
    runs: int,
    chart: Path | None,
    as_json: bool,
) -> int:
    """Prints times, accuracy on drawn digits and picture files, and the share that is refused.

    With --only speed: a table of times and requests a second, each beside that of a plain road through onnxruntime.
    With --only growth: how time and memory rise with digits, checkpoints, callers, digits of a number and pixels.
    With --only fine-tuning: how many errors it removes when it learns from 20 or 50 digits of each pen writer, and what
    it forgets; with --only fine-tuning-methods: the same of other ways to learn, on the writers that choose.

    Times are printed with their ratio to a matrix product in the same run; shares are those of digits, and of what is
    not a digit: letters, scribbles, doodles, noise, fashion items. With --recipe: how soon its training is right on 99%
    of the validation digits, and what it ends with, one run per seed.
    """
    if recipe_name:
        return _bench_training(recipe_name, runs=runs, as_json=as_json)
    if only == "speed":
        return _bench_speed(quick=quick, as_json=as_json)
    if only == "growth":
        return _bench_growth(quick=quick, chart=chart, as_json=as_json)
    classifier = named_classifier(checkpoint_name)
    if only in ("fine-tuning", "fine-tuning-methods"):
        methods = list(METHODS) if only == "fine-tuning-methods" else ["chosen"]
        return _bench_fine_tuning(classifier.checkpoint, methods, runs=runs, quick=quick, as_json=as_json)
    rows: list[dict[str, Any]] = []
    status = 0
    try:
        parts = (only,) if only else PARTS
        counts = {"drawings": min(drawings, 40), "numbers": 20, "pictures": 16} if quick else {"drawings": drawings}
        for measurement in measure_all(classifier, parts=parts, fashion_folder=fashion, **counts):
            rows.append(asdict(measurement))
            if not as_json:
                print(_in_words(measurement), flush=True)
    except DigitcoreError as error:
        status = print_error(error)
    if as_json:
        print(json.dumps(rows))
    return status


def _bench_speed(*, quick: bool, as_json: bool) -> int:
    from digitcore.serving.speed import measure_speed  # it imports FastAPI, which no other command needs

    rows: list[dict[str, Any]] = []
    if not as_json:
        print("| work | here | plain road | ratio |\n|---|---|---|---|", flush=True)
    for figure in measure_speed(quick=quick):
        rows.append({**asdict(figure), "ratio": figure.ratio})
        if not as_json:
            print(_as_row(figure), flush=True)
    if as_json:
        print(json.dumps(rows))
    return 0


def _bench_growth(*, quick: bool, chart: Path | None, as_json: bool) -> int:
    from digitcore.serving.speed import measure_callers

    curves: list[GrowthCurve] = []
    if not as_json:
        print("| work | by | slope | seconds | megabytes |\n|---|---|---|---|---|", flush=True)
    for curve in chain(measure_growth(quick=quick), measure_callers(quick=quick)):
        curves.append(curve)
        if not as_json:
            print(_as_growth_row(curve), flush=True)
    if as_json:
        print(json.dumps([{**asdict(curve), "slope": curve.slope} for curve in curves]))
    if chart is not None:
        from digitcore.reports.charts import growth_chart  # Altair takes longer to import than a prediction takes

        growth_chart(curves).save(chart, format="svg")
    return 0


def _as_growth_row(curve: GrowthCurve) -> str:
    """A row of the table in Markdown: what each size took."""
    seconds = ", ".join(f"{size:,}: {time:.3g}" for size, time in zip(curve.sizes, curve.seconds, strict=True))
    held = ", ".join(f"{size:.0f}" for size in curve.megabytes or ())
    return f"| {curve.work} | {curve.unit} | {curve.slope:.2f} | {seconds} | {held} |"


def _bench_fine_tuning(checkpoint: Checkpoint, methods: list[str], *, runs: int, quick: bool, as_json: bool) -> int:
    writers = trial_writers(checkpoint, choosing=len(methods) > 1)
    digits = draw_writers(writers[::3] if quick else writers)
    rows: list[dict[str, Any]] = []
    if not as_json:
        print("| method | digits | errors before | after | change | errors on mnist-validation | seconds |", flush=True)
        print("|---|---|---|---|---|---|---|", flush=True)
    for method in methods:
        trials = list(run_trials(checkpoint.network, digits, runs=runs, method=METHODS[method]))
        for group, size in ((group, size) for group in _groups(writers) for size in SIZES):
            chosen = [trial for trial in trials if trial.digits == size and trial.writer in group]
            if chosen:
                figures = describe_trials(chosen)
                rows.append({"method": method, "digits": size, "writer_range": list(group), **asdict(figures)})
                if not as_json:
                    print(_as_trial_row(f"{method}, writers {group[0]} to {group[-1]}", size, figures), flush=True)
    if as_json:
        print(json.dumps(rows))
    return 0


def _groups(writers: list[int]) -> list[list[int]]:
    """All writers, and those that only report where there are others too."""
    reporting = [writer for writer in writers if writer in REPORTING_WRITERS]
    return [writers, reporting] if reporting else [writers]


def _as_trial_row(name: str, size: int, figures: TrialFigures) -> str:
    change = f"{figures.change:+.0%} ({figures.change_interval[0]:+.0%} to {figures.change_interval[1]:+.0%})"
    low, high = figures.validation_interval
    rise = f"{figures.validation_rise:+.1f} ({low:+.1f} to {high:+.1f})"
    before, after = figures.errors_before, figures.errors_after
    return f"| {name} | {size} | {before:.1f} | {after:.1f} | {change} | {rise} | {figures.seconds:.1f} |"


def _as_row(figure: "SpeedFigure") -> str:
    """A row of the table in Markdown, medians with quartiles."""
    here = _with_quartiles(figure.value, figure.quartiles, figure.unit)
    if figure.reference is None or figure.reference_quartiles is None:
        return f"| {figure.name} | {here} | needs onnxruntime | |"
    plain = _with_quartiles(figure.reference, figure.reference_quartiles, figure.unit)
    return f"| {figure.name} | {here} | {plain} | {figure.ratio:.2f} |"


def _with_quartiles(value: float, quartiles: tuple[float, float], unit: str) -> str:
    return f"{value:.3g} {unit} ({quartiles[0]:.3g} to {quartiles[1]:.3g})"


def _bench_training(recipe_name: str, *, runs: int, as_json: bool) -> int:
    finished: list[TrainingRun] = []
    for run in benchmark_recipe(load_recipe(recipe_name), runs=runs):
        finished.append(run)
        if not as_json:
            print(f"seed {run.seed}: {describe_runs([run])}", flush=True)
    if as_json:
        print(json.dumps([asdict(run) for run in finished]))
    else:
        print(f"mean of {len(finished)}: {describe_runs(finished)}")
    return 0


def _in_words(measurement: Measurement) -> str:
    line = f"{measurement.name}: {measurement.value:.4g} {measurement.unit}"
    if measurement.interval is not None:
        line += " (95% interval {:.4f} to {:.4f})".format(*measurement.interval)
    if measurement.ratio is not None:
        line += f" ({measurement.ratio:.4g} x the yardstick)"
    return line
