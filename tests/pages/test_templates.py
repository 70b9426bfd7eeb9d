"""The templates: whatever a checkpoint, a file or a number is called, it is shown as it is."""

import re

import numpy as np
import pytest

from digitcore.imaging.shape import RankedValue, ShapeMeasure
from digitcore.store.classes import Board, Member
from pages.shared.pictures import inline_picture
from pages.shared.templates import render
from tests.paths import ROOT

MARKUP = "<img src=x onerror=\"alert(1)\"> & 'b' </span>"
ESCAPED = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; &amp; &#39;b&#39; &lt;/span&gt;"
PICTURE = inline_picture(np.zeros((28, 28), dtype=np.uint8), longest=56, caption=MARKUP)
MEASURE = ShapeMeasure(name=MARKUP, value_format=MARKUP, low=MARKUP, high=MARKUP, low_advice="", high_advice="")
VOTE = {"digit": 7, "confidence": 0.5, "errors": MARKUP, "differs": True, "picked": True, "notes": MARKUP}
READING = {"name": MARKUP, "checkpoint": MARKUP, "words": MARKUP, "answer": {"digit": 0, "probabilities": [0.1] * 10}}
BOARD = Board("", True, (Member(MARKUP, "A", 1),), np.zeros((0, 28, 28), dtype=np.uint8), (), ())
VALUES: dict[str, dict[str, object]] = {
    "answer.html": {
        "probabilities": [0.1] * 10, "digit": 0, "checkpoint": MARKUP, "words": MARKUP, "headline": MARKUP,
        "picture": PICTURE, "strokes": None,
    },
    "number.html": {
        "number": MARKUP, "accepted": True, "checkpoint": MARKUP, "words": MARKUP, "picture": PICTURE,
        "boxes": [{"left": 0.0, "top": 0.0, "width": 50.0, "height": 50.0}], "strokes": 2,
        "digits": [{"digit": 7, "accepted": True, "picture": PICTURE}],
    },
    "live.html": {"side": 336, "network": MARKUP},
    "nothing_yet.html": {"words": MARKUP, "class_names": [MARKUP], "strokes": 0},
    "pictures.html": {"pictures": [PICTURE], "name": MARKUP},
    "share.html": {"address": MARKUP},
    "readings.html": {"readings": [READING, READING], "picture": PICTURE},
    "stages.html": {"stages": [PICTURE]},
    "gauges.html": {"values": [RankedValue(measure=MEASURE, value=1.0, percentile=20.0)]},
    "class_board.html": {"board": BOARD, "own": MARKUP, "sheet": MARKUP, "words": MARKUP},
    "class_invitation.html": {"picture": MARKUP, "address": MARKUP, "code": MARKUP},
    "votes.html": {"rows": [{"checkpoint": MARKUP, **VOTE}, {"checkpoint": MARKUP, **VOTE, "picked": False}]},
    "written.html": {"words": MARKUP, "sheet": MARKUP},
}  # fmt: skip


def test_every_template_is_tried() -> None:
    folder = ROOT / "pages" / "templates"
    parts = {"bars.html", "picture.html", "interval.svg", "logo.svg"}  # macros; numbers and our own words alone
    assert {path.name for path in folder.iterdir()} == VALUES.keys() | parts


@pytest.mark.parametrize("template", VALUES)
def test_markup_is_shown_as_it_is(template: str) -> None:
    text = render(template, **VALUES[template])
    assert ESCAPED in text
    assert 'onerror="' not in text
    assert len(re.findall("<img", text)) == len(re.findall(r'<img alt="', text)), "of our own pictures only"
