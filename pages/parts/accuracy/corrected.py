"""The figures with and without the labels that visitors have corrected, on the accuracy page."""

import pandas as pd
import streamlit as st

from digitcore.evaluation.evaluation import Evaluation, Summary
from pages.shared.corrections import corrections_of
from pages.shared.csv_button import csv_button
from pages.shared.evaluations import cached_summary
from pages.shared.state import show_errors


def corrected_labels(evaluation: Evaluation) -> None:
    """Both figures, and a row for each correction; a ticked row leads to the digit."""
    corrections = corrections_of(evaluation.dataset)
    if not corrections:
        return
    recorded = cached_summary(evaluation.with_labels({digit: known.old for digit, known in corrections.items()}))
    corrected = cached_summary(evaluation.with_labels({digit: known.new for digit, known in corrections.items()}))
    table = pd.DataFrame(
        {
            "id": list(corrections),
            "was": [correction.old for correction in corrections.values()],
            "now": [correction.new for correction in corrections.values()],
            "who": [correction.who for correction in corrections.values()],
            "when": [correction.when.isoformat(timespec="seconds") for correction in corrections.values()],
        }
    )
    count = f"{len(table):,} corrected label{'s' if len(table) > 1 else ''}"
    with st.expander(f"With {count}: {corrected.errors:,} errors", icon=":material/edit:"):
        st.markdown(f"With {count}: {_in_words(corrected)}. As recorded: {_in_words(recorded)}.")
        picked = st.dataframe(
            table, hide_index=True, on_select="rerun", selection_mode="single-row", key="corrections",
            column_config={"was": "true digit", "now": "corrected", "who": "by"},
        )  # fmt: skip
        csv_button("CSV", lambda: table, f"{evaluation.dataset}-corrections.csv")
        if picked.selection.rows:
            show_errors(show="corrected", digit=int(table["id"].iloc[picked.selection.rows[0]]))


def _in_words(summary: Summary) -> str:
    low, high = summary.interval
    return f"{summary.errors:,} errors, {summary.accuracy:.2%} right (95% interval {low:.2%} to {high:.2%})"
