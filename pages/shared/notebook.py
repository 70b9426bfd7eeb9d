"""The notebook of the visitor: the key to what they have written, known to their browser alone."""

import uuid
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.data.datasets import HANDWRITING
from digitcore.errors import HandwritingError
from digitcore.store.handwriting import is_notebook, new_key
from pages.shared.resources import handwriting_store

NOTEBOOK = "notebook"
"""Its name in the session state, and in the address that opens it elsewhere."""
_KEY, _VISIT, _BEFORE = "notebook-memory", "notebook-visit", "notebook-before"


def open_notebook() -> None:
    """Takes the notebook from the address, or else from the browser's memory."""
    addressed = st.query_params.pop(NOTEBOOK, None)  # whoever copies the address later does not give it away
    if is_notebook(addressed):
        st.session_state[NOTEBOOK] = addressed
    remember_notebook(_KEY)


def remember_notebook(key: str) -> None:
    """Has the browser remember the notebook; in each fragment that may begin one, under a key of its own."""
    _component()(
        key=key,
        data={
            "notebook": notebook(),
            "base": st.get_option("server.baseUrlPath").strip("/"),  # where a server has several dashboards
            "visit": st.session_state.setdefault(_VISIT, str(uuid.uuid4())),
            "before": st.session_state.get(_BEFORE),
        },
        on_found_change=lambda: _open_remembered(key),
        on_before_change=lambda: _note_before(key),
        width="content",
    )


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


def _open_remembered(key: str) -> None:
    found = st.session_state[key]["found"]
    if notebook() is None and is_notebook(found):
        st.session_state[NOTEBOOK] = found


def _note_before(key: str) -> None:
    before = st.session_state[key]["before"]
    if is_notebook(before):
        st.session_state[_BEFORE] = before


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    script = (Path(__file__).parent / "notebook.js").read_text(encoding="utf-8")
    return st.components.v2.component("notebook_memory", js=script)
