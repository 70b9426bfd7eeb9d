"""Tables as text for other programs: CSV, Markdown and LaTeX."""

from collections.abc import Callable, Sequence

import pandas as pd

from digitcore.text import csv_cell, latex, plain

__all__ = ["TABLE_FORMATS", "as_csv", "as_latex", "as_markdown"]


def as_csv(table: pd.DataFrame) -> str:
    """A table as CSV (RFC 4180), without its index; no cell of it is a formula."""
    return table.rename(columns=csv_cell).map(csv_cell).to_csv(index=False, lineterminator="\r\n")


def as_markdown(table: pd.DataFrame) -> str:
    r"""A table as Markdown, without its index; text is shown as it is, and numbers stand on the right.

    >>> print(as_markdown(pd.DataFrame({"recipe": ["a|b"], "errors": [46.8]})), end="")
    | recipe | errors |
    |---|---:|
    | a\|b | 46.8 |
    """
    rules = ["---:" if is_number else "---" for is_number in _are_numbers(table)]
    lines = [_cells(list(table.columns), plain), [], *(_cells(row, plain) for row in _rows(table))]
    text = [f"| {' | '.join(line)} |" for line in lines]
    text[1] = f"|{'|'.join(rules)}|"
    return "\n".join(text) + "\n"


def as_latex(table: pd.DataFrame) -> str:
    r"""A table as a LaTeX `tabular`, without its index; it needs no package.

    >>> print(as_latex(pd.DataFrame({"recipe": ["a_b"], "errors": [46.8]})), end="")
    \begin{tabular}{lr}
    \hline
    recipe & errors \\
    \hline
    a\_b & 46.8 \\
    \hline
    \end{tabular}
    """
    columns = "".join("r" if is_number else "l" for is_number in _are_numbers(table))
    cells = [_cells(list(table.columns), latex), *(_cells(row, latex) for row in _rows(table))]
    head, *rows = (rf"{' & '.join(row)} \\" for row in cells)
    parts = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"]
    return "\n".join(parts) + "\n"


TABLE_FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {"csv": as_csv, "markdown": as_markdown, "latex": as_latex}
"""What writes a table, by the name of the format."""


def _are_numbers(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(table[name]) for name in table]


def _rows(table: pd.DataFrame) -> list[list[object]]:
    return [list(row) for row in table.astype(object).to_numpy()]


def _cells(row: Sequence[object], escaped: Callable[[str], str]) -> list[str]:
    """Text of the cells; a missing number is empty."""
    return ["" if pd.isna(value) else escaped(str(value)) for value in row]  # type: ignore[call-overload]
