"""The canvas in windows of every size: whole, and drawn on where the pointer is."""

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import DrawPage, eventually
from tests.browser.test_draw import canvas_ink

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
