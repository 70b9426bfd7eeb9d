"""The draw page in a real browser, drawn on with the mouse."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

import digitcore
from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits
from digitcore.imaging.strokes import place_strokes
from tests.browser.conftest import (
    PATIENCE,
    DrawPage,
    eventually,
    eventually_true,
    expect_width,
    new_context,
    running_dashboard,
    visit,
)

SEVEN = [(70.0, 70.0), (130.0, 68.0), (220.0, 66.0), (190.0, 140.0), (150.0, 270.0)]
BAR = [(120.0, 170.0), (160.0, 170.0), (210.0, 168.0)]


def canvas_png(draw_page: DrawPage) -> bytes:
    """What the canvas shows, as the browser encodes it."""
    url = draw_page.page.locator("canvas.dc-canvas.lower-canvas").evaluate("canvas => canvas.toDataURL('image/png')")
    return base64.b64decode(url.split(",", 1)[1])


def canvas_ink(draw_page: DrawPage) -> NDArray[np.float64]:
    """How dark each pixel of the canvas is (336, 336), from 0 to 1."""
    return 1 - np.asarray(Image.open(io.BytesIO(canvas_png(draw_page))).convert("L")) / 255


@pytest.mark.needs_pen_digits
@pytest.mark.parametrize("count", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_drawn_digits_are_read(draw_page: DrawPage, count: int) -> None:
    """Digits of ten people who were never trained on, in varying places and sizes: all are read right."""
    random = np.random.default_rng(2026)
    digits = load_pen_digits()
    wrong = []
    for i in range(count):
        writer = JUDGING_WRITERS[i * len(JUDGING_WRITERS) // count]
        theirs = [digit for digit in digits if digit.writer == writer and digit.label == 3 * i % 10]
        digit = theirs[random.integers(len(theirs))]
        extent, position = random.uniform(0.35, 0.8), (random.random(), random.random())
        for stroke in place_strokes(digit.strokes, side=draw_page.side(), extent=extent, position=position, brush=24):
            draw_page.draw([(float(x), float(y)) for x, y in stroke])
        answer = draw_page.answer.inner_text()
        if answer != str(digit.label):
            wrong.append(f"writer {digit.writer}: {digit.label} read as {answer}")
        draw_page.clear()
    assert wrong == []


def test_a_blank_canvas_says_what_to_do(draw_page: DrawPage) -> None:
    expect(draw_page.invitation).to_contain_text("Draw a digit")
    expect(draw_page.answer).to_have_count(0)


def test_undo_and_clear(draw_page: DrawPage) -> None:
    draw_page.draw(SEVEN)
    expect(draw_page.answer).to_have_text("7")
    before = canvas_png(draw_page)
    draw_page.draw(BAR)
    assert canvas_png(draw_page) != before
    draw_page.press("Undo")
    draw_page.wait_for_strokes(1)
    assert canvas_png(draw_page) == before
    draw_page.clear()
    draw_page.press("Undo")
    expect(draw_page.answer).to_have_text("7")


def test_the_same_answer_everywhere(draw_page: DrawPage, server: str, tmp_path: Path) -> None:
    """Page, API, command line and Python agree on the same pixels to 1e-6."""
    draw_page.draw(SEVEN)
    expect(draw_page.answer).to_have_text("7")
    picture = tmp_path / "seven.png"
    picture.write_bytes(canvas_png(draw_page))

    on_the_page = draw_page.probabilities()
    answer = httpx.post(f"{server}/predict", files={"image": picture.read_bytes()}, timeout=PATIENCE).json()
    command = [sys.executable, "-m", "digitcore", "predict", str(picture), "--json"]
    on_the_command_line = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    in_python = digitcore.load_classifier("world").predict(Image.open(io.BytesIO(picture.read_bytes())))

    assert answer["prediction"] == on_the_command_line["prediction"] == in_python.digit == 7
    for other in (on_the_page, answer["probabilities"], on_the_command_line["probabilities"]):
        np.testing.assert_allclose(other, in_python.probabilities, atol=1e-6)


@pytest.mark.slow
def test_a_drawing_survives_a_change_of_checkpoint(draw_page: DrawPage, weights: Path) -> None:
    """A checkpoint dropped into the folder is offered without a restart, and answers for the same drawing."""
    draw_page.draw(SEVEN)
    expect(draw_page.answer).to_have_text("7")
    drawn, probabilities = canvas_png(draw_page), draw_page.probabilities()
    dropped = weights / "dropped.safetensors"
    dropped.write_bytes((weights / "baseline.safetensors").read_bytes())
    draw_page.pick_checkpoint("baseline")
    assert canvas_png(draw_page) == drawn
    other = draw_page.probabilities()
    assert other != probabilities
    draw_page.pick_checkpoint("dropped")
    assert canvas_png(draw_page) == drawn
    assert draw_page.probabilities() == other
    expect(draw_page.page).to_have_url(re.compile("checkpoint=dropped"))
    dropped.unlink()


def test_a_drawing_survives_a_visit_to_another_page(draw_page: DrawPage) -> None:
    """And can still be undone and drawn on afterwards."""
    draw_page.draw(SEVEN)
    expect(draw_page.answer).to_have_text("7")
    drawn, probabilities = canvas_png(draw_page), draw_page.probabilities()
    draw_page.page.get_by_role("link", name="Accuracy").click()
    expect(draw_page.page.get_by_role("heading", name="Accuracy")).to_be_visible()
    draw_page.page.get_by_role("link", name="Draw").click()
    expect(draw_page.answer).to_have_text("7")
    expect(draw_page.answer).to_have_attribute("data-checkpoint", "world")
    eventually(lambda: canvas_png(draw_page), drawn)
    assert draw_page.probabilities() == probabilities
    draw_page.draw(BAR)
    assert draw_page.probabilities() != probabilities
    draw_page.press("Undo")
    draw_page.wait_for_strokes(1)
    assert canvas_png(draw_page) == drawn
    assert draw_page.probabilities() == probabilities


@pytest.mark.slow
def test_broken_checkpoints_are_named(browser: Browser, tmp_path: Path) -> None:
    """With no usable checkpoint every page opens, says which file is broken, and what to do."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "compact.safetensors").write_bytes(b"no checkpoint at all")
    with running_dashboard(tmp_path, DIGITCORE_WEIGHTS=str(weights)) as address:
        context = new_context(browser, width=1280)
        draw_page = DrawPage(context.new_page()).open(address)
        page = draw_page.page
        page.get_by_text("1 unusable").click()
        expect(page.get_by_test_id("stSidebar")).to_contain_text("compact.safetensors")
        draw_page.stroke(SEVEN)
        expect(page.get_by_test_id("stAlert").last).to_contain_text("train compact")
        for name in ("accuracy", "confusion", "errors"):
            visit(page, f"{address}/{name}")
            expect(page.get_by_test_id("stAlert").last).to_contain_text("train compact")
        assert httpx.get(f"{address}/checkpoints", timeout=PATIENCE).json()[0]["problem"]
        context.close()


