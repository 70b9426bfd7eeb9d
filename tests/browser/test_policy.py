"""What the security policy could get in the way of. Windows fail where it forbids anything, or ask other machines."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DrawPage, eventually_true, running_dashboard
from tests.browser.test_draw import SEVEN


def test_the_documentation_of_the_api_can_be_tried_out(page: Page, server: str) -> None:
    page.goto(server)
    _try_out(page)


@pytest.mark.slow
def test_below_a_path_too(page: Page, tmp_path: Path) -> None:
    """From the first page and from another one."""
    with running_dashboard(tmp_path, path="/digits") as address:
        for name in ("", "/", "/accuracy"):
            page.goto(f"{address}{name}")
            _try_out(page)
            draw_page = DrawPage(page).open(address)
            draw_page.draw(SEVEN)
            page.get_by_text("Reproduce", exact=True).click()
            expect(page.get_by_text(f"{address}/predict?checkpoint=")).to_be_visible()


def _try_out(page: Page) -> None:
    """Follows the link to the documentation, and asks there for the list of checkpoints."""
    with page.expect_popup() as popup:
        page.get_by_role("link", name="documentation").click()
    endpoint = popup.value.locator("#operations-default-checkpoints_checkpoints_get")
    endpoint.get_by_role("button").first.click()
    endpoint.get_by_role("button", name="Try it out").click()
    endpoint.get_by_role("button", name="Execute").click()
    expect(endpoint.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_a_photograph_can_be_taken(draw_page: DrawPage) -> None:
    page = draw_page.page
    page.get_by_text("Camera", exact=True).click()
    eventually_true(lambda: page.locator("video").evaluate("video => video.readyState === 4"))
    page.get_by_role("button", name="Take photo").click()
    expect(page.get_by_alt_text("the picture to be read")).to_be_visible()
