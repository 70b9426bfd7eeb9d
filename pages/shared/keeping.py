"""Digits that the visitor keeps in their notebook."""

import io
from dataclasses import replace

import streamlit as st
from PIL import Image

from digitcore.imaging.preprocessing import Preprocessed
from digitcore.settings import load_settings
from digitcore.store.handwriting import HandwrittenDigit, Source, new_key
from pages.shared.notebook import opened_notebook
from pages.shared.resources import handwriting_store

WRITER = "writer-name"
"""The name, if any, under which the visitor writes: in the session state."""
_SITTING = "sitting"
_LARGEST_SIDE = 200  # pixels, of the ink


def may_keep() -> bool:
    """Whether this server lets visitors keep what they write."""
    return load_settings().collecting


def writer() -> str:
    """The name under which the visitor writes; empty: none."""
    name: str = st.session_state.get(WRITER, "")
    return name


def sitting() -> str:
    """What the digits of this visit have in common."""
    key: str = st.session_state.setdefault(_SITTING, new_key())
    return key


def keep_digit(
    stages: Preprocessed,
    label: int,
    *,
    source: Source,
    strokes: str | None = None,
    answer: int | None = None,
    checkpoint: str | None = None,
) -> int:
    """Stores a digit in the visitor's notebook, which is begun where there is none, and returns its id.

    Raises:
        HandwritingError: it cannot be stored.
    """
    digit = handwritten_digit(stages, label, source=source, strokes=strokes)
    (stored,) = handwriting_store().add(
        opened_notebook(), [replace(digit, writer=writer(), answer=answer, checkpoint=checkpoint)]
    )
    return stored


def handwritten_digit(stages: Preprocessed, label: int, *, source: Source, strokes: str | None) -> HandwrittenDigit:
    """A digit of this visit, without a writer, as a store takes it."""
    return HandwrittenDigit(
        picture=stages.model_input, label=label, source=source, session=sitting(), strokes=strokes, ink=_png(stages)
    )


def _png(stages: Preprocessed) -> bytes:
    """The ink as it was written, small."""
    picture = Image.fromarray(stages.cropped)
    picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
