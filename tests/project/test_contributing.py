"""The recipes of CONTRIBUTING.md, carried out in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

_COPIED = ("digitcore", "pages", "tests", "weights", ".streamlit", "dashboard.py", "pyproject.toml")
_BLOCK = re.compile(r"^```python\n# (?P<file>[\w./]+\.py)(?:, (?P<place>[^\n]+))?\n(?P<code>.*?)^```$", re.M | re.S)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _recipes() -> dict[str, list[re.Match[str]]]:
    """Blocks by the heading that they stand under."""
    sections = re.split(r"^## ", CONTRIBUTING, flags=re.MULTILINE)[1:]
    blocks = {section.splitlines()[0]: list(_BLOCK.finditer(section)) for section in sections}
    return {heading: matches for heading, matches in blocks.items() if matches}


def _line_number(lines: list[str], start: str) -> int:
    """Number of the one line that starts like this, indented or not."""
    numbers = [i for i, line in enumerate(lines) if line.strip().startswith(start)]
    assert len(numbers) == 1, f"{len(numbers)} lines start with {start!r}"
    return numbers[0]


def _edited(source: str, place: str, code: str) -> str:
    """The source with the code put in its place: "at the end", or before, after or instead of a line."""
    if place == "at the end":
        return f"{source}\n\n{code}"
    relation, start = re.fullmatch(r"(before|after|instead of): (.+)", place).groups()  # type: ignore[union-attr]
    lines = source.splitlines(keepends=True)
    i = _line_number(lines, start)
    first, last = {"before": (i, i), "after": (i + 1, i + 1), "instead of": (i, i + 1)}[relation]
    separated = f"{code}\n\n" if code.startswith(("def ", "class ")) else code
    return "".join([*lines[:first], separated, *lines[last:]])


def _carry_out(block: re.Match[str], folder: Path) -> None:
    path = folder / block["file"]
    if block["place"]:
        path.write_text(_edited(path.read_text(encoding="utf-8"), block["place"], block["code"]), encoding="utf-8")
    else:
        assert not path.exists(), path
        path.write_text(block["code"], encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which all recipes were carried out."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for blocks in _recipes().values():
        for block in blocks:
            _carry_out(block, folder)
    return folder


def _run(folder: Path, *arguments: str) -> str:
    """Standard output of Python in a folder, without what the environment says about this checkout and this run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DIGITCORE_", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(folder), "DIGITCORE_CACHE": str(folder / ".cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def _pytest(folder: Path, *arguments: str) -> str:
    """What pytest prints in a folder where all tests pass."""
    return _run(folder, "-m", "pytest", "-n0", "-p", "no:cacheprovider", *arguments)


def test_there_are_four_recipes() -> None:
    assert list(_recipes()) == ["Add a metric", "Add a page", "Add an architecture", "Add a dataset"]
    assert len(re.findall(r"^```python$", CONTRIBUTING, re.MULTILINE)) == sum(map(len, _recipes().values()))


def test_the_architecture_gives_logits_and_the_dataset_loads(checkout: Path) -> None:
    program = (
        "import digitcore, torch; from digitcore.models.architectures import build_network;"
        "print(tuple(build_network('linear')(torch.zeros(2, 1, 28, 28)).shape));"
        "digits = digitcore.load_digits('uci-blocks'); print(digits.images.shape, len(digits.labels));"
        "print(digitcore.__file__)"
    )
    shape, digits, path = _run(checkout, "-c", program).splitlines()
    assert (shape, digits) == ("(2, 10)", "(1797, 28, 28) 1797")
    assert Path(path).is_relative_to(checkout)


def test_the_new_tests_pass_the_page_opens_and_the_rooms_hold(checkout: Path) -> None:
    tests = ("test_imports.py", "models/test_architectures.py", "data/test_datasets.py", "evaluation", "pages")
    public = "test_all_names_the_public_ones and (architectures or metrics or datasets)"
    page = "test_every_page_opens and balance and uci-digits"
    names = f"({public}) or ({page}) or top_k_accuracy or linear or every_architecture or all_names_are_known"
    output = _pytest(
        checkout, *(f"tests/{name}" for name in tests), "digitcore/evaluation/metrics.py", "-v", "-k", names
    )
    for name in ("balance", "top_k_accuracy", "[linear", "every_architecture", "all_names_are_known", "metrics]"):
        assert re.search(rf"{re.escape(name)}.* PASSED", output), output
