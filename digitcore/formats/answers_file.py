"""Files with the answers of any model to a set of digits: CSV, Parquet and npz.

| columns, or arrays of an npz | meaning |
|---|---|
| `p0` to `p9`, or `probabilities` (N, 10) | probability of each digit |
| `logit0` to `logit9`, or `logits` (N, 10) | their logarithms, up to a number that is the same for all ten |
| `prediction`, or `predictions` (N,) | the answer alone, where there are no probabilities |
| `id`, or `ids` (N,) | of the digit in its set; without it, rows are in the order of the set |
| `label`, or `labels` (N,) | the true digit, by which the set is checked or found |
| `set` | the name of the set; one for the whole file |
"""

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AnswerTable", "AnswersError", "answer_table", "is_sure_of_all", "read_answers"]

_MOST_ROWS = 2_000_000
_MOST_COLUMNS = 200
_MOST_BYTES = 500_000_000  # of the arrays of an npz
_LARGEST_GAP = 1e-3  # between the sum of ten probabilities and 1
_SMALLEST = float(np.finfo(np.float64).eps)
"""A probability counts as at least this, as scikit-learn has it: else one wrong answer makes a log loss infinite."""
_OTHER_NAMES = {
    "index": "id", "ids": "id", "labels": "label", "true": "label", "target": "label", "predictions": "prediction",
    "predicted": "prediction", "answer": "prediction", "pred": "prediction", "dataset": "set",
}  # fmt: skip


class AnswersError(Exception):
    """A file cannot be used; the message is the predicate of a sentence whose subject is the file."""


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """The answers of a model. Row i of each array belongs to the same digit."""

    dataset: str | None
    """The set that the file names."""
    ids: NDArray[np.int64] | None  # (N,)
    labels: NDArray[np.int64] | None  # (N,)
    logits: NDArray[np.float64]  # (N, 10)

    def __len__(self) -> int:
        return len(self.logits)


def read_answers(stream: BinaryIO, *, ending: str) -> AnswerTable:
    """The table in an open file that ends in `.csv`, `.parquet` or `.npz`.

    Raises:
        AnswersError: it is damaged, too large, or lacks what it needs, or a value cannot be used.
    """
    readers: dict[str, Callable[[BinaryIO], dict[str, NDArray[Any]]]] = {
        ".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz,
    }  # fmt: skip
    try:
        columns = readers[ending](stream)
    except AnswersError:
        raise
    except Exception as error:  # of the parsers of these formats, whose errors no document lists
        reason = " ".join(str(error).split())[:200]
        raise AnswersError(f"cannot be read ({type(error).__name__}: {reason}): write it again.") from error
    return answer_table(columns)


def is_sure_of_all(logits: NDArray[Any]) -> bool:
    """Whether logits (N, 10) tell nothing but the answers, such as those of a table with no more than these."""
    return bool((np.sort(logits, axis=1)[:, -2] <= np.log(_SMALLEST)).all())


def answer_table(columns: Mapping[str, NDArray[Any]]) -> AnswerTable:
    """The table of these columns: `probabilities`, `logits` or `prediction`; `id`, `label` and `set` where known.

    Raises:
        AnswersError: something is missing, or a value cannot be used.
    """
    if "probabilities" in columns:
        logits = _logits_of_probabilities(_ten_columns(columns, "probabilities"))
    elif "logits" in columns:
        logits = np.maximum(log_softmax(_ten_columns(columns, "logits"), axis=1), np.log(_SMALLEST))
    elif "prediction" in columns:
        logits = _logits_of_probabilities(np.eye(10)[_digits(columns["prediction"], "prediction")])
    else:
        raise AnswersError(
            "holds no answers: it needs the columns p0 to p9, logit0 to logit9, or prediction; "
            "weights belong into a .safetensors file."
        )
    if not len(logits):
        raise AnswersError("has no rows.")
    ids = _numbers(columns["id"], "id").astype(np.int64) if "id" in columns else None
    if ids is not None and len(np.unique(ids)) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise AnswersError(f"has the id {values[counts > 1][0]} twice: each digit is answered once.")
    labels = _digits(columns["label"], "label") if "label" in columns else None
    return AnswerTable(_only_name(columns.get("set")), ids, labels, logits)


def _read_csv(stream: BinaryIO) -> dict[str, NDArray[Any]]:
    import pandas as pd

    frame = pd.read_csv(stream, nrows=_MOST_ROWS + 1, skipinitialspace=True)
    return _frame_columns(frame)


