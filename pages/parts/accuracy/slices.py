"""The table of slices, on the accuracy page: where the model is worse than elsewhere."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.slices import Slices, slice_columns, slice_table
from digitcore.text import plain
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.slices import slices_of
from pages.shared.state import show_errors


def by_slice(evaluation: Evaluation) -> None:
    """A row for each value of a column, least accurate first; a ticked row leads to its digits."""
    columns = slice_columns(evaluation.dataset)
    if not columns:
        return
    st.header("Slice by slice", anchor=False)
    column = st.selectbox("Slices by", columns, width=220, key="slice-by", bind="query-params")
    slices = slices_of(evaluation.dataset, column)
    table = _cached_slice_table(evaluation, slices)
    st.caption(
        f"{_verdict(table, slices)} Tick a row to see its digits."
        + (" Each row is one person, so its digits count one by one." if slices.is_by_person else "")
    )
    shown = pd.DataFrame(
        {
            "value": table["value"],
            "worse": table["worse"].map({True: "▼ worse", False: ""}),
            "accuracy": 100 * table["accuracy"],
            "interval": [f"{100 * low:.1f} to {100 * high:.1f}" for low, high in table[["low", "high"]].to_numpy()],
            "errors": table["errors"],
            "digits": table["digits"],
            "rest": 100 * table["rest"],
            "p": table["holm_p"],
        }
    )
    picked = st.dataframe(
        shown, hide_index=True, column_config=_columns(), on_select="rerun", selection_mode="single-row",
        key=f"slices-{column}-{evaluation.fingerprint}",
    )  # fmt: skip
    if picked.selection.rows:
        show_errors(show="all digits", column=column, value=str(table["value"].iloc[picked.selection.rows[0]]))


def _verdict(table: pd.DataFrame, slices: Slices) -> str:
    worse = [f"**{plain(value)}**" for value in table["value"][table["worse"]]]
    if not worse:
        return f"By {plain(slices.column)}, no slice is worse than the rest by more than chance."
    return f"Worse than the rest by more than chance: {', '.join(worse)}."


@st.cache_resource(
    max_entries=64,
    show_spinner=False,
    hash_funcs=HASH_FUNCS | {Slices: lambda slices: (slices.column, slices.values, slices.codes)},
)
def _cached_slice_table(evaluation: Evaluation, slices: Slices) -> pd.DataFrame:
    """`slice_table` of an evaluation."""
    return slice_table(evaluation, slices)


def _columns() -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "value": text("slice"),
        "accuracy": number("right, %", format="%.2f", help="The share of its digits that is answered right."),
        "interval": text("95%", help="95% interval of that share, in percent. It allows for the writers it has."),
        "errors": number("errors"),
        "digits": number("digits"),
        "rest": number("the rest, %", format="%.2f", help="The share of all other digits that is answered right."),
        "p": number(
            "p", format="%.2g", help="How often a slice that is no worse makes so many errors by chance, after Holm's "
            "correction for the number of slices. Fisher's exact test, and one that allows for writers.",
        ),
        "worse": text("", help="Worse than the rest by more than chance: p is below 0.05."),
    }  # fmt: skip
