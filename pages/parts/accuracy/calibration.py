"""Whether a checkpoint's confidence matches its accuracy, on the accuracy page."""

import streamlit as st

from digitcore.evaluation.evaluation import Evaluation, Summary
from digitcore.evaluation.intervals import basis
from digitcore.evaluation.metrics import calibration_error_by_chance
from pages.parts.accuracy.figures import confidence_specification, reliability_specification
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.evaluations import cached_summary


def calibration(evaluation: Evaluation) -> None:
    """Calibration: whether its confidence matches its accuracy."""
    st.header("Can its confidence be trusted?", anchor=False)
    st.markdown(_trust(cached_summary(evaluation), by_chance=_cached_error_by_chance(evaluation)))
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption(
            "On the dashed line it is right as often as it claims; below the line it is too sure. "
            "15 bins of equal width."
        )
        st.vega_lite_chart(reliability_specification(evaluation))
    with right:
        st.caption("Right and wrong answers by confidence.")
        st.vega_lite_chart(confidence_specification(evaluation))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _cached_error_by_chance(evaluation: Evaluation) -> float:
    return calibration_error_by_chance(evaluation.logits)


def _trust(summary: Summary, *, by_chance: float) -> str:
    """What "over 99.9% sure" is worth on these digits, and the calibration error, each with its interval."""
    (low, high), (least, most) = summary.sure_interval, summary.ece_interval
    share = f"{summary.sure_right / summary.sure:.2%}" if summary.sure else "none"
    return (
        f"It calls **{summary.sure:,}** of {summary.digits:,} answers over 99.9% sure: {summary.sure_right:,} of them "
        f"are right, **{share}** (95% interval {low:.2%} to {high:.2%}, {basis(summary.writers)}). Its calibration "
        f"error is {summary.ece:.2%} ({least:.2%} to {most:.2%}); with perfect confidence chance alone would make it "
        f"{by_chance:.2%}."
    )
