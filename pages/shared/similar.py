"""The digits of the data that look most like a picture to a network."""

from concurrent.futures import Future
from functools import lru_cache

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, is_available, load_digits
from digitcore.models.classifier import DigitClassifier
from digitcore.models.explanation import nearest_rows
from pages.shared.background import in_background, wait_for
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.pictures import pictures_row

_REFERENCE_DIGITS = 10_000
LOOKING = "Looking at thousands of digits ..."
"""What a page says until they have been looked at: once for each checkpoint, which takes seconds."""

Reference = tuple[DigitSet, NDArray[np.float32]]
"""Digits, and their features (N, F) in the eyes of one network. Nothing may write to them."""


def similar_row(
    classifier: DigitClassifier, image: NDArray[np.uint8], *, count: int, exclude: tuple[str, int] | None = None
) -> None:
    """`show_similar`, once the network has looked at the digits of the data."""
    reference = wait_for(LOOKING, "similar", reference_job, classifier, reference_dataset())
    show_similar(classifier, image, reference, count=count, exclude=exclude)


def show_similar(
    classifier: DigitClassifier,
    image: NDArray[np.uint8],
    reference: Reference,
    *,
    count: int,
    exclude: tuple[str, int] | None = None,
) -> None:
    """The training digits that look most like a model input (28, 28) to a network, with their true digits.

    `exclude` is the set and the id of a digit to leave out: the one that the picture is, which is most like itself.
    """
    digits, features = reference
    rows, _ = nearest_rows(classifier, image, reference_features=features, count=count + 1)
    if exclude is not None and exclude[0] == digits.name:
        rows = rows[digits.ids[rows] != exclude[1]]
    st.caption(f"Most similar to this model, among {len(digits):,} digits of {digits.name}, with their true digits")
    pictures_row((digits.images[row], str(digits.labels[row])) for row in rows[:count])


def reference_dataset() -> str:
    """The name of the training digits; of the validation digits where there are no others."""
    return "mnist-train" if is_available("mnist-train") else "mnist-validation"


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def reference_job(classifier: DigitClassifier, dataset: str) -> Future[Reference]:
    """The first digits of a set in the eyes of a network."""
    return in_background(_look_at, classifier, dataset)


def _look_at(classifier: DigitClassifier, dataset: str) -> Reference:
    digits = _first_digits(dataset)
    return digits, classifier.features(digits.images)


@lru_cache(maxsize=1)
def _first_digits(dataset: str) -> DigitSet:
    digits = load_digits(dataset)
    return digits.subset(np.arange(min(_REFERENCE_DIGITS, len(digits))))
