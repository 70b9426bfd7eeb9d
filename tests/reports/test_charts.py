"""Charts: their specifications are valid, they can be drawn, and they show the numbers that went in."""

import json
import re
from collections.abc import Iterator
from typing import Any

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
        "fine-tuning": charts.fine_tuning_chart(
            pd.DataFrame({"step": [0, 25, 0, 25], "errors": [9, 4, 22, 21], "digits": ["own"] * 2 + ["MNIST"] * 2}),
            steps=200,
        ),
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
    opposite = {"better": "worse", "worse": "better", "no clear winner": "no clear winner"}
    assert len(differences) == 6
    for one, other in differences:
        errors = evaluations[int(one[1])].errors - evaluations[int(other[1])].errors
        assert differences[one, other] == errors
        assert verdicts[other, one] == opposite[verdicts[one, other]]
        assert verdicts[one, other] != "better" or errors < 0
    assert "better" in verdicts.values()


def test_a_specification_is_drawn_in_the_look_of_its_page(matrix: NDArray[np.int64]) -> None:
    specification = charts.specification(charts.confusion_difference(matrix, matrix.T))
    assert specification["config"] == {
        part: {"labelColor": "currentColor", "titleColor": "currentColor"} for part in ("axis", "legend")
    }
    assert specification["datasets"]


def test_each_is_drawn_with_titles_and_a_description(matrix: NDArray[np.int64]) -> None:
    for name, chart in all_charts(matrix).items():
        specification = chart.to_dict()
        assert re.fullmatch(r"[A-Z].{20,200}\.", specification["description"]), name  # one sentence
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


def _marks(specification: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The marks of all layers, each with its type."""
    for layer in specification["layer"]:
        yield layer["mark"]


def test_text_is_large_enough_and_can_be_read_on_any_ground(matrix: NDArray[np.int64]) -> None:
    """At least 12 px; in the page's own colour, or in black on what is coloured for it."""
    count = 0
    for name, chart in all_charts(matrix).items():
        texts = [mark for mark in _marks(charts.specification(chart)) if mark["type"] == "text"]
        count += len(texts)
        for mark in texts:
            assert mark["fontSize"] >= 12, name
            assert mark["color"] in ("currentColor", "#000000"), name
            assert mark["aria"] is False, name  # the cell, bar or point itself has the number in its name
        assert not re.search(
            r'"(label|title)?[fF]ontSize": ?([0-9]|1[01])[,}]', json.dumps(chart.to_dict()["layer"])
        ), name
    assert count > 10


@pytest.mark.parametrize(("ground", "text"), [("#ffffff", "#2f2d2b"), ("#171614", "#edebe8")])
@pytest.mark.parametrize("colour", ["#5b9ae6", "#d9822b"])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_numbers_can_be_read_on_their_cells(
    matrix: NDArray[np.int64], ground: str, text: str, colour: str, logarithmic: bool
) -> None:
    """In both themes, on whatever a cell may hold: 4.5 : 1 at least."""
    for most in (1, 2, 3, 7, 20, 400):
        counts = np.zeros((10, 10), dtype=np.int64)
        counts[0, 1:] = np.linspace(0, most, 9).round()
        chart = charts.confusion_heatmap(counts, order=list(range(10)), logarithmic=logarithmic)
        specification = chart.to_dict()
        (rows,) = specification["datasets"].values()
        assert max(row["opacity"] for row in rows) == 1
        for row in rows:
            ink = "#000000" if row["opacity"] > 0.64 else text
            assert _contrast(ink, _mixed(colour, ground, row["opacity"])) >= 4.5, row
            assert (row["opacity"] == 0) == (row["shade"] == 0), "an empty cell is the page's ground"


def _mixed(colour: str, ground: str, opacity: float) -> str:
    mixed = [
        round(opacity * over + (1 - opacity) * under) for over, under in zip(_rgb(colour), _rgb(ground), strict=True)
    ]
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio" and "relative luminance"."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = [value / 255 for value in _rgb(colour)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour.removeprefix("#")))


@pytest.mark.parametrize(
    ("normalised", "cell", "share"),
    [
        (None, ("4", "9"), "30.00% of its row"),
        ("row", ("4", "9"), "30.00% of its row"),
        ("column", ("4", "9"), "100.00% of its column"),
        (None, ("4", charts.ALL), "30.00% of its row"),
        (None, (charts.ALL, "9"), "100.00% of its column"),
        (None, ("5", "9"), "none: the row is empty"),
        ("column", ("5", "0"), "none: the column is empty"),
    ],
)
def test_a_tooltip_says_which_share_a_cell_is(normalised: str | None, cell: tuple[str, str], share: str) -> None:
    counts = np.zeros((10, 10), dtype=np.int64)
    counts[4, 4], counts[4, 9] = 7, 3
    (rows,) = (
        charts.confusion_heatmap(counts, order=list(range(10)), normalised=normalised).to_dict()["datasets"].values()
    )
    (row,) = [row for row in rows if (row["true"], row["predicted"]) == cell]
    assert row["tip"] == share
    assert row["spoken"] == f"answer: {cell[1]}; true digit: {cell[0]}; digits: {row['count']}; share: {share}"


def test_only_a_selected_cell_has_a_layer_for_its_frame(matrix: NDArray[np.int64]) -> None:
    """An empty layer would be a picture without a name."""
    bare, framed = (
        charts.confusion_heatmap(matrix, order=list(range(10)), selected=selected).to_dict()["layer"]
        for selected in (None, ("4", "9"))
    )
    assert len(framed) == len(bare) + 1
