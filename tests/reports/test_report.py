"""The report: its numbers are those of the comparison, its names are harmless, and it needs nothing beside it."""

import base64
import io
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.evaluation.comparison import compare, compare_per_digit
from digitcore.evaluation.evaluation import Evaluation, find_evaluation, summarize
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata
from digitcore.models.classifier import load_classifier
from digitcore.reports.report import MOST_TILES, comparison_report

COUNT = 4_000
DISPUTED = sorted(disputed_ids("mnist-test"))
NETWORK = build_network("compact")
HOSTILE = "<img src=x onerror=alert(1)>\"'</text></svg><script>alert(2)</script> & {{ 7 * 7 }}"


class _Builder(HTMLParser):
    """Makes a tree of a document in which every element is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = ElementTree.TreeBuilder()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        if tag == "meta":
            self.tree.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.tree.end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        self.tree.end(tag)

    def handle_data(self, data: str) -> None:
        self.tree.data(data)


def _parse(html: str) -> Element:
    assert html.startswith("<!DOCTYPE html>")
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.open == []
    return builder.tree.close()


def _text(element: Element | None) -> str:
    assert element is not None
    return " ".join("".join(element.itertext()).split())


def _cells(table: Element | None) -> list[list[str]]:
    assert table is not None
    return [[_text(cell) for cell in row] for row in table.findall("tbody/tr")]


def _checkpoint(name: str, **metadata: object) -> Checkpoint:
    options = {"trained_on": ("mnist-train",), "recipe": {"name": "made-up"}, "seed": 3} | metadata
    return Checkpoint(name, None, CheckpointMetadata("compact", **options), NETWORK, f"{len(name):064x}")


def _evaluation(name: str, *, seed: int, errors: int = 200) -> Evaluation:
    """Wrong on 50 digits that are hard for all, the disputed among them, and on others of its own."""
    labels = np.arange(COUNT) % 10
    rng = np.random.default_rng(seed)
    wrong = np.append(np.arange(50), rng.choice(np.arange(50, COUNT), errors - 50, replace=False))
    answers = labels.copy()
    answers[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
    logits = rng.normal(size=(COUNT, 10)) + 8 * np.eye(10)[answers]
    logits[wrong, answers[wrong]] = logits[wrong].max(axis=1) + rng.random(len(wrong))
    ids = np.append(DISPUTED, np.setdiff1d(np.arange(10_000), DISPUTED)[: COUNT - len(DISPUTED)])
    return Evaluation(name, "mnist-test", name, ids, labels, logits.astype(np.float32))


A, B = _checkpoint("first"), _checkpoint("second-one")
EVALUATION_A, EVALUATION_B = _evaluation("first", seed=1), _evaluation("second-one", seed=2, errors=130)


@pytest.fixture(scope="module")
def pictures() -> DigitSet:
    """In another order than the evaluations, with more digits than those."""
    ids = np.random.default_rng(0).permutation(10_000)
    images = np.random.default_rng(1).integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
    return DigitSet("mnist-test", ids, images, np.zeros(10_000, dtype=np.int64))


@pytest.fixture(scope="module")
def html(pictures: DigitSet) -> str:
    return comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=pictures)


@pytest.fixture(scope="module")
def page(html: str) -> Element:
    return _parse(html)


@pytest.fixture(scope="module")
def html_without_pictures() -> str:
    return comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=None)


def test_the_verdict_and_its_numbers(page: Element) -> None:
    comparison = compare(EVALUATION_A, EVALUATION_B)
    assert _text(page.find(".//title")) == _text(page.find(".//h1")) == "first against second-one on mnist-test"
    assert _text(page.find(".//p[@class='verdict']")) == comparison.verdict
    low, high = (f"{100 * end:+.2f}" for end in comparison.interval)
    assert [[_text(part) for part in fact] for fact in page.findall(".//dl/div")] == [
        ["Difference in accuracy", f"{100 * comparison.difference:+.2f} points", f"95% interval {low} to {high}"],
        ["p value", "< 0.0001", "two-sided, as if each digit were of another person"],
        ["Digits", f"{COUNT:,}", "mnist-test"],
        ["Same answer", f"{comparison.agreement / COUNT:.2%}", f"to {comparison.agreement:,} digits"],
    ]
    assert comparison.mid_p < 0.0001 < comparison.interval[0]


def test_the_two_checkpoints_side_by_side(page: Element) -> None:
    rows = {row[0]: row[1:] for row in _cells(page.find(".//table"))}
    summaries = [summarize(EVALUATION_A), summarize(EVALUATION_B)]
    assert rows["Errors"] == ["200", "130"]
    assert rows["Accuracy"] == ["95.00%", "96.75%"]
    assert rows["95% interval"] == [f"{summary.interval[0]:.2%} to {summary.interval[1]:.2%}" for summary in summaries]
    assert rows["Log loss"] == [f"{summary.nll:.4f} nats" for summary in summaries]
    assert rows["Calibration error"] == [f"{summary.ece:.4f}" for summary in summaries]
    assert rows["Parameters"] == [f"{A.parameters:,}"] * 2
    expected = {"Architecture": "compact", "Recipe": "made-up", "Seed": "3", "Trained on": "mnist-train"}
    assert {name: rows[name] for name in expected} == {name: [value] * 2 for name, value in expected.items()}
    assert rows["Finished"] == ["unknown"] * 2
    assert rows["SHA-256"] == [f"{checkpoint.digest[:12]}…" for checkpoint in (A, B)]
    assert [code.get("title") for code in page.findall(".//table//code")] == [A.digest, B.digest]


def test_the_four_outcomes(page: Element) -> None:
    comparison = compare(EVALUATION_A, EVALUATION_B)
    assert comparison.alike_wrong > 0
    assert _cells(page.find(".//table[@class='outcomes']")) == [
        ["A right", f"{comparison.both_right:,}both right", f"{comparison.only_a}only A"],
        [
            "A wrong",
            f"{comparison.only_b}only B",
            f"{comparison.neither}neither, {comparison.alike_wrong} with the same answer",
        ],
    ]


def test_digit_by_digit(page: Element) -> None:
    cells = _cells(page.find(".//table[@class='numbers']"))
    for row, expected in zip(cells, compare_per_digit(EVALUATION_A, EVALUATION_B).itertuples(), strict=True):
        numbers = [float(cell.replace("\N{MINUS SIGN}", "-").replace(",", "")) for cell in row]
        assert numbers[:4] == [expected.digit, expected.digits, expected.errors_a, expected.errors_b]
        in_points = [100 * expected.difference, 100 * expected.low, 100 * expected.high]
        assert numbers[4:7] == pytest.approx(in_points, abs=0.00501)
        assert numbers[7] == pytest.approx(expected.holm_p, rel=0.05)


def test_the_charts_show_the_names_and_the_matrices(page: Element) -> None:
    _, answers, difference = page.findall(".//div[@class='chart']")
    texts = [text.text for text in answers.iter("text")]
    assert {"answer of first", "answer of second-one"} <= set(texts)
    same = (EVALUATION_A.predictions == 4) & (EVALUATION_B.predictions == 4)
    assert str(int(same.sum())) in texts
    numbers = [int(text.text or "") for text in difference.iter("text") if re.match(r"[+-]", text.text or "")]
    assert sum(numbers) == EVALUATION_B.errors - EVALUATION_A.errors
    captions = [_text(caption) for caption in page.iter("figcaption")]
    assert f"the {COUNT - compare(EVALUATION_A, EVALUATION_B).agreement} digits" in captions[1]


def _expected_ids() -> list[list[int]]:
    """Of the three galleries, all of them, in order."""
    of_label = [
        softmax(evaluation.logits.astype(np.float64), axis=1)[np.arange(COUNT), evaluation.labels]
        for evaluation in (EVALUATION_A, EVALUATION_B)
    ]
    right_a, right_b = (evaluation.predictions == evaluation.labels for evaluation in (EVALUATION_A, EVALUATION_B))
    apart, loss = np.abs(of_label[0] - of_label[1]), -np.log(of_label[0]) - np.log(of_label[1])
    return [
        [int(EVALUATION_A.ids[row]) for row in sorted(np.flatnonzero(inside), key=lambda row: -by[row])]
        for inside, by in ((right_a & ~right_b, apart), (right_b & ~right_a, apart), (~right_a & ~right_b, loss))
    ]


def test_galleries_hold_the_right_digits_in_order(page: Element) -> None:
    expected = _expected_ids()
    assert len(expected[1]) > MOST_TILES > len(expected[0])
    headings = [_text(heading) for heading in page.iter("h3")]
    begins = ["Only first is right", "Only second-one is right", "Both are wrong"]
    assert headings == [f"{begin}: {len(ids)}" for begin, ids in zip(begins, expected, strict=True)]
    galleries = page.findall(".//ol[@class='tiles']")
    cells = [[int(_text(tile)[1:]) for tile in gallery.findall("li/span[@class='id']")] for gallery in galleries]
    assert cells == [ids[:MOST_TILES] for ids in expected]
    notes = [_text(note) for note in page.findall(".//p[@class='note']")]
    assert [f"the first {MOST_TILES} are shown" in note for note in notes[1:4]] == [False, True, False]


def test_each_tile_says_what_both_answered(page: Element) -> None:
    confidence = [softmax(evaluation.logits, axis=1).max(axis=1) for evaluation in (EVALUATION_A, EVALUATION_B)]
    row_of = {int(id_): row for row, id_ in enumerate(EVALUATION_A.ids)}
    for tile in page.iter("li"):
        id_ = int(_text(tile.find("span[@class='id']"))[1:])
        row = row_of[id_]
        label = EVALUATION_A.labels[row]
        words = f"#{id_} true digit {label}"
        for letter, evaluation, sure in zip("AB", (EVALUATION_A, EVALUATION_B), confidence, strict=True):
            words += f" {letter} {evaluation.predictions[row]} {min(sure[row], 0.999):.1%}"
        disputed = id_ in DISPUTED
        assert _text(tile) == words + " disputed" * disputed
        assert tile.get("class") == ("disputed" if disputed else None)
        picture = tile.find("span[@class='picture']")
        assert picture is not None
        assert (picture.get("role"), picture.get("aria-label")) == ("img", f"Digit {id_}, true digit {label}")
    assert sum(tile.get("class") == "disputed" for tile in page.iter("li")) == len(DISPUTED)


def test_each_tile_shows_its_picture(page: Element, pictures: DigitSet) -> None:
    image_of = dict(zip(pictures.ids.tolist(), pictures.images, strict=True))
    for gallery in page.findall(".//ol[@class='tiles']"):
        sheet = _decode(gallery.get("style", ""))
        for tile in gallery:
            position = re.findall(r"(-?\d+)px", tile[0].get("style", ""))
            x, y = (-int(length) // 2 for length in position)  # two pixels of the screen to one of the sheet
            id_ = int(_text(tile.find("span[@class='id']"))[1:])
            assert np.array_equal(sheet[y : y + 28, x : x + 28], image_of[id_])


def _decode(style: str) -> NDArray[np.uint8]:
    encoded = re.search(r"url\(data:image/png;base64,([^)]+)\)", style)
    assert encoded is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))))


def test_stars_and_notes_stand_in_a_table_and_stars_in_the_galleries(pictures: DigitSet) -> None:
    (wrong, *_), (right, *_) = (
        np.flatnonzero((EVALUATION_A.predictions == EVALUATION_A.labels) == is_right) for is_right in (False, True)
    )
    starred, noted = (int(EVALUATION_A.ids[row]) for row in (wrong, right))
    marks = {"starred": {starred, 10**6}, "notes": {noted: HOSTILE, 10**6: "of another set"}}
    page = _parse(comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=pictures, **marks))
    rows = {row[0]: row[1:] for row in _cells(page.find(".//table[@class='annotations']"))}
    columns = (EVALUATION_A.labels, EVALUATION_A.predictions, EVALUATION_B.predictions)
    assert rows == {
        f"#{starred}": [*(str(column[wrong]) for column in columns), "★", ""],
        f"#{noted}": [*(str(column[right]) for column in columns), "", HOSTILE],
    }
    tiles = [_text(tile) for tile in page.iter("li")]
    assert [tile.split()[0] for tile in tiles if tile.endswith("★ starred")] == [f"#{starred}"]
    assert "Stars and notes" not in comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=None)


def test_without_pictures_the_ids_are_listed(html_without_pictures: str) -> None:
    page = _parse(html_without_pictures)
    tables = page.findall(".//div[@class='ids']/table")
    cells = [[int(row[0][1:]) for row in _cells(table)] for table in tables]
    assert cells == [ids[:MOST_TILES] for ids in _expected_ids()]
    assert sum("disputed" in row[1] for table in tables for row in _cells(table)) == len(DISPUTED)
    assert "data:image" not in html_without_pictures
    assert page.find(".//li") is None


def test_no_warning_where_none_is_due(page: Element) -> None:
    assert page.find(".//p[@class='warning']") is None


def test_warnings() -> None:
    seen, silent = _checkpoint("seen", trained_on=("mnist-train", "mnist-test")), _checkpoint("silent", trained_on=())
    page = _parse(comparison_report(seen, silent, EVALUATION_A, EVALUATION_B, pictures=None))
    assert [_text(warning) for warning in page.findall(".//p[@class='warning']")] == [
        "seen was trained on mnist-test: its figures here look better than they are.",
        "silent does not say what it was trained on: it may have seen these digits.",
    ]


def test_an_evaluation_kept_under_an_old_name_goes_by_the_new_one() -> None:
    old = replace(EVALUATION_A, checkpoint="long-forgotten")
    html = comparison_report(A, B, old, EVALUATION_B, pictures=None)
    assert "long-forgotten" not in html


def test_identical_checkpoints_of_one_name(pictures: DigitSet) -> None:
    page = _parse(comparison_report(A, A, EVALUATION_A, EVALUATION_A, pictures=pictures))
    assert _text(page.find(".//h1")) == "first (A) against first (B) on mnist-test"
    verdict = _text(page.find(".//p[@class='verdict']"))
    assert verdict.startswith("No clear winner: both are wrong on the same digits, 200")
    facts = [_text(fact) for fact in page.findall(".//dl/div/dd")]
    assert facts[:3] == ["+0.00 points", "95% interval \N{MINUS SIGN}0.10 to +0.10", "1"]
    assert facts[-2:] == ["100.00%", "to 4,000 digits"]
    assert [_text(heading) for heading in page.iter("h3")] == [
        "Only first (A) is right: 0",
        "Only first (B) is right: 0",
        "Both are wrong: 200",
    ]
    assert len(page.findall(".//ol[@class='tiles']")) == 1
    assert {row[-1] for row in _cells(page.find(".//table[@class='numbers']"))} == {"1"}


def test_what_a_checkpoint_says_of_itself_is_only_text(pictures: DigitSet) -> None:
    a = _checkpoint(HOSTILE, recipe={"name": HOSTILE}, trained_on=(HOSTILE,), provenance={"finished": HOSTILE})
    b = _checkpoint("\udcff\n\u202e" + HOSTILE, seed=HOSTILE, recipe={"name": ["\ud800"]}, trained_on=("</table>",))
    html = comparison_report(a, b, EVALUATION_A, EVALUATION_B, pictures=pictures)
    html.encode()
    page = _parse(html)
    assert not {"img", "script", "a", "iframe", "link", "object", "image", "use"} & {
        element.tag for element in page.iter()
    }
    assert not [name for element in page.iter() for name in element.attrib if name.startswith("on")]
    assert _text(page.find(".//title")) == f"{HOSTILE} against \ufffd\ufffd\ufffd{HOSTILE} on mnist-test"
    rows = {row[0]: row[1:] for row in _cells(page.find(".//table"))}
    assert rows["Recipe"] == [HOSTILE, "['\\ud800']"]
    assert rows["Trained on"] == [HOSTILE, "</table>"]
    assert rows["Finished"] == [HOSTILE, "unknown"]
    assert rows["Seed"] == ["3", HOSTILE]
    charts = page.findall(".//div[@class='chart']")
    assert any("<img src=x" in (text.text or "") for text in charts[1].iter("text"))
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ElementTree.fromstring(svg)


def test_the_command_that_makes_it_again() -> None:
    a, b = _checkpoint("it's; rm -rf $HOME"), _checkpoint("b")
    page = _parse(comparison_report(a, b, EVALUATION_A, EVALUATION_B, pictures=None))
    command = "".join(page.find(".//pre/code").itertext())  # type: ignore[union-attr]
    assert shlex.split(command) == [
        *("python", "-m", "digitcore", "compare", a.name, b.name),
        *("--dataset", "mnist-test", "--report", "report.html"),
    ]


def test_it_needs_no_network_and_no_script(html: str, html_without_pictures: str) -> None:
    for document in (html, html_without_pictures):
        page = _parse(document)
        bare = re.sub(r"data:image/png;base64,[\w+/=]+", "", document)
        bare = re.sub(r' xmlns(:xlink)?="http://www\.w3\.org/[\w/]+"', "", bare)
        assert "http" not in bare.replace('http-equiv="Content-Security-Policy"', "")
        assert "//" not in bare
        assert not re.search(r"@import|<script|javascript:", bare)
        assert not [name for element in page.iter() for name in element.attrib if name in ("src", "href", "xlink:href")]
        policy = page.find(".//meta[@http-equiv]")
        assert policy is not None
        assert policy.get("content") == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_it_is_the_same_each_time_but_for_the_date(html: str, pictures: DigitSet) -> None:
    again = comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=pictures)
    documents = [re.sub(r"<time.*?</time>", "", document) for document in (html, again)]
    assert documents[0] == documents[1]
    assert len(html) - len(documents[0]) > 20


def test_three_full_galleries_are_small(validation_digits: DigitSet) -> None:
    a, b = _evaluation("a", seed=1, errors=1_000), _evaluation("b", seed=2, errors=1_100)
    a, b = (replace(evaluation, dataset="mnist-validation", ids=np.arange(COUNT)) for evaluation in (a, b))
    html = comparison_report(A, B, a, b, pictures=validation_digits)
    assert html.count("<li>") == 3 * MOST_TILES
    print(f"\n{len(html.encode()):,} bytes")
    assert len(html.encode()) < 500_000


def test_the_shipped_checkpoints() -> None:
    a, b = (load_classifier(name).checkpoint for name in ("baseline", "compact"))
    evaluation_a, evaluation_b = (find_evaluation(checkpoint, "mnist-test") for checkpoint in (a, b))
    assert evaluation_a is not None
    assert evaluation_b is not None
    page = _parse(comparison_report(a, b, evaluation_a, evaluation_b, pictures=None))
    assert _text(page.find(".//p[@class='verdict']")) == compare(evaluation_a, evaluation_b).verdict
    finished = next(row for row in _cells(page.find(".//table")) if row[0] == "Finished")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", cell) for cell in finished[1:])


def test_only_the_same_digits_can_be_compared(pictures: DigitSet, validation_digits: DigitSet) -> None:
    with pytest.raises(ValueError, match="evaluations must be of the same digits"):
        comparison_report(A, B, EVALUATION_A, EVALUATION_B.without([DISPUTED[0]]), pictures=None)
    with pytest.raises(ValueError, match=r"pictures must be those of mnist-test, got 5,000 of mnist-validation"):
        comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=validation_digits)
    with pytest.raises(ValueError, match=r"pictures must be those of mnist-test, got 10 of mnist-test"):
        comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=pictures.subset(np.arange(10)))


def test_a_report_with_corrected_labels_says_so() -> None:
    changed = {int(EVALUATION_A.ids[0]): (int(EVALUATION_A.labels[0]) + 1) % 10}
    corrected = [evaluation.with_labels(changed) for evaluation in (EVALUATION_A, EVALUATION_B)]
    html = comparison_report(A, B, *corrected, pictures=None)
    assert "All figures are with 1 corrected label: visitors have corrected" in html
    assert "--corrected" in html
    assert "corrected label" not in comparison_report(A, B, EVALUATION_A, EVALUATION_B, pictures=None)
