"""`digitcore.show` in a program of its own, as a notebook would call it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import digitcore
from digitcore.errors import CheckpointError
from tests.paths import ROOT

PROGRAM = """
import json
from urllib.request import urlopen
import pandas as pd
import digitcore

answers = pd.DataFrame({"prediction": digitcore.load_digits("uci-digits").labels})
page, again = (
    digitcore.show(answers, name=name, dataset="uci-digits", open_browser=False) for name in ("mine", "more")
)
print(page, again)
with urlopen(page.split("/accuracy")[0] + "/checkpoints") as answer:
    print(*sorted(entry["name"] for entry in json.load(answer)))
"""


@pytest.mark.slow
def test_it_serves_the_table_until_the_program_ends(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "DIGITCORE_CACHE": str(tmp_path / "cache"),
        "DIGITCORE_DATABASE_URL": f"sqlite:///{tmp_path / 'state.sqlite'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pages, names = done.stdout.splitlines()
    page, again = pages.split()
    assert page.endswith("/accuracy?checkpoint=mine&dataset=uci-digits")
    assert again.split("/accuracy")[0] == page.split("/accuracy")[0]
    assert {"mine", "more", "world"} <= set(names.split())


@pytest.mark.parametrize(
    ("table", "name", "reason"),
    [
        (pd.DataFrame({"guess": [1]}), "mine", r"^mine\.csv holds no answers: it needs the columns p0 to p9"),
        (pd.DataFrame({"prediction": [1, 11]}), "mine", "has as prediction 11 in row 1"),
        (pd.DataFrame({"prediction": np.arange(5)}), "world", "There is a checkpoint world already"),
    ],
)
def test_what_cannot_be_shown_is_said_before_a_server_starts(table: pd.DataFrame, name: str, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        digitcore.show(table, name=name, dataset="uci-digits", open_browser=False)
