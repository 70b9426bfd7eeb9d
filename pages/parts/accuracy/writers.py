"""Errors of each writer, on the accuracy page."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.mnist_writers import writer_group
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.intervals import share_interval
from digitcore.evaluation.metrics import writer_table
from digitcore.reports import charts
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.state import WRITER, show_errors

_CHART = "writers-chart"


def by_writer(evaluation: Evaluation) -> None:
    """A bar for each writer, most errors first; a click leads to the writer's digits."""
    st.header("Writer by writer", anchor=False)
    if evaluation.writers is None:
        st.caption(
            f"Who wrote which digits of {evaluation.dataset} is not known. So each interval on this page takes every "
            "digit as if it were of another person, and may be too narrow."
        )
        return
    table = _cached_table(evaluation, evaluation.writers)
    some = int((table["errors"] > 0).sum())
    st.caption(
        f"{len(table):,} people wrote these digits; it errs on {some:,} of them. The digits of one person resemble "
        "each other, and the intervals on this page allow for that. Click a bar to see the writer's digits."
    )
    for group, share in _groups(evaluation, evaluation.writers, table):
        st.markdown(f"**{group}**: {share}.")
    event = st.vega_lite_chart(_specification(evaluation, evaluation.writers), key=_CHART, on_select="rerun")
    picked = event["selection"].get("writer", [])
    if picked:
        show_errors(show="all digits", **{WRITER: str(picked[0]["writer"])})


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _cached_table(evaluation: Evaluation, writers: NDArray[np.int64]) -> pd.DataFrame:
    """`writer_table` with the `group` of each writer."""
    table = writer_table(evaluation.labels, evaluation.logits, writers)
    return table.assign(group=[writer_group(evaluation.dataset, writer) for writer in table["writer"]])


def _groups(evaluation: Evaluation, writers: NDArray[np.int64], table: pd.DataFrame) -> list[tuple[str, str]]:
    """Each group of people with its errors and their share, in words; empty where all are of one kind."""
    wrong, lines = evaluation.predictions != evaluation.labels, []
    for group in sorted(set(table["group"]) - {""}):
        inside = np.isin(writers, table["writer"][table["group"] == group])
        low, high = share_interval(wrong[inside], writers[inside])
        people, errors = int((table["group"] == group).sum()), int(wrong[inside].sum())
        words = f"{errors:,} errors in {int(inside.sum()):,} digits of {people:,} people"
        lines.append((f"{group}s", f"{words}, {wrong[inside].mean():.2%} (95% interval {low:.2%} to {high:.2%})"))
    return lines


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _specification(evaluation: Evaluation, writers: NDArray[np.int64]) -> dict[str, Any]:
    return charts.specification(charts.writers_chart(_cached_table(evaluation, writers)))