def _read_parquet(stream: BinaryIO) -> dict[str, NDArray[Any]]:
    try:
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise AnswersError("needs pyarrow to be read: `pip install pyarrow`, or save it as CSV.") from error
    file = pq.ParquetFile(stream)
    _check_size(file.metadata.num_rows, file.metadata.num_columns)
    return _frame_columns(file.read().to_pandas())


def _read_npz(stream: BinaryIO) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(stream) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > _MOST_BYTES:
            raise AnswersError(f"holds {size / 1e6:,.0f} MB of arrays, and {_MOST_BYTES / 1e6:,.0f} are the most.")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        columns = {_plain_name(name): arrays[name] for name in arrays.files}
    needed = ("probabilities", "logits", "prediction", "id", "label")
    lengths = {len(columns[name]) for name in needed if name in columns and columns[name].ndim}
    if len(lengths) > 1:
        raise AnswersError(f"has arrays of {' and '.join(map(str, sorted(lengths)))} rows: they must be as long.")
    if "set" in columns:
        columns["set"] = np.atleast_1d(columns["set"])
    return columns


def _frame_columns(frame: "pd.DataFrame") -> dict[str, NDArray[Any]]:
    _check_size(len(frame), frame.shape[1])
    columns = {_plain_name(str(name)): frame[name].to_numpy() for name in frame}
    for kind, start in (("probabilities", "p"), ("logits", "logit")):
        names = [f"{start}{digit}" for digit in range(10)]
        present = [name for name in names if name in columns]
        if present and len(present) < 10:
            missing = ", ".join(name for name in names if name not in columns)
            raise AnswersError(f"has no column {missing}: all ten are needed.")
        if present:
            columns[kind] = np.stack([columns.pop(name) for name in names], axis=1)
    return columns


def _plain_name(name: str) -> str:
    """A column's name as in the table above, however it is written: `Prob_3` is `p3`."""
    plain = re.sub(r"[\s_-]", "", name).lower()
    plain = re.sub(r"^(probability|prob|proba)(\d)$", r"p\2", plain)
    return _OTHER_NAMES.get(plain, plain)


def _check_size(rows: int, columns: int) -> None:
    if rows > _MOST_ROWS or columns > _MOST_COLUMNS:
        raise AnswersError(
            f"has more than {_MOST_ROWS:,} rows or {_MOST_COLUMNS} columns: it is not a table of answers to digits."
        )


def _ten_columns(columns: Mapping[str, NDArray[Any]], kind: str) -> NDArray[np.float64]:
    values = _numbers(columns[kind], kind)
    if values.ndim != 2 or values.shape[1] != 10:
        raise AnswersError(f"has {kind} of shape {values.shape}: ten columns are needed, one for each digit.")
    return values


def _logits_of_probabilities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    bad = np.flatnonzero((np.abs(values.sum(axis=1) - 1) > _LARGEST_GAP) | (values < 0).any(axis=1))
    if len(bad):
        row = ", ".join(f"{value:g}" for value in values[bad[0]])
        raise AnswersError(
            f"has probabilities that are negative or do not add up to 1, first in row {bad[0]} ({row}): "
            "logarithms belong into logit0 to logit9."
        )
    logits: NDArray[np.float64] = np.log(np.clip(values, _SMALLEST, 1 - _SMALLEST))
    return logits


def _only_name(names: NDArray[Any] | None) -> str | None:
    different = [] if names is None else list(dict.fromkeys(map(str, names.tolist())))
    if len(different) > 1:
        raise AnswersError(f"names {len(different)} sets, first {', '.join(different[:2])}: one file is for one set.")
    return different[0][:200] if different else None


def _digits(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    numbers = _numbers(values, name)
    bad = np.flatnonzero((numbers != np.floor(numbers)) | (numbers < 0) | (numbers > 9))
    if numbers.ndim != 1 or len(bad):
        first_bad = f"{numbers[bad[0]]:g} in row {bad[0]}" if len(bad) else f"an array of shape {numbers.shape}"
        raise AnswersError(f"has as {name} {first_bad}: a digit from 0 to 9 is needed.")
    return numbers.astype(np.int64)


def _numbers(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise AnswersError(f"has something else than numbers as {name} ({error}).") from error
    if not np.isfinite(numbers).all():
        row = int(np.argwhere(~np.isfinite(numbers))[0][0])
        raise AnswersError(f"has a value missing or infinite as {name}, first in row {row}.")
    return numbers
