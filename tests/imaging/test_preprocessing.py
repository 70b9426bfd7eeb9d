"""Preprocessing against MNIST's own images and independent computations; files that can and cannot be read."""

import contextlib
import itertools
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.data.datasets import DigitSet
from digitcore.errors import BlankImageError, ImageError
from digitcore.imaging import preprocessing
from digitcore.imaging.preprocessing import (
    Preprocessed,
    extract_ink,
    for_display,
    grey_picture,
    normalize,
    preprocess,
    preprocess_ink,
    read_image,
)
from digitcore.imaging.strokes import render_strokes

Ink = NDArray[np.uint8]
Draw = Callable[..., Ink]

DIGITS = st.integers(0, 9)
SEEDS = st.integers(0, 1000)

# Another scale or compression moves edges by a fraction of a pixel, which can round the shorter side and the centre of
# mass one pixel the other way. So pictures are compared at the best of the nine shifts by at most a pixel, and the
# bound is wider where the shorter side differs. Drawings of different digits are 18 or more apart.
SAME_SHAPE, OTHER_SHAPE = 6.0, 14.0


def distance(one: Ink, other: Ink) -> float:
    """Mean absolute difference, in grey levels, at the best shift by at most one pixel each way."""
    shifts = itertools.product((-1, 0, 1), repeat=2)
    return min(float(np.abs(np.roll(one.astype(int), shift, (0, 1)) - other).mean()) for shift in shifts)


def assert_close(one: Preprocessed, other: Preprocessed) -> None:
    difference = np.abs(np.subtract(one.fitted.shape, other.fitted.shape)).max()
    assert difference <= 1
    assert distance(one.model_input, other.model_input) < (SAME_SHAPE if difference == 0 else OTHER_SHAPE)


def assert_normal(result: Preprocessed) -> None:
    """What holds for every picture that is not blank."""
    assert result.ink.dtype == result.fitted.dtype == result.model_input.dtype == np.uint8
    assert result.model_input.shape == (28, 28)
    assert max(result.fitted.shape) == 20
    assert result.model_input.max() >= 249
    assert int(result.model_input.sum()) == int(result.fitted.sum())
    left, top, right, bottom = result.box
    assert np.array_equal(result.cropped, np.where(result.left_out, 0, result.ink)[top:bottom, left:right])
    assert not np.where(result.left_out, 0, result.ink)[[*range(top), *range(bottom, len(result.ink))]].any()
    assert result.cropped[0].any()
    assert result.cropped[-1].any()
    assert result.cropped[:, 0].any()
    assert result.cropped[:, -1].any()
    centre = ndimage.center_of_mass(result.model_input.astype(float))
    for axis in (0, 1):
        lines = np.flatnonzero(result.model_input.any(axis=1 - axis))
        inside = np.flatnonzero(result.fitted.any(axis=1 - axis))  # an end that is hardly inked may round to none
        at_border = lines[0] == inside[0] or 28 - lines[-1] == result.fitted.shape[axis] - inside[-1]
        assert at_border or 13.5 - 1e-9 <= centre[axis] < 14.5 + 1e-9


