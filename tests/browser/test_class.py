"""A class: two phones join, write with a finger, and see the board."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import segno
from playwright.sync_api import Browser, Page, expect

from digitcore.imaging.strokes import Stroke
from tests.browser.conftest import idle, new_context, unwanted, visit
from tests.browser.test_handwriting import Phone

StrokesOf = Callable[..., list[Stroke]]


@contextmanager
def phone_page(browser: Browser, address: str) -> Iterator[Page]:
    """A page on a phone of its own."""
    context = new_context(browser, width=390, height=844, touch=True)
    problems = unwanted(context)
    page = context.new_page()
    visit(page, address)
    yield page
    expect(page.get_by_test_id("stException")).to_have_count(0)
    context.close()
    assert problems == []


def joined(page: Page, name: str, strokes_of: StrokesOf) -> Phone:
    """The phone of somebody who takes part under a name."""
    page.get_by_label("Name, any you like").fill(name)
    page.get_by_role("button", name="Join").tap()
    page.locator(".prompt b").wait_for()
    return Phone(page, page.context.new_cdp_session(page), strokes_of)


def test_two_phones_join_write_and_see_the_board(
    page: Page, browser: Browser, server: str, strokes_of: StrokesOf
) -> None:
    visit(page, f"{server}/handwriting?view=Class")
    page.get_by_role("button", name="Start a class").click()
    code = (page.get_by_test_id("class-code").text_content() or "").replace(" ", "")
    link = f"{server}/handwriting?class={code}"
    picture = segno.make(link, error="l", micro=False).svg_data_uri(border=4, light="white", omitsize=True)
    expect(page.get_by_alt_text("QR code of the address with the code")).to_have_attribute("src", picture)
    board = page.get_by_test_id("class-board")
    with phone_page(browser, link) as first, phone_page(browser, f"{server}/handwriting?view=Class") as second:
        ann = joined(first, "Ann", strokes_of)
        second.get_by_label("Code").fill(code.lower())
        bob = joined(second, "Ann", strokes_of)
        for phone in (ann, bob):
            phone.write(phone.asked())
        expect(board).to_contain_text("2 digits by 2 members")
        for shown in (board, *(phone.page.get_by_test_id("class-board") for phone in (ann, bob))):
            expect(shown.get_by_role("listitem")).to_have_text(["Ann 1", "Ann 2 1"])
        idle(first)
        first.reload()
        expect(ann.count).to_have_text("1")
