"""Charts: their specifications are valid, they can be drawn, and they show the numbers that went in."""

import re

import numpy as np
import pytest
import vl_convert
from numpy.typing import NDArray

from digitcore import charts, metrics

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
    }


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
