"""The dashboard's server as `streamlit run dashboard.py` starts it: what it lets in, and what it says about itself."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.paths import ROOT
from tests.processes import free_port, running_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    """Of a server with no settings of its own."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    environment = inherited | {"DIGITCORE_DATABASE_URL": f"sqlite:///{folder / 'annotations.sqlite'}"}
    with running_server(command, port=port, folder=folder, environment=environment) as client:
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
    assert f"URL: http://localhost:{client.base_url.port}" in log
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
