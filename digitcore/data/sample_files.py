"""Labelled pictures in the files that people have: folders, zips, IDX, npz, CSV, Parquet and MATLAB files.

`read_samples` gives the pictures of a file one after the other, in bounded memory. Nothing in a file is run or
unpickled, and nothing is written: names in archives are only names.
"""

import csv
import gzip
import io
import json
import math
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitcore.errors import DatasetError, ImageError
from digitcore.files import temporary_folder
from digitcore.imaging.preprocessing import INPUT_SIDE, read_image
from digitcore.settings import load_settings

__all__ = ["LABEL_TEMPLATES", "Sample", "open_small_zip", "read_samples"]

LABEL_TEMPLATES = ("{label}_*", "{label}-*", "*_{label}", "*-{label}", "*label{label}*", "{label}")
"""Places of the label in file names that are tried, in this order; `*` stands for anything, the ending is left out."""

_Columns: TypeAlias = dict[str, list[str]]
_IDX_FILE = re.compile(r"idx[13]-ubyte(\.gz)?$|columns\.csv$")
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
_LISTS = {".csv", ".json"}
_MOST_ENTRIES = 200_000  # of a zip, whose directory is read at once
_MOST_LIST_BYTES = 100_000_000
_MOST_ARRAY_BYTES = 2_000_000_000  # of arrays that are read at once
_CHUNK = 1_000  # rows at a time
_LABELS_FOR = {"imgs": "labels", "images": "labels", "X_": "y_"}  # in names of files
_LONGEST_LINE = 100_000  # characters
_LEAST_SIDE = 8  # of pictures in rows of numbers
_FEW_LEVELS = 16  # the greatest pixel of sets with 17 levels of grey
_DIRECTORY_BYTES = 1_000  # of a zip's directory, for each file that it may hold
_STARS = 3  # in a template: more would make matching slow
_DAMAGES = (
    OSError,
    EOFError,
    MemoryError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled picture."""

    name: str
    """Of the file, or the number of the row."""
    picture: NDArray[np.uint8] | Image.Image | None
    """(H, W), (H, W, 3), or as decoded; None where it cannot be read."""
    label: int | None
    """From 0 to 9; None for any other label."""
    problem: str = ""
    """Why the picture or the label cannot be used; else empty."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Whatever else the file says of it: writer, device, year, ..."""


def read_samples(path: Path, *, labels: str | None = None) -> Iterator[Sample]:
    """The labelled pictures of a file or folder, one after the other.

    | file | labels |
    |---|---|
    | folder or zip of pictures | a CSV or JSON file in it (`file,label,...`), the folders' names, or the file names |
    | IDX pair, plain, gzip, in a folder or a zip | the file whose name has `labels` for `images` |
    | `.npz` | `images` and `labels`, `x` and `y`, or `arr_0` of a file `...imgs...` and one `...labels...` |
    | `.csv` | `label` and 784 columns of pixels, with or without a header |
    | `.data`, `.txt`, `.train`, `.test`, `.tra`, `.tes` | the first or the last number of a row, or the last ten |
    | `.parquet` | `image` (its bytes) and `label` |
    | `.mat` | `X` and `y` as in SVHN, or EMNIST's `dataset` |

    labels: the place of the label in file names, as in `LABEL_TEMPLATES`.

    Raises:
        DatasetError: it is missing, of another kind, damaged, or too large; the message names the file and the remedy.
        ValueError: `labels` is not such a template.
    """
    template = None if labels is None else _template(labels)
    if not path.exists():
        raise DatasetError(f"{path} is not there: check the path.")
    try:
        yield from _reader(path, template)()
    except DatasetError:
        raise
    except _DAMAGES as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DatasetError(f"{path} cannot be read ({reason}): it is damaged, or of another kind.") from error


def _reader(path: Path, template: "re.Pattern[str] | None") -> Callable[[], Iterator[Sample]]:
    name = path.name.lower()
    if path.is_dir():
        return partial(_read_folder, path, template)
    if name.endswith(".zip"):
        return partial(_read_zip, path, template)
    if "idx3-ubyte" in name or "idx1-ubyte" in name:
        return partial(_read_idx_pair, path)
    for ending, read in _READERS.items():
        if name.endswith(ending):
            return partial(read, path)
    known = ", ".join([".zip", "...-images-idx3-ubyte(.gz)", *_READERS])
    raise DatasetError(f"{path} cannot be read as labelled pictures: use a folder, or a file ending in {known}.")


# Folders and zips


def _read_folder(path: Path, template: "re.Pattern[str] | None") -> Iterator[Sample]:
    files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
    pairs = [file for name, file in files.items() if "images-idx3-ubyte" in name.lower()]
    if len(pairs) == 1:
        return _read_idx_pair(pairs[0])
    if pairs:
        raise DatasetError(f"{path} holds {len(pairs)} IDX files: name one, such as {pairs[0].name}.")

    def opened(name: str) -> BinaryIO:
        return files[name].open("rb")

    return _read_pictures(list(files), opened, source=path, template=template)


def _read_zip(path: Path, template: "re.Pattern[str] | None") -> Iterator[Sample]:
    if _entries(path) > _MOST_ENTRIES:
        raise DatasetError(f"{path} holds more than {_MOST_ENTRIES:,} files: unpack it, and name the folder.")
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        if any("images-idx3-ubyte" in name.lower() for name in names):
            yield from _read_zipped_idx(archive, path=path)
            return

        def opened(name: str) -> BinaryIO:
            return io.BufferedReader(archive.open(name))  # type: ignore[type-var]

        yield from _read_pictures(names, opened, source=path, template=template)


def _read_zipped_idx(archive: zipfile.ZipFile, *, path: Path) -> Iterator[Sample]:
    """The pictures of an IDX pair in a zip, which is unpacked into a temporary folder under the files' last names."""
    entries = [entry for entry in archive.infolist() if _IDX_FILE.search(entry.filename.lower())]
    _check_size(sum(entry.file_size for entry in entries), path=path)
    with temporary_folder() as folder:
        for entry in entries:
            with archive.open(entry) as source, (folder / PurePosixPath(entry.filename).name).open("wb") as target:
                shutil.copyfileobj(source, target)
        yield from _read_folder(folder, None)


def _entries(path: Path) -> int:
    """How many entries a zip says it has, at its end, without reading its directory.

    Source: PKWARE, APPNOTE.TXT 6.3.10, 4.3.14 to 4.3.16. A number that does not fit stands in the zip64 record.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 65_557))
        tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + 22 > len(tail):
        raise DatasetError(f"{path} is not a zip file: pack it again.")
    return (
        int.from_bytes(tail[place + 10 : place + 12], "little")
        if tail[place + 10 : place + 12] != b"\xff\xff"
        else (_zip64_entries(tail, place))
    )


def _zip64_entries(tail: bytes, place: int) -> int:
    record = tail.rfind(b"PK\x06\x06", 0, place)
    return int.from_bytes(tail[record + 32 : record + 40], "little") if record >= 0 else 65_535


def open_small_zip(file: BinaryIO, *, name: str, most: int) -> zipfile.ZipFile:
    """A zip of at most so many files; its directory is read once its size is known to be small.

    Raises:
        DatasetError: it is none, damaged, of the kind for more than 4 GB, or holds more. The error begins with `name`.
    """
    file.seek(max(0, file.seek(0, io.SEEK_END) - 65_557))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[place + 12 : place + 16], "little")
    if place < 0 or place + 22 > len(tail) or tail[max(0, place - 20) : place].startswith(b"PK\x06\x07"):
        raise DatasetError(f"{name} is not a zip file that can be read: pack it again.")
    if size > most * _DIRECTORY_BYTES:
        raise DatasetError(f"{name} holds more than {most} files: send them in several zips.")
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGES as error:
        raise DatasetError(f"{name} is a damaged zip file ({error}): pack it again.") from error
    if len(archive.infolist()) > most:
        raise DatasetError(f"{name} holds more than {most} files: send them in several zips.")
    return archive


def _read_pictures(
    names: Sequence[str],
    opened: Callable[[str], BinaryIO],
    *,
    source: Path,
    template: "re.Pattern[str] | None",
) -> Iterator[Sample]:
    names = [
        name for name in names if not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith(".")
    ]
    pictures = [name for name in names if PurePosixPath(name).suffix.lower() in _PICTURES]
    if not pictures:
        raise DatasetError(f"{source} holds no pictures: PNG, JPEG, WebP, GIF, BMP, TIFF and PPM files are read.")
    rows = {} if template else _listed(names, opened, source=source)
    label_of = _label_finder(pictures, rows, template, source=source)
    for name in pictures:
        row = rows.get(name, {})
        columns = {key: value for key, value in row.items() if key not in ("file", "label")}
        try:
            with opened(name) as file:
                picture = read_image(file, name=name)
        except (ImageError, *_DAMAGES) as error:
            yield Sample(name, None, None, str(error), columns)
            continue
        yield _sample(name, picture, label_of(name), columns)


def _listed(names: Sequence[str], opened: Callable[[str], BinaryIO], *, source: Path) -> dict[str, dict[str, str]]:
    """The rows of the list of files in a folder, by file; empty without a list."""
    lists = [name for name in names if PurePosixPath(name).suffix.lower() in _LISTS]
    for name in lists:
        with opened(name) as file:
            data = file.read(_MOST_LIST_BYTES + 1)
        if len(data) > _MOST_LIST_BYTES:
            raise DatasetError(f"{name} in {source} is larger than {_MOST_LIST_BYTES / 1e6:g} MB: split the set.")
        rows = _list_rows(data.decode("utf-8-sig", errors="replace"), is_json=name.lower().endswith(".json"))
        if rows and {"file", "label"} <= rows[0].keys():
            folder = PurePosixPath(name).parent
            return {str(folder / row["file"]) if str(folder) != "." else row["file"]: row for row in rows}
    return {}


def _list_rows(text: str, *, is_json: bool) -> list[dict[str, str]]:
    if not is_json:
        rows: Any = list(csv.DictReader(io.StringIO(text)))
    else:
        rows = json.loads(text)
        if isinstance(rows, dict):  # {"a.png": 3, ...}
            rows = [{"file": file, "label": label} for file, label in rows.items()]
    if not isinstance(rows, list):
        return []
    return [
        {str(key).strip().lower(): str(value) for key, value in row.items() if key is not None}
        for row in rows
        if isinstance(row, dict)
    ]


def _label_finder(
    pictures: Sequence[str],
    rows: Mapping[str, Mapping[str, str]],
    template: "re.Pattern[str] | None",
    *,
    source: Path,
) -> Callable[[str], str]:
    """Where the label of each picture stands: in the list, in the folder's name, or in the file's."""
    if rows:
        return lambda name: rows.get(name, {}).get("label", "")
    if template is None and all(_is_digit(PurePosixPath(name).parent.name) for name in pictures):
        return lambda name: PurePosixPath(name).parent.name
    for pattern in [template] if template else [_template(text) for text in LABEL_TEMPLATES]:
        matches = [pattern.fullmatch(PurePosixPath(name).stem) for name in pictures]
        if all(matches) or template:
            return partial(_label_in_name, pattern)
    raise DatasetError(
        f"{source} does not say what its pictures show: put them into folders 0 to 9, add a CSV file with the columns "
        "file and label, or say where the label stands in the file names, such as {label}_*."
    )


def _label_in_name(pattern: "re.Pattern[str]", name: str) -> str:
    match = pattern.fullmatch(PurePosixPath(name).stem)
    return match["label"] if match else ""


def _template(text: str) -> "re.Pattern[str]":
    """What matches the file names of a template."""
    if text.count("{label}") != 1 or text.count("*") > _STARS:
        raise ValueError(f"labels must hold {{label}} once and * at most {_STARS} times, got {text!r}")
    parts = [
        {"*": ".*?", "{label}": r"(?P<label>\d+)"}.get(part, re.escape(part))
        for part in re.split(r"(\*|\{label\})", text)
    ]
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def _is_digit(text: str) -> bool:
    return len(text) == 1 and text in "0123456789"


def _sample(name: str, picture: NDArray[np.uint8] | Image.Image, label: object, columns: Mapping[str, str]) -> Sample:
    """A sample whose label may be no digit."""
    text = str(label).strip()
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if number not in range(10):
        return Sample(
            name,
            picture,
            None,
            f"its label is {text!r}, not a digit from 0 to 9" if text else "it has no label",
            columns,
        )
    return Sample(name, picture, int(number), "", columns)


# Arrays


def _read_idx_pair(path: Path) -> Iterator[Sample]:
    """The pictures of an IDX pair, `path` being either file. EMNIST's are transposed."""
    images_path, labels_path = (_partner(path, kind) for kind in ("images-idx3", "labels-idx1"))
    with _idx(images_path) as images, _idx(labels_path) as labels:
        count, height, width = _idx_sizes(images, 3, path=images_path)
        (label_count,) = _idx_sizes(labels, 1, path=labels_path)
        if count != label_count:
            raise DatasetError(
                f"{images_path} has {count:,} pictures and {labels_path} {label_count:,} labels: get them anew."
            )
        if height * width > load_settings().max_image_pixels or height * width == 0:
            raise DatasetError(f"{images_path} has pictures of {height} x {width} pixels, which cannot be used.")
        known = _idx_rows(images_path, count)
        for start in range(0, count, _CHUNK):
            rows = min(_CHUNK, count - start)
            pixels, numbers = images.read(rows * height * width), labels.read(rows)
            if len(pixels) < rows * height * width or len(numbers) < rows:
                raise DatasetError(f"{images_path} or {labels_path.name} ends early: get them anew.")
            block = np.frombuffer(pixels, dtype=np.uint8).reshape(rows, height, width)
            if "emnist" in path.name.lower():
                block = block.transpose(0, 2, 1)
            yield from _numbered(block, list(numbers), start=start, known=known)


def _idx_rows(images: Path, count: int) -> Iterator[Mapping[str, str]]:
    """What the table beside an IDX pair says of each digit; nothing where there is none, or one for other digits."""
    path = images.with_name(re.sub(r"images.idx3-ubyte(\.gz)?$", "columns.csv", images.name))
    if path == images or not path.is_file() or path.stat().st_size > _MOST_LIST_BYTES:
        return
    if sum(1 for _ in _table_rows(path)) == count:
        yield from _table_rows(path)


def _table_rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            yield {str(name): str(value or "") for name, value in row.items() if name is not None}


def _partner(path: Path, kind: str) -> Path:
    name = re.sub(r"(images|labels)(.idx)[13]", f"{kind[:6]}\\g<2>{kind[-1]}", path.name)
    name = re.sub(r"^[Xy](_.*idx)[13]", f"{'X' if kind[0] == 'i' else 'y'}\\g<1>{kind[-1]}", name)  # Kannada-MNIST
    candidates = [path.with_name(name), path.with_name(f"{name}.gz"), path.with_name(name.removesuffix(".gz"))]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DatasetError(f"{candidates[0]} is not there, which belongs to {path.name}: put it beside it.")


def _idx(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _idx_sizes(file: BinaryIO, dimensions: int, *, path: Path) -> tuple[int, ...]:
    head = file.read(4 + 4 * dimensions)
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes([0, 0, 8, dimensions]):
        raise DatasetError(f"{path} is not an IDX file of {dimensions}-dimensional bytes: get it anew.")
    return struct.unpack(f">{dimensions}I", head[4:])


def _read_npz(path: Path) -> Iterator[Sample]:
    with zipfile.ZipFile(path) as archive:
        _check_size(sum(entry.file_size for entry in archive.infolist()), path=path)
    with np.load(path, allow_pickle=False) as arrays:
        names = {name.lower(): name for name in arrays.files}
        for images, labels in (("images", "labels"), ("x", "y"), ("x_test", "y_test"), ("x_train", "y_train")):
            if images in names and labels in names:
                columns = _npz_columns(arrays, names, {images, labels, "ids"})
                yield from _checked_arrays(arrays[names[images]], arrays[names[labels]], path=path, columns=columns)
                return
        if list(names) == ["arr_0"]:
            partner = path.with_name(re.sub("imgs|images|^X_", lambda name: _LABELS_FOR[name[0]], path.name))
            if partner != path and partner.is_file():
                with np.load(partner, allow_pickle=False) as label_arrays:
                    yield from _checked_arrays(arrays["arr_0"], label_arrays["arr_0"], path=path)
                return
    raise DatasetError(f"{path} holds {', '.join(names) or 'nothing'}: name its arrays images and labels.")


def _npz_columns(arrays: Mapping[str, NDArray[Any]], names: Mapping[str, str], others: set[str]) -> _Columns:
    """The texts that stand beside the images, by column."""
    texts = {name: arrays[key] for name, key in names.items() if name not in others}
    return {name: values.tolist() for name, values in texts.items() if values.ndim == 1 and values.dtype.kind == "U"}


def _check_size(size: int, *, path: Path) -> None:
    if size > _MOST_ARRAY_BYTES:
        raise DatasetError(f"{path} holds more than {_MOST_ARRAY_BYTES / 1e9:g} GB of arrays: split it.")


def _checked_arrays(
    images: NDArray[Any], labels: NDArray[Any], *, path: Path, columns: _Columns | None = None
) -> Iterator[Sample]:
    """The samples of two arrays: images (N, H, W), (N, H, W, 1 or 3), (N, 1, H, W) or (N, 784), of bytes or 0 to 1."""
    if images.ndim == 2 and images.shape[1] == INPUT_SIDE**2:
        images = images.reshape(-1, INPUT_SIDE, INPUT_SIDE)
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    is_colour = images.ndim == 4 and images.shape[3] == 3
    if images.ndim != 3 and not is_colour:
        raise DatasetError(f"{path} holds images of shape {images.shape}: (N, H, W) or (N, H, W, 3) is needed.")
    if labels.ndim == 2 and labels.shape[1] == 10:  # one-hot
        labels = labels.argmax(axis=1)
    labels = labels.reshape(-1)
    if len(labels) != len(images):
        raise DatasetError(f"{path} holds {len(images):,} images and {len(labels):,} labels: they must be as many.")
    scale = _scale(images, path=path)
    columns = columns or {}
    known = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=False))
    for start in range(0, len(images), _CHUNK):
        block = images[start : start + _CHUNK]
        pixels = block if scale == 1 else np.rint(np.clip(np.nan_to_num(block.astype(np.float64)) * scale, 0, 255))
        numbers = labels[start : start + _CHUNK].tolist()
        yield from _numbered(pixels.astype(np.uint8), numbers, start=start, known=known)


