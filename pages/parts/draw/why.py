"""Why: what each stroke contributes, where the network looked, and what would make it another digit."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.imaging.png import overlay
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.explanation import has_gradients
from pages.parts.draw.answer import other_answer
from pages.parts.draw.explanations import MOST_STROKES, Part, change_job, maps_job, strokes_job
from pages.parts.draw.read import ReadDigit
from pages.shared.background import placeholder, result_if_ready
from pages.shared.drawing import current_drawing
from pages.shared.pickers import picked_classifier
from pages.shared.pictures import pictures_row

_MOST_OBJECTS = 60  # on the canvas
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
    left = result_if_ready("strokes", strokes_job, classifier, objects[:_MOST_OBJECTS], _part(digit))
    if left is None:
        placeholder("Leaving out each stroke ...")
    elif len(objects) > _MOST_OBJECTS or len(left.layers) > MOST_STROKES:
        st.caption(f"More than {MOST_STROKES} strokes: what each contributes is not shown.")
    elif left.answers:
        st.caption(
            f"What each {'part of the stroke' if left.alone else 'stroke'} contributes: the answer without the orange "
            "part"
        )
        pictures_row(
            ((_left_out(left.layers, i), _answer_without(one, digit.prediction)) for i, one in enumerate(left.answers)),
            longest=_SHOWN,
            name="strokes",
        )


def _part(digit: ReadDigit) -> Part | None:
    if digit.found is None:
        return None
    left, top, _, _ = digit.found.box
    return Part(digit.found.ink, left, top)


def _left_out(layers: list[NDArray[np.uint8]], i: int) -> NDArray[np.uint8]:
    """The drawing in grey, and the layer that is left out coloured."""
    step = -(-max(layers[i].shape) // _SHOWN)
    drawing = np.max(layers, axis=0)[::step, ::step]
    return overlay(drawing, -layers[i][::step, ::step].astype(np.float32))


def _answer_without(without: Prediction | None, prediction: Prediction) -> str:
    return "nothing left" if without is None else other_answer(without.digit, without.confidence, prediction)


def _attributions(classifier: DigitClassifier, prediction: Prediction) -> None:
    digit = prediction.digit
    maps = result_if_ready("maps", maps_job, classifier, prediction.model_input, digit)
    if maps is None:
        placeholder("Looking where the model looked ...")
        return
    st.caption(f"Where the model looked: blue speaks for {digit}, orange against it")
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
    changes = result_if_ready("change", change_job, classifier, prediction.model_input, towards)
    if changes is None:
        placeholder("Looking for a small change ...")
        return
    if not changes:
        st.markdown(f"No small change was found that makes it a **{towards}**.")
        return
    (change,) = changes
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