@pytest.mark.slow
def test_an_address_reopens_the_checkpoint(browser: Browser, server: str) -> None:
    context = new_context(browser, width=1280)
    page = DrawPage(context.new_page()).open(f"{server}/?checkpoint=baseline").page
    expect(page.get_by_role("combobox", name="Model")).to_have_value("baseline")
    context.close()


def test_a_sample_is_read_and_drawn_over(draw_page: DrawPage) -> None:
    page = draw_page.page
    page.get_by_role("button", name="Sample digits").click()
    samples = page.locator(".st-key-sample-digits button")
    expect(samples).to_have_text([str(digit) for digit in range(10)])
    samples.nth(4).locator(".picture").click()
    expect(draw_page.answer).to_have_text("4")
    draw_page.wait_for_strokes(1)
    page.keyboard.press("Escape")
    expect(samples).to_have_count(0)
    before = draw_page.probabilities()
    sample = digitcore.load_digits("mnist-validation")
    expected = digitcore.load_classifier("world").predict(sample.images[sample.labels == 4][0])
    np.testing.assert_allclose(before, expected.probabilities, atol=1e-6)
    draw_page.draw([(100, 60), (260, 62)])
    assert draw_page.probabilities() != before


def test_an_upload_and_what_is_no_picture(draw_page: DrawPage, tmp_path: Path) -> None:
    ink = digitcore.load_digits("mnist-validation").images[3000]
    seven = tmp_path / "six.png"
    Image.fromarray(255 - ink).resize((300, 300)).save(seven)
    broken = tmp_path / "broken.png"
    broken.write_bytes(seven.read_bytes()[:200])
    page = draw_page.page
    draw_page.stroke(SEVEN)
    expect(draw_page.answer).to_have_text("7")
    page.get_by_text("Upload", exact=True).click()
    page.set_input_files("input[type=file]", seven)
    expect(draw_page.answer).to_have_text("6")
    page.set_input_files("input[type=file]", broken)
    expect(page.get_by_test_id("stAlert")).to_contain_text("broken.png")
    page.get_by_test_id("stButtonGroup").get_by_text("Draw", exact=True).click()
    expect(draw_page.answer).to_have_text("7")


