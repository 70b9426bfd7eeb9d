"""What the pages cost the server, as visitors without a browser meet it: `python -m tests.page_costs [--quick]`.

Prints a table in Markdown: from the start of the server to the first page, each page's first visit, changes of page and
reruns, the first "Similar digits", and what is in memory after 5 visits and after 200.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.pages.conftest import PAGES
from tests.paths import ROOT
from tests.processes import free_port, inherited_environment, resident_megabytes, running_server
from tests.visitors import Visitor, visitor

_FEW, _MANY = 5, 200  # visits
_ROUNDS = 7


def main(*, quick: bool = False) -> None:
    """Measures on a server of its own, with an empty cache folder, and prints."""
    rounds, many = (2, 14) if quick else (_ROUNDS, _MANY)
    print("| what | seconds |\n|---|---|")
    with _timed_server() as (client, started):
        with visitor(client) as one:
            one.run()
            _print("server start to the first page, whole", [time.perf_counter() - started])
            for page in list(PAGES)[1:]:
                _print(f"first visit of {page}", [_visit(one, page)])
            changes = [_visit(one, page) for _ in range(rounds) for page in PAGES]
            _print("change of page, warm", changes)
            for place, page in enumerate(PAGES):
                _print(f"… to {page or 'draw'}", changes[place :: len(PAGES)])
            for page in PAGES:
                _visit(one, page)
                _print(f"rerun of {page or 'draw'}", [one.run() for _ in range(rounds)])
        print(f"| memory after {_FEW} visits | {_memory(client, _FEW)} MB |")
        print(f"| memory after {many} visits | {_memory(client, many - _FEW)} MB |")


@contextmanager
def _timed_server() -> Iterator[tuple[httpx.Client, float]]:
    """A client of a dashboard, and when its start began."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environment = inherited_environment(folder, ROOT) | {"DIGITCORE_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "digitcore", "dashboard", "--port", str(port), "--address", "127.0.0.1"]
        started = time.perf_counter()
        with running_server(command, port=port, folder=folder, environment=environment) as client:
            yield client, started


def _visit(one: Visitor, page: str) -> float:
    """Seconds until a page is whole."""
    seconds = one.visit(page)
    assert PAGES[page] in one.shown, f"/{page} was not shown"
    return seconds


def _memory(client: httpx.Client, visits: int) -> int:
    """Megabytes of the server after so many more visitors, each of whom opens one page and leaves."""
    for number in range(visits):
        with visitor(client, list(PAGES)[number % len(PAGES)]) as one:
            one.run()
    return resident_megabytes(client.base_url.port)


def _print(name: str, seconds: list[float]) -> None:
    spread = f" ({min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else ""
    print(f"| {name} | {statistics.median(seconds):.2f}{spread} |", flush=True)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
