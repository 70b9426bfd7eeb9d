"""Drawings to try: codes of `encode_drawing`, drawn for this project."""

import streamlit as st

from digitcore.models.classifier import DigitClassifier
from digitcore.models.numbers import read_picture
from pages.parts.draw.links import objects_in
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.drawing import Drawing, current_drawing
from pages.shared.words import percent

EXAMPLES = {
    "a sloppy 4": "1FhSsAogBFQ8JAQkCBwYPKjdWBxIHEgESAhIIEA4OEA4cDh4GGgAsDVovKAsWB5gDfAQ0ADIDMgUwE24lpgE",
    "a letter": "1Fg64A4ABQQcvADECPwoHVgNYAFYEVgRCOAZIAjgDSAsWA9AB0AJeA2oH",
    "1987": (
        "1DQVE4AEGQgI0AUAFQg0ejAL0AQURBQcJCQ0FBwENABcGExANFAcYAhACCAIGCg4OCA4GEAAIAQgBDgcMCQoNChUEDwINADoFOgc4DTgNKrAD-AED"
        "DQUJBQcHBQkBCQATBBMKDRADCAEIAAoCCAoSFhgoIAwOChAEFAAWAwoJEgUIBwQJBAkCFQEJAwcFBQUDCQMTAAkEEwoPDA8uJQ4NDA8ECQQTDQbo"
        "A9gBhAEHGUAVQBFCDUI"
    ),
}
"""By what they show."""
GHOST = (
    "1GDnAAcABCBUGCQ4RCAcUDSIPJAckABgEDAQUDAgICggMFAoWAgwCGAEKAQwJEgcKERAfEhcKFQYXBBMCDAcOAwwDHAEcBg4EGgwWEgoKEhYMGAIM"
    "AhoBDgcaCxgRGBUSCwgXDBkIGQQbABkDGQcZCxUNExEJCQ"
)
"""The digit that draws itself on the first screen."""


def examples() -> None:
    """A button for each drawing, which puts it on the canvas."""
    st.caption("Try:", width="content")
    for name, code in EXAMPLES.items():
        st.button(name, key=f"example-{name.replace(' ', '-')}", on_click=_put, args=(code,), type="tertiary")


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def ghost_answer(classifier: DigitClassifier) -> str:
    """What a checkpoint reads the ghost digit as, in words."""
    drawing = Drawing()
    drawing.replace_by(objects_in(GHOST))
    assert drawing.picture is not None
    prediction = read_picture(classifier, drawing.picture).prediction
    if prediction.refusal is not None:
        return f"For example: {prediction.refusal.kind}"
    return f"For example: read as {prediction.digit}, {percent(prediction.confidence)} sure"


def _put(code: str) -> None:
    current_drawing().replace_by(objects_in(code))
