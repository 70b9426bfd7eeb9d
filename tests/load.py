"""How the dashboard's server bears load: `python -m tests.load [CHECKOUT ...]`, by default this one.

Several are measured by turns, so that they can be compared on a machine that does other things too.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np

from digitcore.imaging.strokes import place_strokes, render_strokes
from tests.paths import ROOT
from tests.processes import free_port, inherited_environment, running_server

_SEVEN = [np.array([(0, 0), (8, 0), (3, 12)], dtype=np.float32), np.array([(2, 6), (7, 6)], dtype=np.float32)]
_LIMITS = httpx.Limits(max_connections=None, keepalive_expiry=1)  # before the server ends a connection
_EVERY = 0.02  # seconds between two questions whether the server is healthy


@dataclass
class Load:
    """What a number of clients met with, each of which sent its requests one after another."""

    seconds: float
    answers: Counter[tuple[int, int | None]] = field(default_factory=Counter)
    """How often each status came, 0 for none, with the digit that was read."""
    latencies: list[float] = field(default_factory=list)
    """Seconds to each answer with status 200."""
    without_retry: int = 0
    """Refusals that did not say when to come again."""

    def __str__(self) -> str:
        answers = ", ".join(f"{count} x {status} {digit}" for (status, digit), count in sorted(self.answers.items()))
        times = sorted(self.latencies)
        median, late = 1000 * statistics.median(times), 1000 * times[int(0.95 * (len(times) - 1))]
        return f"{len(times) / self.seconds:.1f} answers/s, median {median:.0f} ms, 95% {late:.0f} ms ({answers})"


def picture(side: int = 280) -> bytes:
    """A written 7 as an image file: PGM, which takes no time to read."""
    brush = 18 * side / 280
    ink = render_strokes(
        place_strokes(_SEVEN, side=side, extent=0.6, position=(0.5, 0.5), brush=brush), side=side, brush=brush
    )
    return b"P5 %d %d 255\n" % (side, side) + (255 - ink).tobytes()


async def load(address: str, *, clients: int, requests: int, data: bytes) -> Load:
    """Sends a picture of a 7 to POST /predict from all clients at once."""
    result = Load(0.0)

    async def one_client(client: httpx.AsyncClient) -> None:
        for _ in range(requests):
            start = time.perf_counter()
            try:
                response = await client.post("/predict", files={"image": ("seven.pgm", data)})
            except httpx.TransportError:  # the server ended the connection
                result.answers[0, None] += 1
                continue
            if response.status_code == 200:
                result.latencies.append(time.perf_counter() - start)
            elif "retry-after" not in response.headers:
                result.without_retry += 1
            result.answers[response.status_code, response.json().get("prediction")] += 1

    async with httpx.AsyncClient(base_url=address, timeout=120, trust_env=False, limits=_LIMITS) as client:
        start = time.perf_counter()
        await asyncio.gather(*(one_client(client) for _ in range(clients)))
        result.seconds = time.perf_counter() - start
    return result


def run_load(address: str, *, clients: int, requests: int, data: bytes) -> Load:
    """`load`, to its end."""
    return asyncio.run(load(address, clients=clients, requests=requests, data=data))


@contextmanager
def other_process() -> Iterator[ProcessPoolExecutor]:
    """A process of its own for clients, so that two kinds of them do not wait for each other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(int).result()
        yield pool


def health_under_load(address: str, **options: object) -> tuple[list[float], Load]:
    """Seconds to each answer of the health check while clients send their requests, and what these met with."""
    times: list[float] = []
    with other_process() as pool, httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        under_way = pool.submit(run_load, address, **options)
        while not under_way.done():
            start = time.perf_counter()
            assert client.get("/_stcore/health").text == "ok"
            times.append(time.perf_counter() - start)
            time.sleep(_EVERY)
        return times, under_way.result()


@contextmanager
def _servers(checkouts: list[Path], folder: Path) -> Iterator[dict[str, str]]:
    """Addresses of running dashboards by the name of the checkout, when they have done what comes before visitors."""
    with ExitStack() as stack:
        addresses = {}
        for checkout in checkouts:
            port, own = free_port(), folder / checkout.name
            own.mkdir()
            command = [sys.executable, "-m", "streamlit", "run", str(checkout / "dashboard.py")]
            command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
            environment = inherited_environment(own, checkout)
            server = running_server(command, port=port, folder=own, environment=environment)
            addresses[checkout.name] = str(stack.enter_context(server).base_url)
        time.sleep(20)
        yield addresses


def main(checkouts: list[Path]) -> None:
    """Measures the servers of these checkouts by turns, and prints the medians of the rounds."""
    data = picture()
    with tempfile.TemporaryDirectory() as folder, _servers(checkouts, Path(folder)) as addresses:
        for clients, requests, rounds in ((1, 20, 8), (16, 6, 8)):
            results: dict[str, list[Load]] = {name: [] for name in addresses}
            for name, address in rounds * list(addresses.items()):
                results[name].append(run_load(address, clients=clients, requests=requests, data=data))
            for name, loads in results.items():
                rate = statistics.median(len(load.latencies) / load.seconds for load in loads)
                latency = statistics.median(1000 * statistics.median(load.latencies) for load in loads)
                print(f"{name}: {clients} clients: {rate:.1f} answers/s, median latency {latency:.0f} ms", flush=True)
        for name, address in 3 * list(addresses.items()):
            times, result = health_under_load(address, clients=200, requests=5, data=data)
            print(f"{name}: 200 clients: {result}, {result.without_retry} without Retry-After")
            median, most = statistics.median(times), max(times)
            print(
                f"{name}: health meanwhile: median {median:.3f} s, at most {most:.3f} s, {len(times)} times", flush=True
            )


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or [ROOT])
