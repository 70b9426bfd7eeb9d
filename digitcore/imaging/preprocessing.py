"""Preprocessing: from any picture of a digit to a 28x28 input like MNIST's own.

The stages, which `Preprocessed` holds for display:

1. ink: the difference of each pixel from the ground's colour, for any colours, polarity and bit depth;
2. cropped: the smallest box around the ink; specks and stray dots are left out from here on;
3. fitted: the longer side brought to 20 pixels by area averaging, with the aspect ratio unchanged;
4. model_input: placed on a black 28x28 ground by a whole-pixel shift that brings the centre of mass to (14, 14).

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", for steps 2 to 4. MNIST's own
images come out unchanged, except for three test images whose longer side is 19. Nothing is left out of pictures as
small as MNIST's, where a pixel beside a stroke two pixels wide may be a speck or the end of the stroke.
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
from digitcore.imaging.components import box_of, find_components
from digitcore.imaging.costly_files import costly_trait
from digitcore.imaging.drawings import margin_of, plain_ink, shares_of, stretch
from digitcore.imaging.exact import Levels, area_sums, cubic_sums
from digitcore.imaging.file_kinds import unread_kind
from digitcore.imaging.photograph import LEAST_CONTRAST, clean, denoise, is_even, is_noisy
from digitcore.imaging.surroundings import find_sheet, is_written_on, without_frame
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
    "grey_picture",
    "normalize",
    "preprocess",
    "preprocess_ink",
    "read_image",
    "resize_ink",
]

PREPROCESSING = "mnist-1"
"""Version of the preprocessing, which checkpoints and evaluations record. It changes when networks trained with one
version cannot use the other."""
INPUT_SIDE = 28
FITTED_SIDE = 20
INPUT_MEAN = 0.1307
INPUT_STD = 0.3081
"""Mean and standard deviation of the pixels of MNIST's 60,000 training images, ink being 1."""

_NORMALIZED = ((torch.arange(256).float() / 255 - INPUT_MEAN) / INPUT_STD).numpy()  # of each level

DigitImage: TypeAlias = Image.Image | NDArray[np.uint8]
"""A PIL image, or uint8 of shape (H, W), (H, W, 3) RGB or (H, W, 4) RGBA."""

_Floats: TypeAlias = NDArray[np.float32]

_WORKING_SIDE = 1024  # larger pictures are reduced by a whole factor first
_LARGEST_VALUE = 1e30  # of pictures of floats: the difference of larger ones may be infinite
_FULL_INK = 0.98  # of resized ink, likewise to that of `drawings.stretch`

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
    """The stages of preprocessing; in every stage 255 is full ink and 0 is none."""

    ink: NDArray[np.uint8]  # (H, W)
    box: tuple[int, int, int, int]
    """left, top, right, bottom of the digit, in pixels of `ink`; right and bottom are exclusive."""
    left_out: NDArray[np.bool_]  # (H, W)
    """Where the ink of specks and stray dots is, which the stages from `cropped` on leave out."""
    fitted: NDArray[np.uint8]  # (h, w), the longer one 20
    model_input: NDArray[np.uint8]  # (28, 28)

    @property
    def cropped(self) -> NDArray[np.uint8]:
        """The part (bottom - top, right - left) of `ink` inside `box`, without what is left out."""
        left, top, right, bottom = self.box
        return np.where(self.left_out[top:bottom, left:right], 0, self.ink[top:bottom, left:right])


def read_image(source: str | Path | bytes | BinaryIO, *, name: str | None = None) -> Image.Image:
    """The decoded picture in a file, in bytes, or in an open binary file.

    The first frame of an animation. name: of the picture in errors; default: the path, or "the picture".

    Raises:
        ImageError: missing, empty, too large (see `Settings`), damaged, or not a picture.
    """
    limit = load_settings()
    name = name or (str(source) if isinstance(source, str | Path) else "the picture")
    data = _read_bytes(source, name=name, limit=limit.max_image_bytes)
    kind = unread_kind(data)
    if kind is not None:
        raise ImageError(f"{name} cannot be read as a picture: it is {kind}. Open it and save it as JPEG or PNG.")
    trait = costly_trait(data)
    if trait is not None:
        raise ImageError(f"{name} is {trait}: open it and save it again.")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        width, height = image.size
        if width * height > limit.max_image_pixels:
            raise ImageError(
                f"{name} has {width} x {height} pixels, more than the {limit.max_image_pixels:,} that are read: "
                "make it smaller and try again."
            )
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{name} has more than the {limit.max_image_pixels:,} pixels that are read: make it smaller."
        ) from error
    except _DECODING_ERRORS as error:
        raise ImageError(
            f"{name} cannot be read as a picture ({_first_line(error)}): "
            f"it is damaged or of another kind. Use one of {', '.join(_FORMATS)}."
        ) from error
    return image


