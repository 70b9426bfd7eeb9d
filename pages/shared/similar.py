"""The digits of the data that look most like a picture to a network."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, is_available, load_digits
from digitcore.models.classifier import DigitClassifier
from digitcore.models.explanation import nearest_rows
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.pictures import pictures_row
from pages.shared.resources import cached_digits

_REFERENCE_DIGITS = 10_000


def similar_row(
    classifier: DigitClassifier, image: NDArray[np.uint8], *, count: int, exclude: tuple[str, int] | None = None
) -> None:
    """The training digits that look most like a model input (28, 28) to a network, with their true digits.

    `exclude` is the set and the id of a digit to leave out: the one that the picture is, which is most like itself.
    """
    reference = _reference_digits()
    features = _cached_features(classifier, reference)
    rows, _ = nearest_rows(classifier, image, reference_features=features, count=count + 1)
    if exclude is not None and exclude[0] == reference.name:
        rows = rows[reference.ids[rows] != exclude[1]]
    st.caption(
        f"Most similar to this model, among {len(reference):,} digits of {reference.name}, with their true digits"
    )
    pictures_row((reference.images[row], str(reference.labels[row])) for row in rows[:count])


def _reference_digits() -> DigitSet:
    """Training digits; validation digits where there are no others."""
    return _first_training_digits() if is_available("mnist-train") else cached_digits("mnist-validation")


@st.cache_resource(max_entries=1, show_spinner="Reading the training digits ...")
def _first_training_digits() -> DigitSet:
    return load_digits("mnist-train").subset(np.arange(_REFERENCE_DIGITS))


@st.cache_resource(max_entries=8, show_spinner="Looking at the training digits ...", hash_funcs=HASH_FUNCS)
def _cached_features(classifier: DigitClassifier, reference: DigitSet) -> NDArray[np.float32]:
    """Features (N, F) of the reference digits. Nothing may write to them."""
    return classifier.features(reference.images)
