"""The model card of a checkpoint, over whatever page is open."""

from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

import digitcore
from digitcore.evaluation.evaluation import find_evaluation
from digitcore.models.architectures import build_network
from tests.browser.conftest import click_row, download, eventually_true, new_context, visit


@pytest.mark.parametrize("place", ["", pytest.param("accuracy", marks=pytest.mark.slow)])
def test_the_sidebar_leads_to_the_card(page: Page, server: str, place: str) -> None:
    evaluation = find_evaluation(digitcore.load_classifier("compact").checkpoint, "pen-digits")
    assert evaluation is not None
    visit(page, f"{server}/{place}?checkpoint=compact")
    page.get_by_role("button", name="About this model").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="pen-digits")).to_contain_text(f"{evaluation.errors} of {len(evaluation):,}")
    expect(dialog).to_contain_text("It has only seen MNIST")
    expect(dialog).to_contain_text("python -m digitcore train compact --seed 0")
    assert "**Limits**" in download(page, dialog.get_by_role("button", name="Markdown")).read_text(encoding="utf-8")
    expect(dialog).to_be_visible()


def test_each_page_has_a_title_of_its_own_under_one_logo(page: Page, server: str) -> None:
    visit(page, server)
    for name in ("Draw", "Accuracy", "Confusion matrix", "Browse digits", "Compare"):
        page.get_by_role("link", name=name).click()
        expect(page).to_have_title(f"{name} · Digit workbench")
        logo = page.get_by_test_id("stSidebarLogo")
        expect(logo).to_be_visible()
        assert str(logo.get_attribute("src")).startswith("data:image/svg+xml")
    expect(page).to_have_url(f"{server}/compare")


def test_a_stranger_is_shown_as_it_is(page: Page, server: str, weights: Path) -> None:
    """A file dropped into the folder while the server runs, its name full of markup."""
    name = "a *b* <img src=x> [c](d) $e$ :red[f]"
    torch.save(build_network("mlp").state_dict(), weights / f"{name}.pt")
    visit(page, f"{server}/?checkpoint={quote(name)}")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(name)
    page.get_by_role("button", name="About this model").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{name}.pt: 101,770 parameters")
    expect(dialog).to_contain_text("does not say what it was trained on")
    expect(dialog.locator("img, em, .katex, a")).to_have_count(0)
    (weights / f"{name}.pt").unlink()


@pytest.mark.slow
def test_the_leaderboard_leads_to_the_card_of_what_is_ticked(page: Page, server: str) -> None:
    visit(page, f"{server}/compare?filter=mlp")
    about = page.get_by_role("button", name="About", exact=True)
    expect(about).to_be_disabled()
    click_row(page, page.get_by_test_id("stDataFrame").first, 0)
    about.click()
    expect(page.get_by_role("dialog")).to_contain_text("mlp.safetensors: 101,770 parameters")


@pytest.mark.slow
def test_the_card_fits_a_phone(browser: Browser, server: str) -> None:
    """Its tables scroll inside the dialog, which is no wider than the window."""
    context = new_context(browser, width=390)
    page = context.new_page()
    visit(page, f"{server}/accuracy?checkpoint=compact")
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("button", name="About this model").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("table").first).to_be_visible()
    eventually_true(lambda: dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth"))
    context.close()
