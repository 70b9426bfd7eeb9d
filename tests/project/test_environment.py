"""Answers do not depend on locale, time zone, umask, home folder, user or path.

Real commands run in a copy of the checkout whose path has spaces and umlauts.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.paths import ROOT
from tests.processes import as_user, readable_folder, run_command

NOBODY = 65_534
_LISTS = ["evaluate", "--dataset", "mnist-validation", "--json"], ["evaluate", "compact", "--json"]
_COMMANDS = [["predict", "seven.png", "--json"], *_LISTS, ["cards"]]
# What `python -m digitcore` does, several times in one process: importing torch is most of the time of each.
_RUN_ALL = """
import json, sys
from digitcore.serving.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["digitcore", *words]
    print(json.dumps({"status": main()}))
"""
_OPEN_PAGES = """
from streamlit.testing.v1 import AppTest, app_test
from tests.pages.conftest import ServedPages
app_test.PagesManager = ServedPages
for name in ("draw", "errors"):
    app = AppTest.from_file("dashboard.py", default_timeout=120).switch_page(f"pages/{name}.py").run()
    print(name, [element.value for element in [*app.exception, *app.error]], [title.value for title in app.title])
"""


@dataclass(frozen=True)
class Surroundings:
    """What is different from a plain run; a variable that is None is removed."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    umask: int = -1

    def environment(self) -> dict[str, str]:
        """Those of this process, less what tests set, with the differences."""
        merged = {name: value for name, value in os.environ.items() if name not in {"DIGITCORE_CACHE", "PYTHONPATH"}}
        merged |= self.variables
        return {name: value for name, value in merged.items() if value is not None}


_C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SURROUNDINGS = {
    "ASCII locale, files for the owner alone": Surroundings(_C_LOCALE, umask=0o077),
    "German locale, first time zone": Surroundings({"LC_ALL": "de_DE.UTF-8", "TZ": "Pacific/Kiritimati"}),
    "no variable for the home folder, no data folder": Surroundings({"HOME": None, "DIGITCORE_DATA": None}),
    "home folder that cannot be written": Surroundings({"HOME": "/dev/null"}),
}
WORST = Surroundings({**_C_LOCALE, "TZ": "Pacific/Kiritimati", "HOME": "/dev/null", "DIGITCORE_DATA": None}, 0o077)


@dataclass(frozen=True)
class Outcome:
    """What the commands print, and the cards that they write."""

    answers: list[dict[str, object]]
    probabilities: list[float]
    cards: str

    def assert_equals(self, other: "Outcome") -> None:
        """Texts are equal, and probabilities within 1e-5."""
        np.testing.assert_allclose(self.probabilities, other.probabilities, rtol=0, atol=1e-5)
        assert self.answers == other.answers
        assert self.cards == other.cards


def _outcome(checkout: Path, output: str) -> Outcome:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith(("[", "{"))]
    answer = lines[0][0]
    answer["confidence"] = round(answer["confidence"], 4)
    return Outcome(lines, answer.pop("probabilities"), (checkout / "weights" / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def checkout(draw: Callable[..., np.ndarray], encode: Callable[..., bytes]) -> Iterator[Path]:
    """A copy of the checkout, readable by all, writable by its owner."""
    with readable_folder() as folder:
        copy = folder / "Ein Ordner für große Ziffern"
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        names = [name for name in listing.decode().split("\0") if (ROOT / name).is_file()]
        for name in names:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
        (copy / "seven.png").write_bytes(encode(255 - draw(7), "PNG"))
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield copy


def _run_all(checkout: Path, surroundings: Surroundings, *, prefix: Sequence[str] = ()) -> str:
    command = [*prefix, sys.executable, "-c", _RUN_ALL, json.dumps(_COMMANDS)]
    return run_command(command, folder=checkout, environment=surroundings.environment(), umask=surroundings.umask)


@pytest.fixture(scope="module")
def plain(checkout: Path) -> Outcome:
    outcome = _outcome(checkout, _run_all(checkout, Surroundings()))
    assert [line["status"] for line in outcome.answers if isinstance(line, dict)] == [0] * len(_COMMANDS)
    assert outcome.cards == (ROOT / "weights" / "README.md").read_text(encoding="utf-8")
    return outcome


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_answers_are_those_of_a_plain_run(surroundings: str, checkout: Path, plain: Outcome) -> None:
    (checkout / "weights" / "README.md").unlink()
    _outcome(checkout, _run_all(checkout, SURROUNDINGS[surroundings])).assert_equals(plain)


def test_another_user_reads_a_checkout_that_is_not_theirs(checkout: Path, plain: Outcome) -> None:
    outcome = _outcome(checkout, _run_all(checkout, WORST, prefix=as_user(NOBODY)))
    assert outcome.answers.pop() == {"status": 1}  # of the cards, which cannot be written
    outcome.assert_equals(Outcome(plain.answers[:-1], plain.probabilities, outcome.cards))
    assert not (checkout / ".cache").exists()


def test_pages_open_in_the_worst_surroundings(checkout: Path) -> None:
    prefix = as_user(NOBODY)
    command = [*prefix, sys.executable, "-c", _OPEN_PAGES]
    lines = run_command(command, folder=checkout, environment=WORST.environment(), umask=WORST.umask).splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["draw", "errors"]
    assert [line for line in lines if " [] [" not in line] == []
