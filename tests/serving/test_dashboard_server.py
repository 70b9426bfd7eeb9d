"""The dashboard's server as `streamlit run dashboard.py` starts it: what it lets in, and what it says about itself."""

import asyncio
import json
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnected
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect

from digitcore.serving.guard import LeavingVisitors
from tests.paths import ROOT
from tests.processes import free_port, inherited_environment, running_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    """Of a server with no settings but that it stands below a path."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)]
    command += ["--server.baseUrlPath", "digits"]
    environment = inherited_environment(folder, ROOT)
    with running_server(command, port=port, folder=folder, environment=environment, path="/digits") as client:
        yield client


def _opened(client: httpx.Client, **headers: str) -> int:
    """The status with which a web socket is opened, or refused."""
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers = handshake | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} | headers
    with client.stream("GET", "/_stcore/stream", headers=headers) as response:
        return response.status_code


def test_only_this_machine_is_listened_to(client: httpx.Client, folder: Path) -> None:
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError):  # noqa: PT011, for what a system says to a port that nothing listens on
            socket.create_connection((address, client.base_url.port or 0), timeout=30)
    log = (folder / "dashboard.log").read_text(encoding="utf-8")
    assert f"URL: http://localhost:{client.base_url.port}/digits" in log
    assert "Network URL" not in log
    assert "External URL" not in log


def test_other_hosts_and_sites_are_refused_on_pages_and_web_sockets(client: httpx.Client) -> None:
    own = f"127.0.0.1:{client.base_url.port}"
    for host in (own, "localhost:80", "LOCALHOST", "[::1]:8501"):
        assert client.get("/accuracy", headers={"Host": host}).status_code == 200, host
        assert _opened(client, Host=host) == 101, host
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""):
        for path in ("/", "/accuracy", "/static/index.html", "/checkpoints"):
            response = client.get(path, headers={"Host": host})
            assert (response.status_code, list(response.json())) == (400, ["detail"]), (host, path)
        assert _opened(client, Host=host) == 403, host
    assert client.get("/_stcore/health", headers={"Host": "10.0.0.1"}).text == "ok"
    assert client.get("/", headers={"Origin": "https://evil.example"}).status_code == 403
    assert _opened(client, Host=own, Origin="https://evil.example") == 403
    assert _opened(client, Host=own, Origin=f"http://{own}") == 101


def test_every_response_says_what_a_browser_may_do_with_it(client: httpx.Client) -> None:
    pages = [client.get(path) for path in ("/", "/accuracy", "/nosuch", "/docs")]
    others = [client.get(path) for path in ("/_stcore/health", "/checkpoints", "/predict", "/openapi.json")]
    refused = client.get("/", headers={"Host": "evil.example"})
    for response in (*pages, *others, refused, client.get("/static-offline-docs/swagger-ui.css")):
        assert response.headers["x-content-type-options"] == "nosniff", response.url
        assert response.headers["x-frame-options"] == "SAMEORIGIN", response.url
        assert response.headers["referrer-policy"] == "same-origin", response.url
        policy = response.headers["content-security-policy"]
        assert "frame-ancestors" in policy, response.url
        assert not re.search(r"https?:|\*|unsafe-eval'(?<!wasm-unsafe-eval')", policy), response.url
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0], response.url


def test_below_a_path_the_api_answers_and_its_addresses_start_with_it(
    client: httpx.Client, draw: Callable[..., NDArray[np.uint8]], encode: Callable[..., bytes]
) -> None:
    page = client.get("/docs").text
    addresses = [*re.findall(r'(?:src|href)="([^"]+)"', page), *re.findall(r"url: '([^']+)'", page)]
    assert len(addresses) == 4
    for address in addresses:
        assert address.startswith("/digits/"), address
        assert client.get(httpx.URL(client.base_url, path=address)).status_code == 200, address
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/digits"}]
    assert "world" in {entry["name"] for entry in client.get("/checkpoints").json()}
    assert client.post("/predict", files={"image": encode(draw(7))}).json()["prediction"] == 7
    assert client.get(httpx.URL(client.base_url, path="/checkpoints")).status_code == 404


def test_a_page_that_is_closed_while_it_is_being_sent_is_no_error() -> None:
    async def send_to_nobody(scope: Scope, receive: Receive, send: Send) -> None:
        raise WebSocketDisconnected("nobody is there")

    async def nothing(*_: object) -> Message:
        return {}

    async def ask(kind: str) -> None:
        await LeavingVisitors(send_to_nobody)({"type": kind}, nothing, nothing)

    asyncio.run(ask("websocket"))
    with pytest.raises(WebSocketDisconnected):
        asyncio.run(ask("http"))


def test_visitors_who_leave_or_send_nonsense_leave_no_traceback(client: httpx.Client) -> None:
    """Of which `client` asserts that there is none."""
    stream = f"ws://127.0.0.1:{client.base_url.port}/digits/_stcore/stream"
    rerun = BackMsg()
    rerun.rerun_script.query_string = ""
    for seconds in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        for _ in range(4):
            with connect(stream) as visitor:
                visitor.send(rerun.SerializeToString())
                time.sleep(seconds)
                visitor.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                visitor.socket.close()  # at once, without a word
    for nonsense in ("text", b""):
        with connect(stream) as visitor:
            visitor.send(nonsense)
            time.sleep(0.2)
    assert client.get("/_stcore/health").text == "ok"


def test_each_refusal_is_one_line_of_the_log(client: httpx.Client, folder: Path) -> None:
    """With what, why, size and from where, but nothing of the picture; no name can look like another line."""
    forged = "x\n2026-01-01 00:00:00 WARNING digitcore.serving.guard refused {}\u2028\x1b[31m"
    client.get(f"/{quote(forged)}", headers={"Host": "evil.example"})
    response = client.post("/predict", params={"checkpoint": forged}, files={"image": ("a.png", b"secret")})
    assert response.status_code == 404
    log = (folder / "dashboard.log").read_text(encoding="utf-8")
    lines = re.findall(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING digitcore.serving.guard refused (.*)$", log, re.MULTILINE
    )
    *_, other_host, no_checkpoint = map(json.loads, lines)
    assert (other_host["status"], other_host["request"]) == (400, f"GET /digits/{forged}")
    assert (no_checkpoint["status"], no_checkpoint["request"]) == (404, "POST /digits/predict")
    assert (no_checkpoint["from"], no_checkpoint["bytes"]) == ("127.0.0.1", response.request.headers["content-length"])
    assert not re.search(r"^2026-01-01", log, re.MULTILINE)
    assert "secret" not in log
    assert "\x1b" not in log
