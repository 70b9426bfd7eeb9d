"""The confusion matrix as a chart."""

from typing import Any

import streamlit as st

from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.metrics import confusion_order
from digitcore.reports import charts
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.evaluations import cached_confusion


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=HASH_FUNCS)
def heatmap_specification(
    evaluation: Evaluation,
    *,
    by_confusion: bool,
    normalised: str | None,
    logarithmic: bool,
    diagonal: bool,
    selected: tuple[str, str],
) -> dict[str, Any]:
    """`charts.confusion_heatmap` of an evaluation, its digits in natural order or by confusion.

    Nothing may write to it.
    """
    matrix, _ = cached_confusion(evaluation)
    chart = charts.confusion_heatmap(
        matrix,
        order=confusion_order(matrix) if by_confusion else list(range(10)),
        normalised=normalised,
        logarithmic=logarithmic,
        diagonal=diagonal,
        selected=selected,
    )
    return charts.specification(chart)
