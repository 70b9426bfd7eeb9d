"""Figures beside each other."""

from collections.abc import Mapping

import streamlit as st


def metric_row(figures: Mapping[str, tuple[str, str]]) -> None:
    """Figures by name: each as it is shown, and what it means."""
    with st.container(horizontal=True, gap="medium"):
        for name, (value, meaning) in figures.items():
            st.metric(name, value, help=meaning, width="content")
