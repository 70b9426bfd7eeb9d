"""Draw, wrong, correct, fine-tune, better: a 1 with a long upstroke is taken for a 7, until a model has learned it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from digitcore.imaging.preprocessing import preprocess_ink
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes
from digitcore.store.handwriting import HandwritingStore, HandwrittenDigit, new_key
from tests.browser.conftest import DrawPage, running_dashboard, visit
from tests.paths import ROOT

StrokesOf = Callable[..., list[Stroke]]
Hand = Callable[[int, int], list[Stroke]]
BRUSH, SIDE = 24, 336  # of the canvas, as it is opened
ONE = [(0, 3), (6, 0), (4, 12)]


@pytest.fixture
def hand(strokes_of: StrokesOf) -> Hand:
    """A function from a digit and a seed to strokes on a canvas; a 1 has a long upstroke, a 7 a bar."""

    def strokes(digit: int, seed: int) -> list[Stroke]:
        corners = np.array(ONE) + np.random.default_rng(seed).normal(0, 0.3, (3, 2))
        way = np.linspace(0, 2, 17)  # many points, as a pen gives them
        one = np.stack([np.interp(way, range(3), corners[:, axis]) for axis in range(2)], axis=1).astype(np.float32)
        written = [one] if digit == 1 else strokes_of(digit, seed)
        return place_strokes(written, side=SIDE, extent=0.7, position=(0.5, 0.5), brush=BRUSH)

    return strokes


@pytest.fixture
def notebook(hand: Hand, tmp_path: Path) -> str:
    """The key of a notebook with many a 1 and 7 of this hand, and some of each other digit."""
    counts = {1: 21, 7: 9}
    writing = [(digit, i) for digit in range(10) for i in range(counts.get(digit, 4))]
    inks = [render_strokes(hand(digit, i), side=SIDE, brush=BRUSH) for digit, i in writing]
    digits = [
        HandwrittenDigit(preprocess_ink(ink).model_input, digit, "draw")
        for ink, (digit, _) in zip(inks, writing, strict=True)
    ]
    key = new_key()
    HandwritingStore(f"sqlite:///{tmp_path / 'annotations.sqlite'}").add(key, digits)
    return key


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[str]:
    """The address of a dashboard of its own."""
    weights = shutil.copytree(ROOT / "weights", tmp_path / "weights")
    with running_dashboard(tmp_path, DIGITCORE_WEIGHTS=str(weights)) as address:
        yield address


@pytest.mark.slow
def test_a_model_that_read_a_digit_wrong_learns_to_read_it(
    page: Page, notebook: str, dashboard: str, hand: Hand
) -> None:
    one = [[(float(x), float(y)) for x, y in stroke] for stroke in hand(1, 100)]
    draw_page = DrawPage(page).open(f"{dashboard}/?checkpoint=compact&notebook={notebook}")
    draw_page.draw(*one)
    expect(draw_page.answer).to_contain_text("7")
    page.keyboard.press("1")
    expect(page.get_by_text("Kept as 1")).to_be_visible()

    page.get_by_test_id("stMain").get_by_role("link", name="Handwriting").click()
    page.get_by_text("Fix a model", exact=True).click()
    expect(page.get_by_text("63 digits. It learns from about two thirds")).to_be_visible()
    page.get_by_role("button", name="Fix it").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    visit(page, f"{dashboard}/handwriting?view=Fix+a+model&checkpoint=compact")  # whoever leaves finds it again
    expect(page.get_by_text("compact-mine is better")).to_be_visible()
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="Use it from now on").click()

    page.get_by_role("link", name="Draw", exact=True).click()
    draw_page.clear()
    draw_page.draw(*one)
    expect(draw_page.answer).to_have_attribute("data-checkpoint", "compact-mine")
    expect(draw_page.answer).to_contain_text("1")
