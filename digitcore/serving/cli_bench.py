"""`digitcore bench`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from digitcore.data.nondigits import FASHION_FOLDER
from digitcore.errors import DigitcoreError
from digitcore.evaluation.bench import PARTS, Measurement, measure_all
from digitcore.serving.cli_common import (
    FILE,
    WholeNumber,
    checkpoint_option,
    json_option,
    named_classifier,
    print_error,
)
from digitcore.training.benchmark import TrainingRun, benchmark_recipe, describe_runs
from digitcore.training.recipes import load_recipe, recipe_names

if TYPE_CHECKING:
    from digitcore.serving.speed import SpeedFigure

__all__ = ["bench_command"]


@click.command("bench", short_help="measure what the project claims")
@checkpoint_option
@click.option("--drawings", type=WholeNumber(1), default=1248, metavar="N", help="Pen digits per brush (default: all).")
@click.option("--only", type=click.Choice((*PARTS, "speed")), help="One part of it (default: all but speed).")
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
@click.option("--runs", type=WholeNumber(1), default=5, metavar="N", help="Trainings, from seed 0 on (default: 5).")
@json_option
def bench_command(
    checkpoint_name: str | None,
    drawings: int,
    only: str | None,
    quick: bool,
    fashion: Path,
    recipe_name: str | None,
    runs: int,
    as_json: bool,
) -> int:
    """Prints times, accuracy on drawn digits and picture files, and the share that is refused.

    With --only speed: a table of times and requests a second, each beside that of a plain road through onnxruntime.

    Times are printed with their ratio to a matrix product in the same run; shares are those of digits, and of what is
    not a digit: letters, scribbles, doodles, noise, fashion items. With --recipe: how soon its training is right on 99%
    of the validation digits, and what it ends with, one run per seed.
    """
    if recipe_name:
        return _bench_training(recipe_name, runs=runs, as_json=as_json)
    if only == "speed":
        return _bench_speed(quick=quick, as_json=as_json)
    classifier = named_classifier(checkpoint_name)
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
