"""Measures of how a digit is drawn, compared with other digits: thickness, ink, width, slant and balance.

They are taken of the network's input (28, 28), where size and place on the canvas are gone already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.imaging.preprocessing import INPUT_SIDE, Preprocessed

__all__ = [
    "SHAPE_MEASURES",
    "Placement",
    "RankedValue",
    "ShapeMeasure",
    "hint",
    "measure_shapes",
    "placement",
    "rank_shape",
]

_EXTREME = 1.0  # per cent of the digits compared with


@dataclass(frozen=True)
class ShapeMeasure:
    """One measure of a digit, and the words for smaller and for greater values."""

    name: str
    value_format: str
    low: str
    high: str
    """What a digit of a smaller, and of a greater, value is called in comparison: "thinner", "thicker"."""
    low_advice: str
    high_advice: str
    """What to try where the value is extremely small or great."""


@dataclass(frozen=True)
class RankedValue:
    """A digit's value of one measure, and its percentile among other digits."""

    measure: ShapeMeasure
    value: float
    percentile: float
    """Per cent of the digits compared with that have a smaller value; equal ones count half."""

    @property
    def is_extreme(self) -> bool:
        """Whether less than 1% of the digits compared with are as far out."""
        return not _EXTREME <= self.percentile <= 100 - _EXTREME

    @property
    def comparison(self) -> str:
        """The percentile in words: "thinner than 72%"."""
        word, share = (
            (self.measure.low, 100 - self.percentile) if self.percentile < 50 else (self.measure.high, self.percentile)
        )
        return f"{word} than {min(int(share), 99)}%"


@dataclass(frozen=True)
class Placement:
    """Where a digit was on its picture, all as shares."""

    size: float
    """Longer side of its box, of the longer side of the picture."""
    across: float
    down: float
    """The middle of its box, from the left and from the top."""


SHAPE_MEASURES = (
    ShapeMeasure("thickness", "{:.1f} px", "thinner", "thicker", "try a wider brush",
                 "try a narrower brush, or draw larger"),
    ShapeMeasure("ink", "{:.0f} px", "less ink", "more ink", "try a wider brush", "try a narrower brush"),
    ShapeMeasure("width", "{:.0%} of the height", "narrower", "wider", "try to draw it wider",
                 "try to draw it narrower"),
    ShapeMeasure("slant", "{:+.0f}°", "slanted more to the left", "slanted more to the right",
                 *["try it more upright"] * 2),
    ShapeMeasure("balance", "{:.0%} from top", "more top-heavy", "more bottom-heavy", "try a smaller upper part",
                 "try a smaller lower part"),
)  # fmt: skip


def measure_shapes(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Values (N,) by the names of `SHAPE_MEASURES`, of model inputs uint8 (N, 28, 28).

    `thickness`: diameter in pixels of the round brush whose straight stroke has as much area and outline;
    `ink`: sum of the pixels, full ink being 1; `width`: of the box around all ink, as a share of its height;
    `slant`: degrees by which the second moments lean, to the right positive;
    `balance`: how far below the top of the box the centre of mass lies, as a share of its height.

    Raises:
        ValueError: images of another kind, or without ink.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (INPUT_SIDE, INPUT_SIDE):
        raise ValueError(f"images must be uint8 of shape (N, 28, 28), got {images.dtype} {images.shape}")
    if not images.any(axis=(1, 2)).all():
        raise ValueError("images must have ink, got a blank image")
    values: NDArray[np.float32] = images.astype(np.float32) / np.float32(255)
    position = np.arange(INPUT_SIDE, dtype=np.float64)
    rows, columns = values.sum(axis=2, dtype=np.float64), values.sum(axis=1, dtype=np.float64)  # (N, 28)
    ink = rows.sum(axis=1)
    row, column = rows @ position / ink, columns @ position / ink  # centres of mass
    covariance = (values @ position.astype(np.float32)) @ position / ink - row * column
    variance = rows @ position**2 / ink - row**2
    top, height = _extent(rows)
    _, width = _extent(columns)
    return {
        "thickness": _thickness(ink, _outline(values)),
        "ink": ink,
        "width": width / height,
        "slant": -np.degrees(np.arctan2(covariance, np.maximum(variance, 1e-9))),  # rows run downwards
        "balance": (row - top + 0.5) / height,
    }


def _extent(profile: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and number of the pixels from the first to the last that is not 0, of profiles (N, 28)."""
    inked = profile > 0
    first = inked.argmax(axis=1)
    return first, inked.shape[1] - inked[:, ::-1].argmax(axis=1) - first


def _outline(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Length (N,) of the outlines: the total variation, which is the mean length over all levels of grey."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    a, b, c, d = padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]
    falling, rising = d - a, b - c  # along the two diagonals
    length: NDArray[np.float64] = np.sqrt((falling**2 + rising**2) / 2).sum(axis=(1, 2), dtype=np.float64)
    return length


def _thickness(area: NDArray[np.float64], outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solves area = w L + pi w^2 / 4, outline = 2 L + pi w, a stroke of length L with round ends, for w."""
    root = np.sqrt(np.maximum(outline**2 / 4 - np.pi * area, 0))
    thickness: NDArray[np.float64] = (outline / 2 - root) * (2 / np.pi)
    return thickness


def rank_shape(image: NDArray[np.uint8], reference: Mapping[str, NDArray[np.float64]]) -> list[RankedValue]:
    """A value for each of `SHAPE_MEASURES` of a model input uint8 (28, 28), ranked among `reference`.

    reference: what `measure_shapes` returns for the digits to compare with.

    Raises:
        ValueError: as for `measure_shapes`, or reference has no values.
    """
    values = {name: float(column[0]) for name, column in measure_shapes(image[np.newaxis]).items()}
    return [
        RankedValue(measure, values[measure.name], _percentile(values[measure.name], reference[measure.name]))
        for measure in SHAPE_MEASURES
    ]


def _percentile(value: float, others: NDArray[np.float64]) -> float:
    if len(others) == 0:
        raise ValueError("reference must have values, got none")
    return float(50 * (np.mean(others < value) + np.mean(others <= value)))


def hint(values: Sequence[RankedValue], *, group: str) -> str | None:
    """The most extreme value in words, with what to try; None where none is extreme.

    group: name of the digits compared with, such as "MNIST's 4s". Of equally extreme values the first counts.
    """
    extremes = [value for value in values if value.is_extreme]
    if not extremes:
        return None
    most = min(extremes, key=lambda value: min(value.percentile, 100 - value.percentile))
    advice = most.measure.low_advice if most.percentile < 50 else most.measure.high_advice
    return f"{most.comparison[0].upper()}{most.comparison[1:]} of {group}: {advice}."


def placement(preprocessed: Preprocessed) -> Placement:
    """Where the digit was before cropping took its size and place away."""
    height, width = preprocessed.ink.shape
    left, top, right, bottom = preprocessed.box
    size = max(right - left, bottom - top) / max(height, width)
    return Placement(size, (left + right) / 2 / width, (top + bottom) / 2 / height)