@pytest.mark.needs_mnist
@pytest.mark.parametrize("step", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_mnist_test_images_come_back_unchanged_but_for_three(step: int) -> None:
    from digitcore.data.datasets import load_digits

    images = load_digits("mnist-test").images
    rows = sorted({*range(0, len(images), step), 9302})
    results = {i: preprocess(images[i]) for i in rows}
    changed = [i for i in rows if not np.array_equal(results[i].model_input, images[i])]
    assert changed == [4530, 9300, 9302]
    assert [max(results[i].cropped.shape) for i in changed] == [19, 19, 19]


def test_mnist_validation_images_come_back_unchanged_where_their_longer_side_is_20(validation_digits: DigitSet) -> None:
    for image in validation_digits.images[::10]:
        result = preprocess(image)
        if max(result.cropped.shape) == 20:
            assert np.array_equal(result.model_input, image)


@given(digit=DIGITS, seed=SEEDS, top=st.integers(0, 400), left=st.integers(0, 400))
def test_moving_the_drawing_changes_nothing(draw: Draw, digit: int, seed: int, top: int, left: int) -> None:
    expected = preprocess(draw(digit, seed))
    canvas = np.zeros((280 + 400, 280 + 400), dtype=np.uint8)
    height, width = expected.cropped.shape
    top, left = min(top, canvas.shape[0] - height), min(left, canvas.shape[1] - width)  # up to the canvas's edges
    canvas[top : top + height, left : left + width] = expected.cropped
    result = preprocess(canvas)
    assert result.box == (left, top, left + width, top + height)
    assert np.array_equal(result.model_input, expected.model_input)


@given(digit=DIGITS, seed=SEEDS)
def test_swapping_ink_and_ground_changes_nothing(draw: Draw, digit: int, seed: int) -> None:
    ink = draw(digit, seed)
    assert np.array_equal(preprocess(255 - ink).model_input, preprocess(ink).model_input)


def _on_transparent(ink: Ink, grey: int) -> Image.Image:
    return Image.merge("RGBA", [Image.new("L", ink.shape[::-1], grey)] * 3 + [Image.fromarray(ink)])


def _hole(ink: Ink) -> Image.Image:
    return _on_transparent(255 - ink, 255)


EXACT_FORMS: dict[str, Callable[[Ink], Image.Image]] = {
    "L": Image.fromarray,
    "RGB": lambda ink: Image.fromarray(ink).convert("RGB"),
    "RGBA": lambda ink: Image.fromarray(ink).convert("RGBA"),
    "RGBX": lambda ink: Image.fromarray(ink).convert("RGBX"),
    "RGBa": lambda ink: Image.fromarray(ink).convert("RGBA").convert("RGBa"),
    "LA": lambda ink: Image.fromarray(ink).convert("LA"),
    "P": lambda ink: Image.fromarray(ink).convert("P"),
    "CMYK": lambda ink: Image.fromarray(ink).convert("RGB").convert("CMYK"),
    "HSV": lambda ink: Image.fromarray(ink).convert("RGB").convert("HSV"),
    "16 bit": lambda ink: Image.fromarray(ink.astype(np.uint16) * 257),
    "16 bit, dark on light": lambda ink: Image.fromarray(65535 - ink.astype(np.uint16) * 257),
    "16 bit, big-endian": lambda ink: Image.frombytes(
        "I;16B", ink.shape[::-1], (ink.astype(">u2") * 257).astype(">u2").tobytes()
    ),
    "32 bit": lambda ink: Image.fromarray(ink.astype(np.int32) * 257),
    "32 bit, values to 255": lambda ink: Image.fromarray(ink.astype(np.int32)),
    "float": lambda ink: Image.fromarray(ink.astype(np.float32) / 255),
    "float, values to 255": lambda ink: Image.fromarray(ink.astype(np.float32)),
    "float, negative": lambda ink: Image.fromarray(-ink.astype(np.float32) / 255),
    "black on transparent": lambda ink: _on_transparent(ink, 0),
    "white on transparent": lambda ink: _on_transparent(ink, 255),
    "black on transparent, LA": lambda ink: _on_transparent(ink, 0).convert("LA"),
    "a hole in a white card": _hole,
}


@pytest.mark.parametrize("form", EXACT_FORMS)
@settings(max_examples=5)
@given(digit=DIGITS, seed=SEEDS)
def test_the_form_of_the_pixels_changes_nothing(draw: Draw, form: str, digit: int, seed: int) -> None:
    ink = draw(digit, seed)
    assert np.array_equal(preprocess(EXACT_FORMS[form](ink)).model_input, preprocess(ink).model_input)


@pytest.mark.parametrize("channels", [3, 4])
def test_arrays_and_pillow_images_are_read_alike(draw: Draw, channels: int) -> None:
    array = np.repeat(draw(3)[:, :, np.newaxis], channels, axis=2)
    array[:, :, 3:] = 255
    assert np.array_equal(preprocess(array).model_input, preprocess(draw(3)).model_input)


def test_an_array_need_not_be_contiguous(draw: Draw) -> None:
    ink = draw(6)
    assert np.array_equal(preprocess(ink.T[::-1]).model_input, preprocess(ink.T[::-1].copy()).model_input)


@pytest.mark.needs_pen_digits
def test_the_same_holds_for_real_pen_strokes(pen_drawings: list[Ink]) -> None:
    for ink, (_form, convert) in zip(pen_drawings, itertools.cycle(EXACT_FORMS.items())):
        expected = preprocess(ink)
        assert_normal(expected)
        for other in (255 - ink, convert(ink), np.pad(ink, ((0, 35), (12, 0)))):
            assert np.array_equal(preprocess(other).model_input, expected.model_input)


def test_different_digits_are_farther_apart_than_the_tolerance(draw: Draw) -> None:
    inputs = [preprocess(draw(digit)).model_input for digit in range(10)]
    assert min(distance(one, other) for one, other in itertools.combinations(inputs, 2)) > OTHER_SHAPE + 4


@given(digit=DIGITS, seed=SEEDS, scale=st.floats(0.5, 2))
def test_the_size_of_the_drawing_hardly_matters(draw: Draw, digit: int, seed: int, scale: float) -> None:
    ink = draw(digit, seed)
    assert_close(preprocess(draw(digit, seed, side=round(280 * scale), brush=18 * scale)), preprocess(ink))


@given(digit=DIGITS, seed=SEEDS, scale=st.floats(0.5, 1.5))
def test_the_size_of_the_drawing_on_its_canvas_hardly_matters(draw: Draw, digit: int, seed: int, scale: float) -> None:
    ink = draw(digit, seed)
    assert_close(preprocess(draw(digit, seed, extent=0.6 * scale, brush=18 * scale)), preprocess(ink))


def test_large_pictures_are_read_like_small_ones(draw: Draw) -> None:
    assert_close(preprocess(draw(5, side=2800, brush=180)), preprocess(draw(5)))


COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


def _coloured(ink: Ink, colour: tuple[int, ...], ground: tuple[int, ...]) -> Ink:
    coverage = ink[:, :, np.newaxis] / 255
    return np.rint(coverage * colour + (1 - coverage) * ground).astype(np.uint8)


@given(digit=DIGITS, colour=COLOURS, ground=COLOURS)
def test_any_colour_on_any_other(draw: Draw, digit: int, colour: tuple[int, ...], ground: tuple[int, ...]) -> None:
    contrast = int(np.abs(np.subtract(colour, ground)).max())
    assume(contrast >= 40)
    expected, result = preprocess(draw(digit)), preprocess(_coloured(draw(digit), colour, ground))
    assert_normal(result)
    rounding = 255 / contrast / 2 + 1  # the picture has only `contrast` steps between ink and ground
    assert distance(result.model_input, expected.model_input) < rounding


def test_colours_of_the_same_luminance(draw: Draw) -> None:
    red, green = (200, 60, 60), (60, 131, 60)
    picture = _coloured(draw(4), red, green)
    assert np.ptp(np.asarray(Image.fromarray(picture).convert("L"))) <= 1  # a conversion to grey would lose the digit
    assert distance(preprocess(picture).model_input, preprocess(draw(4)).model_input) < 1


def test_luminance_and_chrominance(draw: Draw) -> None:
    picture = Image.fromarray(draw(4)).convert("RGB").convert("YCbCr")  # which rounds
    assert distance(preprocess(picture).model_input, preprocess(draw(4)).model_input) < 1


@pytest.mark.parametrize("digit", range(10))
def test_one_bit_a_pixel(draw: Draw, digit: int) -> None:
    ink = draw(digit)
    assert_close(preprocess(Image.fromarray(ink > 127)), preprocess(ink))


def test_a_transparent_palette_colour(draw: Draw, encode: Callable[..., bytes]) -> None:
    palette = Image.fromarray((draw(2) > 127).astype(np.uint8), mode=None).convert("P")
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.info["transparency"] = 0
    expected = preprocess(Image.fromarray(draw(2) > 127))
    for file_format in ("PNG", "GIF"):
        image = read_image(encode(palette, file_format, transparency=0))
        assert np.array_equal(preprocess(image).model_input, expected.model_input)


_UNDO = {  # what a camera that writes this orientation has done to the picture
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", _UNDO)
@pytest.mark.parametrize(
    ("file_format", "options"), [("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {"lossless": True})]
)
def test_orientation_tags_are_obeyed(
    draw: Draw, encode: Callable[..., bytes], orientation: int, file_format: str, options: dict[str, object]
) -> None:
    ink = draw(7)[:200]  # not square, so that a wrong turn shows
    image = Image.fromarray(ink)
    undo = _UNDO[orientation]
    stored = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = preprocess(read_image(encode(stored, file_format, exif=exif.tobytes(), **options)))
    assert_close(result, preprocess(ink))


@pytest.mark.parametrize("digit", range(10))
def test_a_photograph_is_read_like_the_clean_drawing(draw: Draw, encode: Callable[..., bytes], digit: int) -> None:
    ink = draw(digit, side=400, brush=24)
    rows, columns = np.mgrid[:400, :400] / 400
    light = 205 - 60 * columns - 50 * rows
    noise = np.random.default_rng(digit).normal(0, 6, ink.shape)
    photograph = (light * (1 - 0.75 * ink / 255) + noise).clip(0, 255).astype(np.uint8)
    result, expected = preprocess(read_image(encode(photograph, "JPEG", quality=70))), preprocess(ink)
    assert_normal(result)
    assert np.abs(np.subtract(result.box, expected.box)).max() <= 8  # of 400 pixels
    assert distance(result.model_input, expected.model_input) < OTHER_SHAPE


LIGHTS = ["even", "slope", "lamp", "shadow", "hard shadow"]
PAPERS = ["plain", "ruled", "squared"]


def photograph_of(ink: Ink, *, light: str, paper: str, seed: int) -> Ink:
    """A sheet of paper with this ink (H, W) on it, its lines lighter than the pen, under uneven light, with noise."""
    random = np.random.default_rng(seed)
    side = len(ink)
    down, across = np.mgrid[:side, :side] / side
    spacing, turn = random.uniform(0.07, 0.13), random.uniform(-0.05, 0.05)
    ways = {"plain": [], "ruled": [down + turn * across], "squared": [down + turn * across, across - turn * down]}
    on_line = np.zeros(ink.shape, dtype=bool)
    for way in ways[paper]:
        on_line |= way % spacing < 1.5 / side
    sheet = np.where(on_line, 0.75, 1.0) * (1 - random.uniform(0.65, 0.85) * ink / 255)
    lamp = random.uniform(0.25, 0.75, size=2)
    lit = {
        "even": np.ones(ink.shape),
        "slope": 1 - 0.6 * (down + across) / 2,
        "lamp": 0.12 + 0.88 / (1 + ((across - lamp[0]) ** 2 + (down - lamp[1]) ** 2) / 0.4**2) ** 1.5,
        "shadow": 1 - 0.45 / (1 + np.exp((across + down / 3 - 0.6) / 0.04)),
        "hard shadow": np.where(across + down / 3 > 0.6, 1, 0.5),
    }[light]
    noise = random.normal(0, 3, ink.shape)
    return (225 * sheet * lit + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("light", "paper"),
    [
        pytest.param(light, paper, marks=() if i % len(PAPERS) == j else pytest.mark.slow)
        for i, light in enumerate(LIGHTS)
        for j, paper in enumerate(PAPERS)
    ],
)
def test_paper_and_light_hardly_matter(draw: Draw, encode: Callable[..., bytes], light: str, paper: str) -> None:
    """Of ten digits in a pen's width, at most one looks to the network like another shape than the clean drawing."""
    close = 0
    for digit in range(10):
        ink = draw(digit, side=360, brush=11, extent=0.45, position=(0.3 + 0.04 * digit, 0.6))
        photograph = photograph_of(ink, light=light, paper=paper, seed=digit)
        try:
            result = preprocess(read_image(encode(photograph, "JPEG", quality=80)))
        except BlankImageError:
            continue
        close += distance(result.model_input, preprocess(ink).model_input) < OTHER_SHAPE
    assert close >= 9


@pytest.mark.parametrize("light", ["even", "slope", "lamp"])
def test_empty_paper_is_blank_in_smooth_light(light: str) -> None:
    nothing = np.zeros((360, 360), dtype=np.uint8)
    with pytest.raises(BlankImageError):
        preprocess(photograph_of(nothing, light=light, paper="plain", seed=1))


@pytest.mark.parametrize("is_dark", [True, False])
@pytest.mark.parametrize("margin", [0, 6])
@pytest.mark.parametrize(("side", "line"), [(30, 3), (40, 3), (40, 6), (60, 3), (60, 12), (120, 4), (120, 20)])
def test_lines_of_small_noisy_scans_stay(draw: Draw, side: int, line: int, margin: int, is_dark: bool) -> None:
    """Cropped to their ink or not, however broad the lines are; of about 20 scans at most one is misread."""
    differing = []
    digits = range(10) if margin else [0, *range(2, 10)]  # a 1 would fill the picture
    for digit, noise in itertools.product(digits, (3, 8)):
        generator = np.random.default_rng(digit)
        large = draw(digit, side=480, brush=480 * line / side)
        rows, columns = np.flatnonzero(large.any(axis=1)), np.flatnonzero(large.any(axis=0))
        cropped = Image.fromarray(large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        size = [max(1, round(length * side / 480)) for length in cropped.size]
        ink = np.pad(np.asarray(cropped.resize(size, Image.Resampling.BOX)), margin)
        grey = 50 + 130 * (ink / 255.0) + generator.normal(0, noise, ink.shape)
        scan = np.rint(255 - grey if is_dark else grey).astype(np.uint8)
        differing.append(float(np.mean((extract_ink(scan) >= 128) != (ink >= 128))))
    assert np.median(differing) < (0.03 if margin else 0.06)  # of a crop, more pixels lie at edges of lines
    assert sorted(differing)[-2] < 0.2, differing


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_artefacts_are_not_ink(draw: Draw, encode: Callable[..., bytes], quality: int) -> None:
    for digit in range(10):
        ink = draw(digit)
        assert_close(preprocess(read_image(encode(255 - ink, "JPEG", quality=quality))), preprocess(ink))


def _stretched(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    return ink if ink.max() >= 0.98 * 255 else ink * (255 / ink.max())


def _area_average(ink: Ink, height: int, width: int) -> NDArray[np.float64]:
    """Each output pixel as the mean of the rectangle of input that it covers, by brute force."""
    tall, wide = ink.shape[0] / height, ink.shape[1] / width
    averaged = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        for row in range(int(i * tall), min(ink.shape[0], int(np.ceil((i + 1) * tall)))):
            for column in range(int(j * wide), min(ink.shape[1], int(np.ceil((j + 1) * wide)))):
                down = min((i + 1) * tall, row + 1) - max(i * tall, row)
                across = min((j + 1) * wide, column + 1) - max(j * wide, column)
                averaged[i, j] += max(down, 0) * max(across, 0) * ink[row, column]
    return averaged / (tall * wide)


@pytest.mark.parametrize(("ratio", "height", "width"), [(2, 20, 13), (3, 11, 20), (7, 20, 20), (14, 20, 1)])
def test_whole_ratios_are_block_means(ratio: int, height: int, width: int) -> None:
    ink = np.random.default_rng(ratio).integers(1, 256, (height * ratio, width * ratio), dtype=np.uint8)
    expected = _stretched(ink.reshape(height, ratio, width, ratio).mean(axis=(1, 3)))
    fitted = preprocess_ink(ink).fitted
    assert fitted.shape == (height, width)
    assert np.abs(fitted - expected).max() <= 0.51


@settings(max_examples=10)
@given(height=st.integers(21, 60), width=st.integers(5, 60), seed=SEEDS)
def test_any_ratio_is_an_area_mean(height: int, width: int, seed: int) -> None:
    ink = np.random.default_rng(seed).integers(1, 256, (height, width), dtype=np.uint8)
    fitted = preprocess_ink(ink).fitted
    longer = max(height, width)
    assert fitted.shape == (max(1, round(height * 20 / longer)), max(1, round(width * 20 / longer)))
    assert np.abs(fitted - _stretched(_area_average(ink, *fitted.shape))).max() <= 0.51


def test_averaging_keeps_the_share_of_ink() -> None:
    ink = np.zeros((200, 200), dtype=np.uint8)
    ink[:100, :] = 255
    ink[:, :100] = 255
    fitted = preprocess_ink(ink).fitted
    assert fitted.shape == (20, 20)
    assert fitted.mean() == pytest.approx(255 * 0.75)


def test_the_centre_of_mass_is_brought_to_the_middle() -> None:
    ink = np.zeros((20, 20), dtype=np.uint8)
    ink[0, 10] = ink[:, 8] = 255  # almost all of it in column 8
    model_input = preprocess_ink(ink).model_input
    assert np.flatnonzero(model_input.sum(axis=0) > 1000).tolist() == [14]


def test_nothing_is_cut_off_where_the_ink_is_far_from_the_middle() -> None:
    ink = np.zeros((20, 20), dtype=np.uint8)
    ink[:, 0] = ink[:, 1] = 255
    ink[0, 19] = 1  # the box is 20 wide, the mass on its left
    result = preprocess_ink(ink)
    assert result.model_input.sum() == ink.sum()
    assert np.flatnonzero(result.model_input.any(axis=0)).tolist() == [8, 9, 27]


@given(digit=DIGITS, seed=SEEDS, brush=st.floats(2, 40), extent=st.floats(0.1, 0.95))
def test_every_drawing_gives_a_normal_input(draw: Draw, digit: int, seed: int, brush: float, extent: float) -> None:
    assert_normal(preprocess(draw(digit, seed, brush=brush, extent=extent)))


PIXELS = arrays.arrays(
    np.uint8,
    st.one_of(
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=40),
        st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from([3, 4])),
    ),
)


NEARLY_EVEN = np.full((3, 3, 3), 51, dtype=np.uint8)
NEARLY_EVEN[[0, 2, 2, 2], [0, 0, 1, 2], 1] = 0  # found by Hypothesis: what differs from the ground differs equally


@settings(max_examples=200)
@given(picture=PIXELS)
@example(picture=NEARLY_EVEN)
def test_any_pixels_give_a_normal_input_or_are_blank(picture: Ink) -> None:
    try:
        result = preprocess(picture)
    except BlankImageError:
        return
    assert_normal(result)


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (2, 3000), (5, 5), (1, 3)])
def test_narrow_pictures(shape: tuple[int, int]) -> None:
    ink = np.zeros(shape, dtype=np.uint8)
    ink.flat[ink.size // 2] = 255
    assert_normal(preprocess(ink))


def test_the_input_is_not_written_to(draw: Draw) -> None:
    ink = draw(8)
    before = ink.copy()
    image = Image.fromarray(255 - ink)
    preprocess(image)
    result = preprocess(ink)
    result.model_input[:] = 7
    assert np.array_equal(ink, before)
    assert np.array_equal(np.asarray(image), 255 - before)


BLANK: dict[str, NDArray[np.uint8] | Image.Image] = {
    "black": np.zeros((280, 280), dtype=np.uint8),
    "white": np.full((280, 280), 255, dtype=np.uint8),
    "a colour": np.full((50, 40, 3), (10, 200, 90), dtype=np.uint8),
    "one pixel": np.full((1, 1), 255, dtype=np.uint8),
    "transparent black": np.zeros((280, 280, 4), dtype=np.uint8),
    "transparent white": np.full((280, 280, 4), (255, 255, 255, 0), dtype=np.uint8),
    "an opaque canvas": np.full((280, 280, 4), 255, dtype=np.uint8),
    "half transparent": np.full((28, 28, 4), (90, 90, 90, 200), dtype=np.uint8),
    "less contrast than can be seen": np.where(np.eye(100, dtype=bool), 110, 120).astype(np.uint8),
    "16 bit": Image.fromarray(np.full((60, 60), 40_000, dtype=np.uint16)),
    "float": Image.fromarray(np.full((60, 60), 0.5, dtype=np.float32)),
    "one bit": Image.new("1", (60, 60), 1),
    "palette": Image.new("P", (60, 60), 3),
    "faint noise": np.random.default_rng(0).normal(180, 3, (300, 300)).clip(0, 255).astype(np.uint8),
    "noise": np.random.default_rng(0).normal(180, 10, (300, 300)).clip(0, 255).astype(np.uint8),
    "uneven light": np.linspace(120, 220, 300).astype(np.uint8)[np.newaxis].repeat(300, axis=0),
    "uneven light and noise": (
        np.linspace(120, 220, 300)[np.newaxis] + np.random.default_rng(1).normal(0, 5, (300, 300))
    ).astype(np.uint8),
}


@pytest.mark.parametrize("kind", BLANK)
def test_blank_pictures_are_refused(kind: str) -> None:
    with pytest.raises(BlankImageError, match=r"blank.*draw or choose"):
        preprocess(BLANK[kind])


def test_a_blank_picture_gives_an_empty_ink_map() -> None:
    assert not extract_ink(np.full((30, 20), 200, dtype=np.uint8)).any()


FILE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_each_format_is_read_from_path_bytes_and_file(
    draw: Draw, encode: Callable[..., bytes], tmp_path: Path, file_format: str
) -> None:
    path = tmp_path / "picture.without-a-known-suffix"
    path.write_bytes(encode(draw(9), file_format, **({"lossless": True} if file_format == "WEBP" else {})))
    with path.open("rb") as file:
        images = [read_image(path), read_image(str(path)), read_image(path.read_bytes()), read_image(file)]
    results = [preprocess(image) for image in images]
    assert all(np.array_equal(results[0].model_input, other.model_input) for other in results[1:])
    assert_close(results[0], preprocess(draw(9)))


def test_16_bit_files_are_read_at_full_depth(draw: Draw, encode: Callable[..., bytes]) -> None:
    faint = draw(3).astype(np.uint16) * 100 + 20_000  # most of it above what 8 bits would clip
    expected = preprocess(draw(3)).model_input
    for file_format in ("PNG", "TIFF"):
        result = preprocess(read_image(encode(Image.fromarray(faint), file_format))).model_input
        assert distance(result, expected) < 1


def test_the_first_frame_of_an_animation_is_read(draw: Draw, encode: Callable[..., bytes]) -> None:
    frames = [Image.fromarray(draw(digit)) for digit in (3, 7)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(preprocess(read_image(data)).model_input, preprocess(draw(3)).model_input)


def _png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 1000) + b"IDAT"


BAD_FILES = {
    "empty": (b"", "is empty"),
    "text": (b"seven\n" * 50, "cannot be read as a picture"),
    "html": (b"<!doctype html><title>404</title>", "cannot be read as a picture"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "cannot be read as a picture"),
    "zeros": (bytes(5000), "cannot be read as a picture"),
    "large": (_png_header(8_000, 8_000), "has 8000 x 8000 pixels, more than the 16,000,000"),
    "huge": (_png_header(60_000, 60_000), ".* pixels"),
    "no width": (_png_header(0, 28), "cannot be read as a picture"),
    "only a header": (_png_header(28, 28), "cannot be read as a picture"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_files_that_are_not_pictures(tmp_path: Path, kind: str) -> None:
    data, reason = BAD_FILES[kind]
    path = tmp_path / f"{kind}.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=f"{kind}.png.*{reason}"):
        read_image(path)
    with pytest.raises(ImageError, match=f"^my file {reason}"):
        read_image(data, name="my file")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"seven\.png cannot be opened: No such file.*Check the path"):
        read_image(tmp_path / "seven.png")
    with pytest.raises(ImageError, match=rf"{tmp_path} cannot be opened: Is a directory"):
        read_image(tmp_path)


def test_files_over_the_limits_are_not_read(
    draw: Draw, encode: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw(7)))
    monkeypatch.setenv("DIGITCORE_MAX_IMAGE_PIXELS", str(280 * 280 - 1))
    with pytest.raises(ImageError, match=r"seven\.png has 280 x 280 pixels, more than the 78,399"):
        read_image(path)
    monkeypatch.setenv("DIGITCORE_MAX_IMAGE_PIXELS", str(280 * 280))
    monkeypatch.setenv("DIGITCORE_MAX_IMAGE_BYTES", str(path.stat().st_size))
    assert read_image(path).size == (280, 280)
    monkeypatch.setenv("DIGITCORE_MAX_IMAGE_BYTES", str(path.stat().st_size - 1))
    with pytest.raises(ImageError, match=r"seven\.png is larger than"):
        read_image(path)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_cut_file_is_refused_or_complete(
    draw: Draw, encode: Callable[..., bytes], tmp_path: Path, file_format: str
) -> None:
    data = encode(draw(2), file_format)
    whole = np.asarray(read_image(data))
    path = tmp_path / "cut.png"
    for length in np.linspace(1, len(data) - 1, 60).astype(int):
        path.write_bytes(data[:length])
        try:
            image = read_image(path)
        except ImageError as error:
            assert "cut.png cannot be read" in str(error)  # noqa: PT017
        else:
            assert length > 0.98 * len(data)  # all but the end marker
            assert np.array_equal(np.asarray(image), whole)


@pytest.mark.parametrize("file_format", FILE_FORMATS)
@settings(max_examples=150)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=763)  # hits the orientation tag of the WebP file
def test_damaged_files_give_a_picture_or_an_image_error(
    draw: Draw, encode: Callable[..., bytes], file_format: str, seed: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif.tobytes()} if file_format in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    data = bytearray(encode(draw(6, side=64, brush=5), file_format, **options))
    rng = np.random.default_rng(seed)
    reach = len(data) if seed % 2 else min(200, len(data))  # headers deserve half of the damage
    for position in rng.integers(0, reach, size=int(rng.integers(1, 4))):
        data[position] = int(rng.integers(0, 256))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damaged tags
        with contextlib.suppress(ImageError):
            preprocess(read_image(bytes(data)))


def test_damaged_orientation_tags_do_not_matter(draw: Draw, encode: Callable[..., bytes]) -> None:
    expected = preprocess(draw(6)).model_input
    exif = Image.Exif()
    exif[0x0112] = 1
    good = exif.tobytes()
    for bad in (
        good[:9],
        good[:6] + b"XX" + good[8:],
        good[:10] + b"\xff" * (len(good) - 10),
        b"Exif\0\0",
        b"nonsense",
    ):
        data = encode(draw(6), "PNG", exif=bad)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.array_equal(preprocess(read_image(data)).model_input, expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "La", "CMYK", "YCbCr", "LAB", "I", "F", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (28, 28), (3, 2000), (2000, 3), (600, 500)])
def test_any_picture_can_be_shown(mode: str, size: tuple[int, int]) -> None:
    displayed = for_display(Image.new(mode, size), longest=336)
    assert displayed.dtype == np.uint8
    assert max(displayed.shape[:2]) == 336
    assert displayed.shape[2] == 3


@pytest.mark.parametrize("grey", [0, 255])
def test_ink_on_nothing_is_shown_on_what_it_stands_out_from(draw: Draw, grey: int) -> None:
    ink = draw(4)
    displayed = for_display(Image.fromarray(np.dstack([np.full_like(ink, grey), ink]), "LA"), longest=max(ink.shape))
    assert np.array_equal(displayed[:, :, 0], 255 - ink if grey == 0 else ink)


def test_a_picture_is_shown_upright(draw: Draw, encode: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_image(encode(draw(7), "PNG", exif=exif.tobytes()))
    upright = for_display(draw(7), longest=280)
    assert np.array_equal(np.rot90(upright, -1), for_display(picture, longest=280))


def test_twelve_bits_in_a_file_of_sixteen(draw: Draw) -> None:
    ink = draw(3)
    assert np.array_equal(preprocess(ink).model_input, preprocess(_deep(ink, peak=4095)).model_input)


def _deep(ink: Ink, *, peak: int) -> Image.Image:
    return Image.fromarray(np.rint(ink.astype(np.float64) / 255 * peak).astype(np.uint16))


@pytest.mark.parametrize("values", [(-3e38, 3e38), (0, 3.4e38), (-3.4e38, 0)])
@pytest.mark.parametrize("side", [28, 2_000])
def test_floats_whose_differences_are_infinite(values: tuple[float, float], side: int) -> None:
    pixels = np.full((side, side), values[0], dtype=np.float32)
    pixels[side // 4 : side // 2] = values[1]
    with pytest.raises(ImageError, match=r"values over 1e30|NaN or infinity"):
        preprocess(Image.fromarray(pixels))


def test_a_jpeg_of_a_thousand_scans_is_not_decoded(draw: Draw, encode: Callable[..., bytes]) -> None:
    data = encode(draw(7), "JPEG", progressive=True)
    assert read_image(data).size == (280, 280)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match=r"^my file is a JPEG of more than 100 scans: open it and save it again"):
        read_image(data[:-2] + data[scan:-2] * 1_000 + data[-2:], name="my file")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite(value: float) -> None:
    pixels = np.zeros((30, 30), dtype=np.float32)
    pixels[4, 4] = value
    with pytest.raises(ImageError, match="contains NaN or infinity"):
        preprocess(Image.fromarray(pixels))


@pytest.mark.parametrize("mode", ["LAB", "La", "PA", "I;16", "I;16L", "I;16B", "I;16N"])
def test_unusual_modes_are_read_or_an_image_error(mode: str) -> None:
    image = Image.new(mode, (30, 30))
    with pytest.raises(ImageError):  # blank, or that the mode cannot be read
        preprocess(image)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0, 3)])
