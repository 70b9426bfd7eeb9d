"""Slices of a set: its digits by writer, device, year or whatever else is known of them, and how each slice fares.

A slice is compared with all other digits of the set. Where writers are known, intervals and tests allow for each having
written many; only in slices by `writer`, each of which is one person, the digits count one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, t

from digitcore.data.datasets import is_handwriting, load_handwriting, writers_of
from digitcore.data.mnist_writers import writer_group
from digitcore.data.own_datasets import own_dataset, read_column
from digitcore.errors import DatasetError
from digitcore.evaluation.comparison import compare_groups
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL, holm_corrected, share_interval
from digitcore.text import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MOST_SLICES",
    "NONE",
    "OTHERS",
    "Slices",
    "compare_slices",
    "slice_columns",
    "slice_digits",
    "slice_set",
    "slice_table",
]

MOST_SLICES = 50
"""Most slices of one column; the rarest values share the last."""
OTHERS, NONE = "other values", "no value"
"""The slice of the values that are too many, and that of digits without a value."""
_WRITER, _GROUP = "writer", "group"
_LONGEST_VALUE = 60  # characters
_MOST_NUMBERS = 12  # different numbers that stay slices of their own
_BINS = 8


@dataclass(frozen=True, eq=False)
class Slices:
    """The digits of a set by the values of one column."""

    column: str
    values: tuple[str, ...]
    codes: NDArray[np.int64]  # (N,), position of each digit's value in `values`

    @property
    def is_by_person(self) -> bool:
        """Whether each slice is one writer."""
        return self.column == _WRITER

    def mask(self, value: str) -> NDArray[np.bool_]:
        """Which digits (N,) have this value; none where it is unknown."""
        inside: NDArray[np.bool_] = self.codes == (self.values.index(value) if value in self.values else -1)
        return inside


def slice_columns(dataset: str) -> tuple[str, ...]:
    """The columns by which a set can be sliced: those that came with it, or kinds of writers of the MNIST sets."""
    own = own_dataset(dataset)
    if own is not None:
        return own.columns
    if is_handwriting(dataset):
        return (_WRITER, "source")
    return () if writers_of(dataset) is None else (_GROUP,)


def slice_set(dataset: str, column: str) -> Slices:
    """The digits of a set by one of its `slice_columns`.

    Raises:
        DatasetError: it has no such column, or the column cannot be read.
    """
    columns = slice_columns(dataset)
    if column not in columns:
        known = ", ".join(columns) or "none is known"
        raise DatasetError(f"{dataset} has no column {printable(column)!r} to slice it by: {known}.")
    own = own_dataset(dataset)
    if own is not None:
        return slice_digits(column, *read_column(own, column))
    if is_handwriting(dataset):
        written = load_handwriting(dataset)
        texts = list(written.writers if column == _WRITER else written.sources)
    else:
        writers = writers_of(dataset)
        texts = [] if writers is None else [writer_group(dataset, writer) for writer in writers.tolist()]
    values, codes = np.unique(np.array(texts, dtype=np.str_), return_inverse=True)
    return slice_digits(column, values.tolist(), codes)


def slice_digits(column: str, values: Sequence[str], codes: NDArray[np.int64]) -> Slices:
    """Slices by the values of a column, `codes` (N,) being the position of each digit's value in `values`.

    More than twelve different numbers, but for numbers of writers, become eight bins of about equally many digits. Of
    more than `MOST_SLICES` other values, the rarest share a slice. Long values are cut.

    >>> slice_digits("year", [str(year) for year in range(1990, 2006)], np.arange(16)).values[:3]
    ('1990 to 1991', '1992 to 1993', '1994 to 1995')
    """
    numbers = None if column == _WRITER else _numbers(values)
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > _MOST_NUMBERS:
        names, code_of = _binned(numbers, codes)
    else:
        names, code_of = _merged([_shown(value) for value in values])
        counts = np.bincount(code_of[codes], minlength=len(names))
        if len(names) > MOST_SLICES:
            rare = np.argsort(-counts, kind="stable")[MOST_SLICES - 1 :].tolist()
            names, code_of = _merged([OTHERS if code in rare else names[code] for code in code_of.tolist()])
    return Slices(column, tuple(names), code_of[codes])


def _numbers(values: Sequence[str]) -> NDArray[np.float64] | None:
    """The numbers that all values are, NaN for an empty one; None where one is another text."""
    try:
        numbers = np.array([float(value) if value.strip() else np.nan for value in values])
    except ValueError:
        return None
    written = np.array([bool(value.strip()) for value in values])
    return numbers if np.isfinite(numbers[written]).all() else None


def _binned(numbers: NDArray[np.float64], codes: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the bins, each from its least to its greatest number, and the bin of each value."""
    of_digits = numbers[codes]
    edges = np.unique(np.nanquantile(of_digits, np.linspace(0, 1, _BINS + 1), method="higher"))
    bins = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = []
    for number in np.unique(bins):
        inside = numbers[(bins == number) & ~np.isnan(numbers)]
        names.append(f"{inside.min():.10g} to {inside.max():.10g}")
    code_of = np.unique(bins, return_inverse=True)[1]
    if np.isnan(of_digits).any():
        code_of, names = np.where(np.isnan(numbers), len(names), code_of), [*names, NONE]
    return names, code_of


