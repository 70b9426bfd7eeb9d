"""A real server and a real browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.paths import ROOT

expect.set_options(timeout=20_000)  # ms; machines that run the checks may have two cores and other work
_CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if os.environ.get("DIGITCORE_REQUIRE_BROWSER"):
            pytest.fail("no chromium on the PATH")
        pytest.skip("no chromium on the PATH: install it to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS)
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
def running_dashboard(folder: Path, *, script: Path = ROOT / "dashboard.py", **environment: str) -> Iterator[str]:
    """A dashboard, or another script, on a free port that writes only to folder. No visit may leave a traceback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", folder / "log.txt"
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    own = {
        "DIGITCORE_CACHE": str(folder / "cache"),
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
        process.wait(timeout=20)
    assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/_stcore/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    pytest.fail(f"the dashboard did not start: {log.read_text()[-3000:]}")


class DrawPage:
    """The draw page as a visitor handles it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.answer = page.get_by_test_id("answer")
        self.invitation = page.get_by_test_id("nothing-yet")
        self.canvas: Locator = page.locator("canvas.upper-canvas")

    def open(self, address: str) -> "DrawPage":
        self.page.goto(address)
        self.canvas.wait_for()
        self.invitation.or_(self.answer).first.wait_for()
        return self

    def stroke(self, points: Sequence[tuple[float, float]]) -> None:
        """Draws with the mouse; points in pixels of the canvas."""
        box = self.canvas.bounding_box()
        assert box is not None
        mouse = self.page.mouse
        mouse.move(box["x"] + points[0][0], box["y"] + points[0][1])
        mouse.down()
        for x, y in points[1:]:
            mouse.move(box["x"] + x, box["y"] + y)
        mouse.up()

    def side(self) -> int:
        """Pixels to a side of the canvas."""
        box = self.canvas.bounding_box()
        assert box is not None
        return round(box["width"])

    def pick_checkpoint(self, name: str) -> None:
        self.page.get_by_role("combobox", name="Checkpoint").click()
        self.page.get_by_role("option", name=name, exact=True).click()
        self.settle()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def clear(self) -> None:
        self.press("Clear")
        self.invitation.wait_for()

    def settle(self) -> None:
        """Waits until the server has dealt with all that was drawn."""
        self.page.wait_for_timeout(450)  # the canvas sends 200 ms after pen-up
        self.page.wait_for_function("!document.querySelector('[data-test-script-state=running]')")

    def probabilities(self) -> list[float]:
        return [float(each.get_attribute("title") or "nan") for each in self.page.locator(".digit-bars .track").all()]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of its own, in which nothing may go wrong unseen."""
    context = browser.new_context(viewport={"width": 1280, "height": 1200})
    problems: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    expect(page.get_by_test_id("stException")).to_have_count(0)
    context.close()
    assert problems == []


def settle(page: Page) -> None:
    """Waits until the server has nothing more to say."""
    page.wait_for_timeout(300)
    page.wait_for_function("!document.querySelector('[data-test-script-state=running]')")


def tiles(page: Page) -> Locator:
    """The digits of the gallery."""
    return page.locator(".gallery button")


def ids_shown(page: Page) -> list[int]:
    """Their ids."""
    labels = [tile.get_attribute("aria-label") or "" for tile in tiles(page).all()]
    return [int(re.match(r"digit (\d+):", label)[1]) for label in labels]  # type: ignore[index]


@pytest.fixture
def draw_page(page: Page, server: str) -> DrawPage:
    """The draw page in a window of its own."""
    return DrawPage(page).open(server)
