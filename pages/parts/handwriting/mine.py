"""The digits of the visitor's notebook."""

import streamlit as st

from pages.shared.notebook import notebook
from pages.shared.resources import handwriting_store


def digits_view() -> None:
    """How many digits there are; or how to get some."""
    key = notebook()
    digits = 0 if key is None else len(handwriting_store().load(key))
    if not digits:
        st.info("Nothing is kept yet.", icon=":material/edit_note:")
        return
    st.markdown(f"**{digits:,}** digits")
