"""Synthetic digits: a grammar that writes pen strokes of each digit in the forms that people use.

A form of `digitcore.data.digit_forms` is a few runs of the pen with random proportions; `write_digit` bends, slants and
shakes them and moves their ends, as one hand does with all its digits, and returns strokes that
`digitcore.imaging.strokes` renders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.data.digit_forms import FORMS
from digitcore.data.pen_runs import SPACING, Points, length_of
from digitcore.imaging.strokes import Stroke, transform_points

__all__ = ["Hand", "draw_hand", "form_names", "write_digit"]

_BENDING = 1 / (1 + np.add.outer(np.arange(3), np.arange(3)))  # finer bends are smaller
_FAITHFUL = 0.85  # share of its digits that a hand writes in the form it prefers


@dataclass(frozen=True)
class Hand:
    """How one person writes: the same forms, slant, width and shake for all ten digits."""

    forms: tuple[str, ...]
    """The preferred form of each digit."""
    slant: float  # to the right per height
    width: float  # a factor
    turn: float  # degrees, clockwise
    shake: float  # standard deviation, in heights


def draw_hand(generator: np.random.Generator) -> Hand:
    """A random person's hand; common forms come more often."""
    return Hand(
        forms=tuple(_common_form(digit, generator) for digit in range(10)),
        slant=float(generator.normal(0.1, 0.14)),
        width=float(np.exp(generator.normal(0, 0.18))),
        turn=float(generator.normal(0, 3)),
        shake=float(generator.gamma(1.5, 0.004)),
    )


def form_names(digit: int) -> list[str]:
    """The forms of a digit from 0 to 9 that `write_digit` knows."""
    return [name for name, _, _ in FORMS[digit]]


def write_digit(
    digit: int, *, generator: np.random.Generator, form: str | None = None, hand: Hand | None = None
) -> tuple[Stroke, ...]:
    """The strokes of a digit from 0 to 9, about 1 high.

    form: one of `form_names`; by default mostly the one that the hand prefers. hand: by default a random one.

    Raises:
        ValueError: the digit has no form of this name.
    """
    hand = hand or draw_hand(generator)
    if form is None:
        form = hand.forms[digit] if generator.random() < _FAITHFUL else _common_form(digit, generator)
    if form not in form_names(digit):
        raise ValueError(f"form must be one of {', '.join(form_names(digit))}, got {form!r}")
    write = next(write for name, _, write in FORMS[digit] if name == form)
    return _as_by_hand(write(generator), hand, generator)


def _common_form(digit: int, generator: np.random.Generator) -> str:
    """The name of a random form; common ones come more often."""
    weights = np.array([weight for _, weight, _ in FORMS[digit]], dtype=float)
    return str(generator.choice(form_names(digit), p=weights / weights.sum()))


def _as_by_hand(strokes: Sequence[Points], hand: Hand, generator: np.random.Generator) -> tuple[Stroke, ...]:
    """Bent, slanted, stretched and shaken; each stroke a little out of place, too short or too long."""
    strokes = [_ends_moved(stroke, generator) for stroke in strokes]
    if len(strokes) > 1:
        strokes = [stroke + generator.normal(0, 0.025, 2) for stroke in strokes]
    bend = generator.normal(0, 0.04, (2, 3, 3)) * _BENDING
    slant = hand.slant + generator.normal(0, 0.04)
    width = hand.width * float(np.exp(generator.normal(0, 0.1)))
    turn = np.radians(hand.turn + generator.normal(0, 2))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    varied = []
    for stroke in strokes:
        points = stroke + _displacement(stroke, bend)
        points = points * [width, 1]
        points[:, 0] += slant * (0.5 - points[:, 1])
        points = transform_points(points, rotation)
        points += _smooth_noise(len(points), generator) * hand.shake
        varied.append(points.astype(np.float32))
    return tuple(varied)


def _displacement(points: Points, bend: Points) -> Points:
    """A smooth field (P, 2): products of the first three cosines on each axis with coefficients `bend` (2, 3, 3)."""
    x, y = np.clip(points[:, 0] / 0.6, -0.5, 1.5), np.clip(points[:, 1], -0.5, 1.5)
    order = np.arange(3)
    across, down = np.cos(np.pi * np.outer(x, order)), np.cos(np.pi * np.outer(y, order))
    field: NDArray[np.float64] = np.einsum("pi,pj,aij->pa", across, down, bend)
    return field


def _ends_moved(points: Points, generator: np.random.Generator) -> Points:
    """Each end shortened or extended by a few hundredths of the height."""
    for reverse in (False, True):
        if reverse:
            points = points[::-1]
        change = generator.normal(0, 0.03)
        count = min(round(abs(change) / SPACING), len(points) // 4)
        if len(points) < 8 or count == 0:
            continue
        if change < 0:
            points = points[count:]
        else:
            step = points[0] - points[3]
            step = step / max(length_of(step), 1e-6) * SPACING
            points = np.concatenate([points[0] + step * np.arange(count, 0, -1)[:, np.newaxis], points])
    return points[::-1]


def _smooth_noise(count: int, generator: np.random.Generator) -> Points:
    """Noise (count, 2) of standard deviation about 1 like that of a hand: it changes over some ten points."""
    knots = generator.normal(0, 1, (count // 8 + 3, 2))
    place = np.arange(count) / 8 + generator.random()
    return np.stack([np.interp(place, np.arange(len(knots)), knots[:, axis]) for axis in (0, 1)], axis=1)
