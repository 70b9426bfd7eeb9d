"""Sets of digits as files for other programs, which `digitcore.data.sample_files` reads again."""

import csv
import io
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from PIL import Image

from digitcore.data.datasets import (
    DigitSet,
    handwriting_digits,
    is_handwriting,
    load_digits,
    load_handwriting,
)
from digitcore.data.own_datasets import own_dataset, read_column
from digitcore.errors import DatasetError
from digitcore.files import partial_file

if TYPE_CHECKING:
    from digitcore.store.handwriting import Handwriting

__all__ = ["EXPORT_FORMATS", "ExportFormat", "export_digits", "export_handwriting"]

ExportFormat: TypeAlias = Literal["idx", "png", "npz", "parquet"]
_Columns: TypeAlias = dict[str, list[str]]
"""What else is known of each digit, by column."""
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


def export_digits(name: str, output: Path, *, file_format: ExportFormat) -> None:
    """Writes a set of digits: "idx" as files in the folder `output`, the others as one file.

    Raises:
        ValueError: no set has this name.
        DatasetMissingError, DatasetError: it cannot be read, or `output` cannot be written.
    """
    if is_handwriting(name):
        export_handwriting(load_handwriting(name), output, file_format=file_format)
    else:
        digits = load_digits(name)
        _export(digits, _columns(digits), output, file_format)


def export_handwriting(written: "Handwriting", output: Path, *, file_format: ExportFormat) -> None:
    """The same for what visitors have written, with the writers, so that another machine can take it over.

    Raises:
        DatasetMissingError: it is empty.
        DatasetError: `output` cannot be written.
    """
    answers = ["" if answer < 0 else str(answer) for answer in written.answers]
    times = [datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") for seconds in written.times]
    columns = {
        "writer": list(written.writers),
        "session": list(written.sessions),
        "source": list(written.sources),
        "answer": answers,
        "checkpoint": list(written.checkpoints),
        "time": times,
    }
    _export(handwriting_digits(written), columns, output, file_format)


def _export(digits: DigitSet, columns: _Columns, output: Path, file_format: ExportFormat) -> None:
    try:
        if file_format == "idx":
            _write_idx(digits, columns, output)
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(output.parent) as path:
            {"png": _write_png, "npz": _write_npz, "parquet": _write_parquet}[file_format](digits, columns, path)
            shutil.copyfile(path, output)
    except OSError as error:
        raise DatasetError(f"{output} cannot be written ({error.strerror or error}): choose another place.") from error


def _columns(digits: DigitSet) -> _Columns:
    """What else is known of each digit, by column."""
    own = own_dataset(digits.name)
    if own is None:
        return {}
    coded = {column: read_column(own, column) for column in own.columns}
    return {column: [values[code] for code in codes] for column, (values, codes) in coded.items()}


def _write_idx(digits: DigitSet, columns: _Columns, folder: Path) -> None:
    """The two files, and a table of what else is known."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = (len(digits), *digits.images.shape[1:])
    for kind, head, array in (("images", sizes, digits.images), ("labels", sizes[:1], digits.labels.astype(np.uint8))):
        with (folder / f"{digits.name}-{kind}-idx{len(head)}-ubyte").open("wb") as file:
            file.write(bytes([0, 0, 8, len(head)]) + b"".join(size.to_bytes(4, "big") for size in head))
            for start in range(0, len(digits), 10_000):
                file.write(np.ascontiguousarray(array[start : start + 10_000]).data)
    if columns:
        with (folder / f"{digits.name}-columns.csv").open("w", encoding="utf-8", newline="") as table:
            rows = csv.writer(table)
            rows.writerow(columns)
            rows.writerows(zip(*columns.values(), strict=True))


def _write_png(digits: DigitSet, columns: _Columns, path: Path) -> None:
    """A zip of N.png and a list of files, labels and columns."""
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["file", "label", *columns])
    with zipfile.ZipFile(path, "w") as archive:
        for i, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
            name = f"{digits.ids[i]:07d}.png"
            buffer = io.BytesIO()
            Image.fromarray(np.asarray(image)).save(buffer, format="PNG")
            archive.writestr(name, buffer.getvalue())
            rows.writerow([name, label, *(values[i] for values in columns.values())])
        archive.writestr("labels.csv", table.getvalue())


def _write_npz(digits: DigitSet, columns: _Columns, path: Path) -> None:
    arrays: dict[str, Any] = {name: np.array(values, dtype=np.str_) for name, values in columns.items()}
    arrays |= {"images": digits.images, "labels": digits.labels.astype(np.uint8), "ids": digits.ids}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write_parquet(digits: DigitSet, columns: _Columns, path: Path) -> None:
    """The columns image (bytes of a PNG, and a path), label and what else is known, as Hugging Face writes them."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    writer = None
    for start in range(0, len(digits), 10_000):
        rows = range(start, min(start + 10_000, len(digits)))
        images = []
        for i in rows:
            buffer = io.BytesIO()
            Image.fromarray(np.asarray(digits.images[i])).save(buffer, format="PNG")
            images.append({"bytes": buffer.getvalue(), "path": f"{digits.ids[i]:07d}.png"})
        values = {"image": images, "label": digits.labels[start : rows.stop].tolist()}
        values |= {column: values_of[start : rows.stop] for column, values_of in columns.items()}
        table = pa.table(values)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
