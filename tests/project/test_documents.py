"""Documents against the code: what they name has to exist."""

import re
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from PIL import Image

from digitcore.serving.cli import commands
from digitcore.settings import load_settings
from tests.paths import ROOT

DOCUMENTS = sorted(
    path for folder in ("", "docs", "weights", "pages", "digitcore", "tests") for path in (ROOT / folder).glob("*.md")
)
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TEST_FILES = re.compile(r"\[[^\]]+\]\((tests/[^)]+\.py)\): ((?:`\w+`(?:, )?)+)")


def _heading_anchors(markdown: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(document: Path) -> None:
    links = _LINK.findall(_CODE.sub("", document.read_text(encoding="utf-8")))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), f"{document.name}: {link}"
        assert target.resolve().is_relative_to(ROOT), f"{document.name}: {link}"
        assert not anchor or anchor in _heading_anchors(target.read_text(encoding="utf-8")), f"{document.name}: {link}"


def test_each_promise_of_security_is_held_by_tests_that_exist() -> None:
    table = [line for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for row in table[1:]:  # after the heading
        tests = _TEST_FILES.findall(row)
        assert tests, row
        for path, names in tests:
            source = (ROOT / path).read_text(encoding="utf-8")
            for name in re.findall(r"\w+", names):
                assert f"def {name}(" in source, f"{path}: {name}"


def _commands(document: Path) -> list[list[str]]:
    """The words of each `digitcore ...` or `python -m digitcore ...` in code, placeholders included."""
    code = "\n".join(_CODE.findall(document.read_text(encoding="utf-8")))
    lines = re.findall(r"(?:^|[`/ ])(?:python -m )?digitcore ([a-z][^`#\n]*)", code, re.MULTILINE)
    return [line.split() for line in lines if not line.startswith("import")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_option_exists(document: Path) -> None:
    for name, *words in _commands(document):
        command = commands.get_command(click.Context(commands), name)
        assert command is not None, f"{document.name}: digitcore {name}"
        if isinstance(command, click.Group) and words:
            assert words[0] in command.commands, f"{document.name}: digitcore {name} {words[0]}"
            command = command.commands[words[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            assert not word.startswith("-") or word.split("=")[0] in options, f"{document.name}: {name} {word}"


def test_the_readme_shows_commands_and_commands_of_make_that_exist() -> None:
    assert len(_commands(ROOT / "README.md")) >= 6
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for document in DOCUMENTS:
        for code in _CODE.findall(document.read_text(encoding="utf-8")):
            for target in re.findall(r"(?:^|`)make ([a-z-]+)", code, re.MULTILINE):
                assert f"\n{target}:" in makefile, f"{document.name}: make {target}"


def test_the_moving_picture_of_the_readme_is_small_and_rests_where_motion_is_not_wanted() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    still, moving = re.findall(r'(?:src|srcset)="([^"]+)"', readme)
    with Image.open(ROOT / still) as picture:
        assert getattr(picture, "n_frames", 1) == 1
    with Image.open(ROOT / moving) as picture:
        assert getattr(picture, "n_frames", 1) > 10
    assert (ROOT / moving).stat().st_size < 600_000
    assert "prefers-reduced-motion: reduce" in readme


def _variables(text: str) -> set[str]:
    return set(re.findall(r"\bDIGITCORE_[A-Z_]+\b", text))


def test_every_setting_is_documented_and_every_documented_variable_is_used() -> None:
    settings = _variables((ROOT / "digitcore" / "settings.py").read_text(encoding="utf-8")) - {"DIGITCORE_"}
    table = re.findall(r"^\| `(DIGITCORE_\w+)` \|", SETTINGS, re.MULTILINE)
    assert sorted(table) == sorted(settings)
    tests = [ROOT / "Makefile", ROOT / "tests" / "databases.py", *(ROOT / "tests").rglob("conftest.py")]
    used = settings.union(*(_variables(path.read_text(encoding="utf-8")) for path in tests))
    for document in DOCUMENTS:
        assert _variables(document.read_text(encoding="utf-8")) <= used, document


def test_documented_limits_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = re.findall(r"^\| `(DIGITCORE_(MAX_\w+))` \| (\d+) \|", SETTINGS, re.MULTILINE)
    assert len(limits) == (ROOT / "digitcore" / "settings.py").read_text(encoding="utf-8").count('_positive("')
    for variable, _, _ in limits:
        monkeypatch.delenv(variable, raising=False)
    settings = load_settings()
    for _, attribute, default in limits:
        assert getattr(settings, attribute.lower()) == int(default)


def test_citation_licence_and_project_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith(f"{citation['license']} License")
    assert all(author["name"] in licence for author in citation["authors"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["license"], citation["version"]) == (project["license"], project["version"])
