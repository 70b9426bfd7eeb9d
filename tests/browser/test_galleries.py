"""Galleries by keyboard: one tab stop, and as many steps as presses, however long the page takes."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DrawPage, eventually, idle, ids_shown, new_context, tiles, visit
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


@pytest.mark.slow
@pytest.mark.parametrize("name", _PAGES)
def test_twenty_presses_are_twenty_steps(page: Page, server: str, name: str) -> None:
    """Ten with a run of the page after each, ten faster than the page can follow; then up, down and both ends."""
    visit(page, f"{server}/{_PAGES[name]}&dataset={DATASET}")
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
    expect(page.get_by_text(f"Digit {ids[20]} of {DATASET}")).to_be_visible()
    page.wait_for_url(re.compile(rf"digit={ids[20]}(&|$)"))
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


@pytest.mark.slow
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


_COVERED = """tile => {
    const box = tile.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return !top || !top.contains(tile.getRootNode().host);
}"""


@pytest.mark.parametrize(
    ("width", "height"),
    [(390, 844), pytest.param(820, 1180, marks=pytest.mark.slow), pytest.param(1280, 900, marks=pytest.mark.slow)],
)
def test_a_picked_digit_opens_where_the_eye_is(browser: Browser, server: str, width: int, height: int) -> None:
    """In view beside or below its tile, star and note first, A beside B; Escape closes it, and its tile has focus."""
    context = new_context(browser, width=width, height=height)
    page = context.new_page()
    visit(page, f"{server}/{_PAGES['a-against-b']}&dataset={DATASET}")
    sheet = page.locator(".st-key-digit-sheet")
    tiles(page).nth(6).click()
    digit = ids_shown(page)[6]
    expect(sheet.get_by_text(f"Digit {digit} of {DATASET}")).to_be_visible()
    answers = sheet.get_by_test_id("answer")
    expect(answers).to_have_count(2)
    expect(page.locator(_PICKED)).to_be_in_viewport(ratio=1)
    eventually(lambda: page.locator(_PICKED).evaluate(_COVERED), False)
    tops = []
    for piece in (sheet, sheet.get_by_label("Note"), answers.first, answers.last):
        expect(piece).to_be_in_viewport()
        box = piece.bounding_box()
        assert box is not None
        tops.append(box["y"])
    assert tops[0] < tops[1] < tops[2] == tops[3]

    page.keyboard.press("ArrowRight")
    following = ids_shown(page)[7]
    expect(sheet.get_by_text(f"Digit {following} of {DATASET}")).to_be_visible()
    assert _focused(page) == following
    sheet.get_by_role("button", name="Next").click()
    expect(page.locator(_PICKED)).to_have_attribute("data-id", str(ids_shown(page)[8]))
    tiles(page).nth(8).focus()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(page.locator(_PICKED)).to_have_count(0)
    page.wait_for_url(lambda url: "digit=" not in url)
    tiles(page).nth(8).click()
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_have_count(0)
    eventually(lambda: _focused(page), ids_shown(page)[8])
    context.close()
