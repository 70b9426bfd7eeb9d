"""Mutated files, and what the tests of costs have found at the end of a run."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest


@pytest.fixture(scope="session")
def mutations() -> Callable[[bytes, int], Iterator[bytes]]:
    """A function from a file and a count to as many mutations: bytes changed, above all at the start, or cut off."""

    def mutated(data: bytes, count: int) -> Iterator[bytes]:
        generator = np.random.default_rng(0)
        for _ in range(count):
            mutation = bytearray(data)
            reach = len(data) if generator.random() < 0.5 else min(len(data), 400)
            for position in generator.integers(0, reach, generator.integers(1, 8)):
                mutation[position] = generator.integers(256)
            if generator.random() < 0.2:
                del mutation[generator.integers(len(mutation)) :]
            yield bytes(mutation)

    return mutated


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The most expensive of each kind of test."""
    costs: dict[str, list[tuple[dict[str, float], str]]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, cost in getattr(report, "user_properties", []):
            if name == "cost":
                costs.setdefault(report.nodeid.split("[")[0].split("::")[-1], []).append((cost, report.nodeid))
    for test, found in costs.items():
        terminalreporter.section(f"{test}: {len(found)} costs")
        for what, key in _MEASURES.items():
            cost, nodeid = max(found, key=lambda item: key(item[0]))
            terminalreporter.line(f"{what}: {key(cost):.2f}, {nodeid.split('[')[-1].rstrip(']')}")


_MEASURES: dict[str, Callable[[dict[str, float]], float]] = {
    "most processor time, s": lambda cost: cost["seconds"],
    "most processor time elsewhere, s": lambda cost: cost["elsewhere"],
    "highest peak, MB": lambda cost: cost["peak"] / 1e6,
    "most kept, MB": lambda cost: cost["kept"] / 1e6,
}
