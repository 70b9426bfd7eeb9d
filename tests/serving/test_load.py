"""More requests than can be answered, and such as never arrive; in processes of their own: tests/faults."""

import gc
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx
import pytest
from fastapi import FastAPI

from digitcore.models.classifier import all_cores
from digitcore.serving.api import create_api
from tests.load import picture
from tests.paths import ROOT
from tests.processes import running_api

WAITING = 3
AT_WORK = min(2 * all_cores(), 16)
SEVEN = picture()
PART_OF_A_BODY = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
PART_OF_A_BODY += b"Content-Length: 1000\r\n\r\n--x\r\n"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setenv("DIGITCORE_MAX_WAITING", str(WAITING))
    monkeypatch.setenv("DIGITCORE_MAX_ARRIVAL_SECONDS", "1")
    return create_api()


@pytest.fixture
def client(api: FastAPI) -> Iterator[httpx.Client]:
    with running_api(api) as client:
        yield client


@contextmanager
def _cores_taken(api: FastAPI) -> Iterator[None]:
    """No work goes on."""
    for _ in range(all_cores()):
        api.state.free_cores.acquire()
    try:
        yield
    finally:
        for _ in range(all_cores()):
            api.state.free_cores.release()


def _ask(client: httpx.Client) -> httpx.Response:
    return client.post("/predict", files={"image": ("seven.pgm", SEVEN)})


def _wait_until_taken(api: FastAPI) -> None:
    deadline = time.monotonic() + 60
    while not api.state.turns.are_taken():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_requests_beyond_those_that_may_wait_are_refused_at_once(api: FastAPI, client: httpx.Client) -> None:
    """Those that wait are answered; meanwhile files, which take threads too, are served."""
    with ThreadPoolExecutor(AT_WORK + WAITING) as pool:
        with _cores_taken(api):
            waiting = [pool.submit(_ask, client) for _ in range(AT_WORK + WAITING)]
            _wait_until_taken(api)
            for refused in (_ask(client), client.get("/checkpoints")):
                assert (refused.status_code, list(refused.json())) == (503, ["detail"])
                assert int(refused.headers["retry-after"]) > 0
            assert client.get("/static-offline-docs/swagger-ui.css").status_code == 200
            assert not any(future.done() for future in waiting)
        assert [future.result().json()["prediction"] for future in waiting] == [7] * len(waiting)
    assert _ask(client).json()["prediction"] == 7


def test_what_a_client_that_has_gone_asked_for_is_not_begun(
    api: FastAPI, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(AT_WORK) as pool, caplog.at_level(logging.WARNING):
        with _cores_taken(api):
            at_work = [pool.submit(_ask, client) for _ in range(AT_WORK)]
            while not api.state.turns.are_taken():
                with pytest.raises(httpx.ReadTimeout):
                    client.post("/predict", files={"image": ("seven.pgm", SEVEN)}, timeout=1)
        assert {future.result().status_code for future in at_work} == {200}
    assert _ask(client).status_code == 200
    assert 1 <= caplog.text.count("The client has gone") <= WAITING


def test_what_waits_for_a_core_is_not_begun_for_a_client_that_has_gone(
    api: FastAPI, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def ask_and_leave(_: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/predict", files={"image": ("seven.pgm", SEVEN)}, timeout=1)

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(AT_WORK) as pool:
        with _cores_taken(api):
            list(pool.map(ask_and_leave, range(AT_WORK)))
        assert _ask(client).status_code == 200
    assert caplog.text.count("The client has gone") == AT_WORK


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (b"", b""),
        (b"GET /checkpoints HTTP/1.1\r\nHost: x\r\n", b""),
        (b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK"),
    ],
)
def test_a_connection_on_which_no_request_arrives_is_ended(client: httpx.Client, begun: bytes, answer: bytes) -> None:
    """However often a little of it arrives."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.settimeout(0.1)
        connection.sendall(begun)
        received = bytearray()
        for _ in range(600):
            try:
                with suppress(TimeoutError):
                    arrived = connection.recv(65_536)
                    if not arrived:
                        break
                    received += arrived
                connection.sendall(b"G")
            except ConnectionError:
                break
        else:
            pytest.fail("the connection is still open")
        assert bytes(received[: len(answer)]) == answer


def test_a_body_that_does_not_arrive_is_refused(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=60) as connection:
        connection.sendall(PART_OF_A_BODY)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too slow to arrive" in answer


def test_answers_are_sent_without_waiting_for_acknowledgements(client: httpx.Client) -> None:
    """On connections of a socket that does not name its protocol, as Streamlit makes it."""
    assert client.get("/openapi.json").status_code == 200
    open_sockets = [item for item in gc.get_objects() if isinstance(item, socket.socket) and item.fileno() >= 0]
    connections = [
        item
        for item in open_sockets
        if item.family == socket.AF_INET
        and item.getsockname()[1] == client.base_url.port
        and not item.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ]
    assert [bool(item.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) for item in connections] == [True]


_COLLECTIONS = """
import gc, time
import digitcore.serving.api
from digitcore.serving.load import avoid_pauses

def seconds():
    start = time.process_time()
    gc.collect()
    return time.process_time() - start

gc.collect()
before = min(seconds() for _ in range(3))
avoid_pauses()
print(before / min(seconds() for _ in range(3)))
"""


def test_the_api_alone_prepares_itself_for_short_collections(api: FastAPI) -> None:
    gc.unfreeze()
    try:
        with running_api(api):
            deadline = time.monotonic() + 120
            while gc.get_freeze_count() == 0:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        gc.unfreeze()


def test_collections_of_garbage_pass_over_what_has_been_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", _COLLECTIONS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 5
