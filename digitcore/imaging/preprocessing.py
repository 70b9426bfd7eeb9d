"""Any picture of a digit -> the 28x28 input that MNIST's makers would have made of it.

The road, each stage kept in `Preprocessed` since people want to see it:

1. ink: how far each pixel is from the colour of the ground, whatever the colours, the polarity or the bit depth;
2. cropped: the smallest box that holds all ink but specks and stray dots, which are left out from here on;
3. fitted: the longer side brought to 20 pixels by area averaging, the aspect ratio kept;
4. model_input: placed on a black 28x28 ground by a whole-pixel shift that brings the centre of mass to (14, 14).

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", for steps 2 to 4. On MNIST's own
images the road is the identity but for the three test images whose longer side is 19; the tests count them. Nothing
is left out of a picture as small as theirs: a pixel beside a stroke two pixels wide may be a speck or the stroke's end.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage
from torch import Tensor

from digitcore.errors import BlankImageError, ImageError
from digitcore.imaging.components import box_of, find_pieces
from digitcore.settings import load_settings

__all__ = [
    "FITTED_SIDE",
    "INPUT_MEAN",
    "INPUT_SIDE",
    "INPUT_STD",
    "PREPROCESSING",
    "DigitImage",
    "Preprocessed",
    "blank_stages",
    "centre_mass",
    "extract_ink",
    "for_display",
    "normalize",
    "preprocess",
    "preprocess_ink",
    "read_image",
    "resize_ink",
]

PREPROCESSING = "mnist-1"
"""Name of the input that this makes. Checkpoints and evaluations record it; it changes when a network trained on the
one could not use the other. Evaluations are told apart by their digits' digest as well."""
INPUT_SIDE = 28
FITTED_SIDE = 20
INPUT_MEAN = 0.1307
INPUT_STD = 0.3081
"""Mean and standard deviation of the pixels of MNIST's 60,000 training images, ink being 1."""

DigitImage: TypeAlias = Image.Image | NDArray[np.uint8]
"""A PIL image, or uint8 of shape (H, W), (H, W, 3) RGB or (H, W, 4) RGBA."""

_Floats: TypeAlias = NDArray[np.float32]

_WORKING_SIDE = 1024  # larger pictures are reduced by a whole factor first: no digit needs more
_LEAST_CONTRAST = 0.1  # ink that differs less from its ground than this is taken for none
_LEAST_LIGHT = 0.05  # of white: what is darker still is taken to be lit that much
_GROUND_SIDE = 120  # pixels of the longer side: light changes slowly
_LEAST_GAP = 4  # between ink and ground in a noisy picture, in standard deviations of the ground
_LEAST_GROUND = 0.1  # share of the pixels of a clean picture that have the ground's colour
_NOTHING = 0.5 / 255  # of full ink: no difference at 8 bits
_FAINT = 0.06  # pixels below this share of full ink, away from any stroke, are noise
_FULL_INK = 0.98  # peaks from here on are left alone: MNIST's own are 254 or 255

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Preprocessed:
    """A picture on its way to the network; in every stage 255 is full ink and 0 is none."""

    ink: NDArray[np.uint8]  # (H, W)
    box: tuple[int, int, int, int]
    """left, top, right, bottom of the digit, in pixels of `ink`; right and bottom are exclusive."""
    left_out: NDArray[np.bool_]  # (H, W)
    """The ink of specks and stray dots, which the stages from `cropped` on do not have."""
    fitted: NDArray[np.uint8]  # (h, w), the longer one 20
    model_input: NDArray[np.uint8]  # (28, 28)

    @property
    def cropped(self) -> NDArray[np.uint8]:
        """The part (bottom - top, right - left) of `ink` inside `box`, less what is left out."""
        left, top, right, bottom = self.box
        return np.where(self.left_out[top:bottom, left:right], 0, self.ink[top:bottom, left:right])


def read_image(source: str | Path | bytes | BinaryIO, *, name: str | None = None) -> Image.Image:
    """The decoded picture in a file, in bytes, or in an open binary file.

    Of an animation the first frame. `name` is what errors call the picture; default: the path, or "the picture".

    Raises:
        ImageError: missing, empty, too large (see `Settings`), damaged, or no picture at all.
    """
    limit = load_settings()
    called = name or (str(source) if isinstance(source, str | Path) else "the picture")
    data = _read_bytes(source, called=called, limit=limit.max_image_bytes)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        width, height = image.size
        if width * height > limit.max_image_pixels:
            raise ImageError(
                f"{called} has {width} x {height} pixels, more than the {limit.max_image_pixels:,} that are read: "
                "make it smaller and try again."
            )
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{called} has more than the {limit.max_image_pixels:,} pixels that are read: make it smaller."
        ) from error
    except _DECODING_ERRORS as error:
        raise ImageError(
            f"{called} cannot be read as a picture ({_first_line(error)}): "
            f"it is damaged or of another kind. Use one of {', '.join(_FORMATS)}."
        ) from error
    return image


