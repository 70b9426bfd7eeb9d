"""How long it takes from pen-up to the answer, and where the time goes: `make test-slow` prints it."""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from digitcore.data.datasets import load_digits
from digitcore.evaluation.evaluation import evaluate, save_evaluation
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from digitcore.models.classifier import DigitClassifier, load_classifier
from tests.browser.conftest import DrawPage, idle, new_context, running_dashboard
from tests.paths import WEIGHTS

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
sessionStorage.clear();  // each page begins with an empty canvas
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
  const tracks = [...document.querySelectorAll('.digit-bars .track')].filter(track => !track.closest('.live'));
  const bars = tracks.map(bar => bar.title).join();
  if (bars && bars !== window.bars) {
    window.bars = bars;
    const probe = window.probe;
    if (probe.sent) requestAnimationFrame(() => { probe.shown = performance.now(); });
  }
}).observe(document.body, {subtree: true, childList: true, attributes: true}));
"""
_PEN = """
window.pen = {waiting: [], shown: [], handled: [], frames: []};
let isDown = false;
addEventListener('pointerdown', () => { isDown = true; }, true);
addEventListener('pointerup', () => { isDown = false; }, true);
addEventListener('pointermove', (event) => { if (isDown) window.pen.waiting.push(event.timeStamp); }, true);
addEventListener('mousemove', (event) => {  // after the canvas, which has drawn by then
  if (isDown) window.pen.handled.push(performance.now() - event.timeStamp);
});
const { putImageData } = CanvasRenderingContext2D.prototype;  // the live answer ends with its picture
CanvasRenderingContext2D.prototype.putImageData = function (...values) {
  const moves = window.pen.waiting.splice(0);
  requestAnimationFrame((now) => window.pen.shown.push(...moves.map((move) => now - move)));
  return putImageData.apply(this, values);
};
let last = performance.now();
requestAnimationFrame(function tick(now) {
  if (isDown) window.pen.frames.push(now - last);
  last = now;
  requestAnimationFrame(tick);
});
"""


@pytest.mark.slow
def test_pen_to_live_bars(browser: Browser, server: str, tmp_path: Path) -> None:
    """Prints how soon the live bars follow the pen, and what they cost it, in milliseconds.

    Each movement is timed to the frame after the first bars that follow it.
    """
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copy(WEIGHTS / "world.safetensors", weights)
    with running_dashboard(tmp_path, DIGITCORE_WEIGHTS=str(weights)) as without:
        plain = _move_pen(browser, without)
    live = _move_pen(browser, server)
    assert not plain["shown"], "there is no network for the live answer"
    print()
    _print_times("pen to live bars", live["shown"])
    for name, times in {"with": live, "without": plain}.items():
        _print_times(f"pen to ink on the canvas, {name} live bars", times["handled"])
        _print_times(f"frames, {name} live bars", times["frames"])
    answered = statistics.median(stroke["shown"] - stroke["up"] for stroke in _draw_strokes(browser, server))
    print(f"pen-up to the server's answer: median {answered:.0f} ms")
    assert len(live["shown"]) > 0.9 * len(live["handled"])
    assert statistics.median(live["shown"]) < answered / 2


def _print_times(name: str, times: Sequence[float]) -> None:
    median, most = np.percentile(times, [50, 95])
    print(f"{name}: median {median:.1f} ms, 95th percentile {most:.1f} ms, {len(times)} times")


def _move_pen(browser: Browser, address: str) -> dict[str, list[float]]:
    """What `_PEN` measured while digits were drawn, with about 100 movements of the pen a second."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(_PEN)
    draw_page = DrawPage(page).open(address)
    page.wait_for_timeout(2000)
    turns = np.linspace(0, 2 * np.pi, 150)
    for i in range(6):
        radius = 60 + 10 * i
        points = [(168 + radius * np.sin(turn) * 0.7, 168 - radius * np.cos(turn)) for turn in turns]
        start, *others = draw_page.in_window(points)
        page.mouse.move(*start)
        page.mouse.down()
        for point in others:
            page.mouse.move(*point)
            time.sleep(0.008)
        page.mouse.up()
        draw_page.wait_for_strokes(1)
        idle(page)
        draw_page.clear()
        idle(page)
    measured: dict[str, list[float]] = page.evaluate("window.pen")
    context.close()
    return measured


