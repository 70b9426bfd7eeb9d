"""The details follow the answer, in runs of their own: a stroke is answered without them."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.models.numbers import PictureReading
from pages.parts.draw.canvas import CANVAS
from pages.shared.background import is_pending
from pages.shared.drawing import current_drawing
from pages.shared.state import CHECKPOINT

_READING, _VERSION, _RUN, _SEEN = "reading", "reading-version", "details-run", "reading-of"
_PICKED = [CANVAS, CHECKPOINT, "source", "brush", "ink", "one-digit", "upload", "camera"]
"""Names in the session state of what a reading depends on."""
_ANNOUNCE = """
export default function ({ data }) {
  window.digitcoreAnswer = data.version;
  window.dispatchEvent(new Event('digitcore-answer'));
}
"""


def publish_reading(read: PictureReading | None) -> None:
    """Lets the details know what was read; in the run that answers, after the answer."""
    version = st.session_state.get(_VERSION, 0) + 1
    st.session_state.update({_READING: read, _VERSION: version, _SEEN: _state()})
    _announcement()(key="announcement", data={"version": version})


def published_reading() -> PictureReading | None:
    """What was read last."""
    read: PictureReading | None = st.session_state.get(_READING)
    return read


def catch_up() -> None:
    """Runs the page again where something was drawn or picked since the last reading, yet only this fragment runs.

    Streamlit's browser part sends what changes in one moment as one message, and names the fragment of the first change
    alone: callbacks of the others run, but not their fragments.
    """
    if st.session_state.get(_SEEN) != _state():
        st.rerun()


def follow_readings() -> None:
    """Reruns the fragment that calls it, last: when there is another reading, and while it waits for results."""
    run = st.session_state[_RUN] = st.session_state.get(_RUN, 0) + 1  # or the browser would not hear of an equal run
    _follower()(
        key="follower",
        data={"shown": st.session_state.get(_VERSION, 0), "pending": is_pending(), "run": run},
        on_due_change=lambda: None,
    )


def _state() -> list[object]:
    """All that a reading depends on."""
    return [current_drawing().revision, *(st.session_state.get(name) for name in _PICKED)]


@st.cache_resource(max_entries=1, show_spinner=False)
def _announcement() -> ComponentRenderer:
    return st.components.v2.component("answer_announcement", js=_ANNOUNCE)


@st.cache_resource(max_entries=1, show_spinner=False)
def _follower() -> ComponentRenderer:
    script = (Path(__file__).parent / "follow.js").read_text(encoding="utf-8")
    return st.components.v2.component("answer_follower", js=script)
