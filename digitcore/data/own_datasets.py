"""Sets of digits that a user has added: stored as IDX files, and mapped into memory when they are read.

A set is a folder of `Settings.datasets_directory`: `images-idx3-ubyte`, `labels-idx1-ubyte`, `columns.csv` with a row
for each digit, and `about.json`. It appears whole or not at all.
"""

import csv
import hashlib
import json
import mmap
import re
import secrets
import shutil
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TextIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitcore.data.sample_files import Sample, read_samples
from digitcore.errors import DatasetError, ImageError
from digitcore.files import write_atomically
from digitcore.imaging.preprocessing import FITTED_SIDE, INPUT_SIDE, PREPROCESSING, preprocess
from digitcore.settings import load_settings

__all__ = [
    "OwnDataset",
    "PictureUse",
    "PreparedDataset",
    "Progress",
    "check_name",
    "discard_dataset",
    "is_model_input",
    "keep_dataset",
    "map_images",
    "own_dataset",
    "own_datasets",
    "prepare_dataset",
    "read_column",
    "release",
    "remove_dataset",
    "rename_dataset",
]

PictureUse: TypeAlias = Literal["preprocessed", "as they are"]
"""What is done with the pictures of a set: the same as with a drawing, or nothing, where they are model inputs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_IMAGES, _LABELS, _COLUMNS, _ABOUT = "images-idx3-ubyte", "labels-idx1-ubyte", "columns.csv", "about.json"
_IMAGES_HEAD = 16  # bytes
_UNFINISHED = ".unfinished-"
_LOOKED_AT = 200  # pictures that decide what is done with all
_ALIKE = 0.9  # share of them that must be as MNIST's are
_MOST_PROBLEMS = 1_000  # that are kept in words
_BLOCK = 100_000  # digits whose digest is computed at a time
_REPORT_EVERY = 100  # pictures
_MOST_COLUMNS = 30
_LONGEST_COLUMN = 60  # characters of its name
_DAY = 86_400  # seconds


@dataclass(frozen=True)
class OwnDataset:
    """What is known of an added set without reading its pictures."""

    name: str
    digits: int
    digest: str
    """SHA-256, as `DigitSet.digest`."""
    source: str
    """Name of the file or folder that it was read from."""
    use: PictureUse
    added: str
    """Time of adding, ISO 8601, UTC."""
    columns: tuple[str, ...] = ()
    """What else is known of each digit: writer, device, ..."""
    preprocessing: str = PREPROCESSING


@dataclass(frozen=True)
class Progress:
    """How far the reading of a file is."""

    taken: int
    left_out: int


@dataclass(frozen=True)
class PreparedDataset:
    """Digits that were read and stored; `keep_dataset` makes them a set."""

    folder: Path
    dataset: OwnDataset
    """Without a name."""
    left_out: int
    problems: tuple[tuple[str, str], ...]
    """Name and reason of what was left out, at most a thousand."""


def own_datasets() -> list[OwnDataset]:
    """The sets that were added, by name. Damaged ones are left out."""
    folder = load_settings().datasets_directory
    datasets = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            with suppress(OSError, ValueError, TypeError, KeyError):
                datasets.append(_read_about(path))
    return datasets


def own_dataset(name: str) -> OwnDataset | None:
    """The added set of this name; None where there is none."""
    if not _NAME.fullmatch(name):
        return None
    with suppress(OSError, ValueError, TypeError, KeyError):
        return _read_about(load_settings().datasets_directory / name)
    return None


def map_images(dataset: OwnDataset, folder: Path | None = None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 (N, 28, 28), mapped into memory, and labels int64 (N,) of an added set, or of a prepared one.

    Raises:
        DatasetError: a file is missing or damaged.
    """
    folder = folder or load_settings().datasets_directory / dataset.name
    try:
        shape = (dataset.digits, INPUT_SIDE, INPUT_SIDE)
        images = np.memmap(folder / _IMAGES, dtype=np.uint8, mode="r", offset=_IMAGES_HEAD, shape=shape)
        labels = np.frombuffer((folder / _LABELS).read_bytes(), dtype=np.uint8, offset=8).astype(np.int64)
        if len(labels) != dataset.digits:
            raise ValueError("it holds another number of labels")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{folder} cannot be read ({error}): remove the set and add it again.") from error
    return images, labels


def release(images: NDArray[np.uint8]) -> None:
    """Gives back the memory of mapped images that have been read; they are read from the file again where needed."""
    base: object = images.base
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # which Windows lacks
        base.madvise(mmap.MADV_DONTNEED)


def read_column(dataset: OwnDataset, name: str) -> tuple[list[str], NDArray[np.int64]]:
    """The different values of a column, sorted, and the position (N,) of each digit's value among them.

    name: one of `dataset.columns`, or `file`, the picture's name.

    Raises:
        DatasetError: the table of the columns is missing or damaged.
    """
    path = load_settings().datasets_directory / dataset.name / _COLUMNS
    positions: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            place = next(rows, []).index(name)
            met = (positions.setdefault(row[place], len(positions)) for row in rows)
            codes = np.fromiter(met, dtype=np.int64, count=dataset.digits)
            if next(met, None) is not None:
                raise ValueError("it holds more rows than there are digits")
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read ({error}): remove the set and add it again.") from error
    values = np.array(list(positions), dtype=object)
    order = np.argsort(values)
    return values[order].tolist(), np.take(np.argsort(order), codes, out=codes, mode="clip")


