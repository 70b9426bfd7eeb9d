"""`digitcore.show`: a real server, and what is refused before one is started."""

import json
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

import digitcore
from digitcore.errors import CheckpointError


def test_it_serves_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path / 'state.sqlite'}")
    answers = pd.DataFrame({"prediction": digitcore.load_digits("uci-digits").labels})
    page, again = (
        digitcore.show(answers, name=name, dataset="uci-digits", open_browser=False) for name in ("mine", "more")
    )
    address = page.removesuffix("/accuracy?checkpoint=mine&dataset=uci-digits")
    assert again == f"{address}/accuracy?checkpoint=more&dataset=uci-digits"
    with urlopen(f"{address}/checkpoints") as listed:
        assert {"mine", "more", "world"} <= {entry["name"] for entry in json.load(listed)}


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
