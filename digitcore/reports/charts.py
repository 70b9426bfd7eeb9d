"""Altair charts of tables, for light and dark backgrounds; colour is never the only sign."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digitcore.evaluation.growth import GrowthCurve
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL
from digitcore.reports.labels import PLACES, label_places

__all__ = [
    "ALL",
    "Chart",
    "confidence_histogram",
    "confusion_difference",
    "confusion_heatmap",
    "cost_chart",
    "coverage_chart",
    "fine_tuning_chart",
    "growth_chart",
    "pair_matrix",
    "per_digit_chart",
    "reliability_diagram",
    "specification",
    "writers_chart",
]

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart

ALL = "all"
"""Name of the margins of a confusion heat map, for all classes together."""

_BLUE, _ORANGE, _GREY = "#2f74c8", "#d9822b", "#8a8a8a"
_TEXT = "currentColor"
"""The page's own, whatever its ground."""
_LIGHT_BLUE, _ON_COLOUR = "#5b9ae6", "#000000"
"""Colour of cells, like `_ORANGE` as light as black numbers on it must have it, and those numbers."""
_CHARACTER = 7  # pixels that a digit of a cell is wide at most
_FAINT, _STRONG = 0.64, 0.76
"""Opacities: a cell up to the first lets the page's text be read on it, one from the second on black text, on a light
ground and on a dark one (4.5 : 1). Between them neither does, so that no cell is."""
_SHARES = alt.Axis(format="%")
_BEST = {"parameters": "best for its size", "milliseconds": "best for its speed"}  # by cost
_UNDECIDED = "no clear winner"
_MOST_NAMES = 25  # that fit into one chart


def specification(chart: Chart) -> dict[str, Any]:
    """The Vega-Lite specification of a chart with its data, in the sizes of the page's theme rather than of Altair's.

    Building it takes far longer than drawing it, so it is worth caching.
    """
    vega_lite: dict[str, Any] = chart.to_dict()
    colours = {"labelColor": _TEXT, "titleColor": _TEXT}  # the page's theme has them too pale to be read
    return vega_lite | {"config": {"axis": colours, "legend": colours}}


def reliability_diagram(table: pd.DataFrame) -> Chart:
    """Accuracy against confidence, with intervals; a calibrated network is on the diagonal.

    table: of `metrics.reliability_table`.
    """
    x = alt.X("confidence:Q", title="confidence, mean of each bin", axis=_SHARES, scale=alt.Scale(domain=[0, 1]))
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
        .encode(x=x, y=alt.Y("accuracy:Q", title="accuracy, with 95% interval"))
    )
    intervals = base.mark_rule(color=_BLUE, strokeWidth=2).encode(
        x=x, y=alt.Y("low:Q", axis=_SHARES, scale=alt.Scale(domain=[0, 1])), y2="high:Q"
    )
    points = base.mark_point(color=_BLUE, filled=True, opacity=1).encode(
        x=x,
        y=alt.Y("accuracy:Q", title="accuracy, with 95% interval"),
        size=alt.Size("digits:Q", scale=alt.Scale(type="log", range=[30, 300]), legend=None),
        tooltip=tooltip,
    )
    return alt.layer(diagonal, intervals, points).properties(
        height=280,
        description="Reliability diagram: accuracy against confidence in each bin, with 95% intervals, beside a "
        "diagonal on which both agree.",
    )


