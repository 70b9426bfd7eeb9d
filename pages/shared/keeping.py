"""Digits that the visitor keeps in their notebook."""

import io

import streamlit as st
from PIL import Image

from digitcore.imaging.preprocessing import Preprocessed
from digitcore.settings import load_settings
from digitcore.store.handwriting import HandwrittenDigit, Source, new_key

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
