"""The canvas in windows of every size, light and dark, and its tools. Its pixels are the same everywhere."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits
from digitcore.imaging.strokes import place_strokes
from tests.browser.conftest import PATIENCE, DrawPage, eventually, eventually_true, idle
from tests.browser.test_draw import BAR, SEVEN, canvas_ink, canvas_png

WIDTHS = [320, 344, 360, 390, 641, 768, 820, 900, 1024, 1100, 1240, 1366, 1920, 2560]
DRAWER = 640
"""Pixels; in windows up to here the open sidebar is a drawer over the page, and the canvas is below it."""


def visible_share(draw_page: DrawPage) -> float:
    """Of the canvas, once scrolled to: the share of points on a grid, edges included, where a click would reach it."""
    share: float = draw_page.canvas.evaluate(
        """canvas => {
            canvas.scrollIntoView({block: 'center'});
            const box = canvas.getBoundingClientRect(), host = canvas.getRootNode().host;
            const steps = Array.from({length: 21}, (_, i) => i / 20);
            const points = steps.flatMap(x => steps.map(y => [x, y]));
            const seen = points.filter(([x, y]) => document.elementFromPoint(
                box.left + .5 + x * (box.width - 1), box.top + .5 + y * (box.height - 1)) === host);
            return seen.length / points.length;
        }"""
    )
    return share


def set_sidebar(page: Page, *, collapsed: bool) -> None:
    """Opens or closes the sidebar with its button."""
    sidebar, state = page.get_by_test_id("stSidebar"), str(collapsed).lower()
    if sidebar.get_attribute("data-collapsed") != state:
        if collapsed:
            sidebar.hover()  # or its button is not shown
        page.get_by_test_id("stSidebarCollapseButton" if collapsed else "stExpandSidebarButton").click()
    expect(sidebar).to_have_attribute("data-collapsed", state)


def dot(draw_page: DrawPage, x: float, y: float) -> None:
    """Draws a short stroke there, and waits until it is there."""
    assert canvas_ink(draw_page)[round(y), round(x)] == 0
    draw_page.stroke([(x - 2, y), (x + 2, y)])
    eventually(lambda: canvas_ink(draw_page)[round(y), round(x)], 1)


def test_the_canvas_is_whole_in_every_window(draw_page: DrawPage) -> None:
    """Beside an open sidebar and without it, larger in a large window; strokes land where the pointer is."""
    page, widths = draw_page.page, {}
    page.add_style_tag(content=".stSidebar {transition: none !important}")  # or the canvas moves under the mouse
    for i, width in enumerate(WIDTHS):
        page.set_viewport_size(ViewportSize(width=width, height=900))
        eventually(lambda: page.evaluate("document.documentElement.scrollWidth"), width)
        for collapsed in (False, True) if width > DRAWER else (True,):
            set_sidebar(page, collapsed=collapsed)
            eventually(lambda: visible_share(draw_page), 1.0)
            x, y = 15 + 21 * i, 15 if collapsed else 321  # along the upper edge and the lower one
            dot(draw_page, x, y)
            dot(draw_page, 336 - y, x if collapsed else 336 - x)
        box = draw_page.canvas.bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(box["height"])
        widths[width] = box["width"]
    assert widths[320] >= 224
    assert widths[320] < widths[390] < widths[1100] < widths[1920]
    assert widths[1920] >= 600


@pytest.mark.slow
def test_the_canvas_is_whole_at_twice_the_size(browser: Browser, server: str) -> None:
    """A window of 1280 by 800 pixels, enlarged to 200%."""
    context = browser.new_context(viewport={"width": 640, "height": 400}, device_scale_factor=2)
    context.set_default_timeout(1000 * PATIENCE)
    draw_page = DrawPage(context.new_page()).open(server)
    eventually(lambda: visible_share(draw_page), 1.0)
    dot(draw_page, 20, 316)
    assert draw_page.page.evaluate("document.documentElement.scrollWidth") == 640
    context.close()


def test_strokes_are_undone_and_redone(draw_page: DrawPage) -> None:
    """With buttons and with keys, except where text is typed; after a new stroke nothing can be redone."""
    page = draw_page.page
    redo = page.get_by_role("button", name="Redo")
    expect(page.get_by_role("button", name=re.compile("Undo|Redo|Clear"))).to_have_count(3)  # and no second toolbar
    expect(page.get_by_role("img", name=re.compile("^Drawing canvas"))).to_be_visible()
    expect(redo).to_be_disabled()
    draw_page.draw(SEVEN)
    one = canvas_png(draw_page)
    draw_page.draw(BAR)
    two = canvas_png(draw_page)
    draw_page.press("Undo")
    draw_page.wait_for_strokes(1)
    eventually(lambda: canvas_png(draw_page), one)
    draw_page.press("Redo")
    draw_page.wait_for_strokes(2)
    eventually(lambda: canvas_png(draw_page), two)
    for keys, count in (("z", 1), ("Shift+Z", 2), ("z", 1), ("y", 2), ("z", 1)):
        page.keyboard.press(f"Control+{keys}")
        draw_page.wait_for_strokes(count)
    page.get_by_role("combobox").first.focus()
    page.keyboard.press("Control+z")
    idle(page)
    draw_page.wait_for_strokes(1)
    expect(redo).to_be_enabled()
    draw_page.draw(BAR)
    expect(redo).to_be_disabled()
    eventually(lambda: canvas_png(draw_page), two)


def test_a_tool_right_after_a_stroke_acts_on_that_stroke(draw_page: DrawPage) -> None:
    """Though the canvas has not sent it yet."""
    draw_page.draw(SEVEN)
    one = canvas_png(draw_page)
    draw_page.stroke(BAR)
    draw_page.press("Undo")
    expect(draw_page.page.get_by_role("button", name="Redo")).to_be_enabled()
    draw_page.wait_for_strokes(1)
    eventually(lambda: canvas_png(draw_page), one)
    draw_page.stroke(BAR)
    draw_page.press("Clear")
    draw_page.wait_for_strokes(0)
    draw_page.press("Undo")
    draw_page.wait_for_strokes(2)


_UNDO_WITH_THE_QUESTION = """
const real = window.setTimeout;
window.setTimeout = (action, delay, ...rest) => {
    if (window.collides && delay === 0 && new Error().stack.includes('at ask ')) {
        window.collides = false;
        document.querySelector('.st-key-undo button').click();
    }
    return real(action, delay, ...rest);
};
"""
"""Undo is clicked after the page has begun to ask for the details, and before Streamlit sends that: one message."""


@pytest.mark.slow
def test_a_tool_acts_though_its_click_is_sent_with_another(page: Page, server: str) -> None:
    """Streamlit then runs only the part of the page that the other belongs to."""
    page.add_init_script(_UNDO_WITH_THE_QUESTION)
    draw_page = DrawPage(page).open(server)
    draw_page.draw(SEVEN, BAR)
    idle(page)
    page.evaluate("() => { window.collides = true; window.digitcoreAnswer = 0; }")
    page.evaluate("() => window.dispatchEvent(new Event('digitcore-answer'))")
    draw_page.wait_for_strokes(1)
    assert not page.evaluate("window.collides")


def shades(element: Locator) -> tuple[int, int]:
    """The darkest and the lightest grey of what the page shows there."""
    grey = np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("L"))
    return int(grey.min()), int(grey.max())


def ground(draw_page: DrawPage) -> int:
    """The grey of the middle of the canvas as the page shows it."""
    grey = np.asarray(Image.open(io.BytesIO(draw_page.canvas.screenshot())).convert("L"))
    return int(grey[len(grey) // 2, len(grey) // 2])


def test_the_canvas_follows_the_theme(draw_page: DrawPage) -> None:
    """Or the choice that the address keeps; what is drawn is the same to the pixel, and so is the answer."""
    page = draw_page.page
    draw_page.draw(SEVEN)
    light, probabilities = canvas_png(draw_page), draw_page.probabilities()
    assert ground(draw_page) == 255
    page.emulate_media(color_scheme="dark")
    eventually_true(lambda: ground(draw_page) < 40)
    assert shades(draw_page.canvas)[1] > 220
    assert canvas_png(draw_page) == light
    draw_page.clear()
    earlier = page.locator(".gallery .picture")
    expect(earlier).to_have_count(1)
    eventually_true(lambda: shades(earlier)[0] < 40)
    draw_page.draw(SEVEN)
    eventually(lambda: canvas_png(draw_page), light)
    assert draw_page.probabilities() == probabilities

    page.get_by_role("button", name="Canvas").click()
    page.get_by_role("radio", name="Light").click()
    eventually(lambda: ground(draw_page), 255)
    expect(page).to_have_url(re.compile("ink=Light"))
    draw_page.open(page.url)
    eventually(lambda: ground(draw_page), 255)
    page.get_by_role("button", name="Canvas").click()
    page.get_by_role("radio", name="As the page").click()
    eventually_true(lambda: ground(draw_page) < 40)
    expect(page).not_to_have_url(re.compile("ink="))


_DRAW = """
async (canvas, strokes) => {
    const box = canvas.getBoundingClientRect(), scale = box.width / canvas.width;
    const at = ([x, y]) => ({bubbles: true, composed: true, cancelable: true, view: window, button: 0,
                             clientX: box.x + scale * x, clientY: box.y + scale * y});
    for (const [start, ...points] of strokes) {
        canvas.dispatchEvent(new MouseEvent('mousedown', at(start)));
        for (const point of points) document.dispatchEvent(new MouseEvent('mousemove', at(point)));
        document.dispatchEvent(new MouseEvent('mouseup', at(points.at(-1) ?? start)));
    }
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    await frame();
    const root = canvas.getRootNode(), png = root.querySelector('.dc-canvas.lower-canvas').toDataURL();
    root.querySelector('.dc-toolbar [aria-label^=Reset]').click();
    await frame();
    return png;
}
"""
"""Draws strokes and returns the canvas as a PNG; then empties it with the component's own button, which is hidden."""


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_five_hundred_drawings_are_the_same_on_a_dark_canvas(draw_page: DrawPage) -> None:
    """Of people who were never trained on; prints how many have the same pixels, and hence the same answer."""
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS][:500]
    drawings = [
        [
            stroke.tolist()
            for stroke in place_strokes(digit.strokes, side=336, extent=0.7, position=(0.5, 0.5), brush=24)
        ]
        for digit in digits
    ]
    pngs: dict[str, list[str]] = {}
    for is_dark in (False, True):
        draw_page.page.emulate_media(color_scheme="dark" if is_dark else "light")
        eventually(lambda: ground(draw_page) < 40, is_dark)
        pngs["dark" if is_dark else "light"] = [draw_page.canvas.evaluate(_DRAW, drawing) for drawing in drawings]
    assert len(set(pngs["light"])) > 490  # it does draw
    same = sum(light == dark for light, dark in zip(pngs["light"], pngs["dark"], strict=True))
    print(f"\nof 500 drawings, {same} have the same pixels")
    assert same >= 499


