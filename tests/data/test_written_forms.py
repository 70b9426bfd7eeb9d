"""Digits in every form of the grammar: which form each is of, and that training draws others."""

from itertools import islice

import numpy as np

from digitcore.data.synthetic_digits import form_names
from digitcore.data.written_forms import PER_FORM, WRITTEN_FORMS, draw_written_forms, forms_of
from digitcore.training.material import draw_material


def test_every_form_of_every_digit_is_tried_as_often() -> None:
    assert list(WRITTEN_FORMS) == [(digit, form) for digit in range(10) for form in form_names(digit)]
    names = forms_of(np.arange(PER_FORM * len(WRITTEN_FORMS)))
    assert [names.count(f"{digit} {form}") for digit, form in WRITTEN_FORMS] == [PER_FORM] * len(WRITTEN_FORMS)


def test_the_form_of_a_digit_is_that_of_its_position() -> None:
    first = list(islice(draw_written_forms(), PER_FORM + 2))
    assert {label for _, label in first} == {0}
    assert forms_of(np.array([PER_FORM, PER_FORM - 1])) == ["0 slashed", "0 plain"]
    assert forms_of(np.array([len(WRITTEN_FORMS) * PER_FORM - 1])) == ["9 wide-tailed"]


def test_they_are_drawn_alike_every_time_and_training_draws_others() -> None:
    first, again = ([image.tobytes() for image, _ in islice(draw_written_forms(), 40)] for _ in range(2))
    assert first == again
    assert len(set(first)) == 40
    assert not set(first) & {image.tobytes() for image, _ in islice(draw_material("written"), 400)}
