"""Text from outside in a real browser: it is shown as it is, and starts nothing."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from digitcore.models.checkpoints import save_checkpoint
from digitcore.models.library import load_checkpoint
from digitcore.store.annotations import Annotation, AnnotationStore
from tests.browser.conftest import download, eventually_true, idle, running_dashboard, visit
from tests.outside_text import FILE_NAMES, FORMULAS, MARKDOWN, SCRIPTS, TEXTS

pytestmark = pytest.mark.faults

DATASET = "mnist-validation"
NAMES = ["<img src=x onerror=alert(1)>", "![x](q) $y$ :red[z] `c`"]
READ = "[data-testid=stMain] :is([data-testid=stCaptionContainer], [data-testid=stAlert])"
FORMULA = '=HYPERLINK("http://foreign.example/","x")'


def rewritten(path: Path, **metadata: object) -> None:
    """Writes a shipped checkpoint to a file of this name, with these metadata."""
    shipped = load_checkpoint("mlp")
    save_checkpoint(path, shipped.network, replace(shipped.metadata, **metadata))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints whose names are formulas, two whose names are markup, and many files that cannot be used."""
    folder = tmp_path_factory.mktemp("outside") / "weights"
    folder.mkdir()
    rewritten(folder / "=1+1.safetensors", recipe={"name": FORMULA}, trained_on=("@SUM(1)",))
    rewritten(folder / "-2+3.safetensors", recipe={"name": "+4"}, trained_on=("@5", "a;=6"))
    for name in NAMES:
        texts = {str(i): text for i, text in enumerate(TEXTS)}
        recipe = {"name": name, "summary": name, "starts_from": name}
        rewritten(folder / f"{name}.safetensors", recipe=recipe, trained_on=tuple(TEXTS), provenance=texts)
    for name in FILE_NAMES:
        (folder / f"{name}.pt").write_bytes(b"nonsense")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("outside-server")
    with closing(AnnotationStore(f"sqlite:///{place / 'annotations.sqlite'}")) as store:
        for i, text in enumerate(TEXTS):
            store.save(DATASET, i, Annotation(starred=True, note=text))
    with running_dashboard(place, DIGITCORE_WEIGHTS=str(folder)) as address:
        yield address


@pytest.fixture
def watched(page: Page, address: str) -> Iterator[Page]:
    """A page that may open no dialog, ask no other host for anything, and go to no other."""
    problems: list[str] = []
    page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: problems.append(request.url) if is_foreign(request.url, address) else None)
    page.on("popup", lambda popup: problems.append(f"popup: {popup.url}"))
    yield page
    page.wait_for_timeout(500)
    assert problems == []


