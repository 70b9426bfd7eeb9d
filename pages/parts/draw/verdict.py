"""Whether the answer is right, or which digit it should have been: said by one click or one key, and kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.errors import HandwritingError, ImageError
from digitcore.imaging.canvas_json import layer_of
from digitcore.imaging.stroke_links import encode_drawing
from digitcore.models.classifier import Prediction
from digitcore.models.numbers import PictureReading
from pages.shared.drawing import SIDE, current_drawing
from pages.shared.error_box import show_error
from pages.shared.keeping import keep_digit, may_keep
from pages.shared.notebook import opened_notebook, remember_notebook
from pages.shared.pickers import picked_classifier
from pages.shared.resources import handwriting_store

_RIGHT = "right"
_QUESTION = "Is that right, or which digit is it?"
_CHOICES = [_RIGHT, *map(str, range(10))]
_CHOICE, _ASKED, _KEPT, _TOLD, _PROBLEM = "true-digit", "verdict-on", "kept-drawings", "kept-told", "verdict-problem"


@dataclass(frozen=True, eq=False)
class _Answer:
    """An answer on which there can be a verdict."""

    prediction: Prediction
    checkpoint: str
    """Digest."""
    strokes: str | None

    @property
    def picture(self) -> bytes:
        return self.prediction.model_input.tobytes()


def verdict_panel(read: PictureReading | None, *, drawn: bool) -> None:
    """Asks for the true digit, and says what is kept; disabled while there is no answer of somebody's own hand.

    drawn: whether the picture is what is on the canvas.
    """
    if not may_keep():
        return
    asked = None if read is None else _asked(read, drawn=drawn)
    st.session_state[_ASKED] = asked
    kept = None if asked is None else _kept().get(asked.picture)
    st.session_state[_CHOICE] = None if kept is None or asked is None else _choice(asked, kept[1])
    with st.container(gap="xxsmall", key="verdict"):
        st.caption(_QUESTION)  # a disabled label would be too pale to read
        st.pills(
            _QUESTION, _CHOICES, key=_CHOICE, on_change=_choose, disabled=asked is None, width="stretch",
            format_func=lambda choice: ":material/check: Right" if choice == _RIGHT else choice,
            label_visibility="collapsed",
        )  # fmt: skip
        if kept is not None:
            _say_kept(kept[1])
    if _PROBLEM in st.session_state:
        show_error(st.session_state.pop(_PROBLEM))
    _keys()(key="verdict-keys", width="content")
    remember_notebook("verdict-notebook")


def _asked(read: PictureReading, *, drawn: bool) -> _Answer | None:
    """The answer for one digit; None for a number, a blank picture, and digits that somebody else has written."""
    prediction, checkpoint = read.prediction, picked_classifier().checkpoint.digest
    if read.number is not None or (prediction.refusal is not None and prediction.refusal.kind == "blank"):
        return None
    if not drawn:
        return _Answer(prediction, checkpoint, None)
    layers = [layer_of(canvas_object, side=SIDE) for canvas_object in current_drawing().objects]
    if any(isinstance(layer, np.ndarray) for layer in layers):
        return None
    try:
        return _Answer(prediction, checkpoint, encode_drawing(layers, side=SIDE))
    except ImageError:  # too many strokes for a link; the picture is kept without them
        return _Answer(prediction, checkpoint, None)


def _choice(asked: _Answer, label: int) -> str:
    return _RIGHT if label == asked.prediction.digit else str(label)


def _say_kept(label: int) -> None:
    words = f"Kept as {label}."
    if not st.session_state.get(_TOLD):
        words = (
            f"Kept as {label} in your notebook on this server: the drawing, the answer and the time. "
            "Only you can open it. Click again to take it back."
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption(words, width="content")
        st.page_link("pages/handwriting.py", label="Handwriting", icon=":material/edit_note:", width="content")


def _choose() -> None:
    """Keeps the digit as what it was said to be; corrects it, or takes it back."""
    asked: _Answer | None = st.session_state.get(_ASKED)
    choice: str | None = st.session_state[_CHOICE]
    if asked is None:
        return
    try:
        _store(asked, None if choice is None else asked.prediction.digit if choice == _RIGHT else int(choice))
    except HandwritingError as error:
        st.session_state[_PROBLEM] = error


def _store(asked: _Answer, label: int | None) -> None:
    known = _kept().get(asked.picture)
    if known is not None and label is not None:
        handwriting_store().correct(opened_notebook(), [known[0]], label)
        _kept()[asked.picture] = known[0], label
        st.session_state[_TOLD] = True
    elif known is not None:
        handwriting_store().delete(opened_notebook(), [known[0]])
        del _kept()[asked.picture]
    elif label is not None:
        st.session_state[_TOLD] = _TOLD in st.session_state
        stored = keep_digit(
            asked.prediction.preprocessed, label, source="draw", strokes=asked.strokes,
            answer=asked.prediction.digit, checkpoint=asked.checkpoint,
        )  # fmt: skip
        _kept()[asked.picture] = stored, label


def _kept() -> dict[bytes, tuple[int, int]]:
    """What has been kept in this visit: id and label by model input."""
    kept: dict[bytes, tuple[int, int]] = st.session_state.setdefault(_KEPT, {})
    return kept


@st.cache_resource(max_entries=1, show_spinner=False)
def _keys() -> ComponentRenderer:
    script = (Path(__file__).parent / "verdict.js").read_text(encoding="utf-8")
    return st.components.v2.component("verdict_keys", js=script)
