"""Galleries by keyboard: one tab stop, and as many steps as presses, however long the page takes."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DrawPage, eventually, idle, ids_shown, tiles
from tests.browser.test_analysis import DATASET

_PAGES = {
    "errors": "errors?checkpoint=mlp",
    "confusion": "confusion?checkpoint=mlp",
    "a-against-b": "compare?view=A+against+B&a=mlp&b=baseline",
    "several": "compare?view=Several&chosen=mlp&chosen=baseline&common=some+wrong",
}
_FOCUSED = "() => document.activeElement?.shadowRoot?.activeElement?.dataset.id ?? null"
_PICKED = ".gallery button[aria-pressed=true]"


def _focused(page: Page) -> int | None:
    focused = page.evaluate(_FOCUSED)
    return None if focused is None else int(focused)


@pytest.mark.parametrize("name", _PAGES)
def test_twenty_presses_are_twenty_steps(page: Page, server: str, name: str) -> None:
    """Ten with a run of the page after each, ten faster than the page can follow; then up, down and both ends."""
    page.goto(f"{server}/{_PAGES[name]}&dataset={DATASET}")
    tiles(page).first.click()
    idle(page)
    ids = ids_shown(page)
    assert len(ids) > 30
    for step in range(1, 11):
        page.keyboard.press("ArrowRight")
        assert _focused(page) == ids[step]
        idle(page)
        assert _focused(page) == ids[step], "the run took the focus away"
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert _focused(page) == ids[20]
    expect(page.locator(_PICKED)).to_have_attribute("data-id", str(ids[20]))
    idle(page)
    assert _focused(page) == ids[20]
    expect(page.locator(_PICKED)).to_have_attribute("data-id", str(ids[20]))
    tops = tiles(page).evaluate_all("tiles => tiles.map(tile => tile.offsetTop)")
    columns = tops.count(tops[0])
    for key, place in {
        "ArrowUp": 20 - columns,
        "ArrowDown": 20,
        "ArrowLeft": 19,
        "Home": 0,
        "End": len(ids) - 1,
    }.items():
        page.keyboard.press(key)
        assert _focused(page) == ids[place], key
    assert tiles(page).evaluate_all("tiles => tiles.filter(tile => tile.tabIndex === 0).length") == 1


def test_earlier_drawings_are_walked_without_bringing_them_back(draw_page: DrawPage) -> None:
    """Arrow keys only move; Enter brings back what they came to, and the focus stays in the gallery."""
    page = draw_page.page
    for x in (60, 120, 180, 240):
        draw_page.draw([(x, 60), (x, 260)])
        draw_page.clear()
    idle(page)
    ids = ids_shown(page)
    assert len(ids) == 4
    tiles(page).first.focus()
    place = 0
    for key in ["ArrowRight"] * 3 + ["ArrowLeft"] * 3 + ["End", "Home"] * 7:
        page.keyboard.press(key)
        place = {"ArrowRight": place + 1, "ArrowLeft": place - 1, "End": 3, "Home": 0}[key]
        assert _focused(page) == ids[place]
    draw_page.wait_for_strokes(0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    draw_page.wait_for_strokes(1)
    idle(page)
    eventually(lambda: _focused(page), ids[1])
