"""Charts: their specifications are valid, they can be drawn, and they show the numbers that went in."""

import re

import numpy as np
import pandas as pd
import pytest
import vl_convert
from numpy.typing import NDArray

from digitcore.evaluation import comparison, metrics
from digitcore.evaluation.evaluation import Evaluation
from digitcore.reports import charts

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 10, 500)
LOGITS = (RANDOM.normal(size=(500, 10)) + 4 * np.eye(10)[LABELS]).astype(np.float32)


@pytest.fixture
def matrix() -> NDArray[np.int64]:
    return metrics.confusion_matrix(LABELS, LOGITS)


def all_charts(matrix: NDArray[np.int64]) -> dict[str, charts.Chart]:
    digits = metrics.digit_table(np.arange(500), LABELS, LOGITS)
    return {
        "reliability": charts.reliability_diagram(metrics.reliability_table(LABELS, LOGITS)),
        "histogram": charts.confidence_histogram(digits),
        "coverage": charts.coverage_chart(metrics.coverage_table(LABELS, LOGITS), coverage=0.9),
        "confusion": charts.confusion_heatmap(matrix, order=list(range(10))),
        "by row": charts.confusion_heatmap(
            matrix, order=metrics.confusion_order(matrix), normalised="row", logarithmic=True, diagonal=True
        ),
        "one class": charts.confusion_heatmap(np.diag([3] * 10), order=list(range(10))),
        "difference": charts.confusion_difference(matrix, matrix.T),
        "no difference": charts.confusion_difference(matrix, matrix),
        "per digit": charts.per_digit_chart(comparison.compare_per_digit(*_evaluations(2))),
        "pairs": charts.pair_matrix(comparison.compare_pairs(_evaluations(3)), ["c2", "c0", "c1"]),
        "cost": charts.cost_chart(_costs(5), cost="parameters", title="parameters", selected="c1"),
        "many costs": charts.cost_chart(_costs(40), cost="parameters", title="parameters"),
    }


def _evaluations(count: int) -> list[Evaluation]:
    ids = np.arange(500)
    return [
        Evaluation(f"c{i}", "made-up", str(i), ids, LABELS, np.roll(LOGITS, i, axis=0) * i + LOGITS)
        for i in range(count)
    ]


def _costs(count: int) -> pd.DataFrame:
    """Of checkpoints with 0, 10, 20, ... errors."""
    errors = np.arange(count) * 10
    return pd.DataFrame(
        {
            "checkpoint": [f"c{i}" for i in range(count)],
            "errors": errors,
            "low": errors * 0.8,
            "high": errors * 1.2 + 4,
            "parameters": 10_000 - errors,
            "efficient": errors < 30,
        }
    )


def test_the_difference_holds_what_b_does_more_often(matrix: NDArray[np.int64]) -> None:
    (rows,) = charts.confusion_difference(matrix, matrix.T).to_dict()["datasets"].values()
    for row in rows:
        true, predicted = int(row["true"]), int(row["predicted"])
        assert row["change"] == matrix[predicted, true] - matrix[true, predicted]
        assert row["text"] == (f"{row['change']:+d}" if row["change"] else "")


def test_the_matrix_of_pairs_is_its_own_negative() -> None:
    evaluations = _evaluations(3)
    table = comparison.compare_pairs(evaluations)
    (rows,) = charts.pair_matrix(table, ["c0", "c1", "c2"]).to_dict()["datasets"].values()
    differences = {(row["row"], row["column"]): row["difference"] for row in rows}
    verdicts = {(row["row"], row["column"]): row["verdict"] for row in rows}
    opposite = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
    assert len(differences) == 6
    for one, other in differences:
        errors = evaluations[int(one[1])].errors - evaluations[int(other[1])].errors
        assert differences[one, other] == errors
        assert verdicts[other, one] == opposite[verdicts[one, other]]
        assert verdicts[one, other] != "better" or errors < 0
    assert "better" in verdicts.values()


def test_a_specification_is_drawn_in_the_look_of_its_page(matrix: NDArray[np.int64]) -> None:
    specification = charts.specification(charts.confusion_difference(matrix, matrix.T))
    assert "config" not in specification
    assert specification["datasets"]


def test_each_is_drawn_with_titles_and_a_description(matrix: NDArray[np.int64]) -> None:
    for name, chart in all_charts(matrix).items():
        specification = chart.to_dict()
        assert specification["description"], name
        svg = vl_convert.vegalite_to_svg(specification)
        assert svg.count("<path") > 10, name
        assert "NaN" not in svg, name


def test_the_heat_map_holds_the_matrix_and_its_margins(matrix: NDArray[np.int64]) -> None:
    specification = charts.confusion_heatmap(matrix, order=list(range(10)), selected=("4", "9")).to_dict()
    (rows,) = specification["datasets"].values()
    counts = {(row["true"], row["predicted"]): row["count"] for row in rows}
    for true in range(10):
        assert [counts[str(true), str(predicted)] for predicted in range(10)] == matrix[true].tolist()
        assert counts[str(true), charts.ALL] == matrix[true].sum() - matrix[true, true]
        assert counts[charts.ALL, str(true)] == matrix[:, true].sum() - matrix[true, true]
    assert [(row["true"], row["predicted"]) for row in rows if row["selected"]] == [("4", "9")]
    assert max(row["shade"] for row in rows if row["true"] == row["predicted"]) == 0


@pytest.mark.parametrize("normalised", ["row", "column"])
def test_shares_add_up(matrix: NDArray[np.int64], normalised: str) -> None:
    specification = charts.confusion_heatmap(matrix, order=list(range(10)), normalised=normalised).to_dict()
    (rows,) = specification["datasets"].values()
    axis = "true" if normalised == "row" else "predicted"
    for digit in range(10):
        shares = [row["value"] for row in rows if row["inside"] and row[axis] == str(digit)]
        assert sum(shares) == pytest.approx(1)
    texts = [row["text"] for row in rows if row["inside"] and row["count"]]
    assert all(re.fullmatch(r"\d+\.\d", text) for text in texts)