@pytest.mark.slow
def test_pen_up_to_answer(browser: Browser, server: str, tmp_path: Path) -> None:
    """Draws short strokes, each of which changes the answer, and prints medians in milliseconds and their ratio."""
    script = tmp_path / "echo.py"
    script.write_text(_ECHO, encoding="utf-8")
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
            page.wait_for_function("() => window.bars")
            idle(page)
        y = random.uniform(70, 270)
        draw_page.stroke([(168, y), (168 + random.choice([-1, 1]) * random.uniform(50, 110), y)])
        page.wait_for_function("() => window.probe.shown")
        parts.append(page.evaluate("window.probe"))
        idle(page)
    context.close()
    return parts


_CLEAR = """
addEventListener('click', (event) => {
  if (!event.target.closest('.st-key-clear')) return;
  const { timeStamp } = event;
  const times = {};
  requestAnimationFrame(function look(now) {
    const { shadowRoot } = document.querySelector('.st-key-canvas [data-testid=stBidiComponentIsolated]');
    const canvas = shadowRoot.querySelector('.lower-canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const isEmpty = data.every((value, i) => i % 4 === 3 || value === 255 || data[i - i % 4 + 3] === 0);
    const isConfirmed = isEmpty && document.querySelector('[data-testid=nothing-yet]');
    if (isConfirmed || (isEmpty && document.querySelector('.live-answer.empty'))) times.acted ??= now - timeStamp;
    if (isConfirmed) times.confirmed = now - timeStamp;
    if (times.confirmed) window.cleared = times;
    else requestAnimationFrame(look);
  });
}, true);
"""


@pytest.mark.slow
@pytest.mark.parametrize("work", ["nothing", "similar digits", "an evaluation"])
def test_clear_while_the_server_works(
    browser: Browser, tmp_path: Path, save_random: Callable[..., Path], work: str
) -> None:
    """Prints how long after a click on Clear ink and answer are gone, and until the server says so, in milliseconds."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for i in range(9):  # each begins the work anew
        save_random(weights / f"other-{i}.safetensors", architecture="standard", seed=i)
    for name in ("world", "world-compact"):
        shutil.copy(WEIGHTS / f"{name}.safetensors", weights)
    look = "Similar+digits" if work == "similar digits" else "Preprocessing"
    times: list[dict[str, float]] = []
    with running_dashboard(tmp_path, DIGITCORE_WEIGHTS=str(weights)) as address:
        context = new_context(browser, width=1280, height=1200)
        other, page = context.new_page(), context.new_page()  # the last one is in front
        page.add_init_script(_CLEAR)
        for i in range(9):
            if work == "an evaluation":
                other.goto(f"{address}/accuracy?checkpoint=other-{i}")
                other.get_by_text("Evaluating").first.wait_for()
            draw_page = DrawPage(page).open(f"{address}/?checkpoint=other-{i}&look={look}")
            draw_page.draw([(168, 60), (168, 280)])
            if work == "similar digits":
                expect(page.get_by_text("Looking at thousands of digits")).to_be_visible()
            draw_page.press("Clear")
            page.wait_for_function("() => window.cleared")
            times.append(page.evaluate("window.cleared"))
        context.close()
    print()
    for name in ("acted", "confirmed"):
        _print_times(f"Clear while {work} runs, {name}", [clear[name] for clear in times])


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
    monkeypatch.setattr(DigitClassifier, "logits_by_batch", lambda *_, **__: iter([logits]))  # any will do
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
