"""What the details of the draw page are computed from; cached, since a page runs again without a new drawing too.

Nothing may write to what comes back.
"""

import json
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.imaging import shape
from digitcore.imaging.canvas_json import cut_out, is_stroke, render_object
from digitcore.models import explanation
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.explanation import Counterfactual
from pages.parts.draw.read import MARGIN
from pages.shared.background import in_background
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.drawing import SIDE
from pages.shared.gallery import tile_sheet
from pages.shared.resources import cached_digits

MOST_STROKES = 12
"""Of one digit, that are looked at one by one."""
_PIECES = 4  # of the only stroke of a drawing


@dataclass(frozen=True, eq=False)
class Part:
    """One digit of several on a drawing."""

    ink: NDArray[np.uint8]
    left: int
    top: int


@dataclass(frozen=True, eq=False)
class Leaving:
    """The answers for a drawing without each of its strokes."""

    layers: list[NDArray[np.uint8]]
    """The ink (H, W) of each stroke, or of each part of the only stroke."""
    answers: list[Prediction | None]
    """Without each of them; none at all where there are too few or too many."""
    alone: bool
    """Whether there is only one stroke."""


@st.cache_data(max_entries=1, show_spinner=False)
def sample_digits() -> list[NDArray[np.uint8]]:
    """One digit (28, 28) of each class that is always there."""
    validation = cached_digits("mnist-validation")
    return [validation.images[validation.labels == digit][0] for digit in range(10)]


@st.cache_data(max_entries=1, show_spinner=False)
def sample_sheet() -> str:
    """They as the gallery takes them, dark on light as on the canvas."""
    return tile_sheet(255 - np.stack(sample_digits()))


@st.cache_data(max_entries=10, show_spinner=False)
def reference_shapes(digit: int) -> dict[str, NDArray[np.float64]]:
    """`shape.measure_shapes` of MNIST's validation digits of one class, which are always there."""
    validation = cached_digits("mnist-validation")
    return shape.measure_shapes(validation.images[validation.labels == digit])


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def strokes_job(classifier: DigitClassifier, objects: list[dict[str, Any]], part: Part | None) -> Future[Leaving]:
    """What each stroke contributes to a drawing, or to one digit of several on it."""
    return in_background(_leave_out, classifier, [json.dumps(canvas_object) for canvas_object in objects], part)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def maps_job(
    classifier: DigitClassifier, image: NDArray[np.uint8], digit: int
) -> Future[dict[str, NDArray[np.float32]]]:
    """`attribution_maps`."""
    return in_background(attribution_maps, classifier, image, digit)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def change_job(classifier: DigitClassifier, image: NDArray[np.uint8], digit: int) -> Future[list[Counterfactual]]:
    """The counterfactual for which the network answers this digit; an empty list where none was found."""
    return in_background(_change_towards, classifier, image, digit)


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


def _change_towards(classifier: DigitClassifier, image: NDArray[np.uint8], digit: int) -> list[Counterfactual]:
    change = explanation.counterfactual(classifier, image, target=digit)
    return [] if change is None else [change]


def _leave_out(classifier: DigitClassifier, objects: list[str], part: Part | None) -> Leaving:
    layers = _layers(objects, part, pieces=1)
    alone = len(layers) == 1
    if alone:
        layers = _layers([stroke for stroke in objects if is_stroke(json.loads(stroke))], part, pieces=_PIECES)
    few = 2 <= len(layers) <= MOST_STROKES
    return Leaving(layers, explanation.leave_one_out(classifier, layers) if few else [], alone)


def _layers(objects: list[str], part: Part | None, *, pieces: int) -> list[NDArray[np.uint8]]:
    """The ink (H, W) of each stroke of a digit, or of each piece of it."""
    layers = [layer for canvas_object in objects for layer in _rendered(canvas_object, pieces)]
    if part is None:
        return layers
    return [np.pad(layer, MARGIN) for layer in cut_out(layers, part.ink, left=part.left, top=part.top)]


@lru_cache(maxsize=128)
def _rendered(object_json: str, pieces: int) -> NDArray[np.uint8]:
    """The ink of an object of the canvas, which is the same with every further stroke."""
    canvas_object = json.loads(object_json)
    return render_object(canvas_object, side=SIDE, pieces=pieces if is_stroke(canvas_object) else 1)
