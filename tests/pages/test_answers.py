"""A table of answers in the place of a model: every page shows its figures, or says what takes a network."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import digitcore
from pages.shared.state import LEADERBOARD, PAIR, SEVERAL
from tests.pages.conftest import Visit, is_fine, texts, tiles
from tests.paths import WEIGHTS

DATASET = "uci-digits"
WRONG = 40


@pytest.fixture
def answers(weights_folder: Path) -> pd.DataFrame:
    """`regression.csv` with probabilities and `alone.csv` with answers alone, wrong on the first 40 digits."""
    shutil.copytree(WEIGHTS, weights_folder, dirs_exist_ok=True)
    digits = digitcore.load_digits(DATASET)
    told = digits.labels.copy()
    told[:WRONG] = (told[:WRONG] + 1) % 10
    probabilities = np.full((len(digits), 10), 0.01)
    probabilities[np.arange(len(digits)), told] = 0.91
    table = pd.DataFrame({f"p{i}": probabilities[:, i] for i in range(10)})
    table.to_csv(weights_folder / "regression.csv", index=False)
    alone = pd.DataFrame({"id": digits.ids, "prediction": told})
    alone.to_csv(weights_folder / "alone.csv", index=False)
    return alone


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", ["accuracy", "confusion", "errors", "compare"])
def test_every_page_shows_it(visit: Visit, name: str) -> None:
    app = visit(name, dataset=DATASET, checkpoint="regression")
    assert is_fine(app)
    assert app.sidebar.selectbox(key="checkpoint").value == "regression"
    assert f"**regression** on uci-digits: {WRONG} errors in 1,797" in texts(app)


@pytest.mark.usefixtures("answers")
def test_drawing_says_that_it_takes_a_network(visit: Visit) -> None:
    app = visit("", dataset=DATASET, checkpoint="regression", digit="7")
    assert not app.exception


@pytest.mark.usefixtures("answers")
def test_figures_of_confidence_are_left_out_where_there_is_none(visit: Visit) -> None:
    with_probabilities, alone = (
        visit("accuracy", dataset=DATASET, checkpoint=name) for name in ("regression", "alone")
    )
    assert {"Log loss", "Brier score"} <= {metric.label for metric in with_probabilities.metric}
    assert "Parameters" not in {metric.label for metric in with_probabilities.metric}
    assert not alone.metric
    assert "answers without probabilities" in texts(alone)
    assert is_fine(alone)


@pytest.mark.usefixtures("answers")
def test_it_stands_in_the_leaderboard_at_once(visit: Visit) -> None:
    app = visit("compare", dataset=DATASET, checkpoint="alone", view=LEADERBOARD, filter="answers")
    table = app.dataframe[0].value.set_index("checkpoint")
    assert table.loc[["regression", "alone"], "errors"].tolist() == [WRONG, WRONG]
    assert table.loc[["regression", "alone"], "pen-digits"].isna().all()
    assert "Answers of a model, no network" in texts(app)
    assert "not evaluated yet" not in texts(app)


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("view", [PAIR, SEVERAL])
def test_it_is_compared(visit: Visit, view: str) -> None:
    parameters = {"a": "alone", "b": "compact"} if view == PAIR else {"chosen": ["alone", "regression", "compact"]}
    assert is_fine(visit("compare", dataset=DATASET, view=view, **parameters))


@pytest.mark.usefixtures("answers")
def test_a_digit_is_looked_at(visit: Visit) -> None:
    app = visit("errors", dataset=DATASET, checkpoint="alone", digit="3")
    assert is_fine(app)
    assert len(tiles(app)) > 0
    assert "alone gives answers without probabilities" in texts(app)


@pytest.mark.usefixtures("answers")
def test_other_digits_are_refused_with_the_remedy(visit: Visit) -> None:
    app = visit("accuracy", dataset="mnist-validation", checkpoint="alone")
    (error,) = app.error
    assert "holds answers to 1,797 digits, which are not the 5,000 of mnist" in error.value.replace("\\", "")
    assert not app.exception