def _scale(images: NDArray[Any], *, path: Path) -> float:
    """What brings the pixels to 0 to 255: 1, or more for pixels from 0 to 1, or from 0 to 16 as scikit-learn's."""
    if images.dtype == np.uint8 and images.max(initial=0) > _FEW_LEVELS:
        return 1
    if images.dtype.kind not in "iufb":
        raise DatasetError(f"{path} holds images of {images.dtype}: numbers are needed.")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise DatasetError(f"{path} holds images with NaN or infinity: write them again.")
    greatest = float(images.max(initial=0))
    if greatest > 255 or float(images.min(initial=0)) < 0:
        raise DatasetError(f"{path} holds pixels from {images.min()} to {images.max()}: 0 to 1 or 0 to 255 is needed.")
    if greatest <= _FEW_LEVELS:
        return 255 if greatest <= 1 else 255 / _FEW_LEVELS
    return 1.0 + 1e-12  # an integer type of another size is rounded like a float


def _numbered(
    images: NDArray[np.uint8],
    labels: Sequence[object],
    *,
    start: int,
    known: Iterator[Mapping[str, str]] | None = None,
) -> Iterator[Sample]:
    """Samples that are named by their rows; known: what else is known of each, which may end early."""
    for i, (image, label) in enumerate(zip(images, labels, strict=True), start=start):
        yield _sample(f"row {i}", image, label, next(known, {}) if known else {})


