"""A closer look at one answer: the visitor picks what at, and only that is computed with each stroke."""

from collections.abc import Callable

import streamlit as st

from digitcore.classifier import Prediction
from digitcore.preprocessing import DigitImage
from pages.shared.opinions import opinions_panel
from pages.shared.panels import error_box
from pages.shared.reproduce import reproduce_panel
from pages.shared.similar import similar_panel
from pages.shared.why import why_panel
from pages.shared.xray import xray_panel

_DETAILS: dict[str, Callable[[DigitImage, Prediction], None]] = {
    "X-ray": xray_panel,
    "Why": why_panel,
    "All checkpoints": opinions_panel,
    "Similar digits": similar_panel,
    "Reproduce": reproduce_panel,
}


def details_panel(image: DigitImage | None, prediction: Prediction | None) -> None:
    """The picked detail of what the picked checkpoint says about a picture.

    The choice is there before any picture: a widget that is not shown would lose what the address says.
    """
    st.subheader("Look closer", anchor=False)
    picked = st.segmented_control(
        "Look closer", list(_DETAILS), default="X-ray", required=True, key="look", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if image is not None and prediction is not None:
        with error_box():
            _DETAILS[picked](image, prediction)
