"""What the draw page shows beside its answer: the details that can be picked, earlier drawings, refusals."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import digitcore
from digitcore.data.datasets import is_available, load_digits
from digitcore.imaging.preprocessing import extract_ink
from digitcore.models.explanation import nearest_rows
from digitcore.models.library import CheckpointLibrary
from tests.browser.conftest import DrawPage, download, eventually, idle, running_dashboard
from tests.browser.test_draw import BAR, SEVEN, canvas_png
from tests.paths import ROOT

ONE = [(168.0, 60.0), (166.0, 160.0), (168.0, 280.0)]


def look(draw_page: DrawPage, detail: str) -> None:
    draw_page.page.get_by_test_id("stButtonGroup").get_by_text(detail, exact=True).click()


def drawn(draw_page: DrawPage, *strokes: list[tuple[float, float]]) -> DrawPage:
    draw_page.draw(*strokes)
    return draw_page


def picture(draw_page: DrawPage) -> Image.Image:
    return Image.open(io.BytesIO(canvas_png(draw_page)))


@pytest.mark.slow
def test_a_detail_is_kept_in_the_address_and_for_the_next_drawing(draw_page: DrawPage, server: str) -> None:
    page = drawn(draw_page, SEVEN).page
    expect(page.get_by_text("3. Fitted to 20 pixels")).to_be_visible()
    look(draw_page, "All models")
    expect(page.get_by_test_id("opinions")).to_be_visible()
    expect(page.get_by_text("3. Fitted to 20 pixels")).to_have_count(0)
    expect(page).to_have_url(re.compile("look=All"))
    draw_page.clear()
    drawn(draw_page, ONE)
    expect(page.get_by_test_id("opinions")).to_be_visible()
    again = DrawPage(page).open(page.url)
    drawn(again, ONE)
    expect(page.get_by_test_id("opinions")).to_be_visible()


@pytest.mark.slow
def test_every_checkpoint_says_what_it_says_alone(
    draw_page: DrawPage, weights: Path, save_random: Callable[..., Path]
) -> None:
    """One row each; who disagrees is marked; of many only the best, until all are asked for."""
    others = [weights / f"<b>untrained {i}.safetensors" for i in range(10)]
    for i, path in enumerate(others):
        save_random(path, seed=i)
    page = drawn(draw_page, SEVEN).page
    look(draw_page, "All models")
    rows = page.locator(".opinions tr:has(td)")
    count = len(CheckpointLibrary(weights).usable_names())
    expect(rows).to_have_count(12)
    page.get_by_text(f"All {count}", exact=True).click()
    expect(rows).to_have_count(count)
    image = picture(draw_page)
    expected = {
        path.stem: digitcore.load_classifier(path).predict(image)
        for path in [*others, *map(weights.joinpath, ("compact.safetensors", "mlp.safetensors"))]
    }
    table: list[tuple[str, str, str]] = rows.evaluate_all(
        "rows => rows.map(row => [row.cells[0].innerText, row.cells[1].innerText, row.className])"
    )
    shown = {
        re.sub(r"\s+((picked|differs)[a-z, ]*)?$", "", name): (int(digit), "differs" in marks)
        for name, digit, marks in table
    }
    for name, prediction in expected.items():
        assert shown[name][0] == prediction.digit, name
    votes = [digit for digit, _ in shown.values()]
    most = int(page.get_by_text(re.compile(rf"^\d+ of {count} answer")).inner_text().split("answer ")[1][0])
    assert votes.count(most) == max(map(votes.count, votes))
    assert all(marked == (digit != most) for digit, marked in shown.values())
    for path in others:
        path.unlink()


def test_similar_digits_and_the_confusion_cell(page: Page, server: str) -> None:
    draw_page = drawn(DrawPage(page).open(f"{server}/?checkpoint=compact"), SEVEN)
    look(draw_page, "Similar digits")
    reference = load_digits("mnist-train" if is_available("mnist-train") else "mnist-validation")
    reference = reference.subset(np.arange(min(10_000, len(reference))))
    classifier = digitcore.load_classifier("compact")
    seen = classifier.predict(picture(draw_page)).model_input
    rows, _ = nearest_rows(classifier, seen, reference_features=classifier.features(reference.images), count=12)
    captions = page.locator(".digit-stages.small figcaption")
    expect(captions).to_have_text([str(label) for label in reference.labels[rows]])

    page.locator(".st-key-meant").get_by_text("2", exact=True).click()
    expect(page.get_by_text("True digit 2, answer 7")).to_be_visible()
    page.get_by_role("button", name="See them").click()
    expect(page.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    expect(page).to_have_url(re.compile(r"(?=.*true=2)(?=.*predicted=7)"))


@pytest.mark.slow
def test_the_snippets_reproduce_the_answer(page: Page, server: str, weights: Path, tmp_path: Path) -> None:
    """As they stand, on the downloaded file, of a checkpoint with a hostile name."""
    name = "it's $(touch owned) & co"
    hostile = weights / f"{name}.safetensors"
    shutil.copy(weights / "baseline.safetensors", hostile)
    draw_page = drawn(DrawPage(page).open(f"{server}/?checkpoint={quote(name)}"), SEVEN, BAR)
    (answer, (other,)), printed = reproduced(draw_page, "digit.png", tmp_path, weights)
    digit, confidence = printed.split()
    assert {answer["prediction"], other["prediction"], int(digit)} == {int(draw_page.answer.inner_text())}
    for value in (answer["confidence"], other["confidence"], float(confidence)):
        assert value == pytest.approx(max(draw_page.probabilities()), abs=1e-6)
    hostile.unlink()


@pytest.mark.slow
def test_the_snippets_reproduce_a_number(draw_page: DrawPage, weights: Path, tmp_path: Path) -> None:
    """All of it, not the digit that was looked at last."""
    left, right = ([(x / 2 + dx, y / 2 + 80) for x, y in SEVEN] for dx in (10, 150))
    page = drawn(draw_page, left, right).page
    expect(page.get_by_test_id("answer")).to_have_text("77")
    (answer, (other,)), printed = reproduced(draw_page, "number.png", tmp_path, weights)
    number, confidence = printed.split()
    assert {answer["number"], other["number"], number} == {"77"}
    assert float(confidence) == pytest.approx(answer["confidence"], abs=1e-6)
    assert other["confidence"] == pytest.approx(answer["confidence"], abs=1e-6)


def reproduced(draw_page: DrawPage, name: str, folder: Path, weights: Path) -> tuple[list[Any], str]:
    """What curl and the command line answer to the picture that is downloaded, and what the code prints."""
    look(draw_page, "Reproduce")
    page = draw_page.page
    button = page.get_by_role("button", name=name)
    expect(button).to_be_visible()
    idle(page)
    with page.expect_download() as event:
        button.click()
    event.value.save_as(folder / event.value.suggested_filename)
    expect(page.locator(".stCode code")).to_have_count(3)
    curl, command_line, code = page.locator(".stCode code").all_inner_texts()

    project = {".venv": Path(sys.prefix), "digitcore": ROOT / "digitcore"}  # without the picture, which is here
    for link, target in project.items():
        (folder / link).symlink_to(target)
    answers = [json.loads(ran(command, folder, weights)) for command in (curl, command_line)]
    printed = ran(f".venv/bin/python - <<'END'\n{code}\nEND\n", folder, weights)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*project, name])
    return answers, printed


def ran(script: str, folder: Path, weights: Path) -> str:
    """What a shell prints."""
    if script.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("no curl on the PATH")
    environment = os.environ | {"DIGITCORE_WEIGHTS": str(weights)}
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
def test_an_upload_is_downloaded_as_it_was_given(draw_page: DrawPage, tmp_path: Path) -> None:
    photograph = tmp_path / "a photograph.jpg"
    Image.fromarray(255 - load_digits("mnist-validation").images[3000]).resize((300, 300)).save(photograph)
    page = draw_page.page
    page.get_by_text("Upload", exact=True).click()
    page.set_input_files("input[type=file]", photograph)
    expect(draw_page.answer).to_have_text("6")
    look(draw_page, "Reproduce")
    assert download(page, page.get_by_role("button", name="digit.jpg")).read_bytes() == photograph.read_bytes()


def test_earlier_drawings_come_back(draw_page: DrawPage) -> None:
    """With one click, as strokes, the answer with them; and that can be undone."""
    page = drawn(draw_page, SEVEN).page
    earlier = page.locator(".gallery button")
    expect(earlier).to_have_count(0)
    seven = canvas_png(draw_page)
    draw_page.clear()
    expect(earlier).to_have_text(["7"])
    drawn(draw_page, ONE)
    one = canvas_png(draw_page)
    earlier.first.click()
    expect(draw_page.answer).to_have_text("7")
    draw_page.wait_for_strokes(1)
    assert canvas_png(draw_page) == seven
    expect(earlier).to_have_text(["1", "7"])
    draw_page.press("Undo")
    expect(draw_page.answer).to_have_text("1")
    draw_page.wait_for_strokes(1)
    assert canvas_png(draw_page) == one

    earlier.nth(1).click()
    expect(draw_page.answer).to_have_text("7")
    draw_page.wait_for_strokes(1)
    drawn(draw_page, BAR)
    with_bar = canvas_png(draw_page)
    assert with_bar != seven
    page.get_by_role("link", name="Accuracy").click()
    expect(page.get_by_role("heading", name="Accuracy")).to_be_visible()
    page.get_by_role("link", name="Draw").click()
    expect(earlier).to_have_text(["7", "1", "7"])
    eventually(lambda: canvas_png(draw_page), with_bar)


@pytest.mark.slow
def test_a_blank_picture_is_refused_with_the_reason_first(draw_page: DrawPage, tmp_path: Path) -> None:
    """The answer stays visible, muted."""
    Image.new("L", (200, 200), 255).save(tmp_path / "white.png")
    page = draw_page.page
    page.get_by_text("Upload", exact=True).click()
    page.set_input_files("input[type=file]", tmp_path / "white.png")
    expect(page.get_by_test_id("refusal")).to_have_text("Blank")
    expect(draw_page.answer).to_be_visible()
    assert float(draw_page.answer.evaluate("answer => getComputedStyle(answer).opacity")) < 0.5


FOUR = [[(60.0, 80.0), (55.0, 100.0), (48.0, 140.0), (40.0, 180.0), (50.0, 181.0), (80.0, 181.0), (120.0, 180.0)],
        [(100.0, 110.0), (100.0, 150.0), (99.0, 200.0), (98.0, 260.0)]]  # fmt: skip
TWO = [[(190.0, 120.0), (200.0, 95.0), (230.0, 80.0), (265.0, 90.0), (280.0, 110.0), (275.0, 140.0), (260.0, 170.0),
        (230.0, 210.0), (195.0, 245.0), (192.0, 250.0), (220.0, 250.0), (290.0, 250.0)]]  # fmt: skip


def test_several_digits_are_a_number(page: Page, server: str) -> None:
    """Each framed where it stands, and looked at on its own; or all of it read as one digit."""
    draw_page = drawn(DrawPage(page).open(f"{server}/?checkpoint=compact"), *FOUR)
    expect(draw_page.answer).to_have_text("4")
    drawn(draw_page, *TWO)
    expect(draw_page.answer).to_have_text("42")
    image = picture(draw_page)
    reading = digitcore.read_number(digitcore.load_classifier("compact"), image)
    frames: list[list[float]] = page.get_by_test_id("found").evaluate(
        """frame => [...frame.querySelectorAll('i')].map(box => {
            const [inner, outer] = [box.getBoundingClientRect(), frame.getBoundingClientRect()];
            return [inner.x - outer.x, inner.y - outer.y, inner.width, inner.height].map(side => side / outer.width);
        })"""
    )
    assert len(frames) == len(reading.digits) == 2
    for frame, digit in zip(frames, reading.digits, strict=True):
        left, top, right, bottom = (side / image.width for side in digit.box)
        np.testing.assert_allclose(frame, [left, top, right - left, bottom - top], atol=0.012)

    look(draw_page, "All models")
    expect(page.locator(".opinions .digit").first).to_have_text("4")
    picks = page.locator(".st-key-which-digit button")
    picks.nth(1).click()
    expect(page.locator(".opinions .digit").first).to_have_text("2")

    look(draw_page, "Why")
    strokes = page.get_by_test_id("strokes").locator("figure")
    expect(strokes).to_have_count(4)  # of the one stroke of the 2, its parts
    picks.nth(0).click()
    expect(strokes).to_have_count(2)  # those of the 4
    expect(strokes.filter(has_text="would be")).not_to_have_count(0)

    page.get_by_text("Read as one digit").click()
    alone = str(digitcore.load_classifier("compact").predict(image).digit)
    expect(draw_page.answer).to_have_text(alone)
    draw_page.clear()
    expect(page.get_by_role("button", name="bring back this drawing")).to_have_count(1)


@pytest.mark.slow
def test_equal_digits_of_a_number_are_looked_at_one_by_one(page: Page, server: str) -> None:
    left, right = ([(x * 0.6 + shift, y) for x, y in SEVEN] for shift in (-30, 115))
    bar = [(right[1][0] - 60, 170.0), (right[1][0] + 5, 170.0)]
    draw_page = drawn(DrawPage(page).open(server), left, right, bar)
    expect(draw_page.answer).to_have_text("77")
    look(draw_page, "Why")
    strokes = page.get_by_test_id("strokes").locator("figure")
    picks = page.locator(".st-key-which-digit button")
    for which, count in ((0, 4), (1, 2), (0, 4)):  # of a single stroke its parts
        picks.nth(which).click()
        expect(strokes).to_have_count(count)


@pytest.mark.slow
def test_two_digits_that_touch_are_a_number(page: Page, server: str) -> None:
    """Drawn in one place, and yet two; or one digit again."""
    three = [(165.0, 95.0), (195.0, 75.0), (230.0, 85.0), (237.0, 115.0), (210.0, 145.0), (190.0, 150.0),
             (225.0, 160.0), (247.0, 190.0), (235.0, 230.0), (200.0, 250.0), (160.0, 240.0)]  # fmt: skip
    draw_page = drawn(DrawPage(page).open(server), [(x - 150, y) for x, y in TWO[0]], three)
    image = picture(draw_page)
    assert len(digitcore.find_digits(extract_ink(image))) == 1
    expect(draw_page.answer).to_have_text("23")
    expect(page.get_by_test_id("found").locator("i")).to_have_count(2)
    page.get_by_text("Read as one digit").click()
    expect(draw_page.answer).to_have_text(str(digitcore.load_classifier("world").predict(image).digit))
    page.get_by_text("Read as one digit").click()
    expect(draw_page.answer).to_have_text("23")


_GATE = """
import time
from pathlib import Path

