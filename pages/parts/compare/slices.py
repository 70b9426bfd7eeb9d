"""Where B gains and where it loses: the table of slices, on the page that compares two models."""

import pandas as pd
import streamlit as st

from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL
from digitcore.evaluation.slices import compare_slices, slice_columns
from pages.parts.compare.comparisons import Pair
from pages.shared.slices import slices_of
from pages.shared.state import ANY, COLUMN, DIGIT, EITHER, SAYS_A, SAYS_B, TRUE, VALUE

_TABLE, _VALUES, _BY = "pair-slices", "pair-slice-values", "slice-by"


def slice_by_slice(pair: Pair) -> None:
    """A row for each value of a column, B's greatest gain first; a ticked row picks its digits."""
    column = st.selectbox("Slices by", slice_columns(pair.a.dataset), width=220, key=_BY, bind="query-params")
    table = compare_slices(pair.a, pair.b, slices_of(pair.a.dataset, column))
    real = table["holm_p"] < SIGNIFICANCE_LEVEL
    words = [f"{int((real & side).sum())}" for side in (table["difference"] > 0, table["difference"] < 0)]
    st.caption(f"By more than chance, B gains on {words[0]} and loses on {words[1]} of {len(table)} slices.")
    shown = pd.DataFrame(
        {
            "value": table["value"],
            "verdict": [
                ("▲ B gains" if gain > 0 else "▼ B loses") if certain else ""
                for gain, certain in zip(table["difference"], real, strict=True)
            ],
            "difference": 100 * table["difference"],
            "interval": [f"{100 * low:+.1f} to {100 * high:+.1f}" for low, high in table[["low", "high"]].to_numpy()],
            "p": table["holm_p"],
            "digits": table["digits"],
            "errors_a": table["errors_a"],
            "errors_b": table["errors_b"],
        }
    )
    st.session_state[_VALUES] = table["value"].tolist()
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        shown, hide_index=True, on_select=_take_slice, selection_mode="single-row", key=_TABLE,
        column_config={
            "value": text("slice"), "errors_a": number("errors of A"), "errors_b": number("errors of B"),
            "difference": number("B minus A, %", format="%+.2f"), "interval": text("95%"),
            "p": number("p", format="%.2g", help="How often chance alone makes such a gap, after Holm's correction "
                        "for the number of slices."),
            "verdict": text(""),
        },
    )  # fmt: skip


def _take_slice() -> None:
    """A ticked row sets the pickers of the gallery."""
    for row in st.session_state[_TABLE]["selection"]["rows"]:
        picked = {COLUMN: st.session_state[_BY], VALUE: st.session_state[_VALUES][row], DIGIT: None}
        st.session_state.update({TRUE: ANY, SAYS_A: ANY, SAYS_B: ANY, EITHER: ANY} | picked)
