"""The table of the forms in which people write each digit, on the accuracy page."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from digitcore.data.written_forms import WRITTEN, forms_of
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.forms import LEAST_READ, form_table
from digitcore.models.checkpoints import Checkpoint
from digitcore.text import plain
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.evaluations import known_evaluation
from pages.shared.state import DATASET, show_errors


def form_by_form(checkpoint: Checkpoint) -> None:
    """A row for each form, worst first; a ticked row leads to its digits."""
    evaluation = known_evaluation(checkpoint, WRITTEN)
    st.header("Form by form", anchor=False)
    if evaluation is None:
        st.caption(f"Pick {WRITTEN} in the sidebar to try {plain(checkpoint.name)} on every form people write.")
        return
    table = _cached_form_table(evaluation, checkpoint)
    weak = int((table["accuracy"] < LEAST_READ).sum())
    st.caption(
        f"A 0 with a slash, a 1 with a flag, a 7 with a bar: {len(table)} forms, each written by "
        f"{table['digits'].iloc[0]} made-up hands ({WRITTEN}). Fewer than {LEAST_READ:.0%} are right in **{weak}** "
        "of the forms. Tick a row to see its digits."
    )
    shown = pd.DataFrame(
        {
            "form": table["form"],
            "right": 100 * table["accuracy"],
            "interval": [f"{100 * low:.0f} to {100 * high:.0f}" for low, high in table[["low", "high"]].to_numpy()],
            "refused": 100 * table["refused_share"],
            "instead": [str(answer) if answer >= 0 else "" for answer in table["wrong_answer"]],
            "digits": table["digits"],
        }
    )
    picked = st.dataframe(
        shown, hide_index=True, column_config=_columns(), on_select=_pick_written_forms, selection_mode="single-row",
        height=388, key=f"forms-{evaluation.fingerprint}",
    )  # fmt: skip
    if picked.selection.rows:
        show_errors(show="all digits", form=str(table["form"].iloc[picked.selection.rows[0]]))


def _pick_written_forms() -> None:
    st.session_state[DATASET] = WRITTEN


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _cached_form_table(evaluation: Evaluation, checkpoint: Checkpoint) -> pd.DataFrame:
    return form_table(evaluation, forms=forms_of(evaluation.ids), metadata=checkpoint.metadata)


def _columns() -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "form": text("form"),
        "right": number("right, %", format="%.1f", help="The share of these digits that is answered right."),
        "interval": text("95%", help="95% Wilson interval, in percent."),
        "digits": number("digits", help="How many were tried."),
        "refused": number("refused, %", format="%.1f", help="The share that it marks as not sure, right or wrong."),
        "instead": text("taken for", help="Its most frequent wrong answer."),
    }
