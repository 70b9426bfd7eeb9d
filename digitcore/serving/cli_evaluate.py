"""`digitcore evaluate` and `digitcore compare`."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from tqdm import tqdm

from digitcore.data.datasets import (
    HANDWRITING,
    builtin_names,
    dataset_names,
    is_available,
    is_handwriting,
    known_digest,
    load_digits,
)
from digitcore.errors import AnnotationError, DigitcoreError
from digitcore.evaluation.comparison import Comparison, cochran_q, compare, compare_pairs
from digitcore.evaluation.evaluation import (
    Evaluation,
    load_or_evaluate,
    save_evaluation,
    shipped_evaluations,
    summarize,
)
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL, basis
from digitcore.evaluation.leaderboard import leaderboard, recipe_table
from digitcore.evaluation.manifest import write_manifest
from digitcore.evaluation.slices import Slices, compare_slices, slice_set, slice_table
from digitcore.files import write_atomically
from digitcore.models.classifier import DigitClassifier, all_cores, load_classifier
from digitcore.models.library import CheckpointEntry, UnusableCheckpoint, UsableCheckpoint
from digitcore.reports.tables import TABLE_FORMATS
from digitcore.serving.cli_common import (
    FILE,
    json_option,
    listed_entries,
    naming,
    open_corrections,
    print_error,
    set_progress,
)
from digitcore.settings import load_settings
from digitcore.training.distributed import ProcessGroup, is_first_process, process_group

if TYPE_CHECKING:
    import pandas as pd

    from digitcore.store.annotations import Annotation

__all__ = ["compare_command", "evaluate_command"]

_HEADS = (
    "checkpoint", "dataset", "digits", "errors", "accuracy", "95% interval", "writers", "nll", "ece", "parameters",
)  # fmt: skip
_SLICE_HEADS = ("value", "digits", "errors", "accuracy", "95% interval", "the rest", "p", "")
_GAIN_HEADS = ("value", "digits", "errors A", "errors B", "B less A", "95% interval", "p", "")


class _DatasetName(click.ParamType[str]):
    """The name of a set of digits, of those that are there now."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """The name; a usage error where no set has it."""
        if value not in dataset_names() and not is_handwriting(str(value)):
            self.fail(f"{value!r} is not one of {', '.join([*dataset_names(), HANDWRITING])}.", param, ctx)
        return str(value)


_dataset_option = click.option(
    "--dataset",
    type=_DatasetName(),
    default="mnist-test",
    metavar="NAME",
    help=(
        f"{', '.join(builtin_names())}, a set that was added with `data add`, or {HANDWRITING}, which visitors of the "
        f"dashboard have written; {HANDWRITING}:NOTEBOOK is one notebook (default: mnist-test)."
    ),
)


_corrected_option = click.option(
    "--corrected", is_flag=True, help="With the labels that visitors of the dashboard, or `data correct`, corrected."
)
_slices_option = click.option(
    "--slices",
    "column",
    metavar="COLUMN",
    help="Also the figures by the values of a column of the set: writer, device, year, ...",
)


@click.command("evaluate", short_help="figures of checkpoints")
@click.argument(
    "names", nargs=-1, metavar="[NAME]...", help="Names under weights/, or paths (default: all, as a leaderboard)."
)
@_dataset_option
@_slices_option
@_corrected_option
@click.option(
    "--ship", is_flag=True, help="Store the evaluation beside the weights and bring weights/manifest.json up to date."
)
@click.option(
    "--recipes",
    "table_format",
    type=click.Choice([*TABLE_FORMATS]),
    help="Instead a table with one row for each recipe: mean, spread, least and most errors of its runs.",
)
@json_option
def evaluate_command(
    names: tuple[str, ...],
    dataset: str,
    column: str | None,
    corrected: bool,
    ship: bool,
    table_format: str | None,
    as_json: bool,
) -> int:
    """Prints accuracy with its 95% interval, log loss (nll) and calibration error (ece).

    Where the writers of the digits are known, the interval allows for each having written many. With --slices, those
    values are marked on which a checkpoint is worse than on all others by more than chance (5%, after Holm's correction
    for their number).

    Stored results are used where the weights and the digits have not changed. Started by torchrun, several processes
    share the digits out: torchrun --nproc-per-node 2 -m digitcore evaluate NAME --dataset SET. Without names all
    checkpoints, best first; those that cannot be used are listed with the reason.
    """
    if ship and corrected:
        raise click.UsageError("Shipped evaluations are with the labels of the set's files: leave out --corrected.")
    if ship and dataset not in builtin_names():
        raise click.UsageError(f"{dataset} is a set of your own, which is not shipped: leave out --ship.")
    if table_format is not None and (names or column or corrected or as_json):
        raise click.UsageError("--recipes is about all checkpoints of the folder: leave out names and other tables.")
    entries = [] if names else listed_entries()
    chosen = names or tuple(entry.name for entry in entries if isinstance(entry, UsableCheckpoint))
    slices = None if column is None else slice_set(dataset, column)
    labels = _corrected_labels(dataset) if corrected else {}
    with process_group(torch.device("cpu")) as processes:
        rows, status = _evaluate_all(chosen, dataset, slices, labels, processes, ship=ship)
    if not is_first_process():
        return status
    if not names:
        rows.sort(key=lambda row: (row["errors"], row["nll"]))
    _print_problems(entries)
    if ship:
        with naming(load_settings().weights_directory):
            write_manifest(load_settings().weights_directory)
    if table_format is not None:
        print(TABLE_FORMATS[table_format](recipe_table(leaderboard(entries, dataset))), end="")
    elif as_json:
        print(json.dumps(rows))
    else:
        _print_table([_HEADS, *map(_cells, rows)] if rows else [])
        for row in rows if column else []:
            print(f"\n{row['checkpoint']} by {column}")
            _print_table([_SLICE_HEADS, *map(_slice_cells, row["slices"])])
    return status


def _evaluate_all(
    names: Sequence[str],
    dataset: str,
    slices: Slices | None,
    labels: Mapping[int, int],
    processes: ProcessGroup,
    *,
    ship: bool,
) -> tuple[list[dict[str, Any]], int]:
    """A row for each checkpoint that can be evaluated, and the exit status."""
    rows, status = [], 0
    for name in names:
        try:
            classifier = load_classifier(name)
            evaluation = _evaluate_with_progress(classifier, dataset, processes)
            if ship and processes.rank == 0:
                with naming(shipped_evaluations()):
                    save_evaluation(evaluation, shipped_evaluations())
            rows.append(_figures(classifier, evaluation.with_labels(labels), slices))
        except DigitcoreError as error:
            status = print_error(error)
    return rows, status


def _corrected_labels(dataset: str) -> dict[int, int]:
    """The labels that were corrected, by id."""
    with open_corrections() as store:
        return {digit: correction.new for digit, correction in store.load(known_digest(dataset)).items()}


def _figures(classifier: DigitClassifier, evaluation: Evaluation, slices: Slices | None) -> dict[str, Any]:
    by_slice = {} if slices is None else {"slices": _records(slice_table(evaluation, slices))}
    return (
        asdict(summarize(evaluation))
        | by_slice
        | {
            "corrected_labels": evaluation.corrected,
            "parameters": classifier.checkpoint.parameters,
            "trained_on": list(classifier.checkpoint.metadata.trained_on),
            "chosen_on": list(classifier.checkpoint.metadata.chosen_on),
            "caution": classifier.checkpoint.metadata.caution(evaluation.dataset),
        }
    )


def _evaluate_with_progress(
    classifier: DigitClassifier, dataset: str, processes: ProcessGroup | None = None
) -> Evaluation:
    words, is_silent = f"{classifier.checkpoint.name} on {dataset}", not is_first_process()
    threads = max(1, all_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    with tqdm(total=100, desc=words, unit="%", leave=False, disable=is_silent) as bar:
        return load_or_evaluate(
            classifier,
            dataset,
            progress=lambda share: set_progress(bar, round(share * 100)),
            threads=threads,
            processes=processes,
        )


def _print_problems(entries: Sequence[CheckpointEntry]) -> None:
    for entry in entries:
        if isinstance(entry, UnusableCheckpoint):
            print(f"not used: {entry.problem}", file=sys.stderr)


def _records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as JSON values, null for NaN."""
    import pandas as pd  # here: it takes half a second

    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in table.to_dict(orient="records")
    ]


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _remarks(row: dict[str, Any]) -> list[str]:
    """What must be known of a row's figures."""
    count = row["corrected_labels"]
    return [*([row["caution"]] if row["caution"] else []), *([f"{count:,} labels corrected"] if count else [])]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["checkpoint"],
        row["dataset"] + "".join(f" ({words})" for words in _remarks(row)),
        f"{row['digits']:,}",
        f"{row['errors']:,}",
        f"{row['accuracy']:.2%}",
        f"{row['interval'][0]:.2%} - {row['interval'][1]:.2%}",
        "unknown" if row["writers"] is None else f"{row['writers']:,}",
        f"{row['nll']:.4f}",
        f"{row['ece']:.4f}",
        f"{row['parameters']:,}",
    )


