"""Digits in every form of the grammar, by hands that no network learned from, to see which forms one reads."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from digitcore.data.synthetic_digits import form_names, write_digit
from digitcore.imaging.preprocessing import preprocess_ink
from digitcore.imaging.strokes import BRUSHES, CANVAS_SIDE, draw_strokes_at_random

__all__ = ["PER_FORM", "WRITTEN", "WRITTEN_FORMS", "draw_written_forms", "forms_of"]

WRITTEN = "written-forms"
"""The name of the set."""

WRITTEN_FORMS = tuple((digit, form) for digit in range(10) for form in form_names(digit))
"""Digit and form, in the order in which they are drawn."""

PER_FORM = 60
"""Digits in each form, each by another hand."""

_SEED = 61  # training data is drawn from another one
_SCALE = 2  # the canvas of the page is this many times as large: drawing takes a third of the time


def draw_written_forms() -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Draws the model inputs (28, 28) and labels one by one, `PER_FORM` of each form; the same in every call.

    Brush, place and size vary as those of `pen-digits` do.
    """
    generator = np.random.default_rng(_SEED)
    for digit, form in WRITTEN_FORMS:
        for _ in range(PER_FORM):
            brush = float(generator.choice(BRUSHES)) / _SCALE
            strokes = write_digit(digit, generator=generator, form=form)
            ink = draw_strokes_at_random(strokes, brush=brush, generator=generator, side=CANVAS_SIDE // _SCALE)
            yield preprocess_ink(ink).model_input, digit


def forms_of(ids: NDArray[np.int64]) -> list[str]:
    """The form of each of these digits, by their position in the set, such as "7 barred at once"."""
    return [f"{digit} {form}" for digit, form in (WRITTEN_FORMS[i // PER_FORM] for i in ids)]
