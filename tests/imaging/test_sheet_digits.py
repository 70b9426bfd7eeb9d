"""Photographed sheets, with the true ink of every box (`tests.filled_sheets`)."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.data.pen_digits import REPORTING_WRITERS, load_pen_digits
from digitcore.errors import ImageError
from digitcore.imaging.preprocessing import preprocess_ink, read_image
from digitcore.imaging.sheet import FRAME, Paper, box_label
from digitcore.imaging.sheet_digits import SheetDigit, read_sheet
from digitcore.models.classifier import load_classifier
from tests.filled_sheets import PENS_OF_SHEETS, SCALE, FilledSheet, fill_sheet, photograph_sheet
from tests.paths import ROOT

_NEAR = 0.4  # millimetres: ink farther from all true ink is wrong, and true ink farther from all ink is missing
_CUT_RIGHT = 0.95  # share of the ink that must be near, both ways
_FLOOR = 0.99  # share of the boxes that are cut right
_LIKE = 0.6  # of the ink of an input: how much of it may be elsewhere than in that of the clean ink


@pytest.fixture(scope="module")
def cut(sheet_photograph: bytes) -> list[SheetDigit]:
    return read_sheet(read_image(sheet_photograph))


def _is_cut_right(true: NDArray[np.uint8], ink: NDArray[np.uint8]) -> bool:
    """Whether ink, 6 pixels a millimetre, is about as large as true ink, `SCALE` pixels, and near it everywhere."""
    enlarged = Image.fromarray(ink).resize(tuple(round(side * SCALE / 6) for side in ink.shape[::-1]))
    masks = [_trimmed(levels > 96) for levels in (true, np.asarray(enlarged))]
    shape = np.max([mask.shape for mask in masks], axis=0)
    if (shape - np.min([mask.shape for mask in masks], axis=0)).max() > SCALE:  # a millimetre
        return False
    placed = np.zeros((2, *shape + 2), dtype=bool)
    for whole, mask in zip(placed, masks, strict=True):
        top, left = (shape + 2 - mask.shape) // 2
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    apart = [ndimage.distance_transform_edt(~mask) / SCALE for mask in placed]
    return bool(min(np.mean(apart[1][placed[0]] <= _NEAR), np.mean(apart[0][placed[1]] <= _NEAR)) >= _CUT_RIGHT)


def _trimmed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = np.nonzero(mask)
    return mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _difference(clean: NDArray[np.uint8], cut: NDArray[np.uint8]) -> float:
    """How much ink of two inputs differs, as a share of the clean one's; the middle may be a pixel elsewhere."""
    steps = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    moved = [np.roll(clean.astype(int), step, axis=(0, 1)) for step in steps]
    return float(min(np.abs(levels - cut).sum() for levels in moved) / clean.sum())


def _assert_reads(sheets: Iterable[tuple[FilledSheet, bytes]], *, alike: float) -> None:
    """That digits are cut right, and read by networks about as well as those of the clean ink.

    alike: share of the inputs, at least, that are like those of the clean ink.
    """
    boxes, right, like, clean, cut, labels = 0, 0, 0, [], [], []
    for filled, photograph in sheets:
        digits = {(digit.row, digit.column): digit for digit in read_sheet(read_image(photograph))}
        assert digits.keys() <= filled.inks.keys()
        assert all(digit.label == box_label(*place) for place, digit in digits.items())
        boxes += len(filled.inks)
        for place, digit in digits.items():
            true = preprocess_ink(filled.inks[place]).model_input
            right += _is_cut_right(filled.inks[place], digit.ink)
            like += _difference(true, digit.model_input) < _LIKE
            clean.append(true)
            cut.append(digit.model_input)
            labels.append(digit.label)
    assert right >= _FLOOR * boxes
    assert like >= alike * boxes
    for name in ("compact", "world"):
        classifier = load_classifier(name)
        errors = [
            np.count_nonzero(classifier.logits(np.array(images)).argmax(axis=1) != labels) for images in (clean, cut)
        ]
        assert errors[1] <= errors[0] + 0.01 * boxes, name


