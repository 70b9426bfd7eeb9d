"""Accuracy, confusion matrix and misclassified digits in a real browser."""

import io
import re
import statistics
import time
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

import digitcore
from digitcore.data.datasets import is_available
from digitcore.evaluation.evaluation import Evaluation, load_or_evaluate
from digitcore.evaluation.metrics import confused_pairs
from tests.browser.conftest import (
    PATIENCE,
    click_row,
    download,
    eventually,
    expect_width,
    idle,
    ids_shown,
    new_context,
    running_dashboard,
    tiles,
    visit,
)

DATASET = "mnist-test" if is_available("mnist-test") else "mnist-validation"


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return load_or_evaluate(digitcore.load_classifier("world"), DATASET)


def cell(page: Page, true: object, predicted: object) -> Locator:
    prefix = f"answer: {predicted}; true digit: {true};"
    return page.locator(f".st-key-confusion-chart path[aria-label^='{prefix}']").first


def in_cell(evaluation: Evaluation, true: int, predicted: int) -> set[int]:
    inside = (evaluation.labels == true) & (evaluation.predictions == predicted)
    return set(evaluation.ids[inside].tolist())


def most_confused(evaluation: Evaluation) -> list[tuple[int, int]]:
    """Cells off the diagonal with at least one digit, most frequent first."""
    wrong = evaluation.labels != evaluation.predictions
    cells, counts = np.unique(
        np.stack([evaluation.labels[wrong], evaluation.predictions[wrong]], axis=1), axis=0, return_counts=True
    )
    return [(int(true), int(predicted)) for true, predicted in cells[np.argsort(-counts, kind="stable")]]


def test_from_a_cell_to_its_digit_to_the_canvas(page: Page, server: str, evaluation: Evaluation) -> None:
    """Which digits does it take for which, and why: in three clicks; the address then shows the same elsewhere."""
    true, predicted = most_confused(evaluation)[0]
    visit(page, f"{server}/confusion?dataset={DATASET}")
    cell(page, true, predicted).click()
    expect(tiles(page).first).to_have_attribute("aria-label", re.compile(f"true digit {true}, answer {predicted}"))
    eventually(lambda: set(ids_shown(page)), in_cell(evaluation, true, predicted))
    tiles(page).first.click()
    digit = ids_shown(page)[0]
    expect(page.get_by_text(f"Digit {digit} of {DATASET}")).to_be_visible()
    expect(page.get_by_test_id("answer")).to_have_text(str(predicted))
    expect(page.get_by_test_id("confidence")).to_contain_text(f"the true digit is {true}")
    expect(page.get_by_text("Most similar to this model")).to_be_visible()
    expect(page.get_by_text("Answers of other models")).to_be_visible()
    page.wait_for_url(re.compile(f"digit={digit}"))

    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text(f"Digit {digit} of {DATASET}")).to_be_visible()
    expect(tiles(other)).to_have_count(len(in_cell(evaluation, true, predicted)))
    expect(other.locator(".gallery button[aria-pressed=true]")).to_have_count(1)
    other.close()

    page.get_by_role("button", name="Open on the canvas").click()
    expect(page.get_by_role("heading", name="Draw a digit")).to_be_visible()
    expect(page.get_by_test_id("answer")).to_have_text(str(predicted))


@pytest.mark.slow
def test_margins_and_pickers_do_the_same(page: Page, server: str, evaluation: Evaluation) -> None:
    """A click on a row's margin shows the errors of that row; a select box shows them too."""
    true = most_confused(evaluation)[0][0]
    wrong = (evaluation.labels == true) & (evaluation.predictions != true)
    visit(page, f"{server}/confusion?dataset={DATASET}")
    cell(page, true, "all").click()
    expect(tiles(page)).to_have_count(int(wrong.sum()))
    visit(page, f"{server}/confusion?dataset={DATASET}")
    page.locator(".st-key-true").get_by_role("combobox").click()
    page.get_by_role("option", name=str(true), exact=True).click()
    expect(tiles(page)).to_have_count(int(wrong.sum()))


def test_a_row_of_the_most_confused_pairs_leads_to_its_digits(page: Page, server: str, evaluation: Evaluation) -> None:
    pairs = confused_pairs(evaluation.labels, evaluation.logits)
    true, predicted = int(pairs["true"][0]), int(pairs["predicted"][0])
    visit(page, f"{server}/confusion?dataset={DATASET}")
    page.get_by_text("Most confused pairs").click()
    click_row(page, page.locator(".st-key-confused-pairs"), 0)
    eventually(lambda: set(ids_shown(page)), in_cell(evaluation, true, predicted))


@pytest.mark.slow
def test_a_cell_answers_quickly(page: Page, server: str, evaluation: Evaluation) -> None:
    """Prints the median from click to digits shown; the number itself is asserted nowhere."""
    visit(page, f"{server}/confusion?dataset={DATASET}")
    times = []
    for true, predicted in (most_confused(evaluation)[:6]) * 2:
        page.mouse.move(5, 5)  # away from the last cell, whose tooltip lies over the others
        idle(page)
        started = time.perf_counter()
        cell(page, true, predicted).click()
        expect(tiles(page).first).to_have_attribute("aria-label", re.compile(f"true digit {true}, answer {predicted}"))
        times.append(time.perf_counter() - started)
    print(f"\nconfusion cell clicked to its digits shown: median {statistics.median(times):.2f} s of {len(times)}")


