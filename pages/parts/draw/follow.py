"""The details follow the answer, in runs of their own: a stroke is answered without them."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.models.numbers import PictureReading
from pages.shared.background import is_pending

_READING, _VERSION, _RUN = "reading", "reading-version", "details-run"
_ANNOUNCE = """
export default function ({ data }) {
  window.digitcoreAnswer = data.version;
  window.dispatchEvent(new Event('digitcore-answer'));
}
"""


def publish_reading(read: PictureReading | None) -> None:
    """Lets the details know what was read; in the run that answers, after the answer."""
    version = st.session_state.get(_VERSION, 0) + 1
    st.session_state.update({_READING: read, _VERSION: version})
    _announcement()(key="announcement", data={"version": version})


def published_reading() -> PictureReading | None:
    """What was read last."""
    read: PictureReading | None = st.session_state.get(_READING)
    return read


def follow_readings() -> None:
    """Reruns the fragment that calls it, last: when there is another reading, and while it waits for results."""
    run = st.session_state[_RUN] = st.session_state.get(_RUN, 0) + 1  # or the browser would not hear of an equal run
    _follower()(
        key="follower",
        data={"shown": st.session_state.get(_VERSION, 0), "pending": is_pending(), "run": run},
        on_due_change=lambda: None,
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _announcement() -> ComponentRenderer:
    return st.components.v2.component("answer_announcement", js=_ANNOUNCE)


@st.cache_resource(max_entries=1, show_spinner=False)
def _follower() -> ComponentRenderer:
    script = (Path(__file__).parent / "follow.js").read_text(encoding="utf-8")
    return st.components.v2.component("answer_follower", js=script)