def prepare_dataset(
    path: Path, *, labels: str | None = None, use: PictureUse | None = None
) -> Iterator[Progress | PreparedDataset]:
    """Reads the labelled pictures of a file or folder; yields progress, and the `PreparedDataset` at the end.

    labels: see `read_samples`. use: default: as they are where nine in ten of the first pictures are like MNIST's.
    Closing the generator cancels it. Memory is the same for any number of digits.

    Raises:
        DatasetError: the file cannot be used, holds no digit, or the folder of the sets cannot be written.
        ValueError: `labels` is not a template.
    """
    samples = read_samples(path, labels=labels)
    first = list(islice(samples, _LOOKED_AT))
    use = use or ("as they are" if _are_model_inputs(first) else "preprocessed")
    folder = load_settings().datasets_directory
    _remove_leftovers(folder)
    unfinished = folder / f"{_UNFINISHED}{secrets.token_hex(4)}"
    prepared = None
    try:
        unfinished.mkdir(parents=True)
        with _Writer(unfinished) as writer:
            for i, sample in enumerate(chain(first, samples), start=1):
                writer.add(sample, use=use)
                if i % _REPORT_EVERY == 0:
                    yield Progress(writer.count, writer.left_out)
            dataset = writer.finish(source=path.name, use=use)
        prepared = PreparedDataset(unfinished, dataset, writer.left_out, tuple(writer.problems))
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{folder} cannot be written ({reason}): set DIGITCORE_DATASETS.") from error
    finally:
        if prepared is None:
            shutil.rmtree(unfinished, ignore_errors=True)
    yield prepared


def keep_dataset(prepared: PreparedDataset, name: str, *, reserved: Iterable[str] = ()) -> OwnDataset:
    """Makes prepared digits a set.

    name: lower-case letters, digits, - and _; not one of `reserved`, nor of a set that is there.

    Raises:
        DatasetError: the digits have gone meanwhile, or the folder of the sets cannot be written.
        ValueError: the name cannot be used.
    """
    check_name(name, reserved)
    try:
        prepared.folder.rename(prepared.folder.with_name(name))
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"The digits cannot be kept as {name} ({reason}): add them again.") from error
    return replace(prepared.dataset, name=name)


def discard_dataset(prepared: PreparedDataset) -> None:
    """Removes prepared digits that are not to become a set. Those of a killed process are removed a day later."""
    shutil.rmtree(prepared.folder, ignore_errors=True)


def remove_dataset(name: str) -> None:
    """Removes an added set.

    Raises:
        DatasetError: there is none of this name, or it cannot be removed.
    """
    folder = _existing(name)
    try:
        gone = folder.with_name(f"{_UNFINISHED}{secrets.token_hex(4)}")
        folder.rename(gone)  # at once, whatever happens while its files are deleted
        shutil.rmtree(gone)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be removed ({error.strerror or error}).") from error


def rename_dataset(name: str, new_name: str, *, reserved: Iterable[str] = ()) -> None:
    """Gives an added set another name.

    Raises:
        DatasetError: there is none of this name, or it cannot be renamed.
        ValueError: the new name cannot be used.
    """
    folder = _existing(name)
    check_name(new_name, reserved)
    try:
        folder.rename(folder.with_name(new_name))
    except OSError as error:
        raise DatasetError(f"{folder} cannot be renamed ({error.strerror or error}).") from error


def _remove_leftovers(folder: Path) -> None:
    """Removes what imports of former days have left whose process was killed."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _DAY:
                shutil.rmtree(path)


def is_model_input(image: NDArray[np.uint8]) -> bool:
    """Whether an image is as MNIST's are: 28 x 28, light on black, 18 to 20 long, its centre of mass in the middle."""
    if image.shape != (INPUT_SIDE, INPUT_SIDE) or not image.any():
        return False
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    weights = image.astype(np.float64)
    place = np.arange(INPUT_SIDE) + 0.5
    middle = [(weights.sum(axis=axis) * place).sum() / weights.sum() for axis in (0, 1)]
    return bool(FITTED_SIDE - 2 <= longer <= FITTED_SIDE and max(abs(m - INPUT_SIDE / 2) for m in middle) <= 1)


def _are_model_inputs(samples: list[Sample]) -> bool:
    images = [_grey(sample.picture) for sample in samples if sample.picture is not None]
    alike = sum(image is not None and is_model_input(image) for image in images)
    return bool(images) and alike >= _ALIKE * len(images)


