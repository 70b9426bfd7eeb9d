"""Figures in documents: each accuracy has its interval, and no lucky seed is a headline."""

import re
from pathlib import Path

import pytest

from digitcore.models.library import CheckpointLibrary, load_checkpoint
from tests.paths import ROOT, WEIGHTS

DOCUMENTS = [ROOT / "README.md", WEIGHTS / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ACCURACY = re.compile(r"\b\d{2}\.\d{2}%")
INTERVAL = re.compile(r"\(\d+\.\d+% to \d+\.\d+%\)")
SEEDS = re.compile(r"mean|seeds?|luck|of nine runs|table", re.IGNORECASE)


def _paragraphs(path: Path) -> list[str]:
    return re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [ROOT / "README.md", WEIGHTS / "README.md"], ids=lambda path: path.parent.name)
def test_every_accuracy_has_its_interval(path: Path) -> None:
    text = INTERVAL.sub("(interval)", path.read_text(encoding="utf-8"))
    found = [text[match.start() : match.end() + 11] for match in ACCURACY.finditer(text)]
    assert [words for words in found if not words.endswith(" (interval)")] == []


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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_lucky_run_is_a_headline(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paragraph that gives a shipped run's test errors, where its recipe has several, says so."""
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(WEIGHTS))
    lucky = [f"{min(load_checkpoint(name).metadata.errors_by_seed('mnist-test'))}" for name in ("compact", "standard")]
    named = re.compile(rf"\b({'|'.join(lucky)}|32) (test )?errors\b")
    assert [words for words in _paragraphs(path) if named.search(words) and not SEEDS.search(words)] == []
