"""Altair builders: a table in, a chart out. They work on light and dark grounds; colour is never the only sign."""

from typing import Any, TypeAlias

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "ALL",
    "Chart",
    "confidence_histogram",
    "confusion_heatmap",
    "coverage_chart",
    "reliability_diagram",
    "specification",
]

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart

ALL = "all"
"""Stands for every class in a confusion heat map's margins."""

_BLUE, _ORANGE, _GREY = "#2f74c8", "#d9822b", "#8a8a8a"
_ON_DARK, _ON_LIGHT = "#ffffff", "#222222"
_SHARES = alt.Axis(format="%")


def specification(chart: Chart) -> dict[str, Any]:
    """The Vega-Lite specification of a chart, its data inside, in the look of whatever page draws it.

    Making it takes far longer than drawing it, so it is worth keeping.
    """
    made: dict[str, Any] = chart.to_dict()
    made.pop("config", None)  # sizes and colours of Altair's own look
    return made


def reliability_diagram(table: pd.DataFrame) -> Chart:
    """Accuracy against confidence, with intervals; on the diagonal the network is as right as it says.

    table: of `metrics.reliability_table`.
    """
    x = alt.X("confidence:Q", title="mean confidence of the bin", axis=_SHARES, scale=alt.Scale(domain=[0, 1]))
    tooltip = [
        alt.Tooltip("confidence:Q", format=".2%"),
        alt.Tooltip("accuracy:Q", format=".2%"),
        alt.Tooltip("low:Q", title="interval from", format=".2%"),
        alt.Tooltip("high:Q", title="to", format=".2%"),
        alt.Tooltip("digits:Q", format=","),
    ]
    base = alt.Chart(table)
    diagonal = (
        alt.Chart(pd.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]}))
        .mark_line(color=_GREY, strokeDash=[4, 4])
        .encode(x=x, y=alt.Y("accuracy:Q", title="accuracy, with 95 % interval"))
    )
    intervals = base.mark_rule(color=_BLUE, strokeWidth=2).encode(
        x=x, y=alt.Y("low:Q", axis=_SHARES, scale=alt.Scale(domain=[0, 1])), y2="high:Q"
    )
    points = base.mark_point(color=_BLUE, filled=True, opacity=1).encode(
        x=x,
        y=alt.Y("accuracy:Q", title="accuracy, with 95 % interval"),
        size=alt.Size("digits:Q", scale=alt.Scale(type="log", range=[30, 300]), legend=None),
        tooltip=tooltip,
    )
    return alt.layer(diagonal, intervals, points).properties(
        height=280, description="Reliability diagram: accuracy against confidence in each bin"
    )


def confidence_histogram(digits: pd.DataFrame) -> Chart:
    """How many right and wrong answers were given with which confidence, side by side; counts on a logarithmic scale.

    digits: with `confidence` and `right`, as of `metrics.digit_table`.
    """
    edges = np.linspace(0.1, 1, 10)
    rows = []
    for answer, inside in (("right", digits["right"]), ("wrong", ~digits["right"])):
        counts, _ = np.histogram(digits["confidence"][inside], bins=edges)
        rows += [(f"{lower:.0%}", answer, int(n)) for lower, n in zip(edges, counts, strict=False) if n]
    table = pd.DataFrame(rows, columns=["from", "answer", "digits"])
    answers = alt.Scale(domain=["right", "wrong"], range=[_BLUE, _ORANGE])
    bars = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X("from:O", title="confidence, in steps of 10 per cent", sort=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("answer:N", sort=["right", "wrong"]),
            y=alt.Y("digits:Q", title="digits (logarithmic)", scale=alt.Scale(type="log", domainMin=0.5), stack=None),
            color=alt.Color("answer:N", scale=answers, legend=alt.Legend(orient="top", title=None)),
            tooltip=["answer:N", alt.Tooltip("from:O", title="confidence from"), alt.Tooltip("digits:Q", format=",")],
        )
    )
    numbers = bars.mark_text(dy=-6, fontSize=10).encode(text=alt.Text("digits:Q", format=","))
    return alt.layer(bars, numbers).properties(
        height=280, description="Histogram of confidence, right and wrong answers side by side"
    )


def coverage_chart(table: pd.DataFrame, *, coverage: float) -> Chart:
    """Accuracy of the digits answered against the share answered, the share picked marked by a line.

    Begins where it becomes interesting: at four fifths of the digits, or below the share picked.
    table: of `metrics.coverage_table`.
    """
    start = min(0.8, float(np.floor(coverage * 10) / 10))
    shown = table[table["coverage"] >= start]
    x = alt.X("coverage:Q", title="digits answered", axis=_SHARES, scale=alt.Scale(domain=[start, 1]))
    y_scale = alt.Scale(domain=[float(shown["low"].min()), 1], nice=True)
    base = alt.Chart(shown)
    band = base.mark_area(color=_BLUE, opacity=0.2, clip=True).encode(
        x=x, y=alt.Y("low:Q", scale=y_scale, axis=alt.Axis(format=".1%")), y2="high:Q"
    )
    line = base.mark_line(color=_BLUE, clip=True).encode(
        x=x,
        y=alt.Y("accuracy:Q", scale=y_scale, title="accuracy of those, with 95 % interval"),
        tooltip=[
            alt.Tooltip("threshold:Q", format=".4f"),
            alt.Tooltip("answered:Q", format=","),
            alt.Tooltip("errors:Q", format=","),
            alt.Tooltip("accuracy:Q", format=".3%"),
        ],
    )
    here = (
        alt.Chart(pd.DataFrame({"coverage": [coverage]}))
        .mark_rule(color=_ORANGE, strokeWidth=2, strokeDash=[6, 3])
        .encode(x="coverage:Q")
    )
    return alt.layer(band, line, here).properties(
        height=280, description="Accuracy of the answered digits against the share that is answered"
    )


