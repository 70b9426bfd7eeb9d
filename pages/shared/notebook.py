"""The notebook of the visitor: the key to what they have written, known to their browser alone."""

import streamlit as st

from digitcore.data.datasets import HANDWRITING
from digitcore.errors import HandwritingError
from digitcore.store.handwriting import is_notebook, new_key
from pages.shared.memory import remember
from pages.shared.resources import handwriting_store

NOTEBOOK = "notebook"
"""Its name in the session state, and in the address that opens it elsewhere."""
_KEY, _BEFORE = "notebook-memory", "notebook-before"


def open_notebook() -> None:
    """Takes the notebook from the address, or else from the browser's memory."""
    addressed = st.query_params.pop(NOTEBOOK, None)  # whoever copies the address later does not give it away
    if is_notebook(addressed):
        st.session_state[NOTEBOOK] = addressed
    remember_notebook(_KEY)


def remember_notebook(key: str) -> None:
    """Has the browser remember the notebook; in each fragment that may begin one, under a key of its own."""
    before = st.session_state.get(_BEFORE)
    remember(key, name=NOTEBOOK, value=notebook(), on_found=_open_remembered, before=before, on_before=_note_before)


def notebook() -> str | None:
    """The key of the visitor's notebook; None where they have kept nothing yet."""
    key: str | None = st.session_state.get(NOTEBOOK)
    return key


def opened_notebook() -> str:
    """The key of the visitor's notebook, which is begun where there is none; for what they have asked to keep."""
    key: str = st.session_state.setdefault(NOTEBOOK, new_key())
    return key


def handwriting_dataset() -> str:
    """The set of digits in the visitor's notebook as it is now: its name tells states apart, for caches.

    It holds the key of the notebook and is not for the screen or the address.
    """
    key = notebook()
    if key is None:
        return f"{HANDWRITING}:none"
    try:
        return f"{HANDWRITING}:{key}@{handwriting_store().revision(key)}"
    except HandwritingError:  # what reads the digits says so
        return f"{HANDWRITING}:{key}"


def notebook_before() -> str | None:
    """The notebook that the browser remembered before it opened this one: a link to another does not lose one's own."""
    key: str | None = st.session_state.get(_BEFORE)
    return key if key != notebook() else None


def change_notebook(key: str) -> None:
    """Opens another notebook; for callbacks."""
    st.session_state.update({NOTEBOOK: key, _BEFORE: notebook()})


def _open_remembered(found: object) -> None:
    if notebook() is None and is_notebook(found):
        st.session_state[NOTEBOOK] = found


def _note_before(before: object) -> None:
    if is_notebook(before):
        st.session_state[_BEFORE] = before
