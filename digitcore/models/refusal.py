"""Refusals: pictures whose answer should not be relied on, each with the reason and what to do about it.

Some are seen in the ink itself, whatever a network says of it: there is none, it is a dot, a filled shape, a hole in
a card, a scribble, several digits, cut off at the edge. The rest are seen in the network's logits: it is torn between
digits, or they look like none. The ink is measured in the unit of its own longer side, so neither size nor place nor
colour change a verdict. The limits lie beyond the digits that were looked at, MNIST's validation digits and the pen
digits of writers 1 to 20 drawn with three brushes: of the former one in 5,000 is refused by its ink, of the latter
one in 300.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.imaging.segmentation import DigitInk, PictureInk
from digitcore.models.probabilities import answers_from, probabilities_from

__all__ = [
    "REFUSAL_SCORES",
    "Refusal",
    "RefusalKind",
    "RefusalScore",
    "ink_oddity",
    "refusal_scores",
    "refuse_answer",
    "refuse_ink",
]

RefusalKind: TypeAlias = Literal[
    "blank", "dot", "filled", "inverted", "cut off at the edge", "several digits", "scribble", "unsure", "no digit"
]
RefusalScore: TypeAlias = Literal["confidence", "energy"]
REFUSAL_SCORES: tuple[RefusalScore, ...] = get_args(RefusalScore)
"""What a checkpoint's threshold may be compared with."""


@dataclass(frozen=True)
class Refusal:
    """Why an answer should not be relied on: what was seen, and what helps."""

    kind: RefusalKind
    """For programs; it stays as it is whatever the words."""
    headline: str
    advice: str

    @property
    def reason(self) -> str:
        """The headline and what to do about it, in words."""
        return f"{self.headline} {self.advice}" if self.headline.endswith("?") else f"{self.headline}: {self.advice}"


_BLANK = Refusal("blank", "Blank", "nothing stands out from the ground; draw or choose a digit")
_DOT = Refusal("dot", "Too small", "only a dot is there; draw it larger")
_FILLED = Refusal("filled", "Filled", "a shape without lines; draw a digit, with a thinner brush")
_INVERTED = Refusal("inverted", "Inverted", "the digit seems cut out; leave a margin of its own ground around it")
_CUT_OFF = Refusal("cut off at the edge", "Cut off at the edge", "leave some room around the digit")
_SEVERAL = Refusal("several digits", "Several digits", "read them as a number, or close the gaps of a single one")
_SCRIBBLE = Refusal("scribble", "Scribble", "too many lines for a digit; draw one, in few")
_NO_DIGIT = Refusal("no digit", "Not a digit?", "It does not look like any digit from 0 to 9; draw it plainer")

_SIDE = 80  # pixels of the longer side of the ink where it is measured
_LEAST_DOT = 0.5  # shorter side of a dot, as a share of the longer one
_BLOB = 0.85  # widest place of a dot, as a share of its shorter side
_SMALL = 0.25  # longer side of a dot, as a share of the picture's
_WIDEST = 0.6  # widest place of a digit, as a share of its longer side
_FULLEST = 0.7  # share of its box that a digit inks, where it inks all four corners
_THIN = 1.7  # pixels where it is measured: lines narrower than that may fall to pieces there
_LEAST_WIDE = 0.25
_MOST_HOLES = 4
_MOST_PIECES = 5
_LONGEST = 4.5  # length of all lines, as a multiple of the longer side
_LONGEST_OUTLINE = 8.6  # likewise of their outline
_LEAST_HOLE = 6 / _SIDE**2
_LEAST_PIECE = 0.02  # as a share of the ink
_LEAST_CUT = 0.8  # ink along the edge where a line goes on beyond it, in widths of the line
_FADING = 0.9  # ink along the edge where a line ends there, as a share of the ink in the next row
_MOST_DEPTH = 1.5  # of a line along the edge, in its widths
_LEAST_SPACE = 0.12  # between two digits, as a share of the taller
_LEAST_HEIGHT = 0.6  # of a digit beside another, as a share of it
_TOUCH = 32  # of 255
_SOLID = 128  # of 255
_TORN = 0.8  # two digits hold this much of the probability between them: it is one of them


