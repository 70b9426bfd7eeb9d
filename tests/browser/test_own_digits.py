"""A set of digits of one's own: uploaded, looked at, kept, seen on every page, exported and removed."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from digitcore.data.datasets import DigitSet
from tests.browser.conftest import download, idle, tiles, visit


def zip_of(digits: DigitSet, path: Path) -> Path:
    """The digits as PNG files in folders, and a file that is not a picture."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, format="PNG")
            archive.writestr(f"{label}/{i}.png", buffer.getvalue())
        archive.writestr("3/broken.png", b"no picture")
    return path


def open_dialog(page: Page) -> None:
    page.get_by_role("button", name="Your own digits").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_digits_of_ones_own_on_every_page(page: Page, server: str, tmp_path: Path, validation_digits: DigitSet) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 25))
    path = zip_of(some, tmp_path / "mine.zip")
    visit(page, f"{server}/accuracy?checkpoint=compact")
    open_dialog(page)
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=file]").set_input_files(path)
    dialog.get_by_role("button", name="Read").click()
    expect(dialog).to_contain_text("200 digits of mine.zip, as they are")
    expect(dialog).to_contain_text("1 left out, such as 3/broken.png")
    expect(dialog).to_contain_text("200 are digits of mnist-validation too")
    dialog.get_by_label("Name of the set").fill("class-7b")
    dialog.get_by_label("Name of the set").press("Enter")
    dialog.get_by_role("button", name="Keep").click()

    expect(page.get_by_text("200 digits of class-7b")).to_be_visible()
    for name, title in (("Confusion matrix", "Confusion matrix"), ("Compare", "Compare models"), ("Draw", "Draw")):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=title).first).to_be_visible()
        idle(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
    visit(page, f"{server}/errors?checkpoint=compact&dataset=class-7b&show=all digits")
    expect(tiles(page).first).to_be_visible()
    expect(page.get_by_text("200 digits", exact=False).first).to_be_visible()

    open_dialog(page)
    exported = download(page, page.get_by_role("button", name="Export"))
    with zipfile.ZipFile(exported) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 200
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("200 digits of your own")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