def confidence_histogram(digits: pd.DataFrame) -> Chart:
    """Counts of right and wrong answers by confidence, side by side, on a logarithmic scale.

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
            x=alt.X("from:O", title="confidence, in steps of 10%", sort=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("answer:N", sort=["right", "wrong"]),
            y=alt.Y("digits:Q", title="digits (logarithmic)", scale=alt.Scale(type="log", domainMin=0.5), stack=None),
            color=alt.Color("answer:N", scale=answers, legend=alt.Legend(orient="top", title=None)),
            tooltip=["answer:N", alt.Tooltip("from:O", title="confidence from"), alt.Tooltip("digits:Q", format=",")],
        )
    )
    numbers = bars.mark_text(dy=-6, fontSize=12, color=_TEXT, aria=False).encode(
        color=alt.value(_TEXT), text=alt.Text("digits:Q", format=",")
    )
    return alt.layer(bars, numbers).properties(
        height=280,
        description="Histogram of confidence: right and wrong answers side by side in steps of 10%, on a "
        "logarithmic scale.",
    )


def writers_chart(table: pd.DataFrame) -> Chart:
    """Errors of each writer, most first, those without errors left out; the selection has the name "writer".

    table: of `metrics.writer_table`, with the `group` of people of each writer, "" where all are of one kind.
    """
    rows = table[table["errors"] > 0].assign(place=lambda rows: np.arange(1, len(rows) + 1))
    groups = sorted(set(table["group"]))
    colour = alt.Color(
        "group:N",
        scale=alt.Scale(domain=groups, range=[_BLUE, _ORANGE][: len(groups)]),
        legend=alt.Legend(orient="top", title=None, symbolStrokeWidth=0) if len(groups) > 1 else None,
    )
    stripes = alt.StrokeDash(
        "group:N", scale=alt.Scale(domain=groups, range=[[1, 0], [3, 2]][: len(groups)]), legend=None
    )
    bars = (
        alt.Chart(rows)
        .mark_bar(stroke=_TEXT, strokeWidth=1)
        .encode(
            x=alt.X("place:O", title="writers with errors, most first", axis=alt.Axis(labels=False, ticks=False)),
            y=alt.Y("errors:Q", title="errors", axis=alt.Axis(tickMinStep=1, format="d")),
            color=colour,
            strokeDash=stripes,
            tooltip=[
                alt.Tooltip("writer:N"),
                alt.Tooltip("group:N"),
                alt.Tooltip("errors:Q"),
                alt.Tooltip("digits:Q", format=","),
                alt.Tooltip("share:Q", title="share of errors", format=".1%"),
            ],
        )
        .add_params(alt.selection_point(name="writer", fields=["writer"], on="click", clear=False))
    )
    chart: Chart = bars.properties(
        height=240,
        description=f"Bars: the errors of each of the {len(rows)} writers with errors, most first. "
        f"{len(table) - len(rows)} more writers have none.",
    )
    return chart


def fine_tuning_chart(table: pd.DataFrame, *, steps: int) -> Chart:
    """Errors on two sets of digits over the steps of a fine-tuning, as far as it has come.

    table: `step`, `errors`, `digits` (the name of the set).
    """
    names = list(dict.fromkeys(table["digits"]))
    colour = alt.Color(
        "digits:N",
        scale=alt.Scale(domain=names, range=[_ORANGE, _BLUE]),
        legend=alt.Legend(orient="top", title=None, labelLimit=300, columns=1, symbolType="stroke"),
    )
    base = alt.Chart(table).encode(
        x=alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, steps])),
        y=alt.Y("errors:Q", title="errors", axis=alt.Axis(tickMinStep=1, format="d")),
        color=colour,
    )
    dashes = alt.Scale(domain=names, range=[[1, 0], [6, 3]])
    lines = base.mark_line().encode(strokeDash=alt.StrokeDash("digits:N", scale=dashes))
    points = base.mark_point(filled=True, size=50, opacity=1).encode(tooltip=["digits:N", "step:Q", "errors:Q"])
    last = table.groupby("digits", sort=False).last()["errors"]
    words = ", ".join(f"{errors} on {name}" for name, errors in last.items())
    return alt.layer(lines, points).properties(
        height=240, description=f"Lines: errors by step of the fine-tuning; now {words}."
    )


def growth_chart(curves: Sequence[GrowthCurve]) -> alt.ConcatChart:
    """Seconds by size, in logarithms, one small chart a curve, with its slope in the title."""
    logarithmic = alt.Scale(type="log", nice=True)
    charts = []
    for curve in curves:
        table = pd.DataFrame({"size": curve.sizes, "seconds": curve.seconds})
        line = alt.Chart(table).mark_line(color=_BLUE, point=alt.OverlayMarkDef(color=_BLUE, size=40))
        line = line.encode(
            x=alt.X("size:Q", title=curve.unit, scale=logarithmic, axis=alt.Axis(format="~s", tickCount=4)),
            y=alt.Y("seconds:Q", title="seconds", scale=logarithmic, axis=alt.Axis(format="~g", tickCount=4)),
        )
        charts.append(line.properties(width=220, height=150, title=[curve.work, f"slope {curve.slope:.2f}"]))
    return alt.concat(*charts, columns=3)


def coverage_chart(table: pd.DataFrame, *, coverage: float) -> Chart:
    """Accuracy of the answered digits against the share answered, with a line at the selected coverage.

    The axis starts at 80%, or at the selected coverage where that is lower.
    table: of `metrics.coverage_table`.
    """
    start = min(0.8, float(np.floor(coverage * 10) / 10))
    visible = table[table["coverage"] >= start]
    x = alt.X("coverage:Q", title="share of digits answered", axis=_SHARES, scale=alt.Scale(domain=[start, 1]))
    y_scale = alt.Scale(domain=[float(visible["low"].min()), 1], nice=True)
    base = alt.Chart(visible)
    band = base.mark_area(color=_BLUE, opacity=0.2, clip=True).encode(
        x=x, y=alt.Y("low:Q", scale=y_scale, axis=alt.Axis(format=".1%")), y2="high:Q"
    )
    line = base.mark_line(color=_BLUE, clip=True).encode(
        x=x,
        y=alt.Y("accuracy:Q", scale=y_scale, title="their accuracy, with 95% interval"),
        tooltip=[
            alt.Tooltip("threshold:Q", title="minimum confidence", format=".2%"),
            alt.Tooltip("answered:Q", format=","),
            alt.Tooltip("errors:Q", format=","),
            alt.Tooltip("accuracy:Q", format=".2%"),
        ],
    )
    marker = (
        alt.Chart(pd.DataFrame({"coverage": [coverage]}))
        .mark_rule(color=_ORANGE, strokeWidth=2, strokeDash=[6, 3])
        .encode(x="coverage:Q")
    )
    return alt.layer(band, line, marker).properties(
        height=280,
        description="Curve of accuracy against the share of digits answered: how often those are right, with 95% "
        f"interval, with a line at {coverage:.1%}.",
    )


def confusion_heatmap(
    matrix: NDArray[np.int64],
    *,
    order: list[int],
    normalised: str | None = None,
    logarithmic: bool = False,
    diagonal: bool = False,
    selected: tuple[str, str] | None = None,
    titles: tuple[str, str] = ("true digit", "answer"),
) -> Chart:
    """A confusion matrix (true classes in rows) that can be clicked; the selection has the name "cell".

    `titles` are the titles of rows and columns, for matrices of other things; in the selection and in the data, rows
    are always `true` and columns `predicted`.

    The margins, named `ALL`, hold the errors of a whole row or column. `normalised` is None, "row" or "column".
    Without the diagonal, the colour scale covers the errors only. The cell `selected` (true, predicted) is framed.
    """
    table = _cells(matrix, order=order, normalised=normalised, diagonal=diagonal, selected=selected)
    table["opacity"] = _opacity(table["shade"].to_numpy(float), logarithmic=logarithmic)
    table["spoken"] = [
        f"{titles[1]}: {row.predicted}; {titles[0]}: {row.true}; digits: {row.count:,}; share: {row.tip}"
        for row in table[["true", "predicted", "count", "tip"]].itertuples(name="Row")
    ]
    names = [*(str(digit) for digit in order), ALL]
    x, y = _matrix_axes(names, titles)
    selection = alt.selection_point(name="cell", fields=["true", "predicted"], on="click", clear=False)
    base = alt.Chart(table).encode(x=x, y=y)
    cells = (
        base.mark_rect(fill=_LIGHT_BLUE, stroke=_GREY, strokeWidth=0.4)
        .encode(
            fillOpacity=alt.FillOpacity("opacity:Q", scale=None, legend=None),
            tooltip=[
                alt.Tooltip("true:N", title=titles[0]),
                alt.Tooltip("predicted:N", title=titles[1]),
                alt.Tooltip("count:Q", title="digits", format=","),
                alt.Tooltip("tip:N", title="share"),
            ],
            description="spoken:N",
        )
        .add_params(selection)
    )
    layers = [cells, *_cell_numbers(base, table)]
    if table["selected"].any():
        chosen = base.transform_filter("datum.selected")
        layers.append(chosen.mark_rect(fillOpacity=0, stroke=_ORANGE, strokeWidth=3, aria=False))
    off = int(matrix.sum() - matrix.trace())
    return alt.layer(*layers).properties(
        height=440,
        description=f"Matrix of digits, {titles[0]} in rows and {titles[1]} in columns: "
        f"{off:,} of {int(matrix.sum()):,} lie off the diagonal.",
    )


def confusion_difference(a: NDArray[np.int64], b: NDArray[np.int64]) -> Chart:
    """Difference b - a of confusion matrices (10, 10) off the diagonal; the selection has the name "cell"."""
    change = b - a
    table = pd.DataFrame(
        [
            {
                "true": str(true),
                "predicted": str(predicted),
                "a": int(a[true, predicted]),
                "b": int(b[true, predicted]),
                "change": int(change[true, predicted]) if true != predicted else 0,
            }
            for true in range(len(a))
            for predicted in range(len(a))
        ]
    )
    table["text"] = [f"{change:+d}" if change else "" for change in table["change"]]
    table["spoken"] = [
        f"answer: {row.predicted}; true digit: {row.true}; digits, A: {row.a:,}; digits, B: {row.b:,}"
        for row in table[["true", "predicted", "a", "b"]].itertuples(name="Row")
    ]
    table["opacity"] = _opacity(table["change"].abs().to_numpy(float), logarithmic=False)
    table["colour"] = np.where(table["change"] < 0, _LIGHT_BLUE, _ORANGE)
    x, y = _matrix_axes([str(digit) for digit in range(len(a))], ("true digit", "answer"))
    base = alt.Chart(table).encode(x=x, y=y)
    cells = (
        base.mark_rect(stroke=_GREY, strokeWidth=0.4)
        .encode(
            fill=alt.Fill("colour:N", scale=None, legend=None),
            fillOpacity=alt.FillOpacity("opacity:Q", scale=None, legend=None),
            description="spoken:N",
            tooltip=[
                alt.Tooltip("true:N", title="true digit"),
                alt.Tooltip("predicted:N", title="answer"),
                alt.Tooltip("a:Q", title="digits, A"),
                alt.Tooltip("b:Q", title="digits, B"),
            ],
        )
        .add_params(alt.selection_point(name="cell", fields=["true", "predicted"], on="click", clear=False))
    )
    more, fewer = (int(table["change"].clip(lower=0).sum()), int(-table["change"].clip(upper=0).sum()))
    return alt.layer(cells, *_cell_numbers(base, table)).properties(
        height=440,
        description="Matrix of errors, the true digit in rows and the answer in columns: "
        f"B makes {more:,} that A does not and avoids {fewer:,}.",
    )


def per_digit_chart(table: pd.DataFrame) -> Chart:
    """Difference in recall for each digit, with its interval; to the right of 0, B is better.

    table: of `comparison.compare_per_digit`.
    """
    rows = table.assign(better=np.where(table["holm_p"] < SIGNIFICANCE_LEVEL, "real", "may be chance"))
    base = alt.Chart(rows)
    y = alt.Y("digit:O", title="true digit")
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=_GREY, strokeDash=[4, 4]).encode(x="zero:Q")
    rules = base.mark_rule(color=_BLUE, strokeWidth=2).encode(
        x=alt.X(
            "low:Q", title="recall of B minus that of A, 95% interval of each digit alone", axis=alt.Axis(format="+.1%")
        ),
        x2="high:Q",
        y=y,
    )
    points = base.mark_point(filled=True, opacity=1, size=70).encode(
        x="difference:Q",
        y=y,
        color=alt.Color(
            "better:N", scale=alt.Scale(domain=["may be chance", "real"], range=[_BLUE, _ORANGE]), legend=None
        ),
        shape=alt.Shape(
            "better:N", scale=alt.Scale(domain=["may be chance", "real"], range=["circle", "diamond"]), legend=None
        ),
        tooltip=[
            alt.Tooltip("digit:O", title="true digit"),
            alt.Tooltip("errors_a:Q", title="errors of A"),
            alt.Tooltip("errors_b:Q", title="errors of B"),
            alt.Tooltip("difference:Q", title="recall, B minus A", format="+.2%"),
            alt.Tooltip("holm_p:Q", title="p, corrected for ten digits", format=".2g"),
        ],
    )
    return alt.layer(zero, rules, points).properties(
        height=300,
        description="Difference in recall between B and A for each digit, with 95% intervals: "
        f"a real one on {int((table['holm_p'] < SIGNIFICANCE_LEVEL).sum())} of {len(table)} digits.",
    )


def cost_chart(table: pd.DataFrame, *, cost: str, title: str, selected: str | None = None) -> Chart:
    """Errors against cost, both logarithmic, with the efficient frontier; the selection has the name "checkpoint".

    table: `checkpoint`, `errors` with `low` and `high`, `efficient` and the column that `cost` names. A checkpoint
    without errors is drawn at half an error.
    """
    kinds = [_BEST.get(cost, "best for its cost"), "others"]
    rows = table.assign(
        plotted_errors=table["errors"].clip(lower=0.5),
        low=table["low"].clip(lower=0.3),
        kind=np.where(table["efficient"], *kinds),
    )
    coinciding = rows.groupby([cost, "errors"])["checkpoint"]
    rows["names"] = np.where(coinciding.cumcount() == 0, coinciding.transform(", ".join), "")
    log = alt.Scale(type="log", nice=False, padding=25)
    x = alt.X(f"{cost}:Q", title=title, scale=log)
    y_scale = alt.Scale(type="log", nice=False, padding=15)
    base = alt.Chart(rows)
    frontier = (
        base.transform_filter("datum.efficient")
        .mark_line(color=_ORANGE, strokeDash=[5, 3], interpolate="step-after")
        .encode(x=x, y=alt.Y("plotted_errors:Q", scale=y_scale))
    )
    intervals = base.mark_rule(color=_GREY, strokeWidth=1.5, opacity=0.6).encode(
        x=x, y=alt.Y("low:Q", title="errors, with 95% interval", scale=y_scale), y2="high:Q"
    )
    points = (
        base.mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=x,
            y=alt.Y("plotted_errors:Q", scale=y_scale),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=[_ORANGE, _BLUE]),
                legend=alt.Legend(orient="top", title=None, labelLimit=300),
            ),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["diamond", "circle"])),
            tooltip=[
                alt.Tooltip("checkpoint:N", title="model"),
                alt.Tooltip("errors:Q", format=","),
                alt.Tooltip(f"{cost}:Q", format=",.4~g"),
            ],
        )
        .add_params(alt.selection_point(name="checkpoint", fields=["checkpoint"], on="click", clear=False))
    )
    layers: list[Any] = [frontier, intervals, points]
    if len(rows) <= _MOST_NAMES:
        rows["place"] = _name_places(rows, cost)
        for i in sorted(rows["place"].unique()):
            dx, dy, align = PLACES[i]
            layers.append(
                alt.Chart(rows)
                .transform_filter(alt.datum.place == int(i))
                .mark_text(dx=dx, dy=dy, align=align, baseline="middle", fontSize=12, color=_TEXT, aria=False)
                .encode(x=x, y=alt.Y("plotted_errors:Q", scale=y_scale), text="names:N")
            )
    if selected is not None:
        ring = base.transform_filter(alt.datum.checkpoint == selected)
        layers.append(
            ring.mark_point(size=260, color=_ORANGE, strokeWidth=2).encode(
                x=x, y=alt.Y("plotted_errors:Q", scale=y_scale)
            )
        )
    return alt.layer(*layers).properties(
        height=340,
        description=f"Errors of {len(rows)} models against {title}, both logarithmic: no other is both better and "
        f"cheaper than {int(rows['efficient'].sum())} of them.",
    )


def _name_places(rows: pd.DataFrame, cost: str) -> list[int]:
    """Where the names stand in a narrow chart; in a wider one they lie further apart."""
    width, height = 400.0, 260.0

    def scaled(values: pd.Series, low: float, high: float, length: float, padding: float) -> NDArray[np.float64]:
        share = np.log(values.to_numpy(float) / low) / max(np.log(high / low), 1e-9)
        return np.asarray(padding + share * (length - 2 * padding))

    x = scaled(rows[cost], rows[cost].min(), rows[cost].max(), width, 25)
    y = height - scaled(rows["plotted_errors"], rows["low"].min(), rows["high"].max(), height, 15)
    return label_places(x, y, rows["names"].tolist(), width=width, height=height)


def pair_matrix(table: pd.DataFrame, names: list[str]) -> Chart:
    """Errors of the checkpoint in the row minus those of the one in the column; the selection has the name "pair".

    Cells are filled where the two differ significantly. table: of `comparison.compare_pairs`; names: in display order.
    """
    pairs = table[["a", "b", "errors_a", "errors_b", "holm_p", "better"]]
    reversed_pairs = pairs.rename(columns={"a": "b", "b": "a", "errors_a": "errors_b", "errors_b": "errors_a"})
    both = pd.concat([pairs, reversed_pairs], ignore_index=True)
    table_of_cells = pd.DataFrame({"row": both["a"], "column": both["b"], "holm_p": both["holm_p"]})
    table_of_cells["difference"] = both["errors_a"] - both["errors_b"]
    table_of_cells["verdict"] = np.where(both["better"] == both["a"], "better", "worse")
    table_of_cells.loc[both["better"].isna(), "verdict"] = _UNDECIDED
    table_of_cells["text"] = [
        f"{int(difference):+,d}" if difference else "0" for difference in table_of_cells["difference"]
    ]
    table_of_cells["opacity"] = np.where(table_of_cells["verdict"] == _UNDECIDED, 0.0, 1.0)
    table_of_cells["spoken"] = [
        f"than this one: {row.column}; errors more (+) or fewer (-): {row.row}; {row.text}, {row.verdict}"
        for row in table_of_cells[["row", "column", "text", "verdict"]].itertuples(name="Row")
    ]
    x = alt.X(
        "column:N",
        sort=names,
        title="than this one",
        axis=alt.Axis(orient="top", labelAngle=-40, labelLimit=120, labelOverlap=False),
    )
    y = alt.Y(
        "row:N", sort=names, title="errors more (+) or fewer (-)", axis=alt.Axis(labelLimit=120, labelOverlap=False)
    )
    base = alt.Chart(table_of_cells).encode(x=x, y=y)
    verdicts = alt.Scale(domain=["better", "worse", _UNDECIDED], range=[_LIGHT_BLUE, _ORANGE, _GREY])
    cells = (
        base.mark_rect(stroke=_GREY, strokeWidth=0.4)
        .encode(
            fill=alt.Fill("verdict:N", scale=verdicts, legend=None),
            fillOpacity=alt.FillOpacity("opacity:Q", scale=None, legend=None),
            description="spoken:N",
            tooltip=[
                alt.Tooltip("row:N", title="model"),
                alt.Tooltip("column:N", title="compared with"),
                alt.Tooltip("text:N", title="errors more or fewer"),
                "verdict:N",
                alt.Tooltip("holm_p:Q", title="p, Holm", format=".2g"),
            ],
        )
        .add_params(alt.selection_point(name="pair", fields=["row", "column"], on="click", clear=False))
    )
    apart = int((table["better"].notna()).sum())
    return alt.layer(cells, *_cell_numbers(base, table_of_cells)).properties(
        height=90 + 36 * len(names),
        description="Matrix of pairs of models, with the errors of the row minus those of the column: "
        f"{apart} of {len(table)} differences are real.",
    )


def _matrix_axes(names: list[str], titles: tuple[str, str]) -> tuple[alt.X, alt.Y]:
    rows, columns = titles
    return (
        alt.X("predicted:N", sort=names, title=columns, axis=alt.Axis(orient="top", labelAngle=0, domain=False)),
        alt.Y("true:N", sort=names, title=rows, axis=alt.Axis(domain=False)),
    )


def _cells(
    matrix: NDArray[np.int64],
    *,
    order: list[int],
    normalised: str | None,
    diagonal: bool,
    selected: tuple[str, str] | None,
) -> pd.DataFrame:
    """One row per cell, including the margins."""
    values = matrix.astype(np.float64)
    totals = {"row": matrix.sum(axis=1, keepdims=True), "column": matrix.sum(axis=0, keepdims=True)}
    if normalised is not None:
        values = values / np.maximum(totals[normalised], 1)
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
                    "value": values[true, predicted],
                    "shade": values[true, predicted] if is_shaded else 0.0,
                    "inside": True,
                }
            )
        rows.append(_margin_cell(str(true), ALL, int(errors[true].sum())))
    rows += [_margin_cell(ALL, str(predicted), int(errors[:, predicted].sum())) for predicted in order]
    table = pd.DataFrame(rows)
    table["text"] = [_cell_text(row, normalised) for row in rows]
    table["tip"] = [_share_in_words(row, totals, normalised) for row in rows]
    table["selected"] = [(row["true"], row["predicted"]) == selected for row in rows]
    return table


def _margin_cell(true: str, predicted: str, errors: int) -> dict[str, Any]:
    return {"true": true, "predicted": predicted, "count": errors, "value": 0.0, "shade": 0.0, "inside": False}


def _share_in_words(row: dict[str, Any], totals: dict[str, NDArray[np.int64]], normalised: str | None) -> str:
    """The share of a cell in its row, or in its column where shares are of columns, as they are in the lower margin."""
    is_column = row["true"] == ALL or (normalised == "column" and row["predicted"] != ALL)
    side, place = ("column", row["predicted"]) if is_column else ("row", row["true"])
    total = int(totals[side].ravel()[int(place)])
    return f"{row['count'] / total:.2%} of its {side}" if total else f"none: the {side} is empty"


def _cell_numbers(base: alt.Chart, table: pd.DataFrame) -> list[alt.Chart]:
    """The texts of the cells, in what can be read on their colour; none for a layer without a cell.

    On a phone a long text stands in the tooltip alone.
    """
    text = alt.condition(f"{_CHARACTER} * length(datum.text) > bandwidth('x')", alt.value(""), "text:N")
    layers = {_TEXT: f"datum.opacity <= {_FAINT}", _ON_COLOUR: f"datum.opacity > {_FAINT}"}
    return [
        base.transform_filter(condition).mark_text(fontSize=12, color=ink, aria=False).encode(text=text)
        for ink, condition in layers.items()
        if ((table["opacity"] > _FAINT) == (ink == _ON_COLOUR)).any()
    ]


def _opacity(shades: NDArray[np.float64], *, logarithmic: bool) -> NDArray[np.float64]:
    """Opacities of cells by how much they hold, 0 for nothing and 1 for the most, without those between `_FAINT` and
    `_STRONG`.
    """
    positive = shades[shades > 0]
    if not positive.size:
        return np.zeros_like(shades)
    share = shades / positive.max()
    if logarithmic:
        share = np.log1p(shades / positive.min()) / np.log1p(positive.max() / positive.min())
    opacity = np.where(share <= 0.5, 2 * _FAINT * share, _STRONG + 2 * (1 - _STRONG) * (share - 0.5))
    return np.asarray(opacity.round(4))


def _cell_text(row: dict[str, Any], normalised: str | None) -> str:
    if row["count"] == 0:
        return "" if row["inside"] else "0"
    if normalised is None or not row["inside"]:
        return str(row["count"])
    return f"{row['value']:.1%}".removesuffix("%")
