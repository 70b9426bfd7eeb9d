"""How often a model is right, how far that figure can be trusted, and whether it knows when it is not sure."""

import pandas as pd
import streamlit as st

from digitcore.data.datasets import disputed_ids
from digitcore.evaluation.evaluation import Evaluation, Summary, summarize
from digitcore.evaluation.intervals import basis
from digitcore.evaluation.metrics import brier_loss, outcomes_at
from digitcore.models.classifier import DigitClassifier
from digitcore.text import plain
from pages.parts.accuracy.calibration import calibration
from pages.parts.accuracy.figures import (
    cached_class_table,
    cached_milliseconds,
    class_columns,
    coverage_specification,
)
from pages.parts.accuracy.forms import form_by_form
from pages.parts.accuracy.writers import by_writer
from pages.shared.evaluations import cached_summary
from pages.shared.metric_row import metric_row
from pages.shared.pickers import picked_evaluation
from pages.shared.state import show_errors

_THRESHOLDS = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999]


def headline(classifier: DigitClassifier, evaluation: Evaluation) -> None:
    """The checkpoint's main figures."""
    summary = cached_summary(evaluation)
    checkpoint = classifier.checkpoint
    (low, high), (least, most) = summary.interval, summary.ece_interval
    st.markdown(
        f"**{plain(checkpoint.name)}** is right on **{summary.accuracy:.2%}** of {summary.digits:,} digits of "
        f"{evaluation.dataset} (95% interval {low:.2%} to {high:.2%}, {basis(summary.writers)}): "
        f"**{summary.errors} errors**.",
        help=_plain_interval(summary),
    )
    figures = {
        "Log loss": (f"{summary.nll:.4f}", "How little probability it gives to the true digit: 0 is perfect. "
                     "Minus the logarithm of that probability, averaged, in nats."),
        "Brier score": (f"{brier_loss(evaluation.labels, evaluation.logits):.4f}", "How far its ten "
                        "probabilities are from the truth: 0 is perfect, 2 the worst. Their squared errors, summed, "
                        "averaged over the digits."),
        "Calibration error": (f"{summary.ece:.2%}", "How far its confidence is from the truth: at 0%, of the answers "
                              "given with 90% confidence 90% are right. Mean distance between confidence and accuracy "
                              "over 15 equally wide bins of confidence. 95% interval "
                              f"{least:.2%} to {most:.2%}, {basis(summary.writers)}."),
        "Parameters": (f"{checkpoint.parameters:,}", "How large the network is: the number of values that "
                       "it has learned."),
        "File": (f"{checkpoint.path.stat().st_size / 1000:.0f} kB" if checkpoint.path else "-", "Its size "
                 "on disk."),
        "Time": (f"{cached_milliseconds(classifier):.2f} ms", "How long one answer "
                 "takes on one core of this machine. The network alone, median of 21 runs."),
    }  # fmt: skip
    metric_row(figures)
    if st.button(f"See the {summary.errors} errors", icon=":material/image_search:"):
        show_errors()


def _plain_interval(summary: Summary) -> str:
    low, high = summary.plain_interval
    words = f"As if each digit were of another person, the 95% interval is {low:.2%} to {high:.2%} (Wilson)."
    if summary.writers is None:
        return f"{words} Who wrote these digits is not known, so the true interval may be wider."
    return f"{words} But the digits of one person resemble each other, so they tell less."


def disputed(evaluation: Evaluation) -> None:
    """The accuracy without the digits whose label people did not confirm."""
    ids = disputed_ids(evaluation.dataset)
    if not ids:
        return
    without = summarize(evaluation.without(ids))
    low, high = without.interval
    with st.expander(f"Without the {len(ids)} disputed digits: {without.accuracy:.2%}", icon=":material/gavel:"):
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
    outcomes = outcomes_at(evaluation.labels, evaluation.logits, threshold=threshold)
    answered = outcomes.answered_right + outcomes.answered_wrong
    share = answered / len(evaluation)
    accuracy = f"{outcomes.answered_right / answered:.2%}" if answered else "none"
    st.markdown(f"It answers **{share:.2%}** of the digits and is right on **{accuracy}** of those.")
    with st.container(horizontal=True, gap="medium"):
        st.metric("Answered, right", f"{outcomes.answered_right:,}", width=150)
        st.metric("Answered, wrong", f"{outcomes.answered_wrong:,}", width=150)
        st.metric("Refused, was right", f"{outcomes.refused_right:,}", width=150)
        st.metric("Refused, was wrong", f"{outcomes.refused_wrong:,}", width=150)
    refused = len(evaluation) - answered
    if st.button(f"See the {refused:,} refused", icon=":material/image_search:", disabled=refused == 0):
        show_errors(show="all digits", confidence=(0.0, threshold))
    st.vega_lite_chart(coverage_specification(evaluation, share))


st.title("Accuracy", anchor=False)
classifier, evaluation = picked_evaluation()
headline(classifier, evaluation)
disputed(evaluation)
per_digit(evaluation)
by_writer(evaluation)
form_by_form(classifier.checkpoint)
calibration(evaluation)
coverage(evaluation)