from digitcore.models.classifier import DigitClassifier

_features = DigitClassifier.features


def features(self, images):
    while len(images) > 1 and not Path({gate!r}).exists():
        time.sleep(0.02)
    return _features(self, images)


DigitClassifier.features = features
"""


@pytest.mark.slow
def test_nothing_waits_for_similar_digits(page: Page, tmp_path: Path) -> None:
    """Clear and strokes act while the network looks at the digits of the data, however long that takes."""
    gate = tmp_path / "gate"
    (tmp_path / "sitecustomize.py").write_text(_GATE.format(gate=str(gate)), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with running_dashboard(tmp_path, PYTHONPATH=path) as address:
        draw_page = DrawPage(page).open(f"{address}/?checkpoint=compact&look=Similar+digits")
        drawn(draw_page, SEVEN)
        waiting, pictures = (
            page.get_by_text("Looking at thousands of digits"),
            page.locator(".digit-stages.small figure"),
        )
        expect(draw_page.answer).to_have_text("7")
        expect(waiting).to_be_visible()
        draw_page.clear()
        expect(draw_page.invitation).to_be_visible()
        expect(waiting).to_have_count(0)
        drawn(draw_page, ONE)
        expect(draw_page.answer).to_have_text("1")
        expect(waiting).to_be_visible()
        look(draw_page, "Preprocessing")
        expect(page.get_by_test_id("gauges")).to_be_visible()
        look(draw_page, "Similar digits")
        expect(waiting).to_be_visible()
        gate.touch()
        expect(pictures).to_have_count(12)
        expect(waiting).to_have_count(0)