def is_foreign(url: str, address: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"} and urlsplit(url).netloc != urlsplit(address).netloc


def words(text: str) -> str:
    """A text without what cannot be seen, and with one space where there are several."""
    return " ".join(text.replace("\N{WORD JOINER}", "").split())


def missing(page: Page, texts: list[str], place: str = "body") -> list[str]:
    """The texts that the page does not show."""
    shown = words(" ".join(page.locator(place).all_inner_texts()))
    return [text for text in texts if words(text) not in shown]


@pytest.mark.parametrize("view", ["Leaderboard", pytest.param("Several", marks=pytest.mark.slow)])
def test_no_table_is_downloaded_with_formulas(page: Page, address: str, view: str) -> None:
    """By the page's own button; Streamlit's is hidden, in full screen too."""
    visit(page, f"{address}/compare?view={view}&dataset={DATASET}")
    if view == "Several":
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


def test_there_are_enough_of_each_kind() -> None:
    assert min(len(SCRIPTS), len(MARKDOWN), len(FORMULAS)) >= 25


def test_names_in_the_address_are_shown_as_they_are(watched: Page, address: str) -> None:
    query = urlencode({"view": "Several", "chosen": TEXTS, "filter": TEXTS[2]}, doseq=True)
    watched.goto(f"{address}/compare?{query}")
    expect(watched.get_by_text("There is no model")).to_be_visible()
    idle(watched)
    assert missing(watched, TEXTS) == []
    for text in (TEXTS[3], MARKDOWN[0], MARKDOWN[-5]):
        watched.goto(f"{address}/compare?view=A+against+B&a={quote(text)}&b=x&checkpoint={quote(text)}&dataset=x")
        expect(watched.get_by_text("There is no model").nth(1)).to_be_visible()
        idle(watched)
        assert missing(watched, [f"There is no model {text}: ", f"There is no model {text}, x."]) == []


def test_file_names_and_metadata_are_shown_as_they_are(watched: Page, address: str, folder: Path) -> None:
    watched.goto(f"{address}/compare?dataset={DATASET}&checkpoint={quote(NAMES[0])}")
    watched.get_by_test_id("stMain").get_by_text("files cannot be used").click()
    idle(watched)
    assert missing(watched, [f"{name}.pt:" for name in FILE_NAMES], "[data-testid=stMain]") == []
    assert missing(watched, [str(folder.parent)]) == [str(folder.parent)]
    watched.get_by_role("button", name="About this model").click()
    expect(watched.get_by_role("dialog").get_by_text("How it was made")).to_be_visible()
    idle(watched)
    assert missing(watched, [*TEXTS, NAMES[0]], "[role=dialog]") == []
    assert watched.locator("[role=dialog] :is(img, a, script, iframe, h1, .katex)").count() == 0


@pytest.mark.parametrize("name", ["accuracy", "confusion", "errors", ""])
def test_pages_name_the_model_as_it_is(watched: Page, address: str, name: str) -> None:
    for model in NAMES:
        watched.goto(f"{address}/{name}?dataset={DATASET}&checkpoint={quote(model)}&digit=3")
        expect(watched.get_by_role("heading").first).to_be_visible()
        idle(watched)
        assert missing(watched, [f"{model} on {DATASET}:"]) == []


def test_two_models_and_their_report(watched: Page, address: str, tmp_path: Path) -> None:
    a, b = NAMES
    watched.goto(f"{address}/compare?view=A+against+B&a={quote(a)}&b={quote(b)}&dataset={DATASET}&digit=3")
    button = watched.get_by_role("button", name="Report (HTML)")
    expect(button).to_be_visible()
    idle(watched)
    assert missing(watched, [f"only {a} right", f"only {b} right", f"answered by {a} and {b}"]) == []
    watched.locator(".stVegaLiteChart path").nth(5).hover(force=True)
    watched.goto(f"{address}/compare?view=A+against+B&a={quote(a)}&b={quote(b)}&dataset={DATASET}")
    report = tmp_path / "report.html"
    report.write_bytes(download(watched, button).read_bytes())
    watched.goto(report.as_uri())
    expect(watched.get_by_role("heading", name="Stars and notes")).to_be_visible()
    assert missing(watched, [*TEXTS, a, b]) == []


def test_notes_are_shown_as_they_are_and_downloaded_without_formulas(watched: Page, address: str) -> None:
    for i in range(0, len(TEXTS), 9):
        watched.goto(
            f"{address}/errors?dataset={DATASET}&show=starred&sort=by+id&digit={i}&checkpoint={quote(NAMES[0])}"
        )
        eventually_true(lambda i=i: watched.get_by_label("Note").input_value() == TEXTS[i])
    file = download(watched, watched.get_by_test_id("stDownloadButton").get_by_role("button", name="CSV"))
    notes = [row["note"] for row in csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))]
    assert [note.replace("'", "") for note in notes] == [text.replace("'", "") for text in TEXTS]
    assert not [note for note in notes if re.match(r"\W*?(?<!')[=+\-@]", note) and note[:1] in {*"=+-@"}]


def test_names_of_pictures_are_shown_as_they_are(watched: Page, address: str, tmp_path: Path) -> None:
    watched.goto(address)
    watched.get_by_role("radio", name="Upload").click()
    for name in (FILE_NAMES[2], FILE_NAMES[len(SCRIPTS)], FILE_NAMES[-1], ":red[x] $y$ `z`"):
        good, bad = tmp_path / f"{name}.png", tmp_path / f"{name}.jpg"
        Image.linear_gradient("L").save(good)
        bad.write_bytes(b"nothing")
        for file in (good, bad):
            watched.locator("input[type=file]").set_input_files(file)
            eventually_true(lambda f=file: missing(watched, [f.name], READ) == [])
