"""Which digits are mistaken for which: click a cell to see its digits, click one to see why."""

import numpy as np
import pandas as pd
import streamlit as st

from digitcore.data.datasets import DigitSet
from digitcore.evaluation.evaluation import Evaluation
from digitcore.models.classifier import DigitClassifier
from digitcore.reports.charts import ALL
from pages.parts.confusion.heatmap import heatmap_specification
from pages.shared.csv_button import csv_button
from pages.shared.digit_gallery import digit_gallery
from pages.shared.digit_panel import digit_panel
from pages.shared.evaluations import cached_confusion, cached_digit_table
from pages.shared.pickers import picked_evaluation, picked_pictures
from pages.shared.state import ANY, DIGIT, EXPLORE, PREDICTED, TRUE

_DIGITS = [str(digit) for digit in range(10)]
_CHART, _PAIRS = "confusion-chart", "confused-pairs"
_NUMBERS = {"counts": "Counts", "row": "% of true digit", "column": "% of answer"}


@st.fragment(key=EXPLORE)
def explore(classifier: DigitClassifier, evaluation: Evaluation, pictures: DigitSet | None) -> None:
    """One fragment, so that a click on a cell redraws nothing else."""
    left, right = st.columns([11, 10], gap="medium")
    with right:
        _cell_pickers()  # first: the chart frames the cell they name
    with left:
        _chart(evaluation)
    with right:
        rows = _rows_of_cell(cached_digit_table(evaluation))
        digit_gallery(rows, evaluation, pictures, key="confusion-gallery")
        digit_panel([(classifier, evaluation)], pictures, rows["id"].tolist(), over=True)
    _exports(*cached_confusion(evaluation))


def _chart(evaluation: Evaluation) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        normalised = st.segmented_control(
            "Numbers", list(_NUMBERS), default="counts", required=True, key="numbers", bind="query-params",
            label_visibility="collapsed", format_func=_NUMBERS.__getitem__,
        )  # fmt: skip
        with st.popover("Show", icon=":material/tune:"):
            diagonal = st.toggle("Colour correct answers too", key="diagonal", bind="query-params")
            logarithmic = st.toggle("Logarithmic colour scale", key="log", bind="query-params")
            by_confusion = st.toggle("Put confused digits side by side", key="order", bind="query-params")
    chart = heatmap_specification(
        evaluation,
        by_confusion=by_confusion,
        normalised=None if normalised == "counts" else normalised,
        logarithmic=logarithmic,
        diagonal=diagonal,
        selected=(_as_cell(st.session_state.get(TRUE)), _as_cell(st.session_state.get(PREDICTED))),
    )
    st.vega_lite_chart(chart, key=_CHART, on_select=_take_selection)


def _as_cell(choice: str | None) -> str:
    return ALL if choice in (None, ANY) else str(choice)


def _take_selection() -> None:
    """A click in the chart sets the pickers."""
    cells = st.session_state[_CHART]["selection"].get("cell", [])
    if cells:
        st.session_state[TRUE] = ANY if cells[0]["true"] == ALL else cells[0]["true"]
        st.session_state[PREDICTED] = ANY if cells[0]["predicted"] == ALL else cells[0]["predicted"]
        st.session_state[DIGIT] = None


def _take_pair(pairs: pd.DataFrame) -> None:
    """A ticked row of the pairs sets the pickers."""
    for row in st.session_state[_PAIRS]["selection"]["rows"]:
        true, predicted = (str(pairs[name].iloc[row]) for name in ("true", "predicted"))
        st.session_state.update({TRUE: true, PREDICTED: predicted, DIGIT: None})


def _cell_pickers() -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.selectbox("True digit", [ANY, *_DIGITS], key=TRUE, bind="query-params", width=90)
        st.selectbox("Answer", [ANY, *_DIGITS], key=PREDICTED, bind="query-params", width=90)


def _rows_of_cell(table: pd.DataFrame) -> pd.DataFrame:
    """The digits of the picked cell; of a whole row or column, or of everything, the errors."""
    true, predicted = st.session_state[TRUE], st.session_state[PREDICTED]
    inside = pd.Series(True, index=table.index)
    if true != ANY:
        inside &= table["true"] == int(true)
    if predicted != ANY:
        inside &= table["predicted"] == int(predicted)
    if ANY in (true, predicted):
        inside &= ~table["right"]
    return table[inside].sort_values("confidence", ascending=False, kind="stable")


def _exports(matrix: np.ndarray, pairs: pd.DataFrame) -> None:
    with st.expander("Most confused pairs", icon=":material/format_list_numbered:"):
        percentages = pairs.assign(**{name: 100 * pairs[name] for name in ("share", "low", "high")})
        per_cent = {
            "true": st.column_config.NumberColumn("true digit"),
            "predicted": st.column_config.NumberColumn("answer"),
        }
        per_cent |= {
            name: st.column_config.NumberColumn(label, format="%.2f")
            for name, label in {"share": "% of true digit", "low": "from", "high": "to"}.items()
        }
        st.dataframe(
            percentages, hide_index=True, column_config=per_cent, height=260, key=_PAIRS, selection_mode="single-row",
            on_select=lambda: _take_pair(pairs),
        )  # fmt: skip
        st.caption("from, to: the 95% interval of the share, which allows for writers where they are known.")
    with st.container(horizontal=True, gap="small"):
        table = pd.DataFrame(matrix, index=pd.Index(_DIGITS, name="true digit \\ answer"), columns=_DIGITS)
        csv_button("Matrix", table.reset_index, "confusion-matrix.csv")
        csv_button("Pairs", lambda: pairs, "confused-pairs.csv")


st.title("Confusion matrix", anchor=False)
st.caption("Rows: the true digit. Columns: the answer. Click a cell, or a margin for all errors of its row or column.")
explore(*picked_evaluation(), picked_pictures())