def _read_csv(path: Path) -> Iterator[Sample]:
    import pandas as pd

    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline(20_000).strip().split(",")
    has_header = not all(cell.strip().replace(".", "", 1).isdigit() for cell in first)
    if len(first) < INPUT_SIDE**2 + 1:
        raise DatasetError(f"{path} has {len(first)} columns: label and {INPUT_SIDE**2} pixels are needed in each row.")
    with pd.read_csv(
        path, header=0 if has_header else None, chunksize=_CHUNK, encoding_errors="replace", low_memory=False
    ) as chunks:
        start = 0
        for chunk in chunks:
            chunk.columns = [str(name).strip().lower() for name in chunk.columns]
            label = "label" if "label" in chunk else "digit" if "digit" in chunk else chunk.columns[0]
            pixels = [name for name in chunk.columns if name != label and (not has_header or re.search(r"\d$", name))]
            if len(pixels) != INPUT_SIDE**2:
                raise DatasetError(f"{path} has {len(pixels)} columns of pixels: {INPUT_SIDE**2} are needed.")
            values = chunk[pixels].to_numpy(dtype=np.float64)
            if not ((values >= 0) & (values <= 255)).all():
                raise DatasetError(
                    f"{path} holds pixels that are not from 0 to 255, in rows {start} to {start + len(chunk) - 1}."
                )
            images = np.rint(values).astype(np.uint8).reshape(-1, INPUT_SIDE, INPUT_SIDE)
            yield from _numbered(images, chunk[label].tolist(), start=start)
            start += len(chunk)


