"""What a visitor's browser remembers for them: keys that open what is theirs."""

import uuid
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_VISIT = "memory-visit"


def remember(
    key: str,
    *,
    name: str,
    value: str | None,
    on_found: Callable[[object], None],
    before: str | None = None,
    on_before: Callable[[object], None] = lambda _: None,
) -> None:
    """Has the browser remember a value under a name; in each fragment that may change it, under a key of its own.

    None: the browser is asked for the value instead, once in a visit, for `on_found`. Empty: the browser forgets it.
    before: the value of before, as far as it is known; if it is not, the browser is asked for it, for `on_before`.
    """
    _component()(
        key=key,
        data={
            "name": name,
            "value": value,
            "base": st.get_option("server.baseUrlPath").strip("/"),  # where a server has several dashboards
            "visit": st.session_state.setdefault(_VISIT, str(uuid.uuid4())),
            "before": before,
        },
        on_found_change=lambda: on_found(st.session_state[key]["found"]),
        on_before_change=lambda: on_before(st.session_state[key]["before"]),
        width="content",
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    script = (Path(__file__).parent / "memory.js").read_text(encoding="utf-8")
    return st.components.v2.component("visitor_memory", js=script)
