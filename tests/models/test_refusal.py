"""Which pictures are refused and why; how many, of digits and of what is none."""

import itertools
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.special import softmax

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.data.nondigits import (
    FASHION_FOLDER,
    SYMBOLS,
    NonDigit,
    fashion_items,
    noises,
    pen_letters,
    printed_symbols,
    scribbles,
)
from digitcore.data.pen_digits import JUDGING_WRITERS, draw_at_random, load_pen_digits
from digitcore.imaging.components import box_of
from digitcore.imaging.preprocessing import extract_ink
from digitcore.imaging.segmentation import PictureInk
from digitcore.imaging.strokes import BRUSHES, render_strokes
from digitcore.models import refusal as refusals
from digitcore.models.classifier import DigitClassifier
from digitcore.models.refusal import REFUSAL_SCORES, Refusal, RefusalScore, refusal_scores, refuse_answer, refuse_ink

Draw = Callable[..., NDArray[np.uint8]]
Drawings = dict[str, NDArray[np.uint8]]


def _render(*strokes: list[tuple[float, float]], brush: float = 16, side: int = 280) -> NDArray[np.uint8]:
    return render_strokes([np.array(stroke, dtype=np.float32) for stroke in strokes], side=side, brush=brush)


def _spiral() -> NDArray[np.uint8]:
    angle = np.linspace(0, 8 * np.pi, 120)
    return _render([(140 + 4 * a * np.cos(a), 140 + 4 * a * np.sin(a)) for a in angle], brush=8)


