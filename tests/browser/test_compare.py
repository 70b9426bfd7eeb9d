"""The page that compares checkpoints, in a real browser: numbers lead to their digits, views have addresses."""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

import digitcore
from digitcore.data.datasets import is_available
from digitcore.evaluation.comparison import Comparison, compare, outcomes
from digitcore.evaluation.evaluation import Evaluation, load_or_evaluate, summarize
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from digitcore.models.export import export_network
from digitcore.models.library import CheckpointLibrary, load_checkpoint
from tests.browser.conftest import (
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
from tests.paths import ROOT

DATASET = "mnist-test" if is_available("mnist-test") else "mnist-validation"
A, B = "baseline", "compact"
PAIR = f"compare?view=A+against+B&a={A}&b={B}&dataset={DATASET}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped weights, and files that cannot be used."""
    weights = Path(shutil.copytree(ROOT / "weights", tmp_path_factory.mktemp("compare") / "weights"))
    shipped = (weights / "compact.safetensors").read_bytes()
    (weights / "truncated.safetensors").write_bytes(shipped[:-100])
    (weights / "nonsense.pt").write_bytes(b"nonsense")
    not_numbers = build_network("compact").state_dict()
    not_numbers["head.bias"][:] = torch.nan
    torch.save(not_numbers, weights / "not-numbers.pt")
    torch.save({"weight": torch.zeros(3, 3)}, weights / "misshapen.pt")
    (weights / "oversized.safetensors").write_bytes(bytes(4_000_000))
    return weights


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    own = {"DIGITCORE_WEIGHTS": str(folder), "DIGITCORE_MAX_CHECKPOINT_BYTES": "3000000"}
    with running_dashboard(tmp_path_factory.mktemp("compare-server"), **own) as address:
        yield address


@pytest.fixture(scope="module")
def evaluations() -> dict[str, Evaluation]:
    shipped = CheckpointLibrary(ROOT / "weights").usable_names()
    return {name: load_or_evaluate(digitcore.load_classifier(name), DATASET) for name in shipped}


@pytest.fixture(scope="module")
def comparison(evaluations: dict[str, Evaluation]) -> Comparison:
    return compare(evaluations[A], evaluations[B])


def test_the_verdict_and_its_tiles_lead_to_their_digits(
    page: Page, address: str, comparison: Comparison, evaluations: dict[str, Evaluation]
) -> None:
    visit(page, f"{address}/{PAIR}")
    expect(page.get_by_role("heading", name=comparison.verdict)).to_be_visible()
    counts = {
        "both right": comparison.both_right,
        f"only {A} right": comparison.only_a,
        "wrong alike": comparison.alike_wrong,
    }
    counts |= {f"only {B} right": comparison.only_b, "neither right": comparison.neither}
    for words, count in counts.items():
        expect(page.get_by_role("button", name=f"{count:,} {words}")).to_be_visible()
    verdicts = outcomes(evaluations[A], evaluations[B])
    for words, outcome in ((f"only {B} right", "only B"), ("neither right", "neither")):
        page.get_by_role("button", name=words).click()
        expected = set(evaluations[A].ids[verdicts == outcome].tolist())
        eventually(lambda: set(ids_shown(page)), expected)
    page.wait_for_url(re.compile("outcome=neither"))
    tiles(page).first.click()
    expect(page.get_by_text(re.compile(r"Digit \d+ of"))).to_be_visible()
    expect(page.get_by_text("Answers of other models")).to_be_visible()


@pytest.mark.slow
def test_a_cell_of_the_answers_shows_its_digits_and_has_an_address(
    page: Page, address: str, evaluations: dict[str, Evaluation]
) -> None:
    a, b = evaluations[A].predictions, evaluations[B].predictions
    cells = np.bincount((a * 10 + b)[a != b], minlength=100)
    says_a, says_b = divmod(int(cells.argmax()), 10)
    visit(page, f"{address}/{PAIR}")
    prefix = f"answer of {B}: {says_b}; answer of {A}: {says_a};"
    page.locator(f"path[aria-label^='{prefix}']").first.click()
    inside = set(evaluations[A].ids[(a == says_a) & (b == says_b)].tolist())
    eventually(lambda: set(ids_shown(page)), inside)
    page.wait_for_url(re.compile(f"says-b={says_b}"))
    other = page.context.new_page()
    other.goto(page.url)
    expect(tiles(other)).to_have_count(len(inside))
    other.close()
    visit(page, f"{address}/{PAIR}&chart=Digit+by+digit")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    visit(page, f"{address}/{PAIR}&chart=Errors")
    expect(page.get_by_text("Errors that B makes more often")).to_be_visible()


def test_the_report_can_be_had(page: Page, address: str, comparison: Comparison) -> None:
    visit(page, f"{address}/{PAIR}")
    button = page.get_by_role("button", name="Report")
    expect(button).to_be_visible()
    idle(page)
    with page.expect_download() as event:
        button.click()
    assert event.value.suggested_filename == f"{A}-against-{B}-{DATASET}.html"
    assert comparison.verdict in event.value.path().read_text(encoding="utf-8")


def test_the_leaderboard_lists_all_and_what_cannot_be_used(
    page: Page, address: str, evaluations: dict[str, Evaluation]
) -> None:
    visit(page, f"{address}/compare?dataset={DATASET}")
    board = page.get_by_test_id("stDataFrame").first
    expect(board).to_be_visible()
    names = [line.split(",")[0] for line in leaderboard_csv(page).splitlines()[1:]]
    assert names == sorted(evaluations, key=lambda name: (evaluations[name].errors, summarize(evaluations[name]).nll))
    problems = page.get_by_test_id("stMain").get_by_text("5 files cannot be used")
    problems.click()
    for name, reason in {
        "truncated.safetensors": "cannot be read as a safetensors file",
        "nonsense.pt": "as a state dict",
        "not-numbers.pt": "NaN or infinity",
        "misshapen.pt": "fits none of the known networks",
        "oversized.safetensors": "is larger than 3 MB",
    }.items():
        line = page.get_by_test_id("stMain").locator("p", has_text=re.compile(f"^{re.escape(name)}:"))
        expect(line).to_contain_text(reason)


@pytest.mark.slow
def test_ticked_rows_are_compared(page: Page, address: str) -> None:
    visit(page, f"{address}/compare?dataset={DATASET}")
    board = page.get_by_test_id("stDataFrame").first
    pair = page.get_by_role("button", name="A against B", exact=True).last
    expect(pair).to_be_disabled()
    click_row(page, board, 0)
    expect(page.get_by_role("button", name="Errors", exact=True)).to_be_enabled()  # of one row
    click_row(page, board, 1)
    expect(pair).to_be_enabled()
    page.get_by_role("button", name="Together").click()
    expect(page.get_by_role("heading", name="Which differences are real?")).to_be_visible()
    page.wait_for_url(re.compile("view=Several"))


@pytest.mark.slow
def test_several_and_their_average(page: Page, address: str, evaluations: dict[str, Evaluation]) -> None:
    names = "&".join(f"chosen={name}" for name in (A, B, "mlp"))
    visit(page, f"{address}/compare?view=Several&{names}&dataset={DATASET}")
    expect(page.get_by_text("They are not all equally good")).to_be_visible()
    expect(page.get_by_text("Against its best member")).to_be_visible()
    wrong = np.stack([evaluations[name].predictions != evaluations[name].labels for name in (A, B, "mlp")]).all(axis=0)
    eventually(lambda: set(ids_shown(page)), set(evaluations[A].ids[wrong].tolist()))
    page.locator(f"path[aria-label^='than this one: mlp; errors more (+) or fewer (-): {B};']").first.click()
    expect(page.get_by_role("heading", name=f"{B} is better")).to_be_visible()


@pytest.mark.slow
def test_an_address_means_the_same_pair_whatever_is_picked_elsewhere(page: Page, address: str) -> None:
    visit(page, f"{address}/compare?dataset=uci-digits")
    page.locator(".st-key-view").get_by_text("A against B").click()
    page.wait_for_url(re.compile(r"[?&]a=\w+.*b=\w+|[?&]b=\w+.*a=\w+"))
    visit(page, f"{address}/{PAIR}&checkpoint=standard")
    expect(page.get_by_role("heading", name=re.compile(f"{A}|{B}"))).to_be_visible()
    page.locator(".st-key-view").get_by_text("Leaderboard").click()
    expect(page.get_by_role("textbox", name="Filter")).to_be_visible()
    page.locator(".st-key-view").get_by_text("A against B").click()
    page.wait_for_url(re.compile(f"a={A}"))
    page.wait_for_url(re.compile(f"b={B}"))
    visit(page, f"{address}/compare?view=A+against+B&a=nosuch&b={B}")
    expect(page.get_by_text("There is no model nosuch")).to_be_visible()
    expect(page.get_by_text("Pick two different models")).to_be_visible()


@pytest.mark.slow
def test_names_are_shown_as_they_are(page: Page, address: str, folder: Path) -> None:
    """Also those that would be Markdown or HTML."""
    name = "x *_[a](b)$ <b>z"
    shutil.copy(folder / "baseline.safetensors", folder / f"{name}.safetensors")
    visit(page, f"{address}/compare?view=A+against+B&b={B}&dataset=uci-digits")
    page.get_by_role("combobox", name="A", exact=True).click()
    page.get_by_role("option", name=name).click()
    expect(page.get_by_role("button", name=f"only {name} right")).to_be_visible()
    expect(page.get_by_test_id("stMain").locator("a[href='b']")).to_have_count(0)
    (folder / f"{name}.safetensors").unlink()


def test_an_uploaded_checkpoint_stands_in_the_leaderboard(
    page: Page, address: str, folder: Path, tmp_path: Path
) -> None:
    """It is verified, evaluated and listed; a broken one is refused with its reason and leaves nothing behind."""
    network = build_network("compact")
    save_checkpoint(tmp_path / "uploaded.safetensors", network, CheckpointMetadata("compact"))
    visit(page, f"{address}/compare?dataset=uci-digits")
    page.get_by_text("Add your own").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "uploaded.safetensors")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text(re.compile(r"uploaded: [\d,]+ errors, \d+(st|nd|rd|th) of \d+\."))).to_be_visible()
    expect(page.get_by_role("button", name="Compare with world")).to_be_visible()
    assert (folder / "uploaded.safetensors").is_file()
    idle(page)
    page.get_by_role("textbox", name="Filter").fill("uploa")
    page.get_by_role("textbox", name="Filter").press("Enter")
    page.wait_for_url(re.compile("filter=uploa"))
    (row,) = csv.DictReader(io.StringIO(leaderboard_csv(page)))
    assert row["checkpoint"] == "uploaded"
    assert int(row["errors"]) > 0

    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    page.reload()
    page.get_by_text("Add your own").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.safetensors")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("broken.safetensors cannot be read as a safetensors file")).to_be_visible()
    assert not (folder / "broken.safetensors").exists()
    (folder / "uploaded.safetensors").unlink()


