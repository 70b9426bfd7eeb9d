"""The drawings to try are read as their names say by the model that is picked at first."""

import digitcore
from digitcore.models.numbers import PictureReading, read_picture
from pages.parts.draw.examples import EXAMPLES, GHOST
from pages.parts.draw.links import objects_in
from pages.parts.draw.read import REFUSED, answer_in_short
from pages.shared.drawing import Drawing


def _reading(code: str) -> PictureReading:
    drawing = Drawing()
    drawing.replace_by(objects_in(code))
    assert drawing.picture is not None
    return read_picture(digitcore.load_classifier("world"), drawing.picture)


def test_examples_are_read_as_they_are_called() -> None:
    answers = {name: answer_in_short(_reading(code)) for name, code in EXAMPLES.items()}
    assert answers == {"a sloppy 4": "4", "a letter": REFUSED, "1987": "1987"}


def test_the_sloppy_one_leaves_doubt() -> None:
    assert 0.6 < _reading(EXAMPLES["a sloppy 4"]).prediction.confidence < 0.9


def test_the_first_screen_shows_a_three() -> None:
    assert answer_in_short(_reading(GHOST)) == "3"
