"""`digitcore data`: sets of digits of one's own."""

import csv
import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from tqdm import tqdm

from digitcore.data.datasets import dataset_names, is_available, known_digest, load_digits, reserved_names
from digitcore.data.exported_digits import EXPORT_FORMATS, ExportFormat, export_digits
from digitcore.data.first_look import COMPARED, FirstLook, look_at
from digitcore.data.own_datasets import (
    PictureUse,
    PreparedDataset,
    check_name,
    keep_dataset,
    map_images,
    own_datasets,
    prepare_dataset,
    remove_dataset,
    rename_dataset,
)
from digitcore.models.refusal import ink_oddity
from digitcore.serving.cli_common import FILE, json_option, open_corrections
from digitcore.text import csv_cell

__all__ = ["data_command"]

_USES: dict[str, PictureUse | None] = {"measure": None, "preprocess": "preprocessed", "as-they-are": "as they are"}
_MOST_PROBLEMS = 10  # that are printed


@click.group("data", short_help="sets of digits of your own")
def data_command() -> None:
    """Adds, lists, renames, removes and exports sets of digits of your own, which `evaluate --dataset` then takes."""


@data_command.command("add", short_help="add labelled pictures as a set")
@click.argument(
    "path", type=FILE, metavar="PATH", help="A folder or zip of pictures, IDX, npz, CSV, Parquet or MATLAB file."
)
@click.option("--name", required=True, metavar="NAME", help="Of the set: lower-case letters, digits, - and _.")
@click.option(
    "--labels", metavar="TEMPLATE", help="Where the label stands in file names, such as {label}_* (default: found)."
)
@click.option(
    "--pictures",
    type=click.Choice(list(_USES)),
    default="measure",
    help="Whether they are preprocessed as drawings are, or taken as model inputs of 28 x 28 pixels "
    "(default: measured on the first 200).",
)
@json_option
def add_command(path: Path, name: str, labels: str | None, pictures: str, as_json: bool) -> int:
    """Adds the labelled pictures of a file or folder as a set. What cannot be used is named and left out."""
    try:
        check_name(name, reserved_names())  # before minutes of reading
        prepared = _prepare(path, labels, _USES[pictures])
        remarks = list(_first_look(prepared).remarks())
        dataset = keep_dataset(prepared, name, reserved=reserved_names())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for sample, problem in prepared.problems[:_MOST_PROBLEMS]:
        print(f"left out: {sample}: {problem}", file=sys.stderr)
    if prepared.left_out > _MOST_PROBLEMS:
        print(f"left out: {prepared.left_out - _MOST_PROBLEMS:,} more", file=sys.stderr)
    if as_json:
        print(json.dumps([asdict(dataset) | {"left_out": prepared.left_out, "remarks": remarks}]))
    else:
        for remark in remarks:
            print(f"note: {remark}", file=sys.stderr)
        print(f"{name}: {dataset.digits:,} digits, {dataset.use}; {prepared.left_out:,} left out")
    return 0


def _first_look(prepared: PreparedDataset) -> FirstLook:
    images, labels = map_images(prepared.dataset, prepared.folder)
    others = [(name, load_digits(name).images) for name in COMPARED if is_available(name)]
    return look_at(images, labels, others=others, oddity=ink_oddity)


def _prepare(path: Path, labels: str | None, use: PictureUse | None) -> PreparedDataset:
    with tqdm(desc=path.name, unit=" digits") as bar:
        for step in prepare_dataset(path, labels=labels, use=use):
            if isinstance(step, PreparedDataset):
                return step
            bar.update(step.taken - bar.n)
    raise AssertionError("prepare_dataset ends with the digits, or raises")


@data_command.command("list", short_help="the sets that were added")
@json_option
def list_command(as_json: bool) -> int:
    """Lists the sets that were added."""
    datasets = own_datasets()
    if as_json:
        print(json.dumps([asdict(dataset) for dataset in datasets]))
    elif not datasets:
        print("No set has been added yet: digitcore data add PATH --name NAME")
    for dataset in [] if as_json else datasets:
        print(
            f"{dataset.name}: {dataset.digits:,} digits of {dataset.source}, {dataset.use}; added {dataset.added[:10]}"
        )
    return 0