def _read_bytes(source: str | Path | bytes | BinaryIO, *, called: str, limit: int) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            if isinstance(source, str | Path):
                with Path(source).open("rb") as file:
                    data = file.read(limit + 1)
            else:
                data = source.read(limit + 1)
        except OSError as error:
            raise ImageError(f"{called} cannot be opened: {error.strerror or error}. Check the path.") from error
    if not data:
        raise ImageError(f"{called} is empty: choose a file that holds a picture.")
    if len(data) > limit:
        raise ImageError(f"{called} is larger than {limit / 1e6:g} MB: make it smaller and try again.")
    return data


def _first_line(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known picture format"
    return next(iter(str(error).splitlines()), type(error).__name__)


def preprocess(image: DigitImage) -> Preprocessed:
    """All stages from a picture of one digit to the network's input.

    Raises:
        BlankImageError: there is no ink.
        ImageError: the pixels cannot be used (no pixels, values that are not numbers).
        ValueError: an array that is not uint8 of shape (H, W), (H, W, 3) or (H, W, 4).
    """
    return preprocess_ink(extract_ink(image))


def preprocess_ink(ink: NDArray[np.uint8]) -> Preprocessed:
    """The stages after the first, of an ink map (H, W) in which 255 is full ink and 0 is none.

    Raises:
        BlankImageError: every pixel is 0.
    """
    if not ink.any():
        raise BlankImageError("The picture is blank: draw or choose a digit that stands out from its ground.")
    left_out = _specks(ink)
    digit = np.where(left_out, 0, ink)
    box = box_of(digit)
    fitted = _fit(digit[box[1] : box[3], box[0] : box[2]])
    return Preprocessed(ink=ink, box=box, left_out=left_out, fitted=fitted, model_input=centre_mass(fitted))


def blank_stages(ink: NDArray[np.uint8]) -> Preprocessed:
    """What `preprocess_ink` has no answer for: the stages of ink (H, W) that is 0 everywhere, all of it black."""
    height, width = ink.shape
    model_input = np.zeros((INPUT_SIDE, INPUT_SIDE), dtype=np.uint8)
    nothing = np.zeros(ink.shape, dtype=bool)
    return Preprocessed(ink=ink, box=(0, 0, width, height), left_out=nothing, fitted=_fit(ink), model_input=model_input)


def normalize(images: NDArray[np.uint8]) -> Tensor:
    """Network input: float32 (N, 1, 28, 28) of images uint8 (N, 28, 28), with MNIST's mean and standard deviation."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (INPUT_SIDE, INPUT_SIDE):
        raise ValueError(f"images must be uint8 of shape (N, 28, 28), got {images.dtype} {images.shape}")
    batch = torch.from_numpy(images.astype(np.float32)).unsqueeze(1)
    return (batch / 255 - INPUT_MEAN) / INPUT_STD


# --- 1. ink ----------------------------------------------------------------------------------------------------------


def extract_ink(image: DigitImage) -> NDArray[np.uint8]:
    """Ink map uint8 (H, W): 255 where the ink is fullest, 0 where there is none.

    The ground is what the margin of the picture shows; ink is what differs from it, darker or lighter, in any
    colour, or by opacity alone. Clean pictures keep their anti-aliased edges exactly. Noisy ones (photographs, scans,
    JPEG) have an uneven ground evened out and their noise removed. Pictures with a side over 1,024 are reduced.

    Raises:
        BlankImageError, ImageError, ValueError: as for `preprocess`.
    """
    colour, alpha = _colour_and_alpha(image)
    difference = _difference_from_ground(colour, alpha)
    if difference.max() < _LEAST_CONTRAST:
        return np.zeros(difference.shape, dtype=np.uint8)
    opaque = bool(alpha.min() > 0.5)
    return _stretch(_denoise(colour) if opaque and _is_noisy(difference / difference.max()) else difference)


def for_display(image: DigitImage, *, longest: int) -> NDArray[np.uint8]:
    """Colours (h, w, 3) of a picture as it is read, for people to see: upright, 8 bits each, `longest` pixels long.

    What is transparent becomes black or white, whichever its colours stand out from; small pictures show their pixels.

    Raises:
        ImageError, ValueError: as for `preprocess`.
    """
    colour, alpha = _colour_and_alpha(image)
    ground = 1.0 if float((colour.mean(axis=2) * alpha).sum()) <= 0.5 * float(alpha.sum()) else 0.0
    laid = colour * alpha[:, :, np.newaxis] + ground * (1 - alpha[:, :, np.newaxis])
    laid = np.rint(255 * np.broadcast_to(laid, (*alpha.shape, 3))).astype(np.uint8)
    scale = longest / max(alpha.shape)
    height, width = (max(1, round(side * scale)) for side in alpha.shape)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(laid).resize((width, height), method))


def _colour_and_alpha(image: DigitImage) -> tuple[_Floats, _Floats]:
    """Colour (H, W, 1 or 3) and opacity (H, W), both in [0, 1]."""
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if 0 in image.size:
        raise ImageError(f"The picture has {image.width} x {image.height} pixels: there is nothing to read.")
    image = _upright(image)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel, which convert("L") would clip
        image = image.convert("F")
    elif image.mode == "La":  # premultiplied grey, which Pillow turns into nothing but this
        image = image.convert("LA").convert("RGBA")
    else:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image = image.reduce(max(1, -(-max(image.size) // _WORKING_SIDE)))
    values = np.asarray(image, dtype=np.float32)
    if image.mode == "F":
        return _unit_range(values)[:, :, np.newaxis], np.ones_like(values)
    values = values / np.float32(255)
    if image.mode == "RGB":
        return values, np.ones(values.shape[:2], dtype=np.float32)
    return values[:, :, :3], values[:, :, 3]


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF data says; as it is where they are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except _DECODING_ERRORS:
        return image


def _from_array(image: NDArray[np.uint8]) -> Image.Image:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ValueError(
            f"image must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4), got {image.dtype} {image.shape}"
        )
    if image.size == 0:
        raise ImageError(f"The picture has the shape {image.shape}: there is nothing to read.")
    return Image.fromarray(np.ascontiguousarray(image))


def _unit_range(values: _Floats) -> _Floats:
    """Values whose scale is unknown, brought to [0, 1] by the smallest full scale that holds them."""
    if not np.isfinite(values).all():
        raise ImageError("The picture has pixels that are not numbers: save it again as an 8-bit PNG.")
    values = values - min(np.float32(0), values.min())
    greatest = float(values.max())
    scale = next((scale for scale in (1.0, 255.0, 4095.0, 65535.0) if greatest <= scale), greatest)
    scaled: _Floats = values / np.float32(scale)
    return scaled


def _difference_from_ground(colour: _Floats, alpha: _Floats) -> _Floats:
    """Largest difference (H, W) of a channel from the ground's, in [0, 1]. Proportional to coverage at edges."""
    if alpha.min() > 0.5:
        return _distance(colour, _median_colour(_margin(colour)))
    solid = alpha > 0.9
    if np.median(_margin(alpha)) >= 0.5:  # a hole in an opaque ground
        around: _Floats = np.maximum(1 - alpha, alpha * _distance(colour, _median_colour(_margin(colour))))
        return around
    if not solid.any():
        return alpha
    ground = _median_colour(colour[solid])
    card = _distance(colour, ground) * alpha
    # One colour on nothing is ink. Two strongly different ones are a digit on a card with transparent corners,
    # provided that the card is solid; strokes of several colours are thinner than a card.
    is_card = np.mean(card[solid] > 0.3) > 0.02 and solid.mean() > 0.5
    return card if is_card else alpha


def _margin(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outermost pixels of values (H, W, ...), as (M, ...)."""
    width = max(1, min(values.shape[:2]) // 50)
    inner = np.zeros(values.shape[:2], dtype=bool)
    inner[width:-width, width:-width] = True
    return values[~inner]


def _median_colour(colours: _Floats) -> _Floats:
    return np.median(colours, axis=0).astype(np.float32)


def _distance(colour: _Floats, ground: _Floats) -> _Floats:
    difference = np.abs(colour - ground)
    largest: _Floats = difference[:, :, 0]
    for channel in range(1, difference.shape[2]):  # several times as fast as max(axis=2)
        largest = np.maximum(largest, difference[:, :, channel])
    return largest


def _is_noisy(relative: _Floats) -> bool:
    """Whether the ground is uneven. relative: difference (H, W) from the ground, 1 = full ink.

    It is where hardly a pixel has the very colour of the ground, or where faint pixels go up and down with no
    stroke's edge near. Enlarged pictures have faint pixels far from any stroke too, but theirs form steps and slopes.
    """
    if np.mean(relative < _NOTHING) < _LEAST_GROUND:
        return True
    faint = (relative > _NOTHING) & (relative < _FAINT)
    stray = faint & ~ndimage.binary_dilation(relative >= 0.3, structure=np.ones((3, 3), dtype=bool), iterations=2)
    rough = stray & (_is_extreme(relative) | _is_extreme(relative.T).T)
    return bool(np.count_nonzero(rough) > max(20, 0.02 * np.count_nonzero(relative >= 0.3)))


def _is_extreme(values: _Floats) -> NDArray[np.bool_]:
    """Where values (H, W) are above both neighbours in their row, or below both."""
    steps = np.diff(values, axis=1)
    extreme = np.zeros(values.shape, dtype=bool)
    extreme[:, 1:-1] = steps[:, :-1] * steps[:, 1:] < 0
    return extreme


def _denoise(colour: _Floats) -> _Floats:
    """Ink (H, W) in [0, 1] of a noisy picture with an uneven ground; all zero where nothing stands out.

    A grey closing (or opening, for light ink) wider than any stroke gives the ground; what differs from it by more
    than Otsu's threshold is ink; ruled lines and specks far smaller than the largest piece are dropped.
    """
    grey = ndimage.gaussian_filter(colour.mean(axis=2), sigma=max(colour.shape[:2]) / 700)
    ground, is_dark = _uneven_ground(grey)
    contrast = ground - grey if is_dark else grey - ground
    # Dark ink takes a share of the light that falls on it, light ink adds to it.
    difference: _Floats = np.clip(contrast / np.maximum(ground, _LEAST_LIGHT) if is_dark else contrast, 0, None)
    least, threshold = _thresholds(difference)
    solid = difference > threshold
    if not solid.any() or not _stands_out(difference, solid, others=difference <= least):
        return np.zeros_like(difference)
    solid = _without_specks(solid)
    full = float(np.percentile(difference[solid], 75))
    soft = np.clip((difference - threshold / 2) / max(full - threshold / 2, 1e-6), 0, 1)
    ink: _Floats = np.where(ndimage.binary_dilation(solid, iterations=2), soft, 0).astype(np.float32)
    return ink


def _uneven_ground(grey: _Floats) -> tuple[_Floats, bool]:
    """What grey (H, W) would be without ink, and whether the ink is dark. Small pictures do for it, and are fast."""
    scale = min(1.0, _GROUND_SIDE / max(grey.shape))
    rows, columns = (_area_weights(side, max(1, round(side * scale))) for side in grey.shape)
    small = (rows @ grey @ columns.T).astype(np.float32)
    light = _smooth_light(small)
    flat = small / light
    side = max(3, min(small.shape) // 3)
    around = ndimage.gaussian_filter(flat, sigma=side / 3)
    is_dark = bool(np.percentile(around - flat, 99) > np.percentile(flat - around, 99))
    smooth = ndimage.gaussian_filter(flat, sigma=side / 40)  # or the noise's extremes would be the ground
    even = ndimage.grey_closing(smooth, size=side) if is_dark else ndimage.grey_opening(smooth, size=side)
    even = ndimage.gaussian_filter(even, sigma=side / 16) * light
    size = (grey.shape[1], grey.shape[0])
    return np.asarray(Image.fromarray(even.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)), is_dark


def _smooth_light(grey: _Floats) -> _Floats:
    """The light on grey (H, W): its logarithm a polynomial of degree 4, fitted thrice to what lay near it before."""
    rows, columns = np.mgrid[-1 : 1 : 1j * grey.shape[0], -1 : 1 : 1j * grey.shape[1]].reshape(2, -1)
    terms = np.stack([rows**i * columns**j for i in range(5) for j in range(5 - i)], axis=1)  # (H * W, 15)
    logarithms = np.log(np.maximum(grey, _LEAST_LIGHT)).ravel()
    near = np.ones(logarithms.shape, dtype=bool)
    for _ in range(3):
        some = terms[near]
        fitted = terms @ np.linalg.lstsq(some.T @ some, some.T @ logarithms[near], rcond=None)[0]
        distances = np.abs(logarithms - fitted)
        near = distances <= max(0.01, 2 * float(np.median(distances)))
    light: _Floats = np.exp(fitted).reshape(grey.shape).astype(np.float32)
    return light


def _thresholds(difference: _Floats) -> tuple[float, float]:
    """What differs from the ground by least, and ink by least: more where lines run from edge to edge under a pen."""
    least = _otsu(difference)
    above = difference[difference > least]
    if len(above) < 2:
        return least, least
    darker = _otsu(above)
    pen = difference > darker
    is_ruled = bool(pen.any()) and _reaches_edges(difference > least) and not _reaches_edges(pen)
    return least, darker if is_ruled else least


def _reaches_edges(solid: NDArray[np.bool_]) -> bool:
    """Whether solid pixels (H, W) touch two opposite edges of the picture."""
    return bool((solid[:, 0].any() and solid[:, -1].any()) or (solid[0].any() and solid[-1].any()))


def _stands_out(difference: _Floats, solid: NDArray[np.bool_], *, others: NDArray[np.bool_]) -> bool:
    """Whether the pixels taken for ink differ from the others by more than two halves of mere noise would."""
    gap = float(np.median(difference[solid]) - np.median(difference[others]))
    return gap >= max(_LEAST_CONTRAST, _LEAST_GAP * float(np.std(difference[others])))


def _otsu(values: _Floats) -> float:
    """The threshold that best separates values into two classes; the value itself where all are about the same.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
    """
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    between = np.where(np.isfinite(between), between, -1)
    return float(centres[between.argmax()] if between.max() >= 0 else values.max())


def _without_specks(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, _ = ndimage.label(solid, structure=np.ones((3, 3), dtype=bool))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept: NDArray[np.bool_] = (sizes >= 0.03 * sizes.max())[pieces]
    return kept


def _stretch(difference: _Floats) -> NDArray[np.uint8]:
    """Ink uint8 with its peak at 255, unless it is (nearly) there already."""
    peak = float(difference.max())
    gain = 1.0 if peak >= _FULL_INK or peak == 0 else 1 / peak
    ink: NDArray[np.uint8] = np.rint(difference * (255 * gain)).clip(0, 255).astype(np.uint8)
    return ink


# --- 2. cropped ------------------------------------------------------------------------------------------------------


def _specks(ink: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where ink (H, W) belongs to specks and stray dots."""
    left, top, right, bottom = box_of(ink)
    specks = np.zeros(ink.shape, dtype=bool)
    if max(right - left, bottom - top) > FITTED_SIDE:
        pieces = find_pieces(ink[top:bottom, left:right])
        specks[top:bottom, left:right] = pieces.specks()[pieces.numbers]
    return specks


# --- 3. fitted, 4. centred -------------------------------------------------------------------------------------------


def _fit(cropped: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = cropped.shape
    scale = FITTED_SIDE / max(height, width)
    return resize_ink(cropped, (max(1, round(height * scale)), max(1, round(width * scale))))


def resize_ink(ink: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Ink (H, W) brought to another shape: made smaller by area averaging, its peak back at 255; else by a cubic."""
    height, width = ink.shape
    if shape == (height, width):
        return ink
    values = ink.astype(np.float32) / 255
    if max(shape) < max(height, width):
        averaged = _area_weights(height, shape[0]) @ values @ _area_weights(width, shape[1]).T
        return _stretch(averaged.astype(np.float32))
    enlarged = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return _stretch(np.asarray(enlarged, dtype=np.float32).clip(0, 1))


def _area_weights(source: int, target: int) -> _Floats:
    """Matrix (target, source) that averages over equal stretches, with shares of the pixels they cut."""
    edges = np.linspace(0, source, target + 1)
    pixels = np.arange(source)
    overlap = np.minimum(edges[1:, np.newaxis], pixels + 1) - np.maximum(edges[:-1, np.newaxis], pixels)
    weights: _Floats = (np.clip(overlap, 0, None) * (target / source)).astype(np.float32)
    return weights


def centre_mass(fitted: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A black (28, 28) picture with fitted (h, w) on it: its centre of mass in [13.5, 14.5), unless that cuts it."""
    centred = np.zeros((INPUT_SIDE, INPUT_SIDE), dtype=np.uint8)
    height, width = fitted.shape
    row, column = ndimage.center_of_mass(fitted.astype(np.float64))
    top = int(np.clip(INPUT_SIDE // 2 - np.floor(row + 0.5), 0, INPUT_SIDE - height))
    left = int(np.clip(INPUT_SIDE // 2 - np.floor(column + 0.5), 0, INPUT_SIDE - width))
    centred[top : top + height, left : left + width] = fitted
    return centred
