"""Why: what each stroke contributes, where the network looked, and what would make it another digit."""

import json
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.imaging.canvas_json import cut_out, is_stroke
from digitcore.imaging.png import overlay
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.explanation import has_gradients, leave_one_out
from pages.parts.draw.answer import other_answer
from pages.parts.draw.explanations import attribution_maps, change_towards, rendered_layers
from pages.parts.draw.read import MARGIN, ReadDigit
from pages.shared.drawing import SIDE, current_drawing
from pages.shared.pickers import picked_classifier
from pages.shared.pictures import pictures_row

_PIECES = 4  # of the only stroke of a drawing
_MOST_OBJECTS = 60  # on the canvas
_MOST_STROKES = 12  # of one digit
_SHOWN = 84  # pixels, the longer side of their pictures


def why_panel(digit: ReadDigit) -> None:
    """What speaks for the answer, and against it."""
    classifier, prediction = picked_classifier(), digit.prediction
    if st.session_state["source"] == "Draw":
        _strokes(classifier, digit)
    _attributions(classifier, prediction)
    if has_gradients(classifier):
        _why_not(classifier, prediction)


def _strokes(classifier: DigitClassifier, digit: ReadDigit) -> None:
    objects = current_drawing().objects
    layers = _layers(digit, objects[:_MOST_OBJECTS], pieces=1)
    if len(objects) > _MOST_OBJECTS or len(layers) > _MOST_STROKES:
        st.caption(f"More than {_MOST_STROKES} strokes: what each contributes is not shown.")
        return
    alone = len(layers) == 1
    if alone:
        layers = _layers(digit, [stroke for stroke in objects if is_stroke(stroke)], pieces=_PIECES)
    if len(layers) < 2:
        return
    without = leave_one_out(classifier, layers)
    st.caption(
        f"What each {'part of the stroke' if alone else 'stroke'} contributes: the answer without the orange part"
    )
    pictures_row(
        ((_left_out(layers, i), _answer_without(answer, digit.prediction)) for i, answer in enumerate(without)),
        longest=_SHOWN,
        name="strokes",
    )


def _layers(digit: ReadDigit, objects: list[dict[str, Any]], *, pieces: int) -> list[NDArray[np.uint8]]:
    """The ink (H, W) of each stroke of a digit, or of each piece of it."""
    layers = [
        layer
        for canvas_object in objects
        for layer in rendered_layers(
            json.dumps(canvas_object), side=SIDE, pieces=pieces if is_stroke(canvas_object) else 1
        )
    ]
    if digit.found is None:
        return layers
    left, top, _, _ = digit.found.box
    return [np.pad(layer, MARGIN) for layer in cut_out(layers, digit.found.ink, left=left, top=top)]


def _left_out(layers: list[NDArray[np.uint8]], i: int) -> NDArray[np.uint8]:
    """The drawing in grey, and the layer that is left out coloured."""
    step = -(-max(layers[i].shape) // _SHOWN)
    drawing = np.max(layers, axis=0)[::step, ::step]
    return overlay(drawing, -layers[i][::step, ::step].astype(np.float32))


def _answer_without(without: Prediction | None, prediction: Prediction) -> str:
    return "nothing left" if without is None else other_answer(without.digit, without.confidence, prediction)


def _attributions(classifier: DigitClassifier, prediction: Prediction) -> None:
    digit = prediction.digit
    maps = attribution_maps(classifier, prediction.model_input, digit)
    st.caption(f"Where the network looked: blue speaks for {digit}, orange against it")
    pictures_row(
        ((overlay(prediction.model_input, values), words) for words, values in maps.items()), longest=112, name="maps"
    )
    if not has_gradients(classifier):
        st.caption("An ONNX file gives no gradients, so only occlusion is shown.")


def _why_not(classifier: DigitClassifier, prediction: Prediction) -> None:
    digit = prediction.digit
    others = [other for other in range(10) if other != digit]
    runner_up = max(others, key=lambda other: prediction.probabilities[other])
    picked = st.pills("Why not a", others, key=f"why-not-{digit}")
    towards = runner_up if picked is None else picked
    change = change_towards(classifier, prediction.model_input, towards)
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
