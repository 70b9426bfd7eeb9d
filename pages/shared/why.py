"""Why: what each stroke carried, where the network looked, and what another digit would have needed."""

import json

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.classifier import DigitClassifier, Prediction
from digitcore.drawing import is_stroke
from digitcore.explanation import has_gradients, without_each
from digitcore.pictures import overlay
from digitcore.preprocessing import DigitImage
from pages.shared import resources
from pages.shared.canvas import SIDE
from pages.shared.panels import picked_classifier, pictures_row, said
from pages.shared.state import drawing

_PIECES = 4  # of the only stroke of a drawing
_MOST_OBJECTS = 12


def why_panel(image: DigitImage, prediction: Prediction) -> None:
    """Everything that speaks for the answer, and against it."""
    classifier = picked_classifier()
    if image is drawing().picture:
        _strokes(classifier, prediction)
    _looked(classifier, prediction)
    if has_gradients(classifier):
        _why_not(classifier, prediction)


def _strokes(classifier: DigitClassifier, prediction: Prediction) -> None:
    objects = drawing().objects
    if len(objects) > _MOST_OBJECTS:
        st.caption(f"More than {_MOST_OBJECTS} strokes: what each carried is not looked at.")
        return
    alone = len(objects) == 1
    if alone and not is_stroke(objects[0]):
        return
    pieces = _PIECES if alone else 1
    layers = [
        layer
        for described in objects
        for layer in resources.drawn_layers(json.dumps(described), side=SIDE, pieces=pieces)
    ]
    without = without_each(classifier, layers)
    st.caption(f"What each {'quarter of the stroke' if alone else 'stroke'} carries: the answer without the orange")
    pictures_row(
        ((_left_out(layers, i), _carried(answer, prediction)) for i, answer in enumerate(without)),
        longest=84,
        name="strokes",
    )


def _left_out(layers: list[NDArray[np.uint8]], i: int) -> NDArray[np.uint8]:
    """The drawing in grey, and the layer that is left out coloured."""
    every = np.max(layers, axis=0)[::4, ::4]
    return overlay(every, -layers[i][::4, ::4].astype(np.float32))


def _carried(without: Prediction | None, prediction: Prediction) -> str:
    return "nothing left" if without is None else said(without.digit, without.confidence, prediction)


def _looked(classifier: DigitClassifier, prediction: Prediction) -> None:
    digit = prediction.digit
    maps = resources.attributions(
        classifier.checkpoint.name, classifier.checkpoint.digest, prediction.model_input, digit
    )
    st.caption(f"Where the network looked: blue speaks for {digit}, orange against it")
    pictures_row(
        ((overlay(prediction.model_input, values), words) for words, values in maps.items()), longest=112, name="maps"
    )
    if not has_gradients(classifier):
        st.caption("An ONNX file gives no gradients, so occlusion is all that there is.")


def _why_not(classifier: DigitClassifier, prediction: Prediction) -> None:
    digit = prediction.digit
    others = [other for other in range(10) if other != digit]
    runner_up = max(others, key=lambda other: prediction.probabilities[other])
    picked = st.pills("Why not a", others, key=f"why-not-{digit}")
    towards = runner_up if picked is None else picked
    change = resources.smallest_change(
        classifier.checkpoint.name, classifier.checkpoint.digest, prediction.model_input, towards
    )
    if change is None:
        st.markdown(f"No small change was found that makes it a **{towards}**.")
        return
    amounts = [
        f"{share:.0%} {words}"
        for share, words in ((change.added, "more ink (blue)"), (change.removed, "less (orange)"))
        if share >= 0.005
    ]
    st.markdown(f"With {' and '.join(amounts)}, it would be a **{towards}**. No smaller change was found.")
    difference = change.model_input.astype(np.float32) - prediction.model_input
    pictures_row(
        (
            (prediction.model_input, f"as it is: {digit}"),
            (overlay(prediction.model_input, difference), "the change"),
            (change.model_input, f"changed: {towards}"),
        ),
        longest=112,
        name="why-not",
    )