def _read_bytes(source: str | Path | bytes | BinaryIO, *, name: str, limit: int) -> bytes:
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
            raise ImageError(f"{name} cannot be opened: {error.strerror or error}. Check the path.") from error
    if not data:
        raise ImageError(f"{name} is empty: choose a file that holds a picture.")
    if len(data) > limit:
        raise ImageError(f"{name} is larger than {limit / 1e6:g} MB: make it smaller and try again.")
    return data


def _first_line(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known picture format"
    return next(iter(str(error).splitlines()), type(error).__name__)


def preprocess(image: DigitImage) -> Preprocessed:
    """All stages from a picture of one digit to the network's input.

    Raises:
        BlankImageError: there is no ink.
        ImageError: the pixels cannot be used (no pixels, NaN or infinity).
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
    digit = np.where(left_out, 0, ink) if left_out.any() else ink
    box = box_of(digit)
    fitted = _fit(digit[box[1] : box[3], box[0] : box[2]])
    return Preprocessed(ink=ink, box=box, left_out=left_out, fitted=fitted, model_input=centre_mass(fitted))


def blank_stages(ink: NDArray[np.uint8]) -> Preprocessed:
    """The stages of ink (H, W) that is 0 everywhere, which `preprocess_ink` refuses: all black."""
    height, width = ink.shape
    model_input = np.zeros((INPUT_SIDE, INPUT_SIDE), dtype=np.uint8)
    nothing = np.zeros(ink.shape, dtype=bool)
    return Preprocessed(ink=ink, box=(0, 0, width, height), left_out=nothing, fitted=_fit(ink), model_input=model_input)


def normalize(images: NDArray[np.uint8]) -> Tensor:
    """Network input: float32 (N, 1, 28, 28) of images uint8 (N, 28, 28), with MNIST's mean and standard deviation."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (INPUT_SIDE, INPUT_SIDE):
        raise ValueError(f"images must be uint8 of shape (N, 28, 28), got {images.dtype} {images.shape}")
    return torch.from_numpy(_NORMALIZED.take(images)).unsqueeze(1)


def extract_ink(image: DigitImage) -> NDArray[np.uint8]:
    """Ink map uint8 (H, W): 255 where the ink is fullest, 0 where there is none.

    The margin of the picture shows the colour of the ground; ink is darker, lighter, of another colour, or opaque on
    a transparent ground. Clean pictures keep their anti-aliased edges exactly. Noisy ones have their noise removed, and
    where their ground is uneven (photographs, scans) have it evened out. Of a sheet on a margin of one colour only the
    sheet is read; frames, and on photographs what reaches in from the edges, are left out. Pictures with a side over
    1,024 pixels are reduced.

    Raises:
        BlankImageError, ImageError, ValueError: as for `preprocess`.
    """
    picture = _upright_picture(image, longest=_WORKING_SIDE)
    ink = plain_ink(picture) if picture.mode != "F" else None
    return _ink_by_pixel(picture) if ink is None else ink


def _ink_by_pixel(picture: Image.Image) -> NDArray[np.uint8]:
    """The same for any picture of mode F, L, RGB or RGBA."""
    colour, alpha = _colour_and_alpha(picture)
    difference = _difference_from_ground(colour, alpha)
    is_opaque = bool(alpha.min() > 0.5)
    sheet = find_sheet(difference) if is_opaque else None
    if sheet is not None:
        inside = _ink_of(colour[sheet], _difference_from_ground(colour[sheet], alpha[sheet]), is_opaque=True)
        if is_written_on(inside):
            ink = np.zeros(difference.shape, dtype=np.uint8)
            ink[sheet] = inside
            return ink
    return _ink_of(colour, difference, is_opaque=is_opaque)


def _ink_of(colour: _Floats, difference: _Floats, *, is_opaque: bool) -> NDArray[np.uint8]:
    """Ink map (H, W) of colour (H, W, C) that differs so much from its ground."""
    if difference.max() < LEAST_CONTRAST:
        return np.zeros(difference.shape, dtype=np.uint8)
    relative = difference / difference.max()
    if not is_opaque or not is_noisy(relative):
        return without_frame(_stretched(difference))
    return without_frame(_stretched(clean(relative) if is_even(relative) else denoise(colour)))


def _stretched(difference: _Floats) -> NDArray[np.uint8]:
    return stretch(difference, peak=float(difference.max()))


def for_display(image: DigitImage, *, longest: int) -> NDArray[np.uint8]:
    """Colours uint8 (h, w, 3) of a picture as it is read, for display: upright, the longer side `longest` pixels.

    Transparent ground becomes black or white, whichever the colours stand out from. Small pictures show their pixels.

    Raises:
        ImageError, ValueError: as for `preprocess`.
    """
    colour, alpha = _colour_and_alpha(_upright_picture(image, longest=_WORKING_SIDE))
    ground = 1.0 if float((colour.mean(axis=2) * alpha).sum()) <= 0.5 * float(alpha.sum()) else 0.0
    blended = colour * alpha[:, :, np.newaxis] + ground * (1 - alpha[:, :, np.newaxis])
    blended = np.rint(255 * np.broadcast_to(blended, (*alpha.shape, 3))).astype(np.uint8)
    scale = longest / max(alpha.shape)
    height, width = (max(1, round(side * scale)) for side in alpha.shape)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(blended).resize((width, height), method))


