import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import vl_convert
from PIL import Image

from digitcore.imaging.sheet import (
    COLUMNS,
    FRAME,
    MARK_RADII,
    ROWS,
    Paper,
    box_label,
    dot_places,
    mark_places,
    sheet_pdf,
    sheet_svg,
)

_SVG = "{http://www.w3.org/2000/svg}"
_MARGIN = 6.35
"""Millimetres at the edge of paper that a printer may leave white."""
_SCALE = 4


@pytest.fixture(params=list(Paper), ids=lambda paper: paper.name)
def paper(request: pytest.FixtureRequest) -> Paper:
    return Paper(request.param)


def test_each_row_and_each_column_asks_for_all_ten_digits() -> None:
    labels = np.array([[box_label(row, column) for column in range(COLUMNS)] for row in range(ROWS)])
    for line in [*labels, *labels.T]:
        assert sorted(line) == list(range(10))


def test_a_turned_sheet_has_its_side_dots_elsewhere() -> None:
    beside = dot_places()[: 2 * ROWS]
    turned = np.array(FRAME) - beside
    apart = np.abs(beside[:, np.newaxis] - turned).max(axis=2).min(axis=1)
    assert apart.min() == 10.5


def test_the_sheet_has_a_box_and_its_digit_a_hundred_times(paper: Paper) -> None:
    document = ElementTree.fromstring(sheet_svg(paper))
    assert (document.get("width"), document.get("height")) == tuple(f"{side}mm" for side in paper.value)
    assert len([box for box in document.iter(f"{_SVG}rect") if box.get("fill") == "none"]) == 100
    digits = [text.text for text in document.iter(f"{_SVG}text") if (text.text or "").isdigit()]
    assert digits == [str(box_label(row, column)) for row in range(ROWS) for column in range(COLUMNS)]


def test_printers_leave_nothing_out_and_marks_are_where_they_are_said_to_be(paper: Paper) -> None:
    png = vl_convert.svg_to_png(sheet_svg(paper), ppi=72 * 25.4 * _SCALE / 96)
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    edge = int(_MARGIN * _SCALE)
    inside = grey[edge:-edge, edge:-edge]
    assert np.count_nonzero(grey < 255) == np.count_nonzero(inside < 255)
    corner = (np.array(paper.value) - FRAME) / 2
    outside, within, disc = MARK_RADII
    for place in mark_places() + corner:
        radii = np.array([0, (disc + within) / 2, (within + outside) / 2])
        assert [_grey_at(grey, place + np.array([radius, 0])) for radius in radii] == [0, 255, 0]
    assert [_grey_at(grey, place) for place in dot_places() + corner] == [0] * 40


def _grey_at(grey: np.ndarray, place: np.ndarray) -> int:
    column, row = (place * _SCALE).astype(int)
    return int(grey[row, column])


def test_the_pdf_is_one_page_in_the_size_of_the_paper_with_its_fonts(paper: Paper) -> None:
    pdf = sheet_pdf(paper)
    boxes = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert len(boxes) == 1
    assert [float(side) * 25.4 / 72 for side in boxes[0]] == pytest.approx(paper.value, abs=0.01)
    assert b"/FontFile" in pdf
