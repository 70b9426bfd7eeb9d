"""The digits of the visitor's notebook."""

import streamlit as st

from pages.shared.keeping import may_keep
from pages.shared.notebook import notebook
from pages.shared.resources import handwriting_store


def digits_view() -> None:
    """How many digits there are; or how to get some."""
    key = notebook()
    digits = 0 if key is None else len(handwriting_store().load(key))
    if not digits:
        words = (
            "Draw a digit, and say whether the answer is right." if may_keep() else "This server keeps no handwriting."
        )
        st.info(f"Nothing is kept yet. {words}", icon=":material/edit_note:")
        return
    st.markdown(f"**{digits:,}** digits")
