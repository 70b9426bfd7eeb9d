"""Slices of the picked digits, by writer, device or whatever else is known of them: read once, and as a filter."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import HANDWRITING
from digitcore.evaluation.slices import Slices, slice_columns, slice_set
from pages.shared.notebook import handwriting_dataset
from pages.shared.resources import state_of
from pages.shared.state import ANY, COLUMN, VALUE


def slices_of(dataset: str, column: str) -> Slices:
    """`slice_set`, of `handwriting` that of the visitor's notebook; nothing may write to what comes back.

    Raises:
        DatasetError: the set has no such column, or it cannot be read.
    """
    if dataset == HANDWRITING:
        dataset = handwriting_dataset()
    return _cached_slices(dataset, column, state_of(dataset))


@st.cache_resource(max_entries=16, show_spinner=False)
def _cached_slices(dataset: str, column: str, state: str) -> Slices:
    return slice_set(dataset, column)


def slice_filter(dataset: str) -> NDArray[np.bool_] | None:
    """Pickers of a column and one of its values: the digits (N,) that have it, or None where none is picked."""
    columns = slice_columns(dataset)
    if not columns:
        return None
    column = st.selectbox("Slices by", [ANY, *columns], key=COLUMN, bind="query-params", width=130)
    if column == ANY:
        return None
    slices = slices_of(dataset, column)
    value = st.selectbox("Slice", [ANY, *sorted(slices.values)], key=VALUE, bind="query-params", width=170)
    return None if value == ANY else slices.mask(value)
