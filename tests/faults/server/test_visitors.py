"""What visitors of one server notice of each other."""

import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from digitcore.files import load_arrays
from tests.load import picture
from tests.paths import ROOT, WEIGHTS
from tests.processes import free_port, inherited_environment, resident_megabytes, running_server
from tests.visitors import Visitor, visitor

pytestmark = pytest.mark.faults

MOST = 1.3  # times as long as without others
ROUNDS, LEAST_STROKES = 4, 10
SESSIONS = 50
MOST_MEGABYTES = 4  # of a visitor


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path_factory.mktemp("weights") / "weights"))


@pytest.fixture(scope="module")
def client(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("server")
    with _dashboard(folder, weights=weights, shared=folder) as dashboard:
        time.sleep(15)  # for what it does before its first visitor
        yield dashboard


@contextmanager
def _dashboard(folder: Path, *, weights: Path, shared: Path) -> Iterator[httpx.Client]:
    """A server that logs to a folder, and stores evaluations and notes in another."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)]
    environment = inherited_environment(shared, ROOT)
    environment |= {"DIGITCORE_WEIGHTS": str(weights), "DIGITCORE_CACHE": str(shared / "cache")}
    with running_server(command, port=port, folder=folder, environment=environment) as dashboard:
        yield dashboard


Work = Callable[[int], None]
"""What another visitor asks for in a round."""


@pytest.fixture
def evaluating(client: httpx.Client, weights: Path, save_random: Callable[..., Path]) -> Work:
    """A checkpoint that nobody has evaluated."""

    def evaluate(turn: int) -> None:
        name = f"new-{turn}"
        save_random(weights / f"{name}.safetensors", seed=turn, architecture="standard")
        with visitor(client, "accuracy", checkpoint=name, dataset="mnist-validation") as other:
            other.run()
            assert any(text.startswith(f"**{name}**") for text in other.shown), other.shown

    return evaluate


@pytest.fixture
def loading(client: httpx.Client, weights: Path) -> Work:
    """ONNX files that run until their trials are ended, in the list of models."""
    pytest.importorskip("onnxruntime")
    from tests.models.test_onnx import endless

    def load(turn: int) -> None:
        names = [f"endless-{turn}-{number}" for number in range(2)]
        for name in names:
            (weights / f"{name}.onnx").write_bytes(endless() + _unknown_field(name))
        deadline = time.monotonic() + 600
        while any(entry["problem"] and "tried out" in entry["problem"] for entry in _entries(client, names)):
            assert time.monotonic() < deadline
            time.sleep(5)
        for name in names:
            (weights / f"{name}.onnx").unlink()

    return load


def _unknown_field(name: str) -> bytes:
    """A field that readers of protobuf pass over: each file has other contents."""
    return b"\xfa\x3f" + bytes([len(name)]) + name.encode()


def _entries(client: httpx.Client, names: list[str]) -> list[dict[str, str]]:
    entries = [entry for entry in client.get("/checkpoints").json() if entry["name"] in names]
    assert len(entries) == len(names)
    return entries


@pytest.mark.parametrize("work", ["evaluating", "loading"])
def test_a_stroke_does_not_wait_for_what_another_visitor_asks_for(
    client: httpx.Client, work: str, request: pytest.FixtureRequest
) -> None:
    """Neither a prediction nor a run of the draw page takes longer; by turns, without that and meanwhile."""
    ask: Work = request.getfixturevalue(work)
    seven = {"image": ("seven.pgm", picture())}

    def predict() -> float:
        start = time.perf_counter()
        assert client.post("/predict", files=seven).json()["prediction"] == 7
        return time.perf_counter() - start

    with visitor(client) as me, ThreadPoolExecutor(1) as pool:
        strokes = {"prediction": predict, "page": me.run}
        quiet: dict[str, list[float]] = {name: [] for name in strokes}
        busy: dict[str, list[float]] = {name: [] for name in strokes}
        for _ in range(10):
            me.run()
        for turn in range(ROUNDS):
            _measure(strokes, quiet, until=lambda turn=turn: len(quiet["page"]) >= LEAST_STROKES * (turn + 1))
            asked: Future[None] = pool.submit(ask, turn)
            time.sleep(0.5)
            _measure(strokes, busy, until=asked.done)
            asked.result()
    ratios = {}
    for name in strokes:
        without, meanwhile = statistics.median(quiet[name]), statistics.median(busy[name])
        ratios[name] = meanwhile / without
        print(
            f"{work}: {name}: {1000 * without:.0f} ms without ({len(quiet[name])} times), "
            f"{1000 * meanwhile:.0f} ms meanwhile ({len(busy[name])} times): {ratios[name]:.2f} times"
        )
    assert min(map(len, busy.values())) >= LEAST_STROKES
    assert max(ratios.values()) <= MOST, ratios


def _measure(
    strokes: dict[str, Callable[[], float]], seconds: dict[str, list[float]], *, until: Callable[[], bool]
) -> None:
    while not until():
        for name, stroke in strokes.items():
            seconds[name].append(stroke())
            time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_fifty_visitors_get_a_page_each(client: httpx.Client) -> None:
    """All at once, twice; the second time takes no more memory than the first but 50 MB, and the server is healthy."""
    memory, times = [resident_megabytes(client.base_url.port)], []
    for _ in range(2):
        with ExitStack() as stack, ThreadPoolExecutor(SESSIONS) as pool:
            visitors = [stack.enter_context(visitor(client)) for _ in range(SESSIONS)]
            runs = [pool.submit(Visitor.run, one) for one in visitors]
            while not all(run.done() for run in runs):
                start = time.perf_counter()
                assert client.get("/_stcore/health").text == "ok"
                times.append(time.perf_counter() - start)
                time.sleep(0.05)
            assert [bool(one.shown) and run.result() > 0 for one, run in zip(visitors, runs, strict=True)] == (
                [True] * SESSIONS
            )
        memory.append(resident_megabytes(client.base_url.port))
    print(
        f"{SESSIONS} visitors: MB before, once, twice: {memory}; health: {statistics.median(times):.3f} s, "
        f"at most {max(times):.3f} s"
    )
    assert memory[2] - memory[1] <= 50
    assert memory[1] - memory[0] <= MOST_MEGABYTES * SESSIONS


def test_two_servers_share_their_folders(tmp_path: Path, save_random: Callable[..., Path]) -> None:
    """Both start, and both evaluate the same checkpoints at once: each is stored once, whole, and nothing is left."""
    weights = Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))
    names = ["first", "second"]
    for name in names:
        save_random(weights / f"{name}.safetensors", seed=len(name))
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        servers = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            servers.append(stack.enter_context(_dashboard(folder, weights=weights, shared=tmp_path)))

        def evaluated(server: httpx.Client, name: str) -> str:
            with visitor(server, "accuracy", checkpoint=name, dataset="mnist-validation") as one:
                one.run()
                figures = [text for text in one.shown if "of 5,000 digits of mnist-validation" in text]
                assert figures, (name, one.shown)
                return figures[0]

        shown = [pool.submit(evaluated, server, name) for server in servers for name in names]
        texts = [future.result() for future in shown]
    assert texts[:2] == texts[2:]
    evaluations = [
        path for path in (tmp_path / "cache" / "evaluations").iterdir() if path.name.startswith(tuple(names))
    ]
    assert sorted(path.name.partition("--")[0] for path in evaluations) == names
    assert all(load_arrays(path)["logits"].shape == (5_000, 10) for path in evaluations)
    assert not list(tmp_path.rglob(".partial-*"))
