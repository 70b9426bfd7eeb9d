"""The dashboard's server under load. `python -m tests.load` measures more, and compares checkouts."""

import statistics
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.load import health_under_load, picture
from tests.paths import ROOT
from tests.processes import free_port, inherited_environment, running_server

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)]
    with running_server(
        command, port=port, folder=folder, environment=inherited_environment(folder, ROOT)
    ) as dashboard:
        yield dashboard


def test_two_hundred_clients_are_answered_or_told_to_come_again(client: httpx.Client) -> None:
    """And whoever asks whether the server is healthy is told so."""
    times, load = health_under_load(str(client.base_url), clients=200, requests=5, data=picture())
    print(f"{load}\nhealth: median {statistics.median(times):.3f} s, at most {max(times):.3f} s")
    assert set(load.answers) <= {(200, 7), (503, None)}
    assert load.answers.total() == 1000
    assert load.without_retry == 0
    assert load.answers[200, 7] > 0
