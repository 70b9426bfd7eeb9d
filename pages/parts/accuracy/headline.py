"""The main figures of a checkpoint, on the accuracy page."""

import streamlit as st

from digitcore.evaluation.evaluation import Evaluation, Summary
from digitcore.evaluation.intervals import basis
from digitcore.evaluation.metrics import brier_loss
from digitcore.models.classifier import DigitClassifier
from digitcore.text import plain
from pages.parts.accuracy.figures import cached_milliseconds
from pages.shared.evaluations import cached_summary
from pages.shared.metric_row import metric_row
from pages.shared.state import show_errors


def headline(classifier: DigitClassifier, evaluation: Evaluation) -> None:
    """The checkpoint's main figures."""
    summary = cached_summary(evaluation)
    low, high = summary.interval
    digits = " ".join((evaluation.dataset, evaluation.labels_in_words)).strip()
    st.markdown(
        f"**{plain(classifier.checkpoint.name)}** is right on **{summary.accuracy:.2%}** of {summary.digits:,} digits "
        f"of {digits} (95% interval {low:.2%} to {high:.2%}, {basis(summary.writers)}): "
        f"**{summary.errors} errors**.",
        help=_plain_interval(summary),
    )
    metric_row(
        (_figures_of_confidence(evaluation, summary) if evaluation.has_probabilities else {})
        | (_figures_of_network(classifier) if classifier.checkpoint.metadata.has_network else {})
    )
    if st.button(f"See the {summary.errors} errors", icon=":material/image_search:"):
        show_errors()


def _figures_of_confidence(evaluation: Evaluation, summary: Summary) -> dict[str, tuple[str, str]]:
    least, most = summary.ece_interval
    return {
        "Log loss": (f"{summary.nll:.4f}", "How little probability it gives to the true digit: 0 is perfect. "
                     "Minus the logarithm of that probability, averaged, in nats."),
        "Brier score": (f"{brier_loss(evaluation.labels, evaluation.logits):.4f}", "How far its ten "
                        "probabilities are from the truth: 0 is perfect, 2 the worst. Their squared errors, summed, "
                        "averaged over the digits."),
        "Calibration error": (f"{summary.ece:.2%}", "How far its confidence is from the truth: at 0%, of the answers "
                              "given with 90% confidence 90% are right. Mean distance between confidence and accuracy "
                              "over 15 equally wide bins of confidence. 95% interval "
                              f"{least:.2%} to {most:.2%}, {basis(summary.writers)}."),
    }  # fmt: skip


def _figures_of_network(classifier: DigitClassifier) -> dict[str, tuple[str, str]]:
    checkpoint = classifier.checkpoint
    return {
        "Parameters": (f"{checkpoint.parameters:,}", "How large the network is: the number of values that "
                       "it has learned."),
        "File": (f"{checkpoint.path.stat().st_size / 1000:.0f} kB" if checkpoint.path else "-", "Its size "
                 "on disk."),
        "Time": (f"{cached_milliseconds(classifier):.2f} ms", "How long one answer "
                 "takes on one core of this machine. The network alone, median of 21 runs."),
    }  # fmt: skip


def _plain_interval(summary: Summary) -> str:
    low, high = summary.plain_interval
    words = f"As if each digit were of another person, the 95% interval is {low:.2%} to {high:.2%} (Wilson)."
    if summary.writers is None:
        return f"{words} Who wrote these digits is not known, so the true interval may be wider."
    return f"{words} But the digits of one person resemble each other, so they tell less."
