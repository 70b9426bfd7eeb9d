"""Text from outside in a real browser: it is shown as it is, and starts nothing."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from digitcore.models.checkpoints import save_checkpoint
from digitcore.models.library import load_checkpoint
from tests.browser.conftest import download, idle, running_dashboard

pytestmark = pytest.mark.faults

FORMULA = '=HYPERLINK("http://foreign.example/","x")'


def rewritten(path: Path, **metadata: object) -> None:
    """Writes a shipped checkpoint to a file of this name, with these metadata."""
    shipped = load_checkpoint("mlp")
    save_checkpoint(path, shipped.network, replace(shipped.metadata, **metadata))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside") / "weights"
    folder.mkdir()
    rewritten(folder / "=1+1.safetensors", recipe={"name": FORMULA}, trained_on=("@SUM(1)",))
    rewritten(folder / "-2+3.safetensors", recipe={"name": "+4"}, trained_on=("@5", "a;=6"))
    return folder


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_dashboard(tmp_path_factory.mktemp("outside-server"), DIGITCORE_WEIGHTS=str(folder)) as address:
        yield address


@pytest.mark.parametrize("view", ["Leaderboard", "Several"])
def test_no_table_is_downloaded_with_formulas(page: Page, address: str, view: str) -> None:
    """By the page's own button; Streamlit's is hidden, in full screen too."""
    page.goto(f"{address}/compare?view={view}&dataset=mnist-validation")
    if view == "Leaderboard":
        page.get_by_role("button", name="Evaluate").click()
        expect(page.get_by_text("not evaluated yet")).to_have_count(0)
    else:
        expect(page.get_by_role("heading", name="Hard digits")).to_be_visible()
        idle(page)
        page.get_by_text("All pairs").click()
    idle(page)
    table = page.get_by_test_id("stDataFrame").first
    table.hover()
    expect(page.get_by_role("button", name="Search").first).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    page.locator("[class*=st-key-outside-]").first.get_by_role("button", name="Fullscreen").click()
    expect(page.get_by_role("button", name="Close fullscreen")).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    page.get_by_role("button", name="Close fullscreen").click()
    file = download(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
    cells = [cell for row in csv.reader(io.StringIO(file.read_bytes().decode(), newline="")) for cell in row]
    assert {"'=1+1", "'-2+3"} <= {*cells}
    assert not [cell for cell in cells if cell[:1] in {*"=+@\t\r"}]
