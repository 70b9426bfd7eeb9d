"""How long it takes from pen-up to the answer, and where the time goes: `make test-slow` prints it."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from playwright.sync_api import Browser
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from digitcore.data.datasets import load_digits
from digitcore.evaluation.evaluation import evaluate, save_evaluation
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from digitcore.models.classifier import DigitClassifier, load_classifier
from tests.browser.conftest import DrawPage, idle, running_dashboard

_STROKES = 25
_RERUNS = 15
_ECHO = """
import streamlit as st
from streamlit_drawable_canvas import st_canvas

drawing = st_canvas(key="canvas", width=336, height=336, stroke_width=24, return_image_data=True)
strokes = len((drawing.json_data or {"objects": []})["objects"])
st.html(f'<div class="digit-bars"><span class="track" title="{strokes}">{strokes}</span></div>')
"""
_PROBE = """
window.probe = {};
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (window.probe.up && !window.probe.sent) window.probe.sent = performance.now();
  if (!this.probed) {
    this.probed = true;
    this.addEventListener('message', () => {
      if (window.probe.sent && !window.probe.shown) window.probe.received = performance.now();
    }, true);
  }
  return send.call(this, data);
};
addEventListener('mouseup', () => { window.probe = {up: performance.now()}; }, true);
addEventListener('load', () => new MutationObserver(() => {
  const bars = [...document.querySelectorAll('.digit-bars .track')].map(bar => bar.title).join();
  if (bars && bars !== window.bars) {
    window.bars = bars;
    if (window.probe.sent) requestAnimationFrame(() => { window.probe.shown = performance.now(); });
  }
}).observe(document.body, {subtree: true, childList: true, attributes: true}));
"""


@pytest.mark.slow
def test_pen_up_to_answer(browser: Browser, server: str, tmp_path: Path) -> None:
    """Draws short strokes, each of which changes the answer, and prints medians in milliseconds and their ratio."""
    script = tmp_path / "echo.py"
    script.write_text(_ECHO)
    with running_dashboard(tmp_path, script=script) as echo:
        echoed = _draw_strokes(browser, echo)
    answered = _draw_strokes(browser, server)
    print()
    for name, parts in {"bare canvas": echoed, "draw page": answered}.items():
        shares = {
            "canvas waits before it sends": [stroke["sent"] - stroke["up"] for stroke in parts],
            "server reruns and answers": [stroke["received"] - stroke["sent"] for stroke in parts],
            "page draws the answer": [stroke["shown"] - stroke["received"] for stroke in parts],
            "pen-up to answer": [stroke["shown"] - stroke["up"] for stroke in parts],
        }
        for share, times in shares.items():
            print(f"{name}, {share}: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f}")
        assert all(stroke["up"] < stroke["sent"] < stroke["shown"] for stroke in parts)
    bare, full = (statistics.median(stroke["shown"] - stroke["up"] for stroke in parts) for parts in (echoed, answered))
    print(f"pen-up to answer on the draw page: {full / bare:.2f} x that of the bare canvas")


def _draw_strokes(browser: Browser, address: str) -> list[dict[str, float]]:
    """The times, in milliseconds, of each of `_STROKES` strokes that touch each other: one digit, not several."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(_PROBE)
    draw_page = DrawPage(page)
    random = np.random.default_rng(0)
    parts: list[dict[str, float]] = []
    for i in range(_STROKES):
        if i % 5 == 0:  # on a fresh canvas, so that each stroke brings new ink
            page.goto(address)
            draw_page.canvas.wait_for()
            idle(page)
            draw_page.stroke([(168, 60), (168, 280)])
            page.wait_for_function("window.bars")
            idle(page)
        y = random.uniform(70, 270)
        draw_page.stroke([(168, y), (168 + random.choice([-1, 1]) * random.uniform(50, 110), y)])
        page.wait_for_function("window.probe.shown")
        parts.append(page.evaluate("window.probe"))
        idle(page)
    context.close()
    return parts


@pytest.fixture(scope="module")
def measured_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that tells the browser how long each run of a page took; what it tells goes nowhere else."""
    folder = tmp_path_factory.mktemp("measured")
    with running_dashboard(folder, STREAMLIT_BROWSER_GATHER_USAGE_STATS="true") as address:
        yield address


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["", "accuracy", "confusion", "errors", "compare", "compare?view=A+against+B&a=baseline", "compare?view=Several"],
)
def test_rerun_of_a_page(browser: Browser, measured_server: str, name: str) -> None:
    """Prints the median time that the server takes for a rerun of a whole page, in milliseconds."""
    _, *times = _server_times(browser, measured_server, name)
    print(f"\nrerun of /{name}: median {statistics.median(times):.0f} ms, range {min(times):.0f} to {max(times):.0f}")


@pytest.mark.slow
def test_leaderboard_of_five_hundred(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints how long the server takes to open the leaderboard of 500 known checkpoints: first, and then."""
    weights = tmp_path / "weights"
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(weights))
    digits = load_digits("mnist-validation")
    logits = np.random.default_rng(0).normal(size=(5_000, 10)).astype(np.float32)
    monkeypatch.setattr(DigitClassifier, "logits_by_batch", lambda *_: iter([logits]))  # what they are does not matter
    for i in range(500):
        torch.manual_seed(i)
        path = weights / f"one-of-many-{i:03}.safetensors"
        save_checkpoint(path, build_network("compact"), CheckpointMetadata("compact", trained_on=("mnist-train",)))
        save_evaluation(evaluate(load_classifier(path), digits), tmp_path / "cache" / "evaluations")
    own = {"DIGITCORE_WEIGHTS": str(weights), "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true"}
    with running_dashboard(tmp_path, **own) as address:
        httpx.get(f"{address}/checkpoints")  # the server's imports are not counted
        first, *others = _server_times(browser, address, "compare?dataset=mnist-validation")
        print(f"\nleaderboard of 500: first visit {first:.0f} ms, reruns median {statistics.median(others):.0f} ms")


def _server_times(browser: Browser, address: str, name: str) -> list[float]:
    """How long the server took for the first visit of a page and for reruns of it, in milliseconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route(lambda url: not url.startswith(address), lambda route: route.abort())
    page = context.new_page()
    times: list[float] = []

    def receive(data: str | bytes) -> None:
        message = ForwardMsg.FromString(data) if isinstance(data, bytes) else ForwardMsg()
        if message.WhichOneof("type") == "page_profile":
            times.append(message.page_profile.exec_time / 1000)

    page.on("websocket", lambda socket: socket.on("framereceived", receive))
    page.goto(f"{address}/{name}")
    page.get_by_role("heading").first.wait_for()
    page.wait_for_timeout(4000)
    first = times[:1]
    times.clear()
    for _ in range(_RERUNS):
        page.keyboard.press("r")  # Streamlit's own key for a rerun
        page.wait_for_timeout(1000)
    context.close()
    return first + times
