"""Recipes, each as one row: what to expect of it, whatever the seed."""

import streamlit as st

from digitcore.evaluation.leaderboard import Standing, recipe_table
from digitcore.reports.tables import TABLE_FORMATS

_ENDINGS = {"csv": ("CSV", "csv"), "markdown": ("Markdown", "md"), "latex": ("LaTeX", "tex")}


def recipes_view(standings: list[Standing], dataset: str) -> None:
    """The recipes of the models that have been evaluated, and the table as a file."""
    table = recipe_table(standings)
    if table.empty:
        return
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    with st.expander("By recipe", icon=":material/functions:"):
        st.caption("Train a recipe twice and you get two results. Its mean says what to expect, not its luckiest run.")
        st.dataframe(
            table, hide_index=True, key="recipes", placeholder="",
            column_config={
                "recipe": text(pinned=True),
                "runs": number("runs", width="small", help="Runs with different seeds."),
                "errors": number("mean errors", format="%.1f"),
                "spread": number(
                    "spread", format="%.1f", help="The standard deviation of the errors. Empty: a single run."
                ),
                "least": number("least", width="small"),
                "most": number("most", width="small"),
                "digits": number("digits", format="localized", width="small"),
                "accuracy": number("mean accuracy, %", format="%.2f"),
                "each": text("errors of each run"),
            },
        )  # fmt: skip
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            kind = st.segmented_control(
                "As", list(_ENDINGS), default="csv", required=True, key="recipes-format",
                format_func=lambda name: _ENDINGS[name][0], label_visibility="collapsed",
            )  # fmt: skip
            st.download_button(
                "Download", lambda: TABLE_FORMATS[kind](table), f"recipes-{dataset}.{_ENDINGS[kind][1]}",
                icon=":material/download:",
            )  # fmt: skip