@data_command.command("remove", short_help="remove a set that was added")
@click.argument("name")
def remove_command(name: str) -> int:
    """Removes a set that was added. The file that it was read from stays."""
    remove_dataset(name)
    print(f"{name}: removed")
    return 0


@data_command.command("rename", short_help="rename a set that was added")
@click.argument("name")
@click.argument("new_name")
def rename_command(name: str, new_name: str) -> int:
    """Gives a set that was added another name."""
    try:
        rename_dataset(name, new_name, reserved=reserved_names())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    print(f"{name}: now {new_name}")
    return 0


@data_command.command("export", short_help="write a set for other programs")
@click.argument("name", help="A set of digits: one that was added, or another.")
@click.option("--format", "file_format", type=click.Choice(EXPORT_FORMATS), required=True)
@click.option("--output", type=FILE, required=True, metavar="PATH", help="A file; for idx, a folder.")
def export_data_command(name: str, file_format: ExportFormat, output: Path) -> int:
    """Writes a set of digits as an IDX pair, a zip of PNG files with a CSV list, npz or Parquet."""
    try:
        export_digits(name, output, file_format=file_format)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    print(output)
    return 0


@data_command.command("correct", short_help="correct the label of a digit")
@click.argument("name", metavar="SET")
@click.argument("digit", type=click.IntRange(min=0), metavar="ID")
@click.argument("label", type=click.IntRange(0, 9), required=False)
@click.option("--who", default="", metavar="NAME", help="Who corrects it.")
@click.option("--undo", is_flag=True, help="Take the last correction of this digit back instead.")
def correct_command(name: str, digit: int, label: int | None, who: str, undo: bool) -> int:
    """Says which digit a picture shows, as a layer over the set, whose files stay as they are.

    `evaluate --corrected` and the dashboard then give figures with and without it.
    """
    if undo == (label is not None):
        raise click.UsageError("Give a label from 0 to 9, or --undo.")
    digits = _labels(name)
    if digit not in digits:
        raise click.UsageError(f"There is no digit {digit} in {name}.")
    with open_corrections() as store:
        standing = store.load(known_digest(name)).get(digit)
        if label is None:
            if standing is None:
                raise click.UsageError(f"The label of digit {digit} in {name} has not been corrected.")
            store.undo(known_digest(name), digit, number=standing.number)
            print(f"{name} {digit}: undone")
            return 0
        now = digits[digit] if standing is None else standing.new
        try:
            store.correct(known_digest(name), digit, old=now, new=label, who=who)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    print(f"{name} {digit}: {now}, now {label}")
    return 0


@data_command.command("corrections", short_help="the labels that were corrected")
@click.argument("name", metavar="SET")
@json_option
def corrections_command(name: str, as_json: bool) -> int:
    """Prints the labels of a set that were corrected, as CSV: id, old, new, who, when."""
    with open_corrections() as store:
        rows = [
            {"id": row.digit, "old": row.old, "new": row.new, "who": row.who, "when": row.when.isoformat()}
            for row in store.load(_digest(name)).values()
        ]
    if as_json:
        print(json.dumps(rows))
        return 0
    table = csv.DictWriter(sys.stdout, ["id", "old", "new", "who", "when"], lineterminator="\n")
    table.writeheader()
    table.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return 0


def _digest(name: str) -> str:
    """The digest of a set whose labels can be corrected."""
    if name not in dataset_names():
        raise click.UsageError(f"{name!r} is not one of {', '.join(dataset_names())}.")
    return known_digest(name)


def _labels(name: str) -> dict[int, int]:
    """The labels of a set, by id."""
    _digest(name)
    digits = load_digits(name)
    return dict(zip(digits.ids.tolist(), digits.labels.tolist(), strict=True))