def _slice_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["value"],
        f"{row['digits']:,}",
        f"{row['errors']:,}",
        f"{row['accuracy']:.2%}",
        f"{row['low']:.2%} - {row['high']:.2%}",
        "-" if row["rest"] is None else f"{row['rest']:.2%}",
        f"{row['holm_p']:.2g}",
        "worse than the rest" if row["worse"] else "",
    )


def _gain_cells(row: dict[str, Any]) -> tuple[str, ...]:
    words = "B is better" if row["difference"] > 0 else "A is better"
    return (
        row["value"],
        f"{row['digits']:,}",
        f"{row['errors_a']:,}",
        f"{row['errors_b']:,}",
        f"{100 * row['difference']:+.2f}",
        f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}",
        f"{row['holm_p']:.2g}",
        words if row["holm_p"] < SIGNIFICANCE_LEVEL else "",
    )


@click.command("compare", short_help="which checkpoint is better")
@click.argument("a", help="A name under weights/, or a path.")
@click.argument("b", help="Another.")
@click.argument("more", nargs=-1, metavar="[C]...", help="More of them: every pair is compared.")
@_dataset_option
@_slices_option
@_corrected_option
@click.option("--report", type=FILE, metavar="FILE", help="Also write a report of A against B: one HTML file.")
@json_option
def compare_command(
    a: str,
    b: str,
    more: tuple[str, ...],
    dataset: str,
    column: str | None,
    corrected: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Says which checkpoint is better on the same digits, and how sure that is.

    By the sign-flip test over writers, or where they are not known by the exact McNemar test (mid-p), and Tango's 95%
    interval of the difference in accuracy. Of more than two, p is corrected for the number of pairs (Holm). With
    --slices, also where each gains and loses, corrected for the number of values.
    """
    classifiers = [load_classifier(name) for name in (a, b, *more)]
    labels = _corrected_labels(dataset) if corrected else {}
    evaluations = [_evaluate_with_progress(classifier, dataset).with_labels(labels) for classifier in classifiers]
    if report is not None:
        _write_report(classifiers, evaluations, report, dataset=dataset)
    comparisons, holm_p = _compare_all(evaluations)
    gains = [] if column is None else _gains(evaluations, slice_set(dataset, column))
    if as_json:
        rows = [asdict(comparison) | {"holm_p": p} for comparison, p in zip(comparisons, holm_p, strict=True)]
        rows = [row | {"slices": by_slice} for row, by_slice in zip(rows, gains, strict=True)] if gains else rows
        print(json.dumps([row | {"corrected_labels": evaluations[0].corrected} for row in rows]))
        return 0
    _print_remarks(classifiers, evaluations[0])
    for i, (comparison, p) in enumerate(zip(comparisons, holm_p, strict=True)):
        _print_comparison(comparison, corrected_p=p if more else None)
        if gains:
            _print_table([_GAIN_HEADS, *map(_gain_cells, gains[i])])
    if more:
        overall = cochran_q(evaluations)
        print(f"All together: Cochran's Q = {overall.statistic:.2f}, p = {overall.p:.2g}")
    return 0


def _print_remarks(classifiers: Sequence[DigitClassifier], evaluation: Evaluation) -> None:
    """What must be known of all figures."""
    if evaluation.corrected:
        print(f"All figures are {evaluation.labels_in_words}.")
    for classifier in classifiers:
        caution = classifier.checkpoint.metadata.caution(evaluation.dataset)
        if caution:
            print(
                f"{classifier.checkpoint.name} was {caution} these digits: figures on them look better than they are."
            )


def _gains(evaluations: Sequence[Evaluation], slices: Slices) -> list[list[dict[str, Any]]]:
    """For each pair, its rows by slice."""
    return [_records(compare_slices(a, b, slices)) for a, b in combinations(evaluations, 2)]


def _compare_all(evaluations: Sequence[Evaluation]) -> tuple[list[Comparison], list[float]]:
    """The comparison of every pair, its verdict corrected for their number, and the corrected p-values."""
    pairs = compare_pairs(evaluations)
    comparisons = [
        replace(compare(first, second), verdict=verdict)
        for (first, second), verdict in zip(combinations(evaluations, 2), pairs["verdict"].tolist(), strict=True)
    ]
    return comparisons, pairs["holm_p"].tolist()


def _print_comparison(comparison: Comparison, *, corrected_p: float | None) -> None:
    low, high = comparison.interval
    correction = "" if corrected_p is None else f", corrected for the number of pairs {corrected_p:.2g}"
    print(
        f"{comparison.a} against {comparison.b} on {comparison.digits:,} digits of {comparison.dataset}\n"
        f"  {comparison.verdict}.\n"
        f"  both right {comparison.both_right:,}, only {comparison.a} {comparison.only_a:,}, "
        f"only {comparison.b} {comparison.only_b:,}, neither {comparison.neither:,}\n"
        f"  accuracy of {comparison.b} less that of {comparison.a}: {100 * comparison.difference:+.2f} points "
        f"(95% interval {100 * low:+.2f} to {100 * high:+.2f}), p {comparison.p:.2g}{correction}\n"
        f"  interval and p {basis(comparison.writers)}"
    )


def _write_report(
    classifiers: Sequence[DigitClassifier], evaluations: Sequence[Evaluation], path: Path, *, dataset: str
) -> None:
    from digitcore.reports.report import comparison_report  # here: drawing charts takes a second to import

    annotations = _known_annotations(evaluations[0].dataset)
    text = comparison_report(
        classifiers[0].checkpoint,
        classifiers[1].checkpoint,
        evaluations[0],
        evaluations[1],
        pictures=load_digits(dataset) if is_available(dataset) else None,
        starred=[digit for digit, annotation in annotations.items() if annotation.starred],
        notes={digit: annotation.note for digit, annotation in annotations.items()},
    )
    with naming(path):
        write_atomically(path, text.encode())
    print(path, file=sys.stderr)


def _known_annotations(dataset: str) -> "dict[int, Annotation]":
    """Stars and notes of the dashboard; a report without its database has none, and standard error says why."""
    from digitcore.store.annotations import AnnotationStore  # here: SQLAlchemy takes a third of a second

    try:
        with closing(AnnotationStore(load_settings().database_url)) as store:
            return store.load(dataset)
    except AnnotationError as error:
        print(f"without stars and notes: {error}", file=sys.stderr)
        return {}
