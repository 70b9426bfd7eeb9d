"""Figures in documents and notebooks: each has its count and its interval, and no lucky seed is a headline."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from digitcore.evaluation.intervals import wilson_interval
from digitcore.models.library import CheckpointLibrary, load_checkpoint
from tests.paths import ROOT, WEIGHTS

DOCUMENTS = [ROOT / "README.md", WEIGHTS / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = [pytest.param(path, id=f"{path.parent.name}-{path.name}") for path in (*DOCUMENTS, *NOTEBOOKS)]

INTERVAL = r"\((?:[^()]*; )?[\d.,]+%? to [\d.,]+%?[^()]*\)"
SHARE = re.compile(rf"(?<!below )\b\d+\.\d+%(?! to)(?!\s*{INTERVAL})")
ERRORS = re.compile(rf"\b[\d.,]*\d (?:validation |test )?errors\b(?! of [\d,]+(?: digits)?,?\s{INTERVAL})")
RANGE = re.compile(r"[\d.,]+%? to [\d.,]+%?")
COUNT = re.compile(r"^\**(\d+)\** \((\d+) to (\d+)\)")
SEEDS = re.compile(r"mean|seeds?|luck|of nine runs|table", re.IGNORECASE)


def _text(path: Path) -> str:
    """What a reader sees of a document or a notebook, without code."""
    if path.suffix == ".md":
        return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def _paragraphs(path: Path) -> list[str]:
    return re.split(r"\n\s*\n", _text(path))


def _tables(path: Path) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Each table's heads and rows."""
    for block in _paragraphs(path):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        if lines:
            rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in lines]
            yield rows[0], rows[2:]


def _prose(path: Path) -> str:
    return "\n".join(line for line in _text(path).splitlines() if not line.startswith("|"))


@pytest.mark.parametrize("path", TEXTS)
def test_every_figure_in_a_sentence_has_its_interval(path: Path) -> None:
    text = " ".join(_prose(path).split())
    shares = [match for match in SHARE.finditer(text) if not _is_in_interval(text, match)]
    assert [text[max(0, match.start() - 40) : match.end() + 30] for match in (*shares, *ERRORS.finditer(text))] == []


def _is_in_interval(text: str, match: re.Match[str]) -> bool:
    return any(found.start() <= match.start() < found.end() for found in RANGE.finditer(text))


@pytest.mark.parametrize("path", TEXTS)
def test_every_figure_in_a_table_has_its_count_and_interval(path: Path) -> None:
    """In columns of errors and of shares: a count of digits in the head or the cell, and a range in each cell."""
    bare = []
    for heads, rows in _tables(path):
        has_intervals = any(head.startswith("95% interval") for head in heads)
        for row, head, cell in ((row, head, row[j]) for row in rows for j, head in enumerate(heads)):
            is_figure = re.match(r"\**\d", cell) and (re.search(r"\berrors\b|\bwrong\b|%", head) or SHARE.search(cell))
            if is_figure and not (_has_count([*heads, *row]) and (has_intervals or _has_range(head, cell))):
                bare.append(f"{head}: {cell}")
    assert bare == []


def _has_count(words: list[str]) -> bool:
    return any(re.search(r"\bof [\d,]+|\([\d,]+ [a-z]+\)", text) for text in words)


def _has_range(head: str, cell: str) -> bool:
    return RANGE.search(cell) is not None or "mean" in head or re.match(r"[\d,]+ of [\d,]+$", cell) is not None


@pytest.mark.parametrize("path", TEXTS)
def test_intervals_of_counts_are_wilsons(path: Path) -> None:
    """Where a table gives errors of so many digits, and one run: `k (low to high)`."""
    for heads, rows in _tables(path):
        for j, head in enumerate(heads):
            total = re.fullmatch(r"(?:validation |test )?errors of ([\d,]+)", head)
            for given in filter(None, (COUNT.match(row[j]) for row in rows if total)):
                digits = int(total[1].replace(",", ""))
                low, high = wilson_interval(int(given[1]), digits)
                assert (given[2], given[3]) == (f"{low * digits:.0f}", f"{high * digits:.0f}"), (head, given[0])


def test_cards_name_what_a_recipe_does_before_what_one_run_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(WEIGHTS))
    text = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    several = {}
    for name in CheckpointLibrary(WEIGHTS).usable_names():
        errors = load_checkpoint(name).metadata.errors_by_seed("mnist-test")
        if errors:
            several[name] = errors
            mean = f"{sum(errors) / len(errors):.1f} ({min(errors)} to {max(errors)}), {len(errors)} seeds; this one "
            assert re.search(rf"^\| {name} \| [\d,]+ \| {re.escape(mean)}\d+ of 10,000", text, re.MULTILINE), name
    assert set(several) >= {"compact", "compact-wide", "standard"}


@pytest.mark.parametrize("path", TEXTS)
def test_no_lucky_run_is_a_headline(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paragraph that gives a shipped run's test errors, where its recipe has several, says so."""
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(WEIGHTS))
    lucky = [f"{min(load_checkpoint(name).metadata.errors_by_seed('mnist-test'))}" for name in ("compact", "standard")]
    named = re.compile(rf"\b({'|'.join(lucky)}|32) (test )?errors\b")
    assert [words for words in _paragraphs(path) if named.search(words) and not SEEDS.search(words)] == []