def test_a_presentation_is_large_and_has_a_way_back(draw_page: DrawPage) -> None:
    """With the keyboard: the sidebar makes room, the answer is larger, and the switch is always in sight."""
    page = draw_page.page
    page.set_viewport_size(ViewportSize(width=1920, height=1080))
    draw_page.draw(SEVEN)
    expect(draw_page.answer).to_have_text("7")

    def font_sizes() -> tuple[float, float]:
        answer, bar = (
            node.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
            for node in (draw_page.answer, page.locator(".digit-bars"))
        )
        return answer, bar

    before, sidebar = font_sizes(), page.get_by_test_id("stSidebar")
    page.get_by_role("switch", name="Presentation").or_(page.get_by_role("checkbox", name="Presentation")).focus()
    page.keyboard.press("Space")
    expect(sidebar).to_be_hidden()
    expect(page).to_have_url(re.compile("presentation=true"))
    answer, bar = font_sizes()
    assert answer > 1.4 * before[0]
    assert bar > 1.4 * before[1]
    eventually(lambda: visible_share(draw_page), 1.0)
    page.locator(".digit-stages").last.scroll_into_view_if_needed()
    expect(page.locator(".st-key-presentation")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Space")
    expect(sidebar).to_be_visible()
    eventually(font_sizes, before)
