"""A real server and a real browser. Every test waits for the state that it asserts, however busy the machine is."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.paths import ROOT

T = TypeVar("T")
PATIENCE = 180
"""Seconds; machines that run the checks may have two cores and other work."""
expect.set_options(timeout=1000 * PATIENCE)
_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",  # a camera
    "--use-fake-ui-for-media-stream",  # which may be used
]
_FORBIDDEN = "forbidden by the security policy"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with installed_browser() as browser:
        yield browser


@contextmanager
def installed_browser() -> Iterator[Browser]:
    """Chromium without a window; without Chromium the tests that need it are skipped."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("DIGITCORE_REQUIRE_BROWSER"):
            pytest.fail("no chromium on the PATH")
        pytest.skip("no chromium on the PATH: install it to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS, timeout=1000 * PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped weights that tests may add to."""
    return Path(shutil.copytree(ROOT / "weights", tmp_path_factory.mktemp("server") / "weights"))


@pytest.fixture(scope="session")
def server(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running dashboard."""
    with running_dashboard(tmp_path_factory.mktemp("dashboard"), DIGITCORE_WEIGHTS=str(weights)) as address:
        yield address


@contextmanager
def running_dashboard(
    folder: Path, *, script: Path = ROOT / "dashboard.py", path: str = "", **environment: str
) -> Iterator[str]:
    """A dashboard, or another script, on a free port that writes only to folder. No visit may leave a traceback.

    path: what its addresses start with, such as "/digits".
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}{path}", folder / "log.txt"
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    own = {
        "STREAMLIT_SERVER_BASE_URL_PATH": path,
        "DIGITCORE_CACHE": str(folder / "cache"),
        "DIGITCORE_DATASETS": str(folder / "datasets"),
        "DIGITCORE_DATABASE_URL": f"sqlite:///{folder / 'annotations.sqlite'}",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), *options],
            cwd=ROOT,
            env=os.environ | own | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
    assert "Traceback" not in log.read_text(encoding="utf-8"), log.read_text(encoding="utf-8")[-3000:]


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(4 * PATIENCE):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/_stcore/health", timeout=PATIENCE).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    pytest.fail(f"the dashboard did not start: {log.read_text(encoding='utf-8')[-3000:]}")


def eventually(read: Callable[[], T], expected: T) -> None:
    """Waits until what is read is what is expected; fails with the last that was read."""
    deadline = time.monotonic() + PATIENCE
    while (value := read()) != expected:
        assert time.monotonic() < deadline, f"still {value!r}, not {expected!r}"
        time.sleep(0.05)


def eventually_true(read: Callable[[], bool]) -> None:
    """Waits until what is read is true."""
    eventually(read, True)