def grey_picture(image: DigitImage, *, longest: int) -> NDArray[np.uint8]:
    """The mean of the colours, uint8 (H, W), of a picture on white ground, upright and reduced to sides of `longest`.

    Raises:
        ImageError, ValueError: as for `preprocess`.
    """
    colour, alpha = _colour_and_alpha(_upright_picture(image, longest=longest))
    grey = sum(colour[:, :, channel] for channel in range(colour.shape[2])) / np.float32(colour.shape[2])
    levels: NDArray[np.uint8] = np.rint(255 * (1 - alpha * (1 - grey))).astype(np.uint8)
    return levels


def _upright_picture(image: DigitImage, *, longest: int) -> Image.Image:
    """A picture, upright, in mode F, L, RGB or RGBA, reduced by a whole factor where a side is over `longest`."""
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if 0 in image.size:
        raise ImageError(f"The picture has {image.width} x {image.height} pixels: there is nothing to read.")
    image = _upright(image)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits a pixel, which convert("L") would clip
        image = image.convert("F")
    elif image.mode == "La":  # premultiplied grey, which Pillow converts to nothing else
        image = image.convert("LA").convert("RGBA")
    elif image.mode != "L" or image.has_transparency_data:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.reduce(max(1, -(-max(image.size) // longest)))


def _colour_and_alpha(picture: Image.Image) -> tuple[_Floats, _Floats]:
    """Colour (H, W, 1 or 3) and opacity (H, W), both in [0, 1]."""
    values = np.asarray(picture)
    if picture.mode == "F":
        return _unit_range(values)[:, :, np.newaxis], np.ones_like(values)
    if picture.mode == "RGBA":
        return _unit_colour(values[:, :, :3]), shares_of(values[:, :, 3])
    if picture.mode == "L":
        values = np.broadcast_to(values[:, :, np.newaxis], (*values.shape, 3))
    return _unit_colour(values), np.ones(values.shape[:2], dtype=np.float32)


def _unit_colour(levels: NDArray[np.uint8]) -> _Floats:
    """Levels (H, W, 3) as shares of white; where all are grey, the channels share their memory."""
    red, green, blue = np.moveaxis(levels, 2, 0)
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.broadcast_to(shares_of(red)[:, :, np.newaxis], levels.shape)
    return shares_of(levels)


def _upright(image: Image.Image) -> Image.Image:
    """The image rotated by its EXIF orientation; unchanged where the EXIF data are damaged."""
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
    """Values of unknown scale, brought to [0, 1] by the smallest usual full scale that holds them."""
    if not np.isfinite(values).all():
        raise ImageError("The picture contains NaN or infinity: save it again as an 8-bit PNG.")
    if np.abs(values).max() > _LARGEST_VALUE:
        raise ImageError("The picture contains values over 1e30: save it again as an 8-bit PNG.")
    values = values - min(np.float32(0), values.min())
    greatest = float(values.max())
    scale = next((scale for scale in (1.0, 255.0, 4095.0, 65535.0) if greatest <= scale), greatest)
    scaled: _Floats = values / np.float32(scale)
    return scaled


def _difference_from_ground(colour: _Floats, alpha: _Floats) -> _Floats:
    """Largest difference (H, W) of a channel from the ground's, in [0, 1]. Proportional to coverage at edges."""
    if alpha.min() > 0.5:
        return _distance(colour, _median_colour(margin_of(colour)))
    solid = alpha > 0.9
    if np.median(margin_of(alpha)) >= 0.5:  # a hole in an opaque ground
        around: _Floats = np.maximum(1 - alpha, alpha * _distance(colour, _median_colour(margin_of(colour))))
        return around
    if not solid.any():
        return alpha
    ground = _median_colour(colour[solid])
    card = _distance(colour, ground) * alpha
    # One colour on a transparent ground is ink. Two strongly different ones are a digit on a card with transparent
    # corners, provided that the card is solid; strokes of several colours cover less.
    is_card = np.mean(card[solid] > 0.3) > 0.02 and solid.mean() > 0.5
    return card if is_card else alpha


def _median_colour(colours: _Floats) -> _Floats:
    return np.median(colours, axis=0).astype(np.float32)


def _distance(colour: _Floats, ground: _Floats) -> _Floats:
    """Largest difference (H, W) of a channel of colour (H, W, C) from the ground's."""
    is_grey = colour.strides[2] == 0 and (ground == ground[0]).all()
    largest: _Floats = np.abs(colour[:, :, 0] - ground[0])
    for channel in range(1, 1 if is_grey else colour.shape[2]):  # several times as fast as max(axis=2)
        largest = np.maximum(largest, np.abs(colour[:, :, channel] - ground[channel]))
    return largest


def _specks(ink: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where ink (H, W) belongs to specks and stray dots."""
    left, top, right, bottom = box_of(ink)
    specks = np.zeros(ink.shape, dtype=bool)
    if max(right - left, bottom - top) > FITTED_SIDE:
        components = find_components(ink[top:bottom, left:right])
        are_specks = components.specks()
        if are_specks.any():
            specks[top:bottom, left:right] = are_specks[components.numbers]
    return specks


def _fit(cropped: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = cropped.shape
    scale = FITTED_SIDE / max(height, width)
    return resize_ink(cropped, (max(1, round(height * scale)), max(1, round(width * scale))))


def resize_ink(ink: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Ink (H, W) resized: reduced by area averaging, with its peak stretched to 255, or enlarged by a bicubic.

    Sums are exact and rounded once, halves upwards.
    """
    height, width = ink.shape
    if shape == (height, width):
        return ink
    if max(shape) < max(height, width):
        sums = area_sums(ink, shape)  # full ink: 255 * height * width
        return _stretched_levels(sums, full=255 * ink.size)
    sums, weights = cubic_sums(ink, shape)
    return _stretched_levels(np.clip(sums / weights, 0, 255), full=255)


def _stretched_levels(values: Levels, *, full: int) -> NDArray[np.uint8]:
    """Ink uint8 of values from 0 to full, the peak at 255 unless it is (nearly) there already."""
    peak = float(values.max())
    top = full if peak >= _FULL_INK * full or peak == 0 else peak
    levels: NDArray[np.uint8] = np.floor((510 * values + top) / (2 * top)).astype(np.uint8)
    return levels


def centre_mass(fitted: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A black (28, 28) picture with fitted (h, w) on it, the centre of mass in [13.5, 14.5) unless that cuts it."""
    centred = np.zeros((INPUT_SIDE, INPUT_SIDE), dtype=np.uint8)
    height, width = fitted.shape
    row, column = ndimage.center_of_mass(fitted.astype(np.float64))
    top = int(np.clip(INPUT_SIDE // 2 - np.floor(row + 0.5), 0, INPUT_SIDE - height))
    left = int(np.clip(INPUT_SIDE // 2 - np.floor(column + 0.5), 0, INPUT_SIDE - width))
    centred[top : top + height, left : left + width] = fitted
    return centred
