"""How often a model is right, how far that figure can be trusted, and whether it knows when it is not sure."""

import pandas as pd
import streamlit as st

from digitcore.data.datasets import disputed_ids
from digitcore.evaluation.evaluation import Evaluation, summarize
from digitcore.evaluation.metrics import outcomes_at
from pages.parts.accuracy.calibration import calibration
from pages.parts.accuracy.corrected import corrected_labels
from pages.parts.accuracy.figures import (
    cached_class_table,
    class_columns,
    coverage_specification,
)
from pages.parts.accuracy.forms import form_by_form
from pages.parts.accuracy.headline import headline
from pages.parts.accuracy.slices import by_slice
from pages.parts.accuracy.writers import by_writer
from pages.shared.pickers import picked_evaluation
from pages.shared.state import show_errors

_THRESHOLDS = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999]


def disputed(evaluation: Evaluation) -> None:
    """The accuracy without the digits whose label people did not confirm."""
    ids = disputed_ids(evaluation.dataset)
    if not ids:
        return
    without = summarize(evaluation.without(ids))
    low, high = without.interval
    with st.expander(f"Without the {len(ids)} disputed digits: {without.errors:,} errors", icon=":material/gavel:"):
        st.markdown(
            f"Five people judged each of 100 suspicious test digits. For {len(ids)} of them no majority confirmed the "
            f"true digit as it is recorded. Without them: {without.errors} errors in {without.digits:,}, "
            f"{without.accuracy:.2%} right (95% interval {low:.2%} to {high:.2%}). "
            f"Their ids: {', '.join(map(str, sorted(ids)))}."
        )
        st.caption("Source: Northcutt, Athalye and Mueller 2021, cleanlab/label-errors.")
        if st.button("See them", key="see-disputed"):
            show_errors(show="all digits", labels="disputed")


def per_digit(evaluation: Evaluation) -> None:
    """A row for each true digit; a ticked row leads to its errors."""
    st.header("Digit by digit", anchor=False)
    st.caption("In percent, with 95% intervals. Click a column header to sort; tick a row to see its errors.")
    table = cached_class_table(evaluation)
    percentages = table[["digit", "support", "errors"]].copy()
    for name in ("precision", "recall", "f1"):
        percentages[name] = 100 * table[name]
        percentages[f"{name} interval"] = [
            _interval(low, high) for low, high in table[[f"{name}_low", f"{name}_high"]].to_numpy()
        ]
    picked = st.dataframe(
        percentages, hide_index=True, column_config=class_columns(), on_select="rerun", selection_mode="single-row",
        key=f"classes-{evaluation.fingerprint}",
    )  # fmt: skip
    if picked.selection.rows:
        show_errors(true=str(table["digit"][picked.selection.rows[0]]))


def _interval(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f}"


@st.fragment
def coverage(evaluation: Evaluation) -> None:
    """What refusing the least certain answers would gain."""
    st.header("When it may say “I do not know”", anchor=False)
    threshold = st.select_slider(
        "Minimum confidence", _THRESHOLDS, 0.9, format_func=lambda share: f"{share:.2%}".replace(".00", ""),
        key="threshold", bind="query-params",
    )  # fmt: skip
    outcomes = outcomes_at(evaluation.labels, evaluation.logits, threshold=threshold, writers=evaluation.writers)
    low, high = outcomes.interval
    accuracy = f"{outcomes.answered_right / outcomes.answered:.2%}" if outcomes.answered else "none"
    st.markdown(
        f"It answers **{outcomes.answered:,}** of {len(evaluation):,} digits and is right on **{accuracy}** of those "
        f"(95% interval {low:.2%} to {high:.2%})."
    )
    with st.container(horizontal=True, gap="medium"):
        st.metric("Answered, right", f"{outcomes.answered_right:,}", width=150)
        st.metric("Answered, wrong", f"{outcomes.answered_wrong:,}", width=150)
        st.metric("Refused, was right", f"{outcomes.refused_right:,}", width=150)
        st.metric("Refused, was wrong", f"{outcomes.refused_wrong:,}", width=150)
    refused = len(evaluation) - outcomes.answered
    if st.button(f"See the {refused:,} refused", icon=":material/image_search:", disabled=refused == 0):
        show_errors(show="all digits", confidence=(0.0, threshold))
    st.vega_lite_chart(coverage_specification(evaluation, outcomes.answered / len(evaluation)))


st.title("Accuracy", anchor=False)
classifier, evaluation = picked_evaluation()
headline(classifier, evaluation)
disputed(evaluation)
corrected_labels(evaluation)
per_digit(evaluation)
by_writer(evaluation)
form_by_form(classifier.checkpoint)
by_slice(evaluation)
if evaluation.has_probabilities:
    calibration(evaluation)
    coverage(evaluation)
else:
    st.info("These are answers without probabilities: how sure they are is not known.", icon=":material/info:")
