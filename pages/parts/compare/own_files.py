"""Models that visitors have added: renamed and removed, after a confirmation."""

import streamlit as st

from digitcore.formats.endings import stem_of
from digitcore.text import plain
from pages.shared.error_box import error_box
from pages.shared.resources import checkpoint_library


def own_files_view() -> None:
    """A picker of the added files, with what can be done to one."""
    files = checkpoint_library().own_files()
    if not files:
        return
    with st.expander("Rename or remove", icon=":material/edit:"):
        st.caption("Models that were added here, for everybody. Those that came with the program stay as they are.")
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            file = st.selectbox("Added model", files, key="own-file", label_visibility="collapsed")
            with st.popover("Rename", icon=":material/edit:"):
                _rename(file)
            with st.popover("Remove", icon=":material/delete:"):
                _remove(file)


def _rename(file: str) -> None:
    name = st.text_input("New name", stem_of(file), key=f"new-name-{file}")
    if st.button(f"Rename {plain(file)}", type="primary", key="confirm-rename"):
        with error_box():
            checkpoint_library().rename(file, name)
            st.rerun()


def _remove(file: str) -> None:
    st.markdown("The file is deleted and cannot be brought back.")
    if st.button(f"Remove {plain(file)}", type="primary", key="confirm-remove"):
        with error_box():
            checkpoint_library().remove(file)
            st.rerun()