def _stamp(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A stamp with perforated edges on the canvas, with the digit left out of it."""
    card = np.zeros_like(digit)
    card[30:250, 50:230] = 255
    holes = np.arange(280) % 20 < 10
    card[[*range(30, 38), *range(242, 250)], 60:220] *= holes[60:220]
    card[40:240, [*range(50, 58), *range(222, 230)]] *= holes[40:240, np.newaxis]
    return np.where(digit > 128, np.uint8(0), card)


@pytest.fixture(scope="module")
def refused(draw: Draw) -> Drawings:
    """A picture for each refusal that is seen in the ink."""
    disc = np.hypot(*np.mgrid[-140:140, -140:140]) < 90
    return {
        "blank": np.zeros((280, 280), dtype=np.uint8),
        "dot": _render([(140, 140), (142, 141)], brush=24),
        "filled": np.where(disc, np.uint8(255), np.uint8(0)),
        "inverted": _stamp(draw(4, extent=0.5)),
        "scribble": _spiral(),
        "several digits": np.hstack([draw(digit, side=140, brush=12) for digit in (4, 2)]),
        "cut off at the edge": _render([(60, 80), (200, 80), (120, 330)]),
    }


KINDS = ("blank", "dot", "filled", "inverted", "scribble", "several digits", "cut off at the edge")


def _refuse(ink: NDArray[np.uint8]) -> Refusal | None:
    return refuse_ink(PictureInk(ink))


def _kind(picture: NDArray[np.uint8] | Image.Image) -> str | None:
    refusal = _refuse(extract_ink(picture))
    return None if refusal is None else refusal.kind


@pytest.mark.parametrize("kind", KINDS)
def test_each_reason_has_its_picture(refused: Drawings, kind: str) -> None:
    assert _kind(refused[kind]) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_shows_the_answer_it_would_have_given(refused: Drawings, kind: str) -> None:
    classifier = digitcore.load_classifier("standard")
    prediction = classifier.predict(refused[kind])
    assert not prediction.accepted
    assert prediction.refusal is not None
    assert prediction.refusal.kind == kind
    assert prediction.reason == f"{prediction.refusal.headline}: {prediction.refusal.advice}"
    logits = classifier.logits(prediction.model_input[np.newaxis])[0]
    assert prediction.digit == int(logits.argmax())
    assert np.allclose(prediction.probabilities, softmax(logits), atol=1e-6)


@pytest.mark.parametrize("way", ["halved", "doubled", "inverted", "coloured", "transparent"])
@pytest.mark.parametrize("subject", [*KINDS, "3", "1", "4"])
def test_neither_size_nor_polarity_nor_colour_changes_the_verdict(
    refused: Drawings, draw: Draw, subject: str, way: str
) -> None:
    picture = refused[subject] if subject in KINDS else draw(int(subject))
    image = Image.fromarray(picture)
    colour = np.array([20, 160, 90])
    changed = {
        "halved": image.resize((140, 140), Image.Resampling.BOX),
        "doubled": image.resize((560, 560), Image.Resampling.BILINEAR),
        "inverted": Image.fromarray(255 - picture),
        "coloured": Image.fromarray((255 - picture[:, :, np.newaxis] / 255 * colour).astype(np.uint8)),
        "transparent": Image.merge("LA", (Image.new("L", image.size), image)),
    }[way]
    assert _kind(changed) == (subject if subject in KINDS else None)


@given(digit=st.integers(0, 9), seed=st.integers(0, 99), x=st.floats(0.02, 0.98), y=st.floats(0.02, 0.98),
       extent=st.floats(0.3, 0.75), brush=st.sampled_from(BRUSHES))  # fmt: skip
def test_digits_of_any_size_in_any_place_may_be_digits(
    draw: Draw, digit: int, seed: int, x: float, y: float, extent: float, brush: int
) -> None:
    assert _refuse(draw(digit, seed, extent=extent, position=(x, y), brush=brush)) is None


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
@pytest.mark.parametrize("digit", range(10))
def test_a_digit_with_a_part_missing_is_cut_off(draw: Draw, digit: int, side: str) -> None:
    ink = draw(digit)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    upper, lower = (int(rows[len(rows) * part // 3]) for part in (1, 2))
    before, after = (int(columns[len(columns) * part // 3]) for part in (1, 2))
    rest = {"top": ink[upper:], "bottom": ink[:lower], "left": ink[:, before:], "right": ink[:, :after]}
    assert _kind(rest[side]) == "cut off at the edge"


@pytest.mark.parametrize("digit", range(10))
def test_a_picture_cropped_to_its_digit_is_not_cut_off(draw: Draw, digit: int) -> None:
    ink = draw(digit)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert _refuse(cropped) is None
    assert _refuse(np.pad(cropped, ((0, 0), (40, 40)))) is None  # to its height alone


@pytest.mark.parametrize("brush", [8, 16, 28])
def test_a_digit_that_touches_an_edge_with_a_whole_line_is_not_cut_off(draw: Draw, brush: int) -> None:
    """Its bar lies along the edge, or a bow touches it; of 40 crops at most one is taken for cut."""
    taken_for_cut = []
    for digit, side in itertools.product(range(10), range(4)):
        left, top, right, bottom = box_of(ink := draw(digit, brush=brush))
        room = np.where(np.arange(4) == side, 0, 12)  # beyond the ink: above, below, left, right
        cropped = np.pad(ink[top:bottom, left:right], (tuple(room[:2]), tuple(room[2:])))
        if (refusal := _refuse(cropped)) is not None:
            taken_for_cut.append((digit, side, refusal.kind))
    assert len(taken_for_cut) <= 1, taken_for_cut


@pytest.mark.parametrize("gap", [2, 5, 8])
@pytest.mark.parametrize("brush", [16, 28, 40])
def test_a_small_digit_that_ends_within_the_outermost_pixels_is_not_cut_off(draw: Draw, brush: int, gap: int) -> None:
    """Drawn ten times as large; these pixels are partly ground. Of 40 pictures at most one is taken for cut."""
    taken_for_cut = []
    for digit, side in itertools.product(range(10), range(4)):
        turned = np.rot90(draw(digit, brush=brush), side)  # the edge is above
        left, top, right, bottom = box_of(turned)
        cropped = np.pad(turned[top:bottom, left:right], ((gap, 40), (40, 40)))
        refusal = _refuse(np.asarray(Image.fromarray(cropped).reduce(10)))
        if refusal is not None and refusal.kind == "cut off at the edge":
            taken_for_cut.append((digit, side))
    assert len(taken_for_cut) <= 1, taken_for_cut


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("digit", range(10))
def test_digits_beside_each_other_are_several(draw: Draw, digit: int, count: int) -> None:
    row = np.hstack([draw((digit + 3 * i) % 10, i, side=120, brush=8) for i in range(count)])
    assert _kind(np.pad(row, 20)) == "several digits"


TWO_STROKES = {
    "4": [[(90, 60), (80, 150), (190, 150)], [(170, 60), (165, 240)]],
    "4 whose strokes do not touch": [[(90, 60), (80, 150), (150, 150)], [(175, 60), (170, 240)]],
    "5 with a flying bar": [[(110, 80), (105, 140), (170, 150), (160, 230), (90, 230)], [(125, 60), (200, 55)]],
    "7 with a bar": [[(80, 60), (200, 60), (130, 240)], [(110, 150), (190, 150)]],
    "8 of two rings": [
        [(140, 50), (100, 90), (140, 125), (180, 90), (140, 50)],
        [(140, 150), (95, 195), (140, 240), (185, 195), (140, 150)],
    ],
    "broken 0": [[(130, 60), (90, 100), (85, 190), (130, 240)], [(160, 60), (200, 110), (195, 190), (158, 238)]],
}


@pytest.mark.parametrize("form", TWO_STROKES)
@pytest.mark.parametrize("brush", BRUSHES)
def test_two_strokes_of_one_digit_are_not_several(form: str, brush: int) -> None:
    assert _refuse(_render(*TWO_STROKES[form], brush=brush)) is None


def test_scores_are_what_they_are_called() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (50, 10)).astype(np.float32)
    exponentials = np.exp(logits.astype(np.float64))
    assert refusal_scores(logits, "energy") == pytest.approx(np.log(exponentials.sum(axis=1)))
    confidences = (exponentials / exponentials.sum(axis=1, keepdims=True)).max(axis=1)
    assert refusal_scores(logits, "confidence") == pytest.approx(confidences, rel=1e-6)


@pytest.mark.parametrize("score", REFUSAL_SCORES)
def test_a_score_at_the_threshold_is_accepted(score: RefusalScore) -> None:
    logits = np.random.default_rng(1).normal(0, 1, 10).astype(np.float32)
    threshold = float(refusal_scores(logits[np.newaxis], score)[0])
    assert refuse_answer(logits, score=score, threshold=threshold) is None
    assert refuse_answer(logits, score=score, threshold=float(np.nextafter(threshold, np.inf))) is not None


@pytest.mark.parametrize(("greatest", "shares"), [(9, (">99%", "<1%")), (4, ("86%", "2%"))])
def test_no_share_is_certain(greatest: float, shares: tuple[str, str]) -> None:
    refusal = refuse_answer(np.float32(greatest) * np.eye(10, dtype=np.float32)[2], score="confidence", threshold=1.1)
    assert refusal is not None
    assert re.findall(r"\(([^)]+)\)", refusal.advice) == list(shares)


def test_torn_between_two_is_another_reason_than_like_none() -> None:
    torn = np.array([0, 0, 0, 4, 0, 4.5, 0, 0, 0, 0], dtype=np.float32)
    refusal = refuse_answer(torn, score="energy", threshold=99)
    assert refusal is not None
    assert (refusal.kind, refusal.reason) == ("unsure", "Not sure: probably 5 (59%), perhaps 3 (36%); draw it plainer")
    assert [f"{share:.0%}" for share in softmax(torn)[[5, 3]]] == ["59%", "36%"]
    for unlike in (np.zeros(10, dtype=np.float32), 9 * np.eye(10, dtype=np.float32)[2]):
        refusal = refuse_answer(unlike, score="energy", threshold=99)
        assert refusal is not None
        assert refusal.kind == "no digit"
        assert refusal.reason == "Not a digit? It does not look like any digit from 0 to 9; draw it plainer"


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_ink_alone_refuses_hardly_a_validation_digit(validation_digits: DigitSet, step: int) -> None:
    refused = Counter(refusal.kind for image in validation_digits.images[::step] if (refusal := _refuse(image)))
    assert refused <= Counter(filled=1)


@pytest.mark.needs_pen_digits
@pytest.mark.parametrize("brush", [BRUSHES[0], *(pytest.param(brush, marks=pytest.mark.slow) for brush in BRUSHES[1:])])
def test_ink_alone_refuses_hardly_a_pen_digit(brush: int) -> None:
    """At most 0.5 % for any one reason, of every fourth digit of the judging writers."""
    generator = np.random.default_rng(brush)
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS][::4]
    drawings = [draw_at_random(digit, brush=brush, generator=generator) for digit in digits]
    refused = Counter(refusal.kind for ink in drawings if (refusal := _refuse(ink)))
    assert not refused or max(refused.values()) <= 0.005 * len(digits), refused


@pytest.fixture(scope="module")
def standard() -> DigitClassifier:
    return digitcore.load_classifier("standard")


def _share_refused(classifier: DigitClassifier, items: list[NonDigit]) -> float:
    predictions = classifier.predict_batch([item.picture for item in items])
    return float(np.mean([not prediction.accepted for prediction in predictions]))


def test_scribbles_noise_and_letters_are_refused_more_often_than_digits(
    standard: DigitClassifier, validation_digits: DigitSet
) -> None:
    generator = np.random.default_rng(0)
    assert _share_refused(standard, list(scribbles(per_kind=5, generator=generator))) >= 0.7
    assert _share_refused(standard, list(noises(per_kind=5, generator=generator))) >= 0.95
    assert _share_refused(standard, list(pen_letters(per_kind=2, generator=generator))) >= 0.2
    digits = [NonDigit("digit", image) for image in validation_digits.images[::20]]
    assert _share_refused(standard, digits) <= 0.01


def test_fashion_items_are_refused(standard: DigitClassifier) -> None:
    try:
        items = fashion_items(FASHION_FOLDER, count=200, generator=np.random.default_rng(0))
    except digitcore.DatasetMissingError as error:
        pytest.skip(str(error))
    assert _share_refused(standard, items) >= 0.7


def test_every_symbol_is_in_the_typefaces() -> None:
    """None is the box that stands for a missing sign, and no two are alike."""
    pictures = [symbol.picture.tobytes() for symbol in printed_symbols()]
    assert len(pictures) == 3 * len(SYMBOLS)
    for style in range(3):
        assert len(set(pictures[style * len(SYMBOLS) :][: len(SYMBOLS)])) == len(SYMBOLS)


@pytest.mark.parametrize(("side", "width"), [(100, 1), (200, 1), (200, 2), (400, 1), (400, 3), (800, 1), (1000, 4)])
def test_a_thin_line_is_no_scribble(draw: Draw, side: int, width: int) -> None:
    """However thin for the size of the picture; and a scribble in a thin line is one."""
    drawings = [draw(digit, seed, side=side, brush=width) for digit in range(10) for seed in range(2)]
    assert [refusal for ink in drawings if (refusal := _refuse(ink))] == []
    generator = np.random.default_rng(side)
    scribble = _render(list(generator.uniform(0.1 * side, 0.9 * side, size=(40, 2))), brush=width, side=side)
    refusal = _refuse(scribble)
    assert refusal is not None
    assert refusal.kind == "scribble"


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 13, 40])
def test_squares_in_ink_are_counted_as_scipy_erodes(side: int) -> None:
    generator = np.random.default_rng(side)
    for shape in ((30, 50), (7, 90), (1, 1)):
        solid = ndimage.binary_dilation(generator.random(shape) < 0.02, iterations=4)
        expected = ndimage.minimum_filter(solid, size=side, mode="constant")
        assert refusals._count_squares(solid, side=side) == np.count_nonzero(expected)
