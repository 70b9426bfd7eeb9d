"""What happens to a drawing in a real browser: it outlives a reload, travels in a link, and is saved as a picture."""

import io

import pytest
import segno
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DrawPage, eventually, idle, new_context
from tests.browser.test_draw import BAR, SEVEN, canvas_png

_STORED = "Object.entries(sessionStorage).filter(([name]) => name.startsWith('digitcore-drawing'))"


def _reload(draw_page: DrawPage) -> None:
    draw_page.page.reload()
    draw_page.canvas.wait_for()
    draw_page.invitation.or_(draw_page.answer).first.wait_for()
    idle(draw_page.page)


def test_a_reload_keeps_the_drawing_until_it_is_cleared(draw_page: DrawPage) -> None:
    """To the pixel; and whatever else has come to stand in its place is no drawing and no harm."""
    page = draw_page.page
    draw_page.draw(SEVEN, BAR)
    idle(page)
    drawn, probabilities = canvas_png(draw_page), draw_page.probabilities()
    _reload(draw_page)
    draw_page.wait_for_strokes(2)
    eventually(lambda: canvas_png(draw_page), drawn)
    assert draw_page.probabilities() == probabilities
    expect(page.locator(".ghost-digit")).to_have_count(0)
    assert page.evaluate(f"{_STORED}.length") == 1

    foreign = '[{"type": "Image", "src": "https://example.org/a.png", "left": 0, "top": 0}]'
    for text in (foreign, "[" * 100_000, '[{"type": "Path", "path": [["M", 0, 0]], "strokeWidth": 1e999}]', "7"):
        page.evaluate(f"text => {{ for (const [name] of {_STORED}) sessionStorage.setItem(name, text); }}", text)
        _reload(draw_page)
        expect(draw_page.invitation).to_be_visible()
        eventually(lambda: page.evaluate(f"{_STORED}.length"), 0)
        draw_page.draw(SEVEN)
        eventually(lambda: page.evaluate(f"{_STORED}.length"), 1)
    draw_page.clear()
    idle(page)
    _reload(draw_page)
    expect(draw_page.invitation).to_be_visible()


def test_a_link_opens_the_drawing_elsewhere(page: Page, browser: Browser, server: str) -> None:
    """With the same model and the same answer, as the QR code does; the picture to save shows both."""
    draw_page = DrawPage(page).open(f"{server}/?checkpoint=compact")
    share = page.get_by_role("button", name="Share")
    expect(share).to_be_disabled()
    draw_page.draw(SEVEN, BAR)
    idle(page)
    drawn = Image.open(io.BytesIO(canvas_png(draw_page)))
    probabilities = draw_page.probabilities()
    share.click()
    link = page.get_by_test_id("stDialog").locator("code").inner_text()
    assert link.startswith(f"{server}/?checkpoint=compact&drawing=1")
    assert len(link) < 200
    code = segno.make(link, error="l", micro=False).svg_data_uri(border=4, light="white", omitsize=True)
    expect(page.get_by_test_id("share-code")).to_have_attribute("src", code)
    idle(page)
    with page.expect_download() as event:
        page.get_by_role("button", name="Save picture").click()
    card = Image.open(event.value.path())
    assert (event.value.suggested_filename, card.size) == ("drawing.png", (960, 540))
    assert card.crop((48, 48, 48 + 336, 48 + 336)).tobytes() == drawn.convert("RGB").tobytes()

    context = new_context(browser, width=390)
    elsewhere = DrawPage(context.new_page()).open(link)
    expect(elsewhere.answer).to_have_text("7")
    expect(elsewhere.answer).to_have_attribute("data-checkpoint", "compact")
    elsewhere.wait_for_strokes(2)
    assert elsewhere.probabilities() == pytest.approx(probabilities, abs=0.02)
    expect(elsewhere.page).to_have_url(f"{server}/?checkpoint=compact")
    expect(elsewhere.page.locator(".ghost-digit")).to_have_count(0)
    eventually(lambda: _difference(elsewhere, drawn) < 0.02, True)
    elsewhere.press("Undo")
    expect(elsewhere.invitation).to_be_visible()
    idle(elsewhere.page)
    expect(elsewhere.invitation).to_be_visible()
    context.close()

    context = new_context(browser, width=1280)
    stranger = DrawPage(context.new_page()).open(f"{server}/?drawing=1%3Cscript%3Ealert(1)%3C/script%3E")
    expect(stranger.page.get_by_test_id("stAlert")).to_contain_text(
        "The link does not hold a drawing: part of it may be missing. Copy it again."
    )
    expect(stranger.invitation).to_be_visible()
    expect(stranger.page).to_have_url(f"{server}/")
    context.close()


def _difference(draw_page: DrawPage, drawn: Image.Image) -> float:
    """The share of the pixels of the canvas that are not about as they were drawn."""
    shown = Image.open(io.BytesIO(canvas_png(draw_page)))
    pairs = zip(shown.convert("L").tobytes(), drawn.convert("L").tobytes(), strict=True)
    return sum(abs(one - other) > 64 for one, other in pairs) / (drawn.width * drawn.height)


def test_the_first_screen_invites(draw_page: DrawPage, server: str) -> None:
    """A digit draws itself and is answered, over the canvas and out of the way; then there is something to try."""
    page, ghost = draw_page.page, draw_page.page.locator(".ghost-digit")
    page.goto(server)
    expect(ghost).to_contain_text("For example: read as 3")
    (x, y), *_ = draw_page.in_window([(168, 168)])
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('.ghost-digit')", [x, y]) is None
    page.mouse.move(x, y)
    page.mouse.down()
    expect(ghost).to_have_count(0)
    page.mouse.up()
    draw_page.wait_for_strokes(1)
    draw_page.clear()
    for name, answer in (("a sloppy 4", "4"), ("1987", "1987")):
        page.get_by_role("button", name=name, exact=True).click()
        expect(draw_page.answer).to_have_text(answer)
    page.get_by_role("button", name="a letter", exact=True).click()
    expect(page.get_by_test_id("refusal")).not_to_have_text("")
    draw_page.wait_for_strokes(2)
    expect(page.locator(".digit-bars .best")).to_have_count(0)
    draw_page.clear()
    expect(page.locator(".st-key-earlier-drawings button").first).to_have_text("refused")


def test_nothing_moves_for_whoever_wants_less_motion(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = DrawPage(context.new_page()).open(server).page
    expect(page.get_by_role("button", name="a sloppy 4")).to_be_visible()
    idle(page)
    expect(page.locator(".ghost-digit")).to_have_count(0)
    context.close()