def confusion_heatmap(
    matrix: NDArray[np.int64],
    *,
    order: list[int],
    normalised: str | None = None,
    logarithmic: bool = False,
    diagonal: bool = False,
    selected: tuple[str, str] | None = None,
) -> Chart:
    """A confusion matrix (true in rows) that can be clicked: its selection is called "cell".

    The margins, called `ALL`, hold the errors of a whole row or column. `normalised` is None, "row" or "column".
    Without the diagonal, colour is spread over the errors alone. `selected` (true, predicted) is framed.
    """
    table = _cells(matrix, order=order, normalised=normalised, diagonal=diagonal, selected=selected)
    names = [*(str(digit) for digit in order), ALL]
    x = alt.X("predicted:N", sort=names, title="predicted", axis=alt.Axis(orient="top", labelAngle=0, domain=False))
    y = alt.Y("true:N", sort=names, title="true", axis=alt.Axis(domain=False))
    shaded = table["shade"].max()
    scale = alt.Scale(scheme="blues", type="symlog" if logarithmic else "linear", domain=[0, float(shaded) or 1.0])
    picked = alt.selection_point(name="cell", fields=["true", "predicted"], on="click", clear=False)
    base = alt.Chart(table).encode(x=x, y=y)
    cells = (
        base.mark_rect(stroke=_GREY, strokeWidth=0.4)
        .encode(
            color=alt.condition(
                "datum.inside", alt.Color("shade:Q", scale=scale, legend=None), alt.value("transparent")
            ),
            tooltip=["true:N", "predicted:N", alt.Tooltip("count:Q", format=","), alt.Tooltip("tip:N", title="share")],
        )
        .add_params(picked)
    )
    frame = base.transform_filter("datum.selected").mark_rect(fillOpacity=0, stroke=_ORANGE, strokeWidth=3)
    numbers = [
        base.transform_filter(alt.datum.ink == ink).mark_text(fontSize=11, color=ink).encode(text="text:N")
        for ink in (_ON_DARK, _ON_LIGHT, _GREY)
    ]
    return alt.layer(cells, *numbers, frame).properties(
        height=440, description="Confusion matrix: true digits in rows, predicted ones in columns"
    )


def _cells(
    matrix: NDArray[np.int64],
    *,
    order: list[int],
    normalised: str | None,
    diagonal: bool,
    selected: tuple[str, str] | None,
) -> pd.DataFrame:
    """One row a cell, the margins included."""
    shown = matrix.astype(np.float64)
    totals = {"row": matrix.sum(axis=1, keepdims=True), "column": matrix.sum(axis=0, keepdims=True)}
    if normalised is not None:
        shown = shown / np.maximum(totals[normalised], 1)
    errors = matrix - np.diag(matrix.diagonal())
    rows: list[dict[str, Any]] = []
    for true in order:
        for predicted in order:
            is_shaded = diagonal or true != predicted
            rows.append(
                {
                    "true": str(true),
                    "predicted": str(predicted),
                    "count": int(matrix[true, predicted]),
                    "value": shown[true, predicted],
                    "shade": shown[true, predicted] if is_shaded else 0.0,
                    "inside": True,
                }
            )
        rows.append(_margin_cell(str(true), ALL, int(errors[true].sum())))
    rows += [_margin_cell(ALL, str(predicted), int(errors[:, predicted].sum())) for predicted in order]
    table = pd.DataFrame(rows)
    table["text"] = [_cell_text(row, normalised) for row in rows]
    table["tip"] = [f"{row['value']:.2%}" if normalised and row["inside"] else "-" for row in rows]
    is_dark = table["shade"] > 0.55 * max(float(table["shade"].max()), 1e-12)
    table["ink"] = np.where(is_dark, _ON_DARK, np.where(table["inside"], _ON_LIGHT, _GREY))
    table["selected"] = [(row["true"], row["predicted"]) == selected for row in rows]
    return table


def _margin_cell(true: str, predicted: str, errors: int) -> dict[str, Any]:
    return {"true": true, "predicted": predicted, "count": errors, "value": 0.0, "shade": 0.0, "inside": False}


def _cell_text(row: dict[str, Any], normalised: str | None) -> str:
    if row["count"] == 0:
        return "" if row["inside"] else "0"
    if normalised is None or not row["inside"]:
        return str(row["count"])
    return f"{row['value']:.1%}".removesuffix("%")