def test_an_onnx_file_stands_there_with_its_input(page: Page, address: str, folder: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    export_network(load_checkpoint("compact"), folder / "exported.onnx", file_format="onnx")
    visit(page, f"{address}/compare?dataset=uci-digits&checkpoint=exported")
    expect(page.get_by_text("input: normalised, bright ink (declared)")).to_be_visible()
    assert "normalised, bright ink (declared)" in leaderboard_csv(page)
    (folder / "exported.onnx").unlink()


@pytest.mark.parametrize(
    "view",
    [
        pytest.param("Leaderboard", marks=pytest.mark.slow),
        "A+against+B",
        pytest.param("Several", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), pytest.param(1280, "light", marks=pytest.mark.slow)])
def test_each_view_opens_and_fits(
    browser: Browser, address: str, view: str, width: int, scheme: Literal["dark", "light"]
) -> None:
    context = new_context(browser, width=width, scheme=scheme)
    page = context.new_page()
    visit(page, f"{address}/compare?view={view}&dataset=uci-digits")
    expect(page.get_by_role("heading", name="Compare models")).to_be_visible()
    expect_width(page, width)
    context.close()


@pytest.mark.slow
def test_many_evaluations_can_be_stopped_and_keep_what_is_done(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("many")
    for i in range(25):
        torch.manual_seed(i)
        save_checkpoint(
            folder / "weights" / f"many-{i:02}.safetensors", build_network("compact"), CheckpointMetadata("compact")
        )
    with running_dashboard(folder, DIGITCORE_WEIGHTS=str(folder / "weights")) as address:
        context = new_context(browser, width=1280)
        page = context.new_page()
        visit(page, f"{address}/compare?dataset=mnist-validation")
        page.get_by_role("button", name="Evaluate").click()
        expect(page.get_by_text(re.compile(r"on .*: ([3-9]|[1-9]\d) of"))).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Stop")).to_have_count(0)
        idle(page)
        evaluations = folder / "cache" / "evaluations"
        done = len(list(evaluations.glob("*.npz")))
        assert 1 <= done < 25
        page.wait_for_timeout(1000)  # in which nothing more is begun
        assert len(list(evaluations.glob("*.npz"))) <= done + 1
        context.close()


def leaderboard_csv(page: Page) -> str:
    return download(page, page.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV")).read_text(
        encoding="utf-8"
    )
