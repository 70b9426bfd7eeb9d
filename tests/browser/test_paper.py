"""A sheet on paper: the PDF to print, and the photograph of a filled one, looked through and kept."""

from pathlib import Path

from playwright.sync_api import Page, expect

from digitcore.imaging.sheet import box_label
from tests.browser.conftest import download, idle, tiles, visit
from tests.filled_sheets import FilledSheet


def test_a_photographed_sheet_is_corrected_and_kept(
    page: Page, server: str, filled_sheet: FilledSheet, sheet_photograph: bytes, tmp_path: Path
) -> None:
    visit(page, f"{server}/handwriting?view=On+paper&checkpoint=world")
    assert download(page, page.get_by_role("button", name="Sheet to print")).read_bytes().startswith(b"%PDF")
    path = tmp_path / "sheet.jpg"
    path.write_bytes(sheet_photograph)
    page.locator("input[type=file]").set_input_files(path)
    count = len(filled_sheet.inks)
    expect(tiles(page)).to_have_count(count)
    idle(page)
    first = box_label(*min(filled_sheet.inks))
    tiles(page).first.click()
    choices = page.get_by_role("radiogroup", name="This is a").or_(page.get_by_test_id("stButtonGroup").last)
    choices.get_by_text(str((first + 1) % 10), exact=True).click()
    expect(tiles(page).first).to_contain_text(f"{(first + 1) % 10}→{first}")
    tiles(page).nth(1).click()
    idle(page)
    choices.get_by_text("leave out", exact=True).click()
    expect(tiles(page).nth(1)).to_contain_text("✕")
    page.get_by_role("button", name=f"Keep {count - 1} digits").click()
    expect(page.get_by_text(f"{count - 1} digits are in your notebook")).to_be_visible()
    expect(tiles(page)).to_have_count(0)
