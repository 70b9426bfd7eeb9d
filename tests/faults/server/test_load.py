"""The dashboard's server under load. `python -m tests.load` measures more, and compares checkouts."""

import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.load import health_under_load, picture
from tests.paths import ROOT
from tests.processes import free_port, inherited_environment, resident_megabytes, running_server

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)]
    with running_server(
        command, port=port, folder=folder, environment=inherited_environment(folder, ROOT)
    ) as dashboard:
        time.sleep(15)  # for what it does before its first visitor
        yield dashboard


def test_two_hundred_clients_are_answered_or_told_to_come_again(client: httpx.Client) -> None:
    """And whoever asks whether the server is healthy is told so."""
    times, load = health_under_load(str(client.base_url), clients=200, requests=5, data=picture())
    print(f"{load}\nhealth: median {statistics.median(times):.3f} s, at most {max(times):.3f} s")
    assert set(load.answers) <= {(200, 7), (503, None)}
    assert load.answers.total() == 1000
    assert load.without_retry == 0
    assert load.answers[200, 7] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["digit", "number"])
def test_the_memory_of_large_pictures_is_given_back(client: httpx.Client, mode: str) -> None:
    """Of eight of the largest that are allowed, one after another and at once: all but 50 MB."""
    large = picture(4000)

    def ask(data: bytes) -> int:
        return client.post("/predict", params={"mode": mode}, files={"image": ("seven.pgm", data)}).status_code

    assert [ask(picture()) for _ in range(10)] == [200] * 10
    before = resident_megabytes(client.base_url.port)
    one_by_one = [ask(large) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(ask, 8 * [large]))
    after = resident_megabytes(client.base_url.port)
    print(f"{mode}: {before} MB before, {after} MB afterwards")
    assert one_by_one + at_once == [200] * 16
    assert after - before <= 50


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_predictions_take_no_more_memory_than_a_few(client: httpx.Client) -> None:
    """All but 50 MB: 500 of them, and 200 calls for the first page."""

    def ask(count: int) -> None:
        for _ in range(count):
            assert client.post("/predict", files={"image": ("seven.pgm", picture())}).status_code == 200

    ask(5)
    before = resident_megabytes(client.base_url.port)
    ask(500)
    for _ in range(200):
        assert client.get("/").status_code == 200
    after = resident_megabytes(client.base_url.port)
    print(f"{before} MB after 5 predictions, {after} MB after 505")
    assert after - before <= 50
