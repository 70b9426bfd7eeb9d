"""The live answer in Chromium: equal to Python's, in the server's place while the pen moves, and gone after it."""

import base64
import io
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from digitcore.models.classifier import Prediction, load_classifier
from pages.parts.draw.live import live_module
from pages.shared.drawing import SIDE
from tests.browser.conftest import DrawPage, eventually_true, idle
from tests.browser.test_draw import BAR, SEVEN, canvas_ink, canvas_png
from tests.live_pictures import NETWORK, Picture, check_answers, random_drawings, special_pictures
from tests.paths import WEIGHTS

_ANSWERS = """
async ([text, weights, side, pictures]) => {
  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const module = await import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
  const preprocess = module.createPreprocessor(side, side);
  const network = module.createNetwork(bytes(weights));
  const answers = [];
  for (const picture of pictures) {
    const inflated = new Blob([bytes(picture)]).stream().pipeThrough(new DecompressionStream('deflate'));
    const pixels = new Uint8ClampedArray(await new Response(inflated).arrayBuffer());
    const { kind, several, input } = preprocess(pixels);
    const { probabilities, digit, accepted } = network(input);
    answers.push({ kind, several, input: [...input], probabilities: [...probabilities], digit, accepted });
  }
  return answers;
}
"""
_RECORD = """
() => {
  window.lives = [];
  const { putImageData } = CanvasRenderingContext2D.prototype;  // the live answer ends with its picture
  CanvasRenderingContext2D.prototype.putImageData = function (image, ...place) {
    const bars = [...document.querySelectorAll('.live-bars .bar')].map((bar) => parseFloat(bar.style.width) / 100);
    window.lives.push({ bars, input: [...image.data].filter((_, i) => i % 4 === 0) });
    return putImageData.call(this, image, ...place);
  };
  const { setTimeout } = window;  // the canvas sends later than it does, so that the last live answer is seen
  window.setTimeout = (action, delay, ...values) => setTimeout(action, delay === 200 ? 3000 : delay, ...values);
}
"""


def _live_answers(page: Page, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    weights = base64.b64encode((WEIGHTS / f"{NETWORK}.safetensors").read_bytes()).decode()
    packed = [base64.b64encode(zlib.compress(picture.tobytes(), level=1)).decode() for picture in pictures]
    answers: list[dict[str, Any]] = page.evaluate(_ANSWERS, [live_module(), weights, SIDE, packed])
    return answers


def _press_pen(draw_page: DrawPage, *points: tuple[float, float]) -> None:
    """Puts the pen down at the first point, draws to the others, and does not lift it."""
    _move_pen(draw_page, points[0])
    draw_page.page.mouse.down()
    _move_pen(draw_page, *points[1:])


def _move_pen(draw_page: DrawPage, *points: tuple[float, float]) -> None:
    for point in draw_page.in_window(points):
        draw_page.page.mouse.move(*point, steps=5)


def test_the_browser_equals_python(page: Page) -> None:
    pictures = [*special_pictures(), *random_drawings(60, seed=4)]
    check_answers(_live_answers(page, pictures), pictures)


def test_bars_move_with_the_pen_and_make_room_for_the_server(draw_page: DrawPage) -> None:
    """In the same place, with their name; the last of them are what the network answers for the finished stroke."""
    page = draw_page.page
    server_bars, live_bars = page.locator(".digit-bars:not(.live-bars)"), page.locator(".live-bars")
    before = server_bars.bounding_box()
    page.locator(".live").wait_for(state="attached")
    page.evaluate(_RECORD)
    _press_pen(draw_page, *SEVEN[:4])
    expect(live_bars).to_be_visible()
    expect(page.locator(".live-answer")).to_contain_text(f"live: {NETWORK}")
    assert live_bars.bounding_box() == before == server_bars.bounding_box()
    expect(page.get_by_test_id("stHtml").filter(has=draw_page.invitation)).to_have_css("opacity", "0")
    shown = page.evaluate("window.lives.length")
    _move_pen(draw_page, SEVEN[4])
    eventually_true(lambda: page.evaluate("window.lives.length") > shown)
    page.mouse.up()
    classifier = load_classifier(NETWORK)

    def last_and_expected() -> tuple[dict[str, list[float]], Prediction]:
        finished = Image.open(io.BytesIO(canvas_png(draw_page)))
        return page.evaluate("window.lives.at(-1)"), classifier.predict(finished)

    def agree() -> bool:
        last, expected = last_and_expected()
        return last["input"] == expected.model_input.ravel().tolist()

    eventually_true(agree)
    last, expected = last_and_expected()
    np.testing.assert_allclose(last["bars"], expected.probabilities, rtol=0, atol=1e-4)

    draw_page.wait_for_strokes(1)
    expect(live_bars).to_have_count(0)
    expect(draw_page.answer).to_have_text("7")
    expect(page.get_by_test_id("stHtml").filter(has=draw_page.answer)).to_have_css("opacity", "1")
    assert server_bars.bounding_box() == before


@pytest.mark.slow
def test_a_number_is_left_to_the_server(draw_page: DrawPage) -> None:
    """And so is the next stroke of it."""
    page, live = draw_page.page, draw_page.page.locator(".live-answer")
    draw_page.draw([(60, 80), (60, 250)])
    _press_pen(draw_page, (240, 80), (240, 85))
    expect(live).to_have_count(1)
    _move_pen(draw_page, (240, 250))
    expect(live).to_have_count(0)
    page.mouse.up()
    expect(draw_page.answer).to_have_text("11")


_HOLD = """() => {
  const { send } = WebSocket.prototype;
  const held = [];
  WebSocket.prototype.send = function (data) { held.push(() => send.call(this, data)); };
  window.release = () => { WebSocket.prototype.send = send; held.forEach((one) => one()); };
}"""


def test_clear_acts_before_the_server_knows(draw_page: DrawPage) -> None:
    """Ink and answer are gone while nothing reaches the server, and stay away once it has answered."""
    page = draw_page.page
    draw_page.draw(SEVEN, BAR)
    idle(page)
    page.evaluate(_HOLD)
    draw_page.press("Clear")
    expect(page.locator(".live-answer.empty b")).to_have_text("?")
    assert canvas_ink(draw_page).max() == 0
    page.evaluate("window.release()")
    draw_page.wait_for_strokes(0)
    expect(page.locator(".live-answer")).to_have_count(0)
    assert canvas_ink(draw_page).max() == 0
    draw_page.press("Undo")
    draw_page.wait_for_strokes(2)


def test_a_press_elsewhere_ends_it(draw_page: DrawPage) -> None:
    """It shows the server's answer at once, whatever is still awaited."""
    page = draw_page.page
    draw_page.draw(SEVEN)
    page.evaluate(_RECORD)
    _press_pen(draw_page, (100, 170), (200, 170))
    expect(page.locator(".live-answer")).to_be_visible()
    page.mouse.up()
    page.get_by_role("heading", name="Draw a digit").click()
    expect(page.locator(".live-answer")).to_have_count(0)
    draw_page.wait_for_strokes(2)


def test_where_it_cannot_run_the_page_works_as_before(draw_page: DrawPage) -> None:
    page = draw_page.page
    page.evaluate("() => { CanvasRenderingContext2D.prototype.getImageData = () => { throw new Error('not here'); }; }")
    draw_page.draw(SEVEN)
    expect(draw_page.answer).to_have_text("7")
    expect(page.locator(".live-answer")).to_have_count(0)
