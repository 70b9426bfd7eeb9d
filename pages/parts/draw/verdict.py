"""Whether the answer is right, or which digit it should have been: said by one click or one key, and kept."""

from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.errors import HandwritingError, ImageError
from digitcore.imaging.canvas_json import is_stroke, layer_of
from digitcore.imaging.stroke_links import encode_drawing
from digitcore.models.classifier import Prediction
from digitcore.models.numbers import PictureReading
from pages.shared.drawing import SIDE, current_drawing
from pages.shared.error_box import show_error
from pages.shared.keeping import handwritten_digit, may_keep, writer
from pages.shared.notebook import opened_notebook, remember_notebook
from pages.shared.pickers import picked_classifier
from pages.shared.resources import handwriting_store

_RIGHT = "right"
_QUESTION = "Is that right, or which digit is it?"
_CHOICES = [_RIGHT, *map(str, range(10))]
_CHOICE, _NUMBER, _ASKED, _KEPT, _TOLD = "true-digit", "true-number", "verdict-on", "kept-drawings", "kept-told"
_PROBLEM = "verdict-problem"


@dataclass(frozen=True, eq=False)
class _Answer:
    """An answer on which there can be a verdict: for one digit, or for all of a number."""

    predictions: tuple[Prediction, ...]
    checkpoint: str
    """Digest."""
    strokes: str | None = None
    """Of one digit."""

    @property
    def pictures(self) -> bytes:
        """What the network saw."""
        return b"".join(prediction.model_input.tobytes() for prediction in self.predictions)

    @property
    def text(self) -> str:
        """The digits that were answered."""
        return "".join(str(prediction.digit) for prediction in self.predictions)


def verdict_panel(read: PictureReading | None, *, drawn: bool) -> None:
    """Asks for the true digits, and says what is kept; disabled while there is no answer of somebody's own hand.

    drawn: whether the picture is what is on the canvas.
    """
    if not may_keep():
        return
    asked = None if read is None else _asked(read, drawn=drawn)
    st.session_state[_ASKED] = asked
    text = None if asked is None else _kept().get(asked.pictures, ([], None))[1]
    st.session_state[_CHOICE] = _RIGHT if asked is not None and text == asked.text else text
    with st.container(gap="xxsmall", key="verdict"):
        if asked is not None and len(asked.predictions) > 1:
            _ask_number(asked, text)
        else:
            st.caption(_QUESTION)  # a disabled label would be too pale to read
            _pills(_CHOICES, disabled=asked is None)
        if text is not None:
            _say_kept(text)
    if _PROBLEM in st.session_state:
        show_error(st.session_state.pop(_PROBLEM))
    _keys()(key="verdict-keys", width="content")
    remember_notebook("verdict-notebook")


def _ask_number(asked: _Answer, text: str | None) -> None:
    """Asks whether a number is right, or for the one that was meant."""
    st.caption(_QUESTION.replace("digit", "number"))
    st.session_state[_NUMBER] = "" if text is None or text == asked.text else text
    if st.session_state[_CHOICE] != _RIGHT:
        st.session_state[_CHOICE] = None
    with st.container(horizontal=True, gap="small"):
        _pills([_RIGHT])
        st.text_input(
            "The true number", key=_NUMBER, on_change=_choose_number, placeholder=f"{len(asked.text)} digits",
            label_visibility="collapsed", max_chars=3 * len(asked.text), width=160,
        )  # fmt: skip


def _pills(choices: list[str], *, disabled: bool = False) -> None:
    st.pills(
        _QUESTION, choices, key=_CHOICE, on_change=_choose, disabled=disabled,
        width="stretch" if len(choices) > 1 else "content",
        format_func=lambda choice: ":material/check: Right" if choice == _RIGHT else choice,
        label_visibility="collapsed",
    )  # fmt: skip


def _asked(read: PictureReading, *, drawn: bool) -> _Answer | None:
    """The answer that is shown; None for a blank picture, and for digits that somebody else has written."""
    prediction, checkpoint = read.prediction, picked_classifier().checkpoint.digest
    if prediction.refusal is not None and prediction.refusal.kind == "blank":
        return None
    objects = current_drawing().objects if drawn else []
    if not all(map(is_stroke, objects)):
        return None
    if read.number is not None:
        return _Answer(tuple(digit.prediction for digit in read.number.digits), checkpoint)
    if not drawn:
        return _Answer((prediction,), checkpoint)
    try:
        layers = [layer_of(canvas_object, side=SIDE) for canvas_object in objects]
        return _Answer((prediction,), checkpoint, encode_drawing(layers, side=SIDE))
    except ImageError:  # too many strokes for a link; the picture is kept without them
        return _Answer((prediction,), checkpoint)


def _say_kept(text: str) -> None:
    words = f"Kept as {text}."
    if not st.session_state.get(_TOLD):
        words = (
            f"Kept as {text} in your notebook on this server: the drawing, the answer and the time. "
            "Only you can open it. Click again to take it back."
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption(words, width="content")
        st.page_link("pages/handwriting.py", label="Handwriting", icon=":material/edit_note:", width="content")


def _choose() -> None:
    """Keeps what was drawn as what it was said to be; corrects it, or takes it back."""
    asked: _Answer | None = st.session_state.get(_ASKED)
    choice: str | None = st.session_state[_CHOICE]
    if asked is not None:
        _store(asked, asked.text if choice == _RIGHT else choice)


def _choose_number() -> None:
    """The same with the number that was typed, where it has as many digits as were found."""
    asked: _Answer | None = st.session_state.get(_ASKED)
    text = "".join(st.session_state[_NUMBER].split())
    if asked is None:
        return
    if text and (len(text) != len(asked.text) or not (text.isascii() and text.isdecimal())):
        words = f"{len(asked.text)} digits were found: type as many, or draw them farther apart."
        st.session_state[_PROBLEM] = ImageError(words)
    else:
        _store(asked, text or None)


def _store(asked: _Answer, text: str | None) -> None:
    """Has the notebook hold these digits with the labels of a text; with None it no longer holds them."""
    known = _kept().get(asked.pictures)
    try:
        if text is None:
            handwriting_store().delete(opened_notebook(), known[0] if known else [])
            _kept().pop(asked.pictures, None)
        elif known is None:
            st.session_state[_TOLD] = _TOLD in st.session_state
            _kept()[asked.pictures] = _keep(asked, text), text
        else:
            st.session_state[_TOLD] = True
            for stored, label in zip(known[0], text, strict=True):
                handwriting_store().correct(opened_notebook(), [stored], int(label))
            _kept()[asked.pictures] = known[0], text
    except HandwritingError as error:
        st.session_state[_PROBLEM] = error


def _keep(asked: _Answer, text: str) -> list[int]:
    digits = [
        replace(
            handwritten_digit(prediction.preprocessed, int(label), source="draw", strokes=asked.strokes),
            writer=writer(), answer=prediction.digit, checkpoint=asked.checkpoint,
        )
        for prediction, label in zip(asked.predictions, text, strict=True)
    ]  # fmt: skip
    return handwriting_store().add(opened_notebook(), digits)


def _kept() -> dict[bytes, tuple[list[int], str]]:
    """What has been kept in this visit: ids and labels by model inputs."""
    digits: dict[bytes, tuple[list[int], str]] = st.session_state.setdefault(_KEPT, {})
    return digits


@st.cache_resource(max_entries=1, show_spinner=False)
def _keys() -> ComponentRenderer:
    script = (Path(__file__).parent / "verdict.js").read_text(encoding="utf-8")
    return st.components.v2.component("verdict_keys", js=script)
