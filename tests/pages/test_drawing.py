"""What is on the canvas, was on it, and can be on it again; without a browser."""

from itertools import count
from typing import Any

import numpy as np

from pages.shared.drawing import SIDE, Drawing

_PNG = count()


def receive(drawing: Drawing, objects: list[dict[str, Any]]) -> None:
    """What the canvas sends when it shows these objects."""
    drawing.receive(str(next(_PNG)).encode(), objects, np.zeros((SIDE, SIDE, 4), dtype=np.uint8))


def test_undo_and_redo() -> None:
    """Whether the canvas has said that it shows what it was told, or not yet."""
    one, two, three = ([{"stroke": i} for i in range(size)] for size in (1, 2, 3))
    for answers in (True, False):
        drawing = Drawing()
        for objects in (one, two, three):
            receive(drawing, objects)
        for step, expected in ((drawing.undo, two), (drawing.undo, one), (drawing.redo, two), (drawing.redo, three)):
            step()
            assert drawing.placed == drawing.objects == expected
            if answers:
                receive(drawing, expected)
        drawing.redo()
        assert drawing.objects == three


def test_what_was_undone_is_not_put_back_from_the_browser() -> None:
    """Which is asked for a drawing only while there has been none."""
    drawing = Drawing()
    assert drawing.is_new
    receive(drawing, [{"stroke": 0}])
    drawing.undo()
    assert (drawing.objects, drawing.is_new) == ([], False)


def test_after_a_new_stroke_nothing_can_be_redone() -> None:
    """Even where the stroke comes together with what the canvas was told to show; and the stroke can be undone."""
    one, two, other = [{"stroke": 0}], [{"stroke": 0}, {"stroke": 1}], [{"stroke": 0}, {"stroke": 2}]
    for answers in (True, False):
        drawing = Drawing()
        receive(drawing, one)
        receive(drawing, two)
        drawing.undo()
        if answers:
            receive(drawing, one)
        receive(drawing, other)
        drawing.redo()
        assert drawing.objects == other
        drawing.undo()
        assert drawing.objects == one


def test_clear_can_be_undone_and_redone() -> None:
    drawing = Drawing()
    receive(drawing, [{"stroke": 0}])
    drawing.clear()
    drawing.undo()
    assert drawing.objects == [{"stroke": 0}]
    drawing.redo()
    assert drawing.objects == []
    assert drawing.picture is None


def test_a_late_message_does_not_bring_back_what_was_undone() -> None:
    one, two = [{"stroke": 0}], [{"stroke": 0}, {"stroke": 1}]
    drawing = Drawing()
    receive(drawing, one)
    receive(drawing, two)
    drawing.undo()
    receive(drawing, two)
    assert (drawing.objects, drawing.strokes_in_picture) == (one, None)
    receive(drawing, one)
    assert (drawing.objects, drawing.strokes_in_picture) == (one, 1)
    drawing.redo()
    receive(drawing, two)
    assert (drawing.objects, drawing.strokes_in_picture) == (two, 2)