def test_pictures_without_pixels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="nothing to read"):
        preprocess(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((28, 28), dtype=np.float32),
        np.zeros((28, 28), dtype=bool),
        np.zeros((28, 28), dtype=np.int64),
        np.zeros(784, dtype=np.uint8),
        np.zeros((28, 28, 1), dtype=np.uint8),
        np.zeros((28, 28, 2), dtype=np.uint8),
        np.zeros((1, 28, 28, 3), dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_another_kind_are_the_callers_mistake(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"image must be uint8 of shape .*, got .*"):
        preprocess(array)


def test_normalize_is_mnists_mean_and_deviation() -> None:
    images = np.arange(2 * 784, dtype=np.uint16).astype(np.uint8).reshape(2, 28, 28)
    batch = normalize(images)
    assert batch.shape == (2, 1, 28, 28)
    expected = (images[:, np.newaxis] / 255 - preprocessing.INPUT_MEAN) / preprocessing.INPUT_STD
    assert np.abs(batch.numpy() - expected).max() < 1e-6


@pytest.mark.needs_mnist
def test_mean_and_deviation_are_those_of_the_training_images() -> None:
    from digitcore.data.datasets import load_digits

    pixels = np.concatenate([load_digits(name).images for name in ("mnist-train", "mnist-validation")]) / np.float32(
        255
    )
    assert pixels.shape == (60_000, 28, 28)
    assert pixels.mean(dtype=np.float64) == pytest.approx(preprocessing.INPUT_MEAN, abs=5e-5)
    assert pixels.std(dtype=np.float64) == pytest.approx(preprocessing.INPUT_STD, abs=5e-5)


@pytest.mark.parametrize(
    "images", [np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28), np.float32), np.zeros((1, 32, 32), np.uint8)]
)
def test_normalize_refuses_other_shapes_and_types(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images must be uint8 of shape"):
        normalize(images)


def _with_dots(ink: Ink, generator: np.random.Generator, *, count: int, apart: float) -> Ink:
    """Round dots, 2 to 14 pixels wide, anywhere at least this far from the ink."""
    rows, columns = np.indices(ink.shape)
    distances = ndimage.distance_transform_edt(ink == 0)
    result = ink.copy()
    for _ in range(count):
        radius = generator.uniform(1, 7)
        y, x = generator.choice(np.argwhere(distances > apart + radius))
        result[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 255
    return result


@given(digit=st.integers(0, 9), seed=st.integers(0, 99), count=st.integers(1, 5))
def test_specks_do_not_move_the_digit(draw: Draw, digit: int, seed: int, count: int) -> None:
    clean = draw(digit, seed, extent=0.5)
    dotted = _with_dots(clean, np.random.default_rng(seed), count=count, apart=12)
    result = preprocess_ink(dotted)
    assert np.array_equal(result.model_input, preprocess_ink(clean).model_input)
    assert np.array_equal(result.left_out, (dotted > 0) & (clean == 0))
    assert np.array_equal(result.ink, dotted)


def test_a_dot_alone_is_the_digit() -> None:
    rows, columns = np.indices((280, 280))
    for spots in ([(40, 50)], [(40, 50), (200, 220)]):
        ink = np.zeros((280, 280), dtype=np.uint8)
        for y, x in spots:
            ink[(rows - y) ** 2 + (columns - x) ** 2 <= 81] = 255
        result = preprocess_ink(ink)
        assert not result.left_out.any()
        assert result.model_input.any()


@pytest.mark.parametrize("brush", [6, 14, 24])
@pytest.mark.parametrize("detached", ["bar of a 5", "foot of a 1", "bar of a 7", "broken stroke"])
def test_detached_strokes_belong_to_the_digit(detached: str, brush: float) -> None:
    strokes = {
        "bar of a 5": [[(90, 100), (90, 150), (150, 170), (140, 220), (80, 225)], [(125, 60), (200, 55)]],
        "foot of a 1": [[(140, 60), (140, 190)], [(95, 232), (185, 232)]],
        "bar of a 7": [[(80, 60), (180, 60), (110, 230)], [(175, 150), (230, 150)]],
        "broken stroke": [[(140, 40), (140, 120)], [(140, 132 + brush), (140, 150 + brush)], [(140, 190), (140, 240)]],
    }[detached]
    ink = render_strokes([np.array(stroke, dtype=np.float32) for stroke in strokes], side=280, brush=brush)
    result = preprocess_ink(ink)
    assert not result.left_out.any()
    assert np.count_nonzero(result.cropped) == np.count_nonzero(ink)


@pytest.mark.needs_pen_digits
def test_pen_digits_lose_nothing(pen_drawings: list[Ink]) -> None:
    assert not any(preprocess_ink(ink).left_out.any() for ink in pen_drawings)


@pytest.mark.parametrize("is_dark", [True, False], ids=["dark", "light"])
@pytest.mark.parametrize("share", [0.04, 0.09, 0.14, 0.18])
@pytest.mark.parametrize("side", [28, 56, 112, 336])
def test_a_jpeg_is_read_like_the_png(
    draw: Draw, encode: Callable[..., bytes], side: int, share: float, is_dark: bool
) -> None:
    """Whatever the width of the lines, a share of the side, which do not tell ink and ground apart; the margin does."""
    for digit, quality in itertools.product((0, 2, 4, 6, 8), (60, 75, 95)):
        ink = draw(digit, side=side, brush=max(1, share * side), extent=0.7 - share / 2)
        drawing = 255 - ink if is_dark else ink
        jpeg = preprocess(read_image(encode(drawing, "JPEG", quality=quality)))
        limit = OTHER_SHAPE if side > 28 or quality > 60 else 1.5 * OTHER_SHAPE  # eight pixels share their noise
        assert distance(jpeg.model_input, preprocess(drawing).model_input) < limit, (digit, quality)


def test_grey_pictures_are_means_of_the_colours_on_white() -> None:
    colours = np.array([[[255, 0, 0, 255], [30, 60, 90, 255], [0, 0, 0, 0]]], dtype=np.uint8)
    assert grey_picture(colours, longest=100).tolist() == [[85, 60, 255]]
    deep = Image.fromarray(np.array([[0, 30000, 65535]], dtype=np.uint16))
    assert grey_picture(deep, longest=100).tolist() == [[0, round(30000 / 257), 255]]
    assert grey_picture(np.zeros((300, 200), dtype=np.uint8), longest=100).shape == (100, 67)
