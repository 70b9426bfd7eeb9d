"""axe finds nothing serious, nothing critical and no heading out of order on any page, in both themes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DrawPage, idle, new_context, tiles, unwanted, visit

Scheme: TypeAlias = Literal["dark", "light"]

_SET = "dataset=mnist-validation"
_PAIR = f"compare?view=A+against+B&a=mlp&b=baseline&{_SET}"
_PAGES = {
    "draw": "",
    "accuracy": f"accuracy?{_SET}",
    "confusion": f"confusion?checkpoint=mlp&{_SET}",
    "digits": f"errors?checkpoint=mlp&{_SET}",
    "leaderboard": f"compare?{_SET}",
    "a-against-b": _PAIR,
    "several": f"compare?view=Several&{_SET}",
    "handwriting": "handwriting",
    "class": "handwriting?view=Class",
}
_IN_SHORT = ("draw", "confusion", "a-against-b")
_IMPACTS = ("serious", "critical")
_OF_STREAMLIT = {
    (
        "scrollable-region-focusable",
        "<pre",
    ): "code that is wider than its box: browsers let the keyboard scroll such boxes",
}
"""Rule and element of what is Streamlit's own and cannot be mended by theme, option or style, with why."""
_STYLED = (
    """() => [...document.querySelectorAll('style')].some(style => style.textContent.includes('stCaptionContainer'))"""
)
"""Whether the styles of `pages/styles` are there, which come with the page's elements."""
_CHART_TEXT = """() => {
    const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgb = colour => {
        pixel.clearRect(0, 0, 1, 1); pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1);
        return [...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    const luminance = colour => {
        const [r, g, b] = rgb(colour).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const ground = luminance(getComputedStyle(document.querySelector('.stApp')).backgroundColor);
    return [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg text')]
        .filter(text => text.textContent.trim() && text.getAttribute('fill') !== '#000000').map(text => {
            const style = getComputedStyle(text), ink = luminance(style.fill);
            const contrast = (Math.max(ink, ground) + .05) / (Math.min(ink, ground) + .05);
            return [text.textContent, parseFloat(style.fontSize), contrast];
        });
}"""


@contextmanager
def _opened(browser: Browser, address: str, width: int, scheme: Scheme) -> Iterator[Page]:
    context = new_context(browser, width=width, scheme=scheme)
    problems = unwanted(context)
    page = context.new_page()
    visit(page, address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    idle(page)
    yield page
    context.close()
    assert problems == []


def _faults(page: Page) -> list[str]:
    """A line for each fault that axe finds and that is ours."""
    idle(page)
    page.wait_for_function(_STYLED)
    page.evaluate(AXE_SCRIPT)
    violations: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(results => results.violations)"
    )
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in violations
        if rule["impact"] in _IMPACTS or rule["id"] == "heading-order"
        for node in rule["nodes"]
        if not any(rule["id"] == known and node["html"].startswith(element) for known, element in _OF_STREAMLIT)
    ]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _IN_SHORT else [pytest.mark.slow]) for name in _PAGES]
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_each_page(browser: Browser, server: str, name: str, width: int, scheme: Scheme) -> None:
    """As it opens; and each chart's text is at least 12 px and has 4.5 : 1, each chart a sentence."""
    with _opened(browser, f"{server}/{_PAGES[name]}", width, scheme) as page:
        assert _faults(page) == []
        for words, size, contrast in page.evaluate(_CHART_TEXT):
            assert size >= 12, words
            assert contrast >= 4.5, words
        for chart in page.get_by_test_id("stVegaLiteChart").all():
            assert (chart.get_attribute("aria-label") or "").endswith(".")


def _pick_first(page: Page) -> None:
    tiles(page).first.click()
    expect(page.locator(".st-key-digit-sheet").get_by_test_id("answer").first).to_be_visible()


def _open_shades(page: Page) -> None:
    page.get_by_test_id("stPopover").get_by_role("button").click()
    expect(page.get_by_text("Logarithmic colour scale")).to_be_visible()


def _open_about(page: Page) -> None:
    sidebar = page.get_by_test_id("stExpandSidebarButton")
    if sidebar.is_visible():
        sidebar.click()
    page.get_by_role("button", name="About this").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _pick_chart(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("radio", name=name).click()


def _start_class(page: Page) -> None:
    page.get_by_role("button", name="Start a class").click()
    page.get_by_role("button", name="End the class").click()
    expect(page.get_by_role("button", name="Delete everything")).to_be_visible()


_STATES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "digit": (_PAGES["digits"], _pick_first),
    "digit of a pair": (_PAIR, _pick_first),
    "digit in several": (f"{_PAGES['several']}&common=some+wrong", _pick_first),
    "about": (_PAGES["accuracy"], _open_about),
    "shades": (_PAGES["confusion"], _open_shades),
    "errors of a pair": (_PAIR, _pick_chart("Errors")),
    "digits of a pair": (_PAIR, _pick_chart("Digit by digit")),
    "started class": (_PAGES["class"], _start_class),
    "most confused": (_PAGES["confusion"], lambda page: page.get_by_text("Most confused pairs").click()),
}


@pytest.mark.parametrize("name", ["digit of a pair", pytest.param("about", marks=pytest.mark.slow)])
def test_a_sheet_and_a_dialog(browser: Browser, server: str, name: str) -> None:
    address, act = _STATES[name]
    with _opened(browser, f"{server}/{address}", 1280, "light") as page:
        act(page)
        assert _faults(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", [*_PAGES, *_STATES])
def test_every_page_and_state(browser: Browser, server: str, name: str, width: int, scheme: Scheme) -> None:
    address, act = _STATES.get(name) or (_PAGES[name], lambda page: None)
    with _opened(browser, f"{server}/{address}", width, scheme) as page:
        act(page)
        assert _faults(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_look_at_a_drawing(browser: Browser, server: str, width: int, scheme: Scheme) -> None:
    context = new_context(browser, width=width, height=1200, scheme=scheme)
    draw_page = DrawPage(context.new_page()).open(server)
    draw_page.draw([(160, 60), (160, 200)])
    looks = draw_page.page.locator(".st-key-look").get_by_role("radio")
    for look in looks.all():
        look.click()
        assert _faults(draw_page.page) == [], look.inner_text()
    context.close()