@pytest.mark.slow
def test_the_headline_agrees_with_the_evaluation(page: Page, server: str, evaluation: Evaluation) -> None:
    visit(page, f"{server}/accuracy?dataset={DATASET}")
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text(f"{evaluation.errors} errors")
    expect(main).to_contain_text(f"{1 - evaluation.errors / len(evaluation):.2%}")
    page.get_by_role("button", name=f"See the {evaluation.errors} errors").click()
    expect(page.get_by_role("heading", name="Browse digits")).to_be_visible()
    expect(tiles(page)).to_have_count(evaluation.errors)


@pytest.mark.slow
def test_a_row_of_the_table_leads_to_its_errors(page: Page, server: str, evaluation: Evaluation) -> None:
    visit(page, f"{server}/accuracy?dataset={DATASET}")
    click_row(page, page.get_by_test_id("stDataFrame").first, 5)
    expect(page.get_by_role("heading", name="Browse digits")).to_be_visible()
    wrong = (evaluation.labels == 5) & (evaluation.predictions != 5)
    expect(tiles(page)).to_have_count(int(wrong.sum()))


def test_filters_and_order(page: Page, server: str, evaluation: Evaluation) -> None:
    visit(page, f"{server}/errors?dataset={DATASET}&sort=by+id")
    wrong = evaluation.ids[evaluation.labels != evaluation.predictions]
    eventually(lambda: ids_shown(page), sorted(wrong.tolist()))
    if DATASET == "mnist-test":
        visit(page, f"{server}/errors?dataset={DATASET}&show=all+digits&labels=disputed")
        expect(tiles(page)).to_have_count(15)


def test_walking_with_the_arrow_keys(page: Page, server: str) -> None:
    visit(page, f"{server}/errors?dataset={DATASET}")
    tiles(page).first.click()
    ids = ids_shown(page)
    expect(page.get_by_text(f"Digit {ids[0]} of")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(f"Digit {ids[1]} of")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(f"Digit {ids[2]} of")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_text(f"Digit {ids[1]} of")).to_be_visible()


def test_stars_and_notes_survive(page: Page, server: str, evaluation: Evaluation) -> None:
    """Seen again in a new window, in the filter and in the exported table."""
    visit(page, f"{server}/errors?dataset={DATASET}")
    tiles(page).first.click()
    digit = ids_shown(page)[0]
    page.get_by_text("Star", exact=True).click()
    idle(page)
    page.get_by_label("Note").fill("a hooked one, twice")
    page.get_by_label("Note").press("Control+Enter")
    idle(page)

    def starred_note() -> str:
        visit(page, f"{server}/errors?dataset={DATASET}&show=starred&digit={digit}")
        return page.get_by_label("Note").input_value()

    eventually(starred_note, "a hooked one, twice")
    expect(tiles(page)).to_have_count(1)
    table = download(page, page.get_by_role("button", name="CSV")).read_text(encoding="utf-8")
    assert "a hooked one, twice" in table
    assert table.splitlines()[1].startswith(f"{digit},")


@pytest.mark.slow
def test_the_pictures_can_be_had(page: Page, server: str, evaluation: Evaluation) -> None:
    visit(page, f"{server}/errors?dataset={DATASET}&sort=by+id")
    expect(tiles(page)).to_have_count(evaluation.errors)
    digits = digitcore.load_digits(DATASET)
    with zipfile.ZipFile(download(page, page.get_by_role("button", name="PNGs"))) as archive:
        names = archive.namelist()
        assert len(names) == evaluation.errors
        for name in names[:5]:
            row = int(np.flatnonzero(digits.ids == int(name.split("-")[0]))[0])
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(archive.read(name)))), digits.images[row])


@pytest.mark.slow
def test_five_hundred_tiles_stay_quick(page: Page, server: str) -> None:
    visit(page, f"{server}/errors?dataset={DATASET}&show=all+digits")
    expect(tiles(page)).to_have_count(500)
    tiles(page).nth(400).click()
    expect(page.get_by_text(re.compile(r"Digit \d+ of"))).to_be_visible()


@pytest.mark.parametrize(
    "name",
    [pytest.param("accuracy", marks=pytest.mark.slow), pytest.param("confusion", marks=pytest.mark.slow), "errors"],
)
@pytest.mark.parametrize(
    "dataset",
    [
        pytest.param("mnist-test", marks=pytest.mark.slow),
        pytest.param("mnist-validation", marks=pytest.mark.slow),
        "uci-digits",
    ],
)
def test_each_page_opens_and_fits(browser: Browser, server: str, name: str, dataset: str) -> None:
    context = new_context(browser, width=390, height=844, scheme="dark")
    page = context.new_page()
    visit(page, f"{server}/{name}?dataset={dataset}&checkpoint=baseline")
    expect(page.get_by_role("heading").first).to_be_visible()
    expect_width(page, 390)
    context.close()


def test_without_mnist_and_from_any_address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first visit to a new server, on a page that is not the first, on a machine without the MNIST files."""
    folder = tmp_path_factory.mktemp("nothing")
    with running_dashboard(folder, DIGITCORE_DATA=str(folder / "data")) as address:
        context = new_context(browser, width=1280)
        page = context.new_page()
        visit(page, f"{address}/accuracy?dataset=mnist-test")
        expect(page.get_by_text("10,000 digits of mnist-test")).to_be_visible()
        visit(page, f"{address}/errors?dataset=mnist-test")
        expect(page.get_by_role("button", name="Download MNIST")).to_be_visible()
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()
        visit(page, f"{address}/errors?dataset=mnist-validation")
        expect(tiles(page).first).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        context.close()
        assert (
            httpx.get(f"{address}/checkpoints", timeout=PATIENCE).json()[0]["figures"]["mnist-test"]["digits"] == 10_000
        )
