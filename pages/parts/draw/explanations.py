"""What the details of the draw page are computed from; cached, since a page runs again without a new drawing too.

Nothing may write to what comes back.
"""

import json

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.imaging import shape
from digitcore.imaging.canvas_json import render_object
from digitcore.models import explanation
from digitcore.models.classifier import DigitClassifier
from digitcore.models.explanation import Counterfactual
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.resources import cached_digits


@st.cache_data(max_entries=1, show_spinner=False)
def sample_digits() -> list[NDArray[np.uint8]]:
    """One digit (28, 28) of each class that is always there."""
    validation = cached_digits("mnist-validation")
    return [validation.images[validation.labels == digit][0] for digit in range(10)]


@st.cache_data(max_entries=10, show_spinner=False)
def reference_shapes(digit: int) -> dict[str, NDArray[np.float64]]:
    """`shape.measure_shapes` of MNIST's validation digits of one class, which are always there."""
    validation = cached_digits("mnist-validation")
    return shape.measure_shapes(validation.images[validation.labels == digit])


@st.cache_resource(max_entries=256, show_spinner=False)
def rendered_layers(object_json: str, *, side: int, pieces: int) -> NDArray[np.uint8]:
    """`render_object` of an object of the canvas."""
    return render_object(json.loads(object_json), side=side, pieces=pieces)


@st.cache_data(max_entries=64, show_spinner="Looking where the network looked ...", hash_funcs=HASH_FUNCS)
def attribution_maps(
    classifier: DigitClassifier, image: NDArray[np.uint8], digit: int
) -> dict[str, NDArray[np.float32]]:
    """Maps (28, 28) of what speaks for a digit, by what they mean; of an ONNX file there is one only."""
    occlusion = {"occlusion:\nwhat is lost\nwithout that ink": explanation.occlusion(classifier, image, digit=digit)}
    if not explanation.has_gradients(classifier):
        return occlusion
    return {
        "integrated\ngradients: what\nits ink adds": explanation.integrated_gradients(classifier, image, digit=digit),
        **occlusion,
        "saliency: where\na little ink\nchanges most": explanation.saliency(classifier, image, digit=digit),
    }


@st.cache_data(max_entries=64, show_spinner="Looking for a small change ...", hash_funcs=HASH_FUNCS)
def change_towards(classifier: DigitClassifier, image: NDArray[np.uint8], digit: int) -> Counterfactual | None:
    """The counterfactual for which the network answers this digit."""
    return explanation.counterfactual(classifier, image, target=digit)
