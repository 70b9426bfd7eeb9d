"""The model card of a checkpoint, in a dialog over any page."""

import streamlit as st

from digitcore.text import plain
from pages.shared.error_box import error_box
from pages.shared.evaluations import card_of


def about_button(name: str | None, *, label: str, key: str, quiet: bool = False) -> None:
    """A button that opens the model card of the checkpoint of this name; without a name it cannot be pressed."""
    pressed = st.button(
        label, icon=":material/info:", key=key, type="tertiary" if quiet else "secondary", disabled=name is None
    )
    if pressed and name is not None:
        st.dialog(plain(name), width="medium")(_card)(name)


def _card(name: str) -> None:
    with error_box():
        card = card_of(name)
        st.markdown(card)
        st.download_button(
            "Markdown", card, f"{name}.md", "text/markdown", icon=":material/download:", on_click="ignore"
        )