@pytest.mark.slow
def test_pictures_of_any_depth_and_shape_are_shown(draw_page: DrawPage, tmp_path: Path) -> None:
    """Upright, in bounds, and whatever is on transparent ground visible."""
    ink = digitcore.load_digits("mnist-validation").images[3000]
    deep, long, clear = (tmp_path / f"{name}.png" for name in ("deep", "long", "clear"))
    Image.fromarray(ink.astype(np.uint16) * 257).save(deep)
    Image.fromarray(np.pad(ink, ((0, 3000), (0, 0)))).save(long)
    Image.fromarray(np.dstack([np.full_like(ink, 255), ink]), "LA").save(clear)
    page = draw_page.page
    page.get_by_text("Upload", exact=True).click()
    for path, answer in ((deep, "6"), (long, "6"), (clear, "6")):
        page.set_input_files("input[type=file]", path)
        expect(page.get_by_text(path.name, exact=True).last).to_be_visible()
        expect(draw_page.answer).to_have_text(answer)
        box = page.get_by_role("img", name="the picture to be read").bounding_box()
        assert box is not None
        assert max(box["width"], box["height"]) <= 337
        expect(page.get_by_test_id("stException")).to_have_count(0)
    Image.fromarray(np.pad(np.hstack([ink, ink]), ((20, 200), (4, 4)))).save(tmp_path / "number.png")
    page.set_input_files("input[type=file]", tmp_path / "number.png")
    expect(draw_page.answer).to_have_text("66")
    found = page.get_by_test_id("found")
    eventually(lambda: found.locator("img").bounding_box() == found.bounding_box(), True)  # or the frames are beside it


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (320, "dark"),
        pytest.param(1280, "light", marks=pytest.mark.slow),
        pytest.param(320, "light", marks=pytest.mark.slow),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
    ],
)
def test_nothing_jumps_or_overflows(
    browser: Browser, server: str, width: int, scheme: Literal["dark", "light"]
) -> None:
    """The answer takes the room of the invitation, and the page is never wider than the window."""
    context = new_context(browser, width=width, height=844, scheme=scheme, touch=True)
    draw_page = DrawPage(context.new_page()).open(server)
    page = draw_page.page
    bars, below = page.locator(".digit-bars"), page.get_by_role("heading", name="Look closer")

    def tops() -> list[int]:
        boxes = [part.bounding_box() for part in (bars, below) if part.count()]
        return [round(box["y"]) for box in boxes if box is not None]

    before = tops()
    left, right = ([(x / 2 + dx, y / 2 + 80) for x, y in SEVEN] for dx in (10, 150))
    draw_page.draw(left)
    expect(draw_page.answer).to_have_text("7")
    eventually(tops, before)
    expect_width(page, width)
    draw_page.draw(right)
    expect(draw_page.answer).to_have_text("77")
    expect(page.get_by_text("Read as one digit")).to_be_visible()
    eventually(tops, before[1:])
    expect_width(page, width)
    context.close()


def test_a_finger_draws_and_scrolls(browser: Browser, server: str) -> None:
    """On the canvas it draws, and the page stays; beside it, it scrolls the page."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(1000 * PATIENCE)
    draw_page = DrawPage(context.new_page()).open(server)
    session = context.new_cdp_session(draw_page.page)

    def touch(*points: tuple[float, float]) -> None:
        for i, (x, y) in enumerate(points):
            kind = "touchStart" if i == 0 else "touchMove"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def scrolled() -> float:
        top: float = draw_page.page.get_by_test_id("stMain").evaluate("main => main.scrollTop")
        return top

    touch(*draw_page.in_window(SEVEN))
    expect(draw_page.answer).to_have_text("7")
    upwards = draw_page.in_window([(300.0, 300.0 - 20 * i) for i in range(10)])
    touch(*upwards)
    draw_page.wait_for_strokes(2)
    assert scrolled() == 0
    ((edge, _),) = draw_page.in_window([(336.0, 0.0)])
    touch(*(((edge + 390) / 2, y) for _, y in upwards))
    eventually_true(lambda: scrolled() > 50)
    context.close()