class DrawPage:
    """The draw page as a visitor handles it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.answer = page.get_by_test_id("answer")
        self.invitation = page.get_by_test_id("nothing-yet")
        self.canvas: Locator = page.locator("canvas.upper-canvas")

    def open(self, address: str) -> "DrawPage":
        """Opens the page as a tab does that has not been there before: with an empty canvas."""
        if self.page.url.startswith("http"):
            self.page.evaluate("sessionStorage.clear()")
        self.page.goto(address)
        self.canvas.wait_for()
        self.invitation.or_(self.answer).first.wait_for()
        idle(self.page)
        return self

    def stroke(self, points: Sequence[tuple[float, float]]) -> None:
        """Draws with the mouse; points in pixels of the canvas."""
        start, *others = self.in_window(points)
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        for point in others:
            mouse.move(*point)
        mouse.up()

    def in_window(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Where in the window points of the canvas are now, which is shown larger or smaller than it is."""
        box = self.canvas.bounding_box()
        assert box is not None
        scale = box["width"] / self.side()
        return [(box["x"] + scale * x, box["y"] + scale * y) for x, y in points]

    def draw(self, *strokes: Sequence[tuple[float, float]]) -> None:
        """Draws strokes on what is there, and waits until each has been read."""
        count = int(self.page.locator("[data-strokes]").first.get_attribute("data-strokes") or "0")
        for points in strokes:
            self.stroke(points)
            count += 1
            self.wait_for_strokes(count)

    def wait_for_strokes(self, count: int) -> None:
        """Waits until what the page says of the drawing is of so many strokes."""
        expect(self.page.locator(f"[data-strokes='{count}']")).to_have_count(1)

    def side(self) -> int:
        """Pixels to a side of the canvas."""
        side: int = self.canvas.evaluate("canvas => canvas.width")
        return side

    def pick_checkpoint(self, name: str) -> None:
        """Picks a checkpoint, and waits until it has answered for the drawing."""
        self.page.get_by_role("combobox", name="Model").click()
        self.page.get_by_role("option", name=name, exact=True).click()
        expect(self.answer).to_have_attribute("data-checkpoint", name)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def clear(self) -> None:
        """Empties the canvas, and waits until it has said that it is empty."""
        self.press("Clear")
        self.wait_for_strokes(0)

    def probabilities(self) -> list[float]:
        """Of the ten digits, as the page shows them now; empty where it shows none."""
        values: list[float] = self.page.locator(".digit-bars .track[title]").evaluate_all(
            "bars => bars.map(bar => Number(bar.title))"
        )
        return values


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of its own, in which nothing may go wrong unseen."""
    context = new_context(browser, width=1280, height=1200)
    problems = unwanted(context)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    expect(page.get_by_test_id("stException")).to_have_count(0)
    context.close()
    assert problems == []


def new_context(
    browser: Browser, *, width: int, height: int = 900, scheme: Literal["dark", "light"] = "light", touch: bool = False
) -> BrowserContext:
    """Windows of this size, as patient as the tests."""
    context = browser.new_context(
        viewport=ViewportSize(width=width, height=height), color_scheme=scheme, has_touch=touch
    )
    context.set_default_timeout(1000 * PATIENCE)
    return context


def unwanted(context: BrowserContext) -> list[str]:
    """What pages of the context ask other machines for, and what their security policy forbids; it grows with them."""
    problems: list[str] = []

    def check(address: str) -> None:
        if urlsplit(address).hostname not in {"127.0.0.1", None}:  # None: data and blob addresses
            problems.append(address)

    context.on("request", lambda request: check(request.url))
    context.on("console", lambda message: problems.append(message.text) if _FORBIDDEN in message.text else None)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', "
        f"event => console.error('{_FORBIDDEN}', event.effectiveDirective, event.blockedURI))"
    )
    return problems


def idle(page: Page) -> None:
    """Waits until the server has had nothing to do for this page for half a second.

    No sign that it has done what was asked of it: wait for that first.
    """
    page.evaluate("delete window.idleSince")
    page.wait_for_function(
        """() => {
            const now = performance.now();
            const rests = document.querySelector("[data-test-script-state=notRunning]");
            window.idleSince = rests ? (window.idleSince ?? now) : undefined;
            return rests && now - window.idleSince > 500;
        }"""
    )


def visit(page: Page, address: str) -> None:
    """Opens a page, and waits until the server is done with it.

    A click during the first run may leave a page half drawn: Streamlit's browser part reports a "bad delta path".
    """
    page.goto(address)
    page.get_by_test_id("stApp").wait_for()
    idle(page)


def expect_width(page: Page, width: int) -> None:
    """The page is as wide as its window, and shows no traceback, once it has been drawn."""
    idle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    eventually(lambda: page.evaluate("document.documentElement.scrollWidth"), width)


def download(page: Page, button: Locator) -> Path:
    """The file that a button gives; pressed again where the page was drawn anew under the click."""
    for is_last in (False, False, True):
        expect(button).to_be_enabled()
        idle(page)
        try:
            with page.expect_download(timeout=1000 * (PATIENCE if is_last else PATIENCE / 9)) as event:
                button.click()
        except PlaywrightTimeout:
            if is_last:
                raise
        else:
            break
    return event.value.path()


def click_row(page: Page, table: Locator, row: int) -> None:
    """Ticks a row of a table, the first being 0, and waits until it is ticked."""
    expect(table.locator("canvas").first).to_be_visible()
    idle(page)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 15, box["y"] + 35 + 35 * row + 17)


def tiles(page: Page) -> Locator:
    """The digits of the gallery."""
    return page.locator(".gallery button")


def ids_shown(page: Page) -> list[int]:
    """Their ids, as the page shows them now."""
    ids: list[int] = tiles(page).evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")
    return ids


@pytest.fixture
def draw_page(page: Page, server: str) -> DrawPage:
    """The draw page in a window of its own."""
    return DrawPage(page).open(server)
