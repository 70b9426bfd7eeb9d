"""Digits that a visitor keeps: said wrong on the page Draw, written one by one with a finger, seen again."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from digitcore.imaging.strokes import Stroke, place_strokes
from digitcore.store.handwriting import new_key
from tests.browser.conftest import DrawPage, eventually, idle, new_context, tiles, unwanted, visit
from tests.browser.test_draw import SEVEN

StrokesOf = Callable[..., list[Stroke]]


def test_an_answer_that_is_wrong_is_corrected_by_a_key_and_seen_on_the_page_handwriting(
    draw_page: DrawPage, browser: Browser, server: str
) -> None:
    """And after a reload, after a visit to another notebook, and wherever its link is opened; but by nobody else."""
    page = draw_page.page
    draw_page.draw(SEVEN)
    answer = draw_page.answer.text_content()
    wrong = "3" if answer != "3" else "5"
    expect(page.get_by_role("radio", name="Right")).to_be_enabled()
    page.keyboard.press(wrong)
    expect(page.get_by_text(f"Kept as {wrong} in your notebook on this server")).to_be_visible()
    page.get_by_role("radio", name="1", exact=True).click()
    expect(page.get_by_text("Kept as 1.")).to_be_visible()
    page.get_by_test_id("stMain").get_by_role("link", name="Handwriting").click()
    page.get_by_text("Digits", exact=True).click()
    expect(tiles(page)).to_have_count(1)
    expect(tiles(page).first).to_have_attribute("aria-label", re.compile(f"true digit 1, answer {answer}"))
    visit(page, f"{server}/handwriting?view=Digits")
    expect(tiles(page)).to_have_count(1)
    stranger = new_context(browser, width=1280)
    other = stranger.new_page()
    visit(other, f"{server}/handwriting?view=Digits")
    expect(other.get_by_text("Nothing is kept yet")).to_be_visible()
    key = page.evaluate("localStorage.getItem('digitcore-notebook /')")
    visit(page, f"{server}/handwriting?view=Digits&notebook={new_key()}")
    expect(page.get_by_text("Nothing is kept yet")).to_be_visible()
    page.get_by_role("button", name="Notebook before").click()
    expect(tiles(page)).to_have_count(1)
    visit(other, f"{server}/handwriting?view=Digits&notebook={key}")
    expect(tiles(other)).to_have_count(1)
    stranger.close()


class Phone:
    """The page Handwriting on a phone, written on with a finger."""

    def __init__(self, page: Page, fingers: CDPSession, strokes_of: StrokesOf) -> None:
        self.page, self._fingers, self._strokes_of = page, fingers, strokes_of
        self.count = page.locator(".ring text")

    def asked(self) -> int:
        """The digit that is asked for."""
        return int(self.page.locator(".prompt b").text_content() or "")

    def write(self, digit: int) -> None:
        """Writes a digit, and waits until the pad has taken it."""
        before = self.count.text_content()
        box = self.page.locator(".pad canvas").bounding_box()
        assert box is not None
        side = round(box["width"])
        for stroke in place_strokes(self._strokes_of(digit), side=side, extent=0.6, position=(0.5, 0.5), brush=16):
            points = [{"x": box["x"] + float(x), "y": box["y"] + float(y)} for x, y in stroke]
            for kind, point in zip(["touchStart", *["touchMove"] * (len(points) - 1)], points, strict=True):
                self._touch(kind, [point])
            self._touch("touchEnd", [])
        expect(self.count).not_to_have_text(before or "")

    def _touch(self, kind: str, points: list[dict[str, float]]) -> None:
        self._fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def sheet(self) -> str:
        """What stands below the pad, in words."""
        return self.page.get_by_test_id("written-digits").get_attribute("alt") or ""


@pytest.fixture
def phone(browser: Browser, server: str, strokes_of: StrokesOf) -> Iterator[Phone]:
    context = new_context(browser, width=390, height=844, touch=True)
    problems = unwanted(context)
    page = context.new_page()
    visit(page, f"{server}/handwriting")
    page.get_by_role("button", name="Start").tap()
    page.locator(".prompt b").wait_for()
    yield Phone(page, context.new_cdp_session(page), strokes_of)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    context.close()
    assert problems == []


def test_digits_are_written_one_after_the_other_with_a_finger(phone: Phone) -> None:
    """The next is asked for at once; a tap takes one back; the order goes on after a reload."""
    written = []
    for count in range(1, 5):
        written.append(phone.asked())
        phone.write(written[-1])
        expect(phone.count).to_have_text(str(count))
    expected = ", ".join(f"{written.count(digit)} of {digit}" for digit in range(10))
    eventually(phone.sheet, f"What you have written: {expected}")
    phone.page.get_by_role("button", name="Undo").tap()
    expect(phone.count).to_have_text("3")
    eventually(lambda: phone.page.locator(".prompt b").text_content(), str(written[-1]))
    idle(phone.page)
    phone.page.reload()
    phone.page.get_by_role("button", name="Start").tap()
    expect(phone.count).to_have_text("3")
    assert phone.asked() == written[-1]
