"""Synthetic digits: their size, variety, holes, hands, and whether a network reads them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from digitcore.data.synthetic_digits import draw_hand, form_names, write_digit
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes
from digitcore.models.classifier import load_classifier

FORMS = [(digit, form) for digit in range(10) for form in form_names(digit)]


def write_many(digit: int, form: str, seed: int = 0, count: int = 40) -> list[tuple[Stroke, ...]]:
    generator = np.random.default_rng(seed)
    return [write_digit(digit, generator=generator, form=form) for _ in range(count)]


def render(strokes: tuple[Stroke, ...], brush: float = 6) -> np.ndarray:
    placed = place_strokes(strokes, side=112, extent=0.75, position=(0.5, 0.5), brush=brush)
    return render_strokes(placed, side=112, brush=brush)


@pytest.mark.parametrize(("digit", "form"), FORMS)
def test_every_form_is_about_one_high_with_short_steps(digit: int, form: str) -> None:
    for strokes in write_many(digit, form):
        points = np.concatenate(strokes)
        assert 1 <= len(strokes) <= 3
        assert np.isfinite(points).all()
        assert 0.6 < np.ptp(points[:, 1]) < 1.9
        assert np.ptp(points[:, 0]) < 1.9
        assert all(np.linalg.norm(np.diff(stroke, axis=0), axis=1).max() < 0.15 for stroke in strokes)


@pytest.mark.parametrize(("digit", "form"), FORMS)
def test_digits_differ_and_a_seed_repeats_them(digit: int, form: str) -> None:
    first, again, other = (
        write_many(digit, form, count=3),
        write_many(digit, form, count=3),
        write_many(digit, form, 1, count=3),
    )
    for a, b, c in zip(first, again, other, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert not np.array_equal(np.concatenate(a)[:20], np.concatenate(c)[:20])
    assert not np.array_equal(np.concatenate(first[0])[:20], np.concatenate(first[1])[:20])


def test_the_error_for_an_unknown_form_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="form must be one of plain, flagged, long-flagged"):
        write_digit(1, generator=np.random.default_rng(0), form="dancing")


def test_common_forms_come_more_often() -> None:
    generator = np.random.default_rng(0)
    strokes = [len(write_digit(0, generator=generator)) for _ in range(400)]
    assert 0.3 < np.mean(np.array(strokes) > 1) < 0.55  # crossed or dotted: 5.6 of 13.2


def slant_of(strokes: tuple[Stroke, ...]) -> float:
    """How far the foot of a straight 1 lies left of its top, per height."""
    points = np.concatenate(strokes)
    top, foot = points[points[:, 1].argmin()], points[points[:, 1].argmax()]
    return float((top[0] - foot[0]) / (foot[1] - top[1]))


def test_a_hand_writes_all_its_digits_alike() -> None:
    """The slants of ones by one hand differ far less than those of ones by many hands."""
    generator = np.random.default_rng(0)
    hands = [draw_hand(generator) for _ in range(40)]
    slants = np.array(
        [[slant_of(write_digit(1, generator=generator, form="plain", hand=hand)) for _ in range(12)] for hand in hands]
    )
    assert slants.std(axis=1).mean() < 0.75 * slants.mean(axis=1).std()


def test_a_hand_prefers_one_form_of_each_digit() -> None:
    generator = np.random.default_rng(0)
    hand = draw_hand(generator)
    assert [form in form_names(digit) for digit, form in enumerate(hand.forms)] == [True] * 10
    slashed = replace(hand, forms=("slashed", *hand.forms[1:]))
    strokes = [len(write_digit(0, generator=generator, hand=slashed)) for _ in range(200)]
    assert np.mean(np.array(strokes) == 2) > 0.85


@pytest.mark.parametrize(
    ("digit", "form", "holes"), [(0, "plain", 1), (4, "closed", 1), (4, "open", 0), (8, "at once", 2), (7, "plain", 0)]
)
def test_forms_have_the_holes_of_their_kind(digit: int, form: str, holes: int) -> None:
    """Some hands leave a gap or close one: most, not all."""
    right = 0
    for strokes in write_many(digit, form):
        _, ground = ndimage.label(np.pad(render(strokes), 2) < 128)
        right += ground - 1 == holes
    assert right > 20


def test_synthetic_digits_can_be_read() -> None:
    """By a network that never saw it: the grammar writes digits, not scribbles of its own."""
    classifier = load_classifier("standard")
    for digit, form, least in [
        (0, "plain", 35),
        (2, "plain", 35),
        (3, "plain", 35),
        (5, "at once", 30),
        (8, "at once", 35),
    ]:
        answers = classifier.predict_batch([render(strokes, brush=9) for strokes in write_many(digit, form)])
        assert sum(answer.digit == digit for answer in answers) >= least, (digit, form)