def _sheets(seeds: Sequence[int], *, longest: int) -> Iterator[tuple[FilledSheet, bytes]]:
    """Sheets of the reporting writers, in every pen, on either paper, printed in colour and in grey."""
    digits = load_pen_digits()
    for seed in seeds:
        generator = np.random.default_rng([23, seed])
        writer = REPORTING_WRITERS[seed % len(REPORTING_WRITERS)]
        filled = fill_sheet(
            [digit for digit in digits if digit.writer == writer],
            generator,
            pen=PENS_OF_SHEETS[(seed + seed // 5) % 5],
            paper=list(Paper)[seed % 2],
            empty=0.1 * (seed % 3),
            grey=seed % 3 == 0,
        )
        yield filled, photograph_sheet(filled, generator, longest=longest, turn=seed % 4)


@pytest.mark.needs_pen_digits
def test_four_photographed_sheets_are_cut_right() -> None:
    _assert_reads(_sheets([100, 106, 113, 119], longest=1600), alike=0.95)


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_twenty_photographed_sheets_are_cut_right() -> None:
    _assert_reads(_sheets(range(100, 120), longest=2400), alike=0.95)


def test_the_boxes_with_ink_are_found_and_told_apart(filled_sheet: FilledSheet, cut: list[SheetDigit]) -> None:
    assert [(digit.row, digit.column) for digit in cut] == sorted(filled_sheet.inks)
    right = [_is_cut_right(filled_sheet.inks[digit.row, digit.column], digit.ink) for digit in cut]
    assert np.mean(right) >= _FLOOR
    assert all(max(digit.ink.shape) <= 200 for digit in cut)


def test_a_photograph_that_says_it_lies_on_its_side_is_turned(sheet_photograph: bytes, cut: list[SheetDigit]) -> None:
    image = read_image(sheet_photograph)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right by a quarter
    buffer = io.BytesIO()
    image.rotate(90, expand=True).save(buffer, "PNG", exif=exif)
    turned = read_sheet(read_image(buffer.getvalue()))
    assert all(np.array_equal(a.model_input, b.model_input) for a, b in zip(turned, cut, strict=True))


def test_an_empty_sheet_has_no_digits() -> None:
    generator = np.random.default_rng(2)
    empty = fill_sheet([], generator, pen="pencil", empty=1, grey=True)
    assert read_sheet(read_image(photograph_sheet(empty, generator, longest=1400, light="a shadow"))) == []


def test_a_name_is_not_read() -> None:
    generator = np.random.default_rng(4)
    sheet = fill_sheet([], generator, pen="pencil", empty=1)
    corner = (np.array(Paper.A4.value) - FRAME) / 2
    for x in range(10, 100, 4):  # upright strokes that reach down to a millimetre above the first boxes
        left, top = ((corner + np.array([x, 12])) * SCALE).astype(int)
        sheet.colour[top : top + int(12.5 * SCALE), left : left + SCALE // 2] *= 0.2
    assert read_sheet(read_image(photograph_sheet(sheet, generator, longest=1400))) == []


def test_what_is_no_sheet_is_refused() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (600, 800)).astype(np.uint8)
    for picture in (noise, np.full((600, 800), 255, dtype=np.uint8), np.zeros((1, 1), dtype=np.uint8)):
        with pytest.raises(ImageError, match=r"^table\.jpg shows .*: (print|take)"):
            read_sheet(picture, name="table.jpg")


def test_a_sheet_without_one_of_its_corners_is_refused(sheet_photograph: bytes) -> None:
    image = read_image(sheet_photograph)
    with pytest.raises(ImageError, match=r"shows 2 of the sheet's four .* the whole sheet"):
        read_sheet(image.crop((0, 0, image.width, image.height // 2)))


def test_a_sheet_that_is_too_small_or_too_blurred_is_refused(sheet_photograph: bytes) -> None:
    image = read_image(sheet_photograph)
    with pytest.raises(ImageError, match=r"too small.*go nearer"):
        read_sheet(image.resize((image.width // 3, image.height // 3), Image.Resampling.LANCZOS))
    pixels = 0.7 * 0.85 * image.height / 297  # 0.7 mm on the sheet
    blurred = ndimage.gaussian_filter(np.asarray(image), sigma=(pixels, pixels, 0))
    with pytest.raises(ImageError, match=r"too blurred: hold still"):
        read_sheet(blurred)


def _hand(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """A hand over a corner of the picture."""
    down, across = (np.arange(side)[::-1] / (0.16 * colour.shape[1]) for side in colour.shape[:2])
    covered = np.hypot(down[:, np.newaxis], across) < 1
    return np.where(covered[:, :, np.newaxis], (0.8, 0.6, 0.5), colour)


@pytest.mark.slow
@pytest.mark.needs_pen_digits
@pytest.mark.parametrize(
    ("options", "alike"),
    [
        pytest.param({"table": (0.05, 0.05, 0.06)}, 0.8, id="dark table"),
        pytest.param({"table": (1.0, 1.0, 1.0)}, 0.8, id="table lighter than the paper"),
        pytest.param({"fill": 0.4, "longest": 4000}, 0.8, id="two fifths of the frame"),
        pytest.param({"scene": _hand, "fill": 0.78, "turn": 0}, 0.8, id="hand in a corner"),
        pytest.param({"longest": 800}, 0.8, id="few pixels"),
        pytest.param({"tilt": 0.3, "fill": 0.75}, 0.8, id="from aside"),
        pytest.param({"bend": 4.0}, 0.8, id="bent"),
        pytest.param({"light": "a shadow"}, 0.8, id="shadow"),
        pytest.param({"quality": 40}, 0.8, id="strong compression"),
        pytest.param({"blur": 0.4}, 0.5, id="blurred"),
    ],
)
def test_hard_photographs_are_cut_right(options: dict[str, Any], alike: float) -> None:
    digits = [digit for digit in load_pen_digits() if digit.writer in REPORTING_WRITERS]

    def sheets() -> Iterator[tuple[FilledSheet, bytes]]:
        for seed, pen in enumerate(("pencil", "blue ballpoint", "red pen")):
            generator = np.random.default_rng([24, seed])
            filled = fill_sheet(digits, generator, pen=pen, grey=seed % 2 == 0)
            yield filled, photograph_sheet(filled, generator, **options)

    _assert_reads(sheets(), alike=alike)


_DIGEST = """
import hashlib, sys
from digitcore.imaging.preprocessing import read_image
from digitcore.imaging.sheet_digits import read_sheet
for digit in read_sheet(read_image(sys.argv[1])):
    print(hashlib.sha256(digit.ink.tobytes() + digit.model_input.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_every_processor_cuts_the_same_bytes(sheet_photograph: bytes, cut: list[SheetDigit], tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"  # as other builds of Pillow hold other JPEG libraries
    read_image(sheet_photograph).save(path)
    expected = [hashlib.sha256(digit.ink.tobytes() + digit.model_input.tobytes()).hexdigest() for digit in cut]
    dispatched = " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])  # type: ignore[call-overload]
    for environment in (
        {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2"},
        {"NPY_DISABLE_CPU_FEATURES": dispatched},
    ):
        printed = subprocess.run(
            [sys.executable, "-c", _DIGEST, str(path)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.split() == expected
