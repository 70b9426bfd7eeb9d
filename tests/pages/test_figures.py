"""Figures on the pages: each share has its interval, or the count of its digits."""

import re

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.state import LEADERBOARD, PAIR, SEVERAL
from tests.pages.conftest import Visit, is_fine, texts

SHARE = re.compile(r"\d+\.\d+%")
SUPPORT = re.compile(r"\d%? to [+-]?\d|\d of [\d,]+|\d in [\d,]+")
VIEWS = [
    ("", {}),
    ("accuracy", {}),
    ("confusion", {}),
    ("errors", {}),
    *(("compare", {"view": view}) for view in (LEADERBOARD, PAIR, SEVERAL)),
]


def _bare(app: AppTest) -> list[str]:
    lines = [line for line in texts(app).splitlines() if "{" not in line]  # styles
    lines += [f"{metric.label}: {metric.value} {metric.help}" for metric in app.metric]
    lines += [expander.label for expander in app.expander]
    return [line for line in lines if SHARE.search(line) and not SUPPORT.search(line)]


def _bare_columns(table: pd.DataFrame) -> set[str]:
    """Columns of accuracies in a table that tells neither how many digits there are nor an interval."""
    shares = {name for name in map(str, table) if re.search("accuracy|share|right|precision|recall|-digits$", name)}
    numbers = {name for name in shares if pd.api.types.is_float_dtype(table[name])}
    first = {"interval", "low", "digits"} & set(table)
    supported = {name for name in numbers if f"{name} interval" in table or (first and not name.endswith("-digits"))}
    return numbers - supported


@pytest.mark.usefixtures("cached_drawn_sets")
@pytest.mark.parametrize(("name", "parameters"), VIEWS, ids=[f"{name}{list(more.values())}" for name, more in VIEWS])
def test_every_share_has_its_interval_or_count(visit: Visit, name: str, parameters: dict[str, str]) -> None:
    app = visit(name, dataset="written-forms", checkpoint="world", **parameters)
    assert is_fine(app)
    assert _bare(app) == []
    assert [_bare_columns(frame.value) for frame in app.dataframe if _bare_columns(frame.value)] == []
