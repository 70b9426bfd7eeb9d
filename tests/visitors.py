"""Visitors of the pages without a browser: web sockets that ask for runs of a page and read what it sends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

PATIENCE = 180
"""Seconds; machines that run the checks may have other work."""


@dataclass
class Visitor:
    """One who has a page open."""

    connection: ClientConnection
    page: str
    query: str
    shown: list[str] = field(default_factory=list)
    """Text of the page's headings, captions and other Markdown, of its last run."""

    def run(self) -> float:
        """Has the page run, and reads it; seconds until it is whole."""
        asked = BackMsg()
        asked.rerun_script.page_name, asked.rerun_script.query_string = self.page, self.query
        start = time.perf_counter()
        self.connection.send(asked.SerializeToString())
        self.shown = []
        while True:
            message = ForwardMsg()
            data = self.connection.recv(timeout=PATIENCE)
            assert isinstance(data, bytes)
            message.ParseFromString(data)
            if message.WhichOneof("type") == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    return time.perf_counter() - start
                self.shown = []  # it runs anew
            self._note(message)

    def _note(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            raise AssertionError(element.exception.message)
        if kind in {"heading", "markdown"}:
            self.shown.append(getattr(element, kind).body)


@contextmanager
def visitor(client: httpx.Client, page: str = "", **query: str) -> Iterator[Visitor]:
    """A visitor who has opened a page of the server of this client, such as "accuracy", and has not asked for it."""
    stream = f"ws://{client.base_url.host}:{client.base_url.port}/_stcore/stream"
    with connect(stream, max_size=None, open_timeout=PATIENCE, compression=None) as connection:
        yield Visitor(connection, page, urlencode(query))
