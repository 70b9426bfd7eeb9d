"""The visitor as a member of a class: their key, known to their browser alone, and the code in their address."""

from contextlib import suppress

import streamlit as st

from digitcore.errors import ClassError
from digitcore.store.handwriting import is_notebook
from pages.shared.error_box import error_box
from pages.shared.memory import remember
from pages.shared.resources import class_store
from pages.shared.state import VIEW

CODE = "class"
"""The name in the address of the code to join by."""
WRITE, CLASS = "Write", "Class"
"""Views of the page."""
_MEMBER, _INVITED = "class-member", "class-code"


def open_class() -> None:
    """Takes the code from the address and the membership from the browser's memory; before the page picks its view."""
    if CODE in st.query_params:
        st.session_state.update({_INVITED: st.query_params.pop(CODE), VIEW: CLASS})
        _go_on_writing()
    with error_box():
        if _is_over():
            leave()
            st.info("This class is over. What you wrote in it is deleted.", icon=":material/info:")
    remember("class-memory", name="class-member", value=st.session_state.get(_MEMBER), on_found=_resume)


def member_key() -> str | None:
    """The key of the visitor's membership; None where they have joined no class, or have left it."""
    return st.session_state.get(_MEMBER) or None


def invitation() -> str | None:
    """The code of a class that the visitor has been invited to and has not joined."""
    code: str | None = st.session_state.get(_INVITED)
    return code


def decline() -> None:
    """Forgets the invitation; for callbacks."""
    st.session_state.pop(_INVITED, None)


def join(code: str, name: str) -> None:
    """Joins a class, and goes on to writing; for callbacks.

    Raises:
        ClassError: it cannot be joined.
        HandwritingError: the database cannot be written.
    """
    key = class_store().join(code, name, origin=st.context.ip_address or "")
    st.session_state.update({_MEMBER: key, VIEW: WRITE})
    decline()


def leave() -> None:
    """Forgets the membership, here and in the browser; for callbacks."""
    st.session_state[_MEMBER] = ""


def _is_over() -> bool:
    key = member_key()
    try:
        return key is not None and not class_store().member(key)
    except ClassError:
        return True


def _resume(found: object) -> None:
    """Opens the membership that the browser remembers."""
    if _MEMBER not in st.session_state and is_notebook(found):
        st.session_state[_MEMBER] = found
        _go_on_writing()


def _go_on_writing() -> None:
    """Takes an invitation to the class in which the visitor is a member already as a wish to go on."""
    key = member_key()
    with suppress(ClassError):
        if key is not None and class_store().board(key).code == invitation():
            st.session_state[VIEW] = WRITE
            decline()