def refuse_ink(picture: PictureInk) -> Refusal | None:
    """Why the ink of a picture is not one whole digit, whatever a network says of it; None: it may be one."""
    ink = picture.pixels
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        return _BLANK
    shape = _measure(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    if shape.aspect >= _LEAST_DOT and shape.widest >= _BLOB * shape.aspect:
        return _DOT if shape.side < _SMALL * max(ink.shape) else _FILLED
    if shape.widest >= _WIDEST:
        return _FILLED
    if shape.is_card:
        return _INVERTED
    if _is_cut_off(ink, width=shape.width * shape.side):
        return _CUT_OFF
    if shape.pieces > 1 and _are_several(picture.digits):
        return _SEVERAL
    return _SCRIBBLE if shape.is_tangled else None


def ink_oddity(ink: NDArray[np.uint8]) -> str | None:
    """What ink (H, W), 255 = ink, looks like that is not one whole digit, as `RefusalKind`; None: it may be one."""
    refusal = refuse_ink(PictureInk(ink))
    return None if refusal is None else refusal.kind


def refusal_scores(logits: NDArray[np.floating], score: RefusalScore) -> NDArray[np.float64]:
    """How much each row of calibrated logits (N, 10) speaks for a digit, float64 (N,): the greater, the more.

    `confidence` is the greatest probability, in single precision as predictions have it. `energy` is the logarithm of
    the sum of the exponentials (the negative of the free energy): unlike the confidence it falls where nothing speaks
    for any digit, however the remainder is shared out.

    Source: W. Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.
    """
    if score == "confidence":
        confidence: NDArray[np.float64] = probabilities_from(logits).max(axis=1).astype(np.float64)
        return confidence
    rows = logits.astype(np.float64)
    most = rows.max(axis=1, keepdims=True)
    energies: NDArray[np.float64] = most[:, 0] + np.log(np.exp(rows - most).sum(axis=1))
    return energies


def refuse_answer(logits: NDArray[np.float32], *, score: RefusalScore, threshold: float) -> Refusal | None:
    """Why an answer with these calibrated logits (10,) should not be relied on: its score is below the threshold."""
    if refusal_scores(logits[np.newaxis], score)[0] >= threshold:
        return None
    (answer,) = answers_from(logits[np.newaxis])
    second = int(np.argsort(answer.probabilities)[-2])
    best_two = float(answer.probabilities[answer.digit]) + float(answer.probabilities[second])
    if score == "confidence" or best_two >= _TORN > answer.confidence:
        shares = [_percent(answer.confidence), _percent(float(answer.probabilities[second]))]
        which = f"probably {answer.digit} ({shares[0]}), perhaps {second} ({shares[1]})"
        return Refusal("unsure", "Not sure", f"{which}; draw it plainer")
    return _NO_DIGIT


def _percent(probability: float) -> str:
    """A whole percentage; neither "100%" nor "0%", since nothing is certain."""
    if probability >= 0.995:
        return ">99%"
    return "<1%" if probability < 0.005 else f"{probability:.0%}"


@dataclass(frozen=True)
class _Shape:
    """Measures of ink, in the unit of the longer side of its box."""

    side: int
    """That unit, in pixels of the picture."""
    aspect: float
    """Shorter side of the box."""
    widest: float
    """Diameter of the largest disc in the ink."""
    width: float
    """Of its lines, the median."""
    length: float
    """Of all lines together: the area divided by their width."""
    outline: float
    """Length of the ink's outline, holes and all."""
    pieces: int
    holes: int
    is_card: bool
    """Whether it fills its box, corners and all."""

    @property
    def is_tangled(self) -> bool:
        """Whether there are more lines, holes or pieces than any digit has."""
        return (
            self.holes > _MOST_HOLES
            or self.pieces > _MOST_PIECES
            or self.length > _LONGEST
            or self.outline > _LONGEST_OUTLINE
        )


def _measure(cropped: NDArray[np.uint8]) -> _Shape:
    """Measures of the ink in its box (h, w).

    Lines too thin to stay whole where they are measured are made wider first, and their width is counted without.
    """
    side = max(cropped.shape)
    widening = 0
    if side > _SIDE // 2 and _is_thin(cropped, width=max(2, round(_THIN * side / _SIDE))):
        widening = max(1, round(side / _SIDE))
        whole = np.minimum(cropped, _SOLID - 1) * 2  # a line between two rows of pixels is half ink on each
        cropped = ndimage.maximum_filter(whole, size=1 + widening)
    height, width = (max(1, round(length * _SIDE / side)) for length in cropped.shape)
    scaled = np.asarray(Image.fromarray(cropped).resize((width, height), Image.Resampling.BILINEAR))
    solid = np.pad(scaled >= min(_SOLID, int(scaled.max())), 1)
    depth = ndimage.distance_transform_edt(solid)
    ridge = solid & (depth == ndimage.maximum_filter(depth, size=3))
    line = 2 * float(np.median(depth[ridge]))
    area = int(np.count_nonzero(solid))
    steps = np.count_nonzero(solid[1:] != solid[:-1]) + np.count_nonzero(solid[:, 1:] != solid[:, :-1])
    grounds, pieces = _sizes(~solid, reach=1), _sizes(solid, reach=2)
    corners = solid[[1, 1, -2, -2], [1, -2, 1, -2]]
    return _Shape(
        side=side,
        aspect=min(height, width) / _SIDE,
        widest=2 * float(depth.max()) / _SIDE,
        width=max(0.0, line / _SIDE - widening / side),
        length=area / line / _SIDE,
        outline=float(steps) * np.pi / 4 / _SIDE,
        pieces=int(np.count_nonzero(pieces >= _LEAST_PIECE * area)),
        holes=int(np.count_nonzero(grounds >= _LEAST_HOLE * _SIDE**2)) - 1,
        is_card=bool(corners.all() and area >= _FULLEST * height * width and min(height, width) >= _LEAST_DOT * _SIDE),
    )


def _is_thin(cropped: NDArray[np.uint8], *, width: int) -> bool:
    """Whether hardly any of the ink is in lines of this width, in pixels, or wider ones."""
    solid = cropped >= min(_SOLID, int(cropped.max()))
    return _count_squares(solid, side=width) * width < _LEAST_WIDE * int(np.count_nonzero(solid))


def _count_squares(solid: NDArray[np.bool_], *, side: int) -> int:
    """In how many places a square of this side lies in what is solid (H, W); scipy.ndimage takes ten times as long.

    >>> _count_squares(np.ones((3, 4), dtype=bool), side=2)
    6
    """
    for _ in range(2):
        length = 1  # of the runs down that begin where `solid` is true
        while length < side:
            step = min(length, side - length)
            solid = solid[:-step] & solid[step:]
            length += step
        solid = solid.T
    return int(np.count_nonzero(solid))


def _are_several(digits: Sequence[DigitInk]) -> bool:
    """Whether these digits of a picture stand beside each other, with a space between them.

    Fewer than are found: two strokes of a 4, a broken bow or a flying bar overlap or stand closer.
    """
    boxes = sorted(digit.box for digit in digits)
    heights = [bottom - top for _, top, _, bottom in boxes]
    most = max(heights, default=0)
    return (
        len(boxes) > 1
        and min(heights) >= _LEAST_HEIGHT * most
        and all(right[0] - left[2] >= _LEAST_SPACE * most for left, right in pairwise(boxes))
    )


def _sizes(pixels: NDArray[np.bool_], *, reach: int) -> NDArray[np.int64]:
    """Pixels of each connected piece, touching by edges (reach 1) or by corners too (2)."""
    labels, _ = ndimage.label(pixels, structure=ndimage.generate_binary_structure(2, reach))
    return np.bincount(labels.ravel())[1:]


def _is_cut_off(ink: NDArray[np.uint8], *, width: float) -> bool:
    """Whether a line of this width, in pixels, goes on beyond the edge of the picture.

    Where the ink touches two opposite sides, or all four, the picture was cropped to it; and MNIST's own digits may
    touch a side when their mass is centred.
    """
    sides = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
    top, bottom, left, right = (bool((side >= _TOUCH).any()) for side in sides)
    is_cropped = top == bottom and left == right
    if is_cropped or _is_laid_out_like_mnist(ink):
        return False
    return any(_is_crossed(turned, width) for turned in (ink, ink[::-1], ink.T, ink.T[::-1]))


def _is_crossed(ink: NDArray[np.uint8], width: float) -> bool:
    """Whether a line of this width crosses the first row of ink (H, W), or is cut along by it.

    A line that touches the row has less ink there than inside, and its round end less than a line is wide. The whole
    line is there where a bar or a bow follows the row: it is as deep as a line is wide, and no narrower than at the
    edge.
    """
    solid = ink >= _SOLID
    within, beyond = solid[: 1 + round(_LEAST_CUT * width)], solid[: 2 + round(_MOST_DEPTH * width)]
    next_row = ink[min(len(ink) - 1, 1)]
    halfway = solid[min(len(solid) - 1, round(width / 2))]
    for start, end in _runs(solid[0]):
        middle = (start + end) // 2
        is_whole = within[:, middle].all() and not beyond[:, middle].all() and halfway[start:end].all()
        is_fading = ink[0, start:end].mean() < _FADING * next_row[start:end].mean()
        if end - start >= max(1.0, _LEAST_CUT * width) and not (is_whole or is_fading):
            return True
    return False


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where marked (N,) begins and ends to be true, time after time."""
    ends = np.flatnonzero(np.diff(np.r_[0, marked.view(np.int8), 0]))
    return list(zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True))


def _is_laid_out_like_mnist(ink: NDArray[np.uint8]) -> bool:
    """Whether the longer side of the ink takes 20 of 28 parts of a square picture and its mass lies in the middle."""
    side = len(ink)
    if ink.shape != (side, side):
        return False
    extents = (int(np.ptp(np.flatnonzero(ink.any(axis=axis)))) + 1 for axis in (0, 1))
    centre = np.array(ndimage.center_of_mass(ink)) + 0.5
    return abs(max(extents) * 28 / side - 20) < 0.5 and bool((np.abs(centre * 28 / side - 14) < 1.1).all())
