"""Forms of pen digits, drawn by hand, by the grammar and by the writers."""

from collections import Counter

import numpy as np
import pytest

from digitcore.data.pen_digits import PenDigit, load_pen_digits
from digitcore.data.pen_forms import FORMS, form_of
from digitcore.data.synthetic_digits import write_digit
from digitcore.imaging.strokes import Stroke


def stroke(*points: tuple[float, float]) -> Stroke:
    return np.array(points, dtype=np.float32)


OVAL = stroke(*[(30 + 30 * np.sin(angle), 50 - 50 * np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 40)])
EXAMPLES = {
    "slashed 0": (0, [OVAL, stroke((5, 95), (55, 5))]),
    "flagged 1": (1, [stroke((0, 30), (25, 0), (25, 100))]),
    "open 4": (4, [stroke((0, 0), (0, 50), (50, 50)), stroke((45, 10), (45, 100))]),
    "barred 7": (7, [stroke((0, 0), (50, 0), (20, 100)), stroke((15, 50), (50, 50))]),
}
PLAIN = {
    "slashed 0": (0, [OVAL]),
    "flagged 1": (1, [stroke((25, 0), (25, 100))]),
    "open 4": (4, [stroke((40, 0), (0, 60), (60, 60)), stroke((40, 0), (40, 100))]),
    "barred 7": (7, [stroke((0, 0), (50, 0), (20, 100))]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_distinguished_from_the_plain_one(form: str) -> None:
    label, strokes = EXAMPLES[form]
    assert form_of(PenDigit(tuple(strokes), label, writer=1)) == form
    label, strokes = PLAIN[form]
    assert form_of(PenDigit(tuple(strokes), label, writer=1)) is None


@pytest.mark.parametrize(
    ("digit", "written_as", "form"),
    [(0, "slashed", "slashed 0"), (1, "flagged", "flagged 1"), (4, "open", "open 4"), (7, "barred", "barred 7")],
)
def test_forms_of_the_grammar_are_recognised(digit: int, written_as: str, form: str) -> None:
    generator = np.random.default_rng(0)
    digits = [write_digit(digit, generator=generator, form=written_as) for _ in range(50)]
    assert sum(form_of(PenDigit(strokes, digit, writer=1)) == form for strokes in digits) >= 35


@pytest.mark.needs_pen_digits
def test_forms_of_the_ten_writers_who_judge() -> None:
    counts = Counter(form_of(digit) for digit in load_pen_digits() if digit.writer > 20)
    assert counts == {None: 1795, "flagged 1": 246, "barred 7": 233, "open 4": 208, "slashed 0": 16}