def _read_text(path: Path) -> Iterator[Sample]:
    """Rows of numbers, as USPS, Semeion and Optdigits have them, plain or gzip: a label and the pixels of a square.

    Pixels are from -1 or 0 to 1, or from 0 to 16 or 255.
    """
    images, labels = _divided(_rows_of_numbers(path), path=path)
    if float(images.min(initial=0)) < 0:
        images = (images + 1) / np.float32(2)
    yield from _checked_arrays(images, labels, path=path)


def _rows_of_numbers(path: Path) -> NDArray[np.float32]:
    """The numbers (N, C) of a text, with commas or spaces between them."""
    opened = gzip.open if path.suffix == ".gz" else open
    rows: list[NDArray[np.float32]] = []
    with opened(path, "rt", encoding="utf-8", errors="replace") as file:
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise DatasetError(f"{path} has lines of over {_LONGEST_LINE:,} characters: give each picture its own.")
            numbers = np.array(line.replace(",", " ").split(), dtype=np.float32)
            if rows and 0 < len(numbers) != len(rows[0]):
                raise DatasetError(f"{path} has rows of {len(rows[0])} and of {len(numbers)} numbers: write it again.")
            if len(numbers):
                rows.append(numbers)
                _check_size(numbers.nbytes * len(rows), path=path)
    if not rows:
        raise DatasetError(f"{path} is empty: get it anew.")
    return np.stack(rows)