def _merged(names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The different names, and the position of each among them."""
    unique = {name: position for position, name in enumerate(dict.fromkeys(names))}
    return list(unique), np.array([unique[name] for name in names], dtype=np.int64)


def _shown(value: str) -> str:
    text = printable(" ".join(value.split()))
    return (text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…") or NONE


def slice_table(evaluation: Evaluation, slices: Slices) -> "pd.DataFrame":
    """One row per slice, least accurate first: `value`, `digits`, `writers`, `errors`, `accuracy` with `low` and
    `high`, `rest` (the accuracy of all other digits), `p`, `holm_p`, `worse`.

    `writers` is 0 where they are not known. `p` is the chance that a slice no worse than the rest makes as many errors,
    one-sided: Fisher's exact test, and where writers are known, if that is larger, that of a t test of the difference,
    whose variance is the sum of its squared changes as each writer is left out, with half as many degrees of freedom as
    the slice or the rest has writers, as in `intervals.spread_of`. A slice of one writer is never worse than by chance.
    `holm_p` is corrected for the number of slices; below `SIGNIFICANCE_LEVEL`, the slice is `worse`.

    Raises:
        ValueError: the slices are of another number of digits.

    Sources: R. A. Fisher, "Statistical methods for research workers", 5th edition, 1934, section 21.02; S. Holm, "A
    simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70.
    tests/evaluation/test_slices.py measures how often a slice is marked wrongly.
    """
    import pandas as pd  # here, since a prediction does not need it

    _check(evaluation, slices)
    wrong, known = evaluation.predictions != evaluation.labels, evaluation.writers
    writers = None if slices.is_by_person else known
    rows = []
    for code, value in enumerate(slices.values):
        inside = slices.codes == code
        low, high = share_interval(~wrong[inside], None if writers is None else writers[inside])
        people = 0 if known is None else len(np.unique(known[inside]))
        rest = float(1 - wrong[~inside].mean()) if not inside.all() else np.nan
        accuracy, p = float(1 - wrong[inside].mean()), _worse_p(wrong, inside, writers)
        rows.append((value, int(inside.sum()), people, int(wrong[inside].sum()), accuracy, low, high, rest, p))
    columns = ["value", "digits", "writers", "errors", "accuracy", "low", "high", "rest", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["holm_p"] = holm_corrected(table["p"].to_numpy(dtype=np.float64))
    table["worse"] = table["holm_p"] < SIGNIFICANCE_LEVEL
    return table.sort_values(["accuracy", "digits"], ascending=[True, False], kind="stable", ignore_index=True)


def compare_slices(a: Evaluation, b: Evaluation, slices: Slices) -> "pd.DataFrame":
    """One row per slice, B's greatest gain first: `value`, and the columns of `comparison.compare_groups`.

    Raises:
        ValueError: the evaluations are not of the same digits, or the slices of another number of them.
    """
    _check(a, slices)
    table = compare_groups(a, b, slices.codes, by_digit=slices.is_by_person)
    table.insert(0, "value", [slices.values[code] for code in table.pop("group")])
    return table.sort_values("difference", ascending=False, kind="stable", ignore_index=True)


def _worse_p(wrong: NDArray[np.bool_], inside: NDArray[np.bool_], writers: NDArray[np.int64] | None) -> float:
    by_digit = float(hypergeom.sf(wrong[inside].sum() - 1, len(wrong), inside.sum(), wrong.sum()))
    return by_digit if writers is None else max(by_digit, _worse_p_by_writer(wrong, inside, writers))


def _worse_p_by_writer(wrong: NDArray[np.bool_], inside: NDArray[np.bool_], writers: NDArray[np.int64]) -> float:
    """1 where the slice or the rest has fewer than two writers."""
    people = np.unique(writers, return_inverse=True)[1] * 2 + inside
    length = 2 * (people.max() // 2 + 1)
    digits = np.bincount(people, minlength=length).reshape(-1, 2)  # of each writer, outside and inside
    errors = np.bincount(people, weights=wrong, minlength=length).reshape(-1, 2)
    fewest = int((digits > 0).sum(axis=0).min())
    if fewest < 2:
        return 1.0
    shares = (errors.sum(axis=0) - errors) / (digits.sum(axis=0) - digits)  # without each writer
    worse_by = float(np.diff(errors.sum(axis=0) / digits.sum(axis=0))[0])
    deviation = float(np.sqrt(((np.diff(shares, axis=1)[:, 0] - worse_by) ** 2).sum()))
    if deviation == 0:
        return 0.0 if worse_by > 0 else 1.0
    return float(t.sf(worse_by / deviation, fewest / 2))


def _check(evaluation: Evaluation, slices: Slices) -> None:
    if len(slices.codes) != len(evaluation):
        raise ValueError(f"slices must be of {len(evaluation):,} digits, got {len(slices.codes):,}")
