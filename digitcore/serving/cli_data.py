"""`digitcore data`: sets of digits of one's own."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from tqdm import tqdm

from digitcore.data.datasets import reserved_names
from digitcore.data.exported_digits import EXPORT_FORMATS, ExportFormat, export_digits
from digitcore.data.own_datasets import (
    PictureUse,
    PreparedDataset,
    check_name,
    keep_dataset,
    own_datasets,
    prepare_dataset,
    remove_dataset,
    rename_dataset,
)
from digitcore.serving.cli_common import FILE, json_option

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
        dataset = keep_dataset(prepared, name, reserved=reserved_names())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for sample, problem in prepared.problems[:_MOST_PROBLEMS]:
        print(f"left out: {sample}: {problem}", file=sys.stderr)
    if prepared.left_out > _MOST_PROBLEMS:
        print(f"left out: {prepared.left_out - _MOST_PROBLEMS:,} more", file=sys.stderr)
    if as_json:
        print(json.dumps([asdict(dataset) | {"left_out": prepared.left_out}]))
    else:
        print(f"{name}: {dataset.digits:,} digits, {dataset.use}; {prepared.left_out:,} left out")
    return 0


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