def _divided(rows: NDArray[np.float32], *, path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Images (N, S, S) and labels (N,) of rows with the label first or last, or as ten columns at the end."""
    count = rows.shape[1]
    is_one_hot = _is_square(count - 10) and bool((rows[:, -10:].sum(axis=1) == 1).all())
    if is_one_hot:
        images, labels = rows[:, :-10], rows[:, -10:].argmax(axis=1).astype(np.float32)
    elif _is_square(count - 1):
        is_first = len(np.unique(rows[:, 0])) > len(np.unique(rows[:, -1])) or not np.isin(rows[:, -1], range(10)).all()
        images, labels = (rows[:, 1:], rows[:, 0]) if is_first else (rows[:, :-1], rows[:, -1])
    else:
        raise DatasetError(f"{path} has rows of {count} numbers: a label and the pixels of a square are needed.")
    side = math.isqrt(images.shape[1])
    return images.reshape(-1, side, side), labels


def _is_square(count: int) -> bool:
    return count >= _LEAST_SIDE**2 and math.isqrt(count) ** 2 == count


def _read_parquet(path: Path) -> Iterator[Sample]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if not {"image", "label"} <= set(names):
            raise DatasetError(f"{path} has the columns {', '.join(names)[:200]}: image and label are needed.")
        start = 0
        for batch in file.iter_batches(batch_size=_CHUNK):
            for row in batch.to_pylist():
                yield _parquet_sample(row, number=start)
                start += 1
    except pa.ArrowException as error:
        raise DatasetError(f"{path} cannot be read as Parquet ({error}): write it again.") from error


def _parquet_sample(row: Mapping[str, Any], *, number: int) -> Sample:
    image, name = row["image"], f"row {number}"
    if isinstance(image, dict):
        name = str(image.get("path") or name)
        image = image.get("bytes")
    columns = {key: str(value) for key, value in row.items() if key not in ("image", "label")}
    if not isinstance(image, bytes):
        return Sample(name, None, None, "its image is not stored as bytes", columns)
    try:
        return _sample(name, read_image(image, name=name), row["label"], columns)
    except ImageError as error:
        return Sample(name, None, None, str(error), columns)


def _read_mat(path: Path) -> Iterator[Sample]:
    """SVHN's `X` (H, W, 3, N) and `y`, in which 10 stands for 0, or EMNIST's `dataset`, test part, transposed."""
    from scipy.io import loadmat, whosmat

    sizes = {name: int(np.prod(shape)) for name, shape, _ in whosmat(str(path))}
    _check_size(sum(sizes.values()), path=path)
    contents = loadmat(str(path))
    if {"X", "y"} <= contents.keys():
        labels = contents["y"].reshape(-1) % 10
        yield from _checked_arrays(np.moveaxis(contents["X"], -1, 0), labels, path=path)
    elif "dataset" in contents:
        part = contents["dataset"][0, 0]["test"][0, 0]
        images = part["images"].reshape(-1, INPUT_SIDE, INPUT_SIDE).transpose(0, 2, 1)
        yield from _checked_arrays(images, part["labels"].reshape(-1), path=path)
    else:
        raise DatasetError(f"{path} holds {', '.join(sizes)}: X and y, as in SVHN, or EMNIST's dataset are read.")


_READERS: dict[str, Callable[[Path], Iterator[Sample]]] = {
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".mat": _read_mat,
    **{
        f".{ending}{packed}": _read_text
        for ending in ("data", "txt", "train", "test", "tra", "tes")
        for packed in ("", ".gz")
    },
}