def check_name(name: str, reserved: Iterable[str] = ()) -> None:
    """Checks that a new set can have this name.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"name must be lower-case letters, digits, - and _, at most 60 of them, got {name!r}")
    if name in reserved or own_dataset(name):
        raise ValueError(f"name must be one that no set has yet, got {name!r}")


def _existing(name: str) -> Path:
    if own_dataset(name) is None:
        names = ", ".join(dataset.name for dataset in own_datasets())
        raise DatasetError(f"No set that was added is called {name!r}: there {'are ' + names if names else 'is none'}.")
    return load_settings().datasets_directory / name


def _read_about(folder: Path) -> OwnDataset:
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    dataset = OwnDataset(**{**about, "name": folder.name, "columns": tuple(about["columns"])})
    if not _NAME.fullmatch(folder.name) or not isinstance(dataset.digits, int):
        raise ValueError("about.json is damaged")
    return dataset


class _Writer:
    """Writes the files of a set digit by digit; the number of digits is put into their heads at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self.count = 0
        self.left_out = 0
        self.problems: list[tuple[str, str]] = []
        self._columns: dict[str, None] = {}

    def __enter__(self) -> "_Writer":
        self._images = self._stack.enter_context((self._folder / _IMAGES).open("w+b"))
        self._labels = self._stack.enter_context((self._folder / _LABELS).open("w+b"))
        self._rows: TextIO = self._stack.enter_context((self._folder / "rows.jsonl").open("w+", encoding="utf-8"))
        self._images.write(bytes(_IMAGES_HEAD))
        self._labels.write(bytes(8))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, sample: Sample, *, use: PictureUse) -> None:
        image, problem = _used(sample, use)
        if image is None or sample.label is None:
            self.left_out += 1
            if len(self.problems) < _MOST_PROBLEMS:
                self.problems.append((sample.name, problem or sample.problem))
            return
        self._images.write(image.tobytes())
        self._labels.write(bytes([sample.label]))
        names = (name for name in sample.columns if 0 < len(name) <= _LONGEST_COLUMN and name.isprintable())
        self._columns.update(dict.fromkeys(islice(names, _MOST_COLUMNS - len(self._columns))))
        columns = {name: value for name, value in sample.columns.items() if name in self._columns}
        self._rows.write(json.dumps({**columns, "file": sample.name}) + "\n")
        self.count += 1

    def finish(self, *, source: str, use: PictureUse) -> OwnDataset:
        if self.count == 0:
            reasons = f": {self.problems[0][0]}: {self.problems[0][1]}" if self.problems else ""
            raise DatasetError(f"{source} holds no digit that can be used{reasons}.")
        for file, head in (
            (self._images, (0x803, self.count, INPUT_SIDE, INPUT_SIDE)),
            (self._labels, (0x801, self.count)),
        ):
            file.seek(0)
            file.write(struct.pack(f">{len(head)}I", *head))
            file.flush()
        self._write_columns()
        dataset = OwnDataset(
            name="",
            digits=self.count,
            digest=self._digest(),
            source=source,
            use=use,
            added=datetime.now(UTC).isoformat(timespec="seconds"),
            columns=tuple(self._columns),
        )
        write_atomically(self._folder / _ABOUT, json.dumps(asdict(dataset), indent=2).encode())
        return dataset

    def _write_columns(self) -> None:
        self._rows.seek(0)
        with (self._folder / _COLUMNS).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["file", *self._columns], restval="")
            table.writeheader()
            table.writerows(json.loads(line) for line in self._rows)
        self._rows.close()
        (self._folder / "rows.jsonl").unlink()

    def _digest(self) -> str:
        """As `DigitSet.digest`: ids, images and labels one after the other."""
        digest = hashlib.sha256()
        digest.update(f"{np.dtype(np.int64).str}{(self.count,)}".encode())
        for start in range(0, self.count, _BLOCK):
            digest.update(np.arange(start, min(start + _BLOCK, self.count), dtype=np.int64).data)
        digest.update(f"{np.dtype(np.uint8).str}{(self.count, INPUT_SIDE, INPUT_SIDE)}".encode())
        self._images.seek(_IMAGES_HEAD)
        while block := self._images.read(1 << 20):
            digest.update(block)
        digest.update(f"{np.dtype(np.int64).str}{(self.count,)}".encode())
        self._labels.seek(8)
        while block := self._labels.read(_BLOCK):
            digest.update(np.frombuffer(block, dtype=np.uint8).astype(np.int64).data)
        return digest.hexdigest()


def _used(sample: Sample, use: PictureUse) -> tuple[NDArray[np.uint8] | None, str]:
    """The model input (28, 28) of a sample, or None and why there is none."""
    if sample.picture is None or sample.label is None:
        return None, sample.problem
    if use == "as they are":
        image = _grey(sample.picture)
        is_input = image is not None and image.shape == (INPUT_SIDE, INPUT_SIDE)
        return (image, "") if is_input else (None, "it is not a grey picture of 28 x 28 pixels, as the others are")
    try:
        return preprocess(sample.picture).model_input, ""
    except ImageError as error:
        return None, str(error)


def _grey(picture: NDArray[np.uint8] | Image.Image) -> NDArray[np.uint8] | None:
    """The pixels (H, W) of a grey picture of 8 bits; None for any other."""
    if isinstance(picture, Image.Image):
        return np.asarray(picture) if picture.mode == "L" else None
    return picture if picture.ndim == 2 else None
