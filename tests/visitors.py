"""Visitors of the pages without a browser: web sockets that ask for runs of a page and read what it sends."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.common import user_key_from_element_id
from websockets.sync.client import ClientConnection, connect

PATIENCE = 180
"""Seconds; machines that run the checks may have other work."""
_DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
_WIDGETS = ("text_input", "button", "bidi_component")


@dataclass
class Visitor:
    """One who has a page open."""

    connection: ClientConnection
    page: str
    query: str
    shown: list[str] = field(default_factory=list)
    """Text of the page's headings, captions, other Markdown and HTML, of its last run."""
    widgets: dict[str, str] = field(default_factory=dict)
    """What the server calls text fields, buttons and components, by their keys."""
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What components were told last, by their keys."""
    fragments: dict[str, str] = field(default_factory=dict)
    """The fragments in which components stand, by their keys."""
    repeated: list[str] = field(default_factory=list)
    """The fragments that are to run again and again."""
    _values: dict[str, WidgetState] = field(default_factory=dict)
    _script: str = ""
    """What the server calls the page, once it has run."""

    def run(self, *, fragment: str = "", pressed: str = "") -> float:
        """Has the page run, or one fragment of it, and reads it; seconds until it is whole.

        pressed: the key of a button that is pressed for this.
        """
        asked = BackMsg()
        asked.rerun_script.query_string, asked.rerun_script.page_script_hash = self.query, self._script
        asked.rerun_script.page_name = "" if self._script else self.page
        asked.rerun_script.fragment_id = fragment
        states = list(self._values.values())
        if pressed:
            states.append(WidgetState(id=self.widgets[pressed], trigger_value=True))
        asked.rerun_script.widget_states.widgets.extend(states)
        start = time.perf_counter()
        self.connection.send(asked.SerializeToString())
        self._begin_anew(fragment)
        while True:
            message = ForwardMsg()
            data = self.connection.recv(timeout=PATIENCE)
            assert isinstance(data, bytes)
            message.ParseFromString(data)
            kind = message.WhichOneof("type")
            if kind == "script_finished":
                if message.script_finished in _DONE:
                    return time.perf_counter() - start
                self._begin_anew()
            elif kind == "navigation":
                self._script = message.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query = message.page_info_changed.query_string
            elif kind == "auto_rerun":
                self.repeated.append(message.auto_rerun.fragment_id)
            elif kind == "delta":
                self._note(message)

    def visit(self, page: str) -> float:
        """Opens another page; seconds until it is whole."""
        self.page, self.query, self._script, self._values = page, "", "", {}
        return self.run()

    def fill(self, key: str, text: str) -> None:
        """Types into a text field; the page hears of it with the next run."""
        self._values[key] = WidgetState(id=self.widgets[key], string_value=text)

    def send(self, key: str, state: dict[str, Any]) -> float:
        """Has a component say this, and its fragment run; seconds until that is whole."""
        self._values[key] = WidgetState(id=self.widgets[key], json_value=json.dumps(state))
        return self.run(fragment=self.fragments[key])

    def _begin_anew(self, fragment: str = "") -> None:
        self.shown = []
        if not fragment:
            self.repeated = []

    def _note(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            raise AssertionError(element.exception.message)
        if kind in {"heading", "markdown", "html"}:
            self.shown.append(getattr(element, kind).body)
        if kind in _WIDGETS:
            widget = getattr(element, kind)
            key = user_key_from_element_id(widget.id) or ""
            self.widgets[key], self.fragments[key] = widget.id, message.delta.fragment_id
            if kind == "bidi_component":
                self.told[key] = json.loads(widget.json or "{}")


@contextmanager
def visitor(client: httpx.Client, page: str = "", **query: str) -> Iterator[Visitor]:
    """A visitor who has opened a page of the server of this client, such as "accuracy", and has not asked for it."""
    stream = f"ws://{client.base_url.host}:{client.base_url.port}/_stcore/stream"
    with connect(stream, max_size=None, open_timeout=PATIENCE, compression=None) as connection:
        yield Visitor(connection, page, urlencode(query))
