"""Synthetic digits: a grammar that writes pen strokes of each digit in the forms that people use.

MNIST was written in America around 1990. Elsewhere a 1 has a flag, a 7 a bar, a 0 a slash and a 4 an open top. A form
is a few runs of the pen with random proportions; `write_digit` bends, slants and shakes them and moves their ends, and
returns strokes that `digitcore.imaging.strokes` renders.

Source of the forms: "Regional handwriting variation" (Wikipedia), and the pen strokes of writers 1 to 20 of UCI's
"Pen-Based Recognition of Handwritten Digits", by eye; the grammar holds none of those strokes.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from digitcore.imaging.strokes import Stroke, transform_points

__all__ = ["form_names", "write_digit"]

_Points: TypeAlias = NDArray[np.float64]  # (P, 2): x right, y down; a digit is 1 high and about 0.6 wide
_Form: TypeAlias = Callable[[np.random.Generator], list[_Points]]

_SPACING = 0.02  # between the points of a run, in heights
_BENDING = 1 / (1 + np.add.outer(np.arange(3), np.arange(3)))  # finer bends are smaller


def form_names(digit: int) -> list[str]:
    """The forms of a digit from 0 to 9 that `write_digit` knows."""
    return [name for name, _, _ in _FORMS[digit]]


def write_digit(digit: int, *, generator: np.random.Generator, form: str | None = None) -> tuple[Stroke, ...]:
    """The strokes of a digit from 0 to 9, about 1 high, in this form (default: a random one, common forms more often).

    Raises:
        ValueError: the digit has no form of this name.
    """
    forms = {name: (weight, write) for name, weight, write in _FORMS[digit]}
    if form is None:
        weights = np.array([weight for weight, _ in forms.values()], dtype=float)
        form = str(generator.choice(list(forms), p=weights / weights.sum()))
    if form not in forms:
        raise ValueError(f"form must be one of {', '.join(forms)}, got {form!r}")
    return _as_by_hand(forms[form][1](generator), generator)


def _as_by_hand(strokes: Sequence[_Points], generator: np.random.Generator) -> tuple[Stroke, ...]:
    """Bent, slanted, stretched and shaken; each stroke a little out of place, too short or too long."""
    strokes = [_ends_moved(stroke, generator) for stroke in strokes]
    if len(strokes) > 1:
        strokes = [stroke + generator.normal(0, 0.025, 2) for stroke in strokes]
    bend = generator.normal(0, 0.04, (2, 3, 3)) * _BENDING
    slant = generator.normal(0.1, 0.12)
    width = float(np.exp(generator.normal(0, 0.2)))
    turn = np.radians(generator.normal(0, 3))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shake = generator.gamma(1.5, 0.004)
    varied = []
    for stroke in strokes:
        points = stroke + _displacement(stroke, bend)
        points = points * [width, 1]
        points[:, 0] += slant * (0.5 - points[:, 1])
        points = transform_points(points, rotation)
        points += _smooth_noise(len(points), generator) * shake
        varied.append(points.astype(np.float32))
    return tuple(varied)


def _displacement(points: _Points, bend: _Points) -> _Points:
    """A smooth field (P, 2): products of the first three cosines on each axis with coefficients `bend` (2, 3, 3)."""
    x, y = np.clip(points[:, 0] / 0.6, -0.5, 1.5), np.clip(points[:, 1], -0.5, 1.5)
    order = np.arange(3)
    across, down = np.cos(np.pi * np.outer(x, order)), np.cos(np.pi * np.outer(y, order))
    field: _Points = np.einsum("pi,pj,aij->pa", across, down, bend)
    return field


def _ends_moved(points: _Points, generator: np.random.Generator) -> _Points:
    """Each end shortened or extended by a few hundredths of the height."""
    for reverse in (False, True):
        if reverse:
            points = points[::-1]
        change = generator.normal(0, 0.03)
        count = min(round(abs(change) / _SPACING), len(points) // 4)
        if len(points) < 8 or count == 0:
            continue
        if change < 0:
            points = points[count:]
        else:
            step = points[0] - points[3]
            step = step / max(_length(step), 1e-6) * _SPACING
            points = np.concatenate([points[0] + step * np.arange(count, 0, -1)[:, np.newaxis], points])
    return points[::-1]


def _smooth_noise(count: int, generator: np.random.Generator) -> _Points:
    """Noise (count, 2) of standard deviation about 1 like that of a hand: it changes over some ten points."""
    knots = generator.normal(0, 1, (count // 8 + 3, 2))
    place = np.arange(count) / 8 + generator.random()
    return np.stack([np.interp(place, np.arange(len(knots)), knots[:, axis]) for axis in (0, 1)], axis=1)


def _spaced(points: _Points) -> _Points:
    """The same path with points `_SPACING` apart."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0, along[-1], max(2, round(along[-1] / _SPACING) + 1))
    return np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], axis=1)


def _length(step: _Points) -> float:
    """Of one step (2,). `np.linalg.norm` would call BLAS, whose last bit depends on the processor."""
    return math.sqrt(float(step[0]) ** 2 + float(step[1]) ** 2)


def _line(*corners: tuple[float, float]) -> _Points:
    """Straight from corner to corner."""
    return _spaced(np.array(corners, dtype=float))


def _curve(*knots: tuple[float, float]) -> _Points:
    """Smoothly through all knots: a centripetal Catmull-Rom spline (E. Catmull, R. Rom, 1974; P. J. Barry, 1988)."""
    points = np.array(knots, dtype=float)
    points = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    pieces = []
    for p0, p1, p2, p3 in zip(points, points[1:], points[2:], points[3:], strict=False):
        t0 = 0.0
        t1, t2, t3 = np.cumsum([max(_length(b - a) ** 0.5, 1e-3) for a, b in ((p0, p1), (p1, p2), (p2, p3))])
        t = np.linspace(t1, t2, 16)[:, np.newaxis]
        a1 = (t1 - t) / (t1 - t0) * p0 + (t - t0) / (t1 - t0) * p1
        a2 = (t2 - t) / (t2 - t1) * p1 + (t - t1) / (t2 - t1) * p2
        a3 = (t3 - t) / (t3 - t2) * p2 + (t - t2) / (t3 - t2) * p3
        b1 = (t2 - t) / (t2 - t0) * a1 + (t - t0) / (t2 - t0) * a2
        b2 = (t3 - t) / (t3 - t1) * a2 + (t - t1) / (t3 - t1) * a3
        pieces.append((t2 - t) / (t2 - t1) * b1 + (t - t1) / (t2 - t1) * b2)
    return _spaced(np.concatenate(pieces))


def _arc(centre: tuple[float, float], radii: tuple[float, float], start: float, end: float) -> _Points:
    """Along an ellipse from one angle to another, in degrees: 0 right, 90 down."""
    angle = np.radians(np.linspace(start, end, max(8, round(abs(end - start) / 6))))
    return _spaced(np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1))


def _joined(*runs: _Points) -> _Points:
    """One stroke of several runs; where one does not begin at the end of the last, the pen goes there straight."""
    return _spaced(np.concatenate(runs))


def _end(run: _Points) -> tuple[float, float]:
    """Where the pen is after a run."""
    return float(run[-1, 0]), float(run[-1, 1])


def _oval(generator: np.random.Generator) -> _Points:
    u = generator.uniform
    radii = (u(0.22, 0.36), 0.5)
    start = u(-140, -30)
    turn = u(325, 410) * generator.choice([-1, 1])
    return _arc((0.3, 0.5), radii, start, start + turn)


def _zero(generator: np.random.Generator) -> list[_Points]:
    return [_oval(generator)]


def _zero_slashed(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    reach = u(-0.12, 0.2)
    slash = _line((0.08 - reach * 0.7, 0.86 + reach * 0.6), (0.52 + reach * 0.7, 0.14 - reach * 0.6))
    if generator.random() < 0.15:
        slash[:, 0] = 0.6 - slash[:, 0]
    if generator.random() < 0.1:
        slash = _line((0.3 + u(-0.05, 0.05), -reach), (0.3 + u(-0.05, 0.05), 1 + reach))
    return [_oval(generator), slash]


def _zero_slashed_at_once(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    oval = _arc((0.3, 0.5), (u(0.24, 0.36), 0.5), -60, -60 - u(330, 370))
    return [_joined(oval, _line(_end(oval), (u(0.0, 0.15), u(0.8, 1.05))))]


def _zero_dotted(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, y = 0.3 + u(-0.04, 0.04), 0.5 + u(-0.06, 0.06)
    return [_oval(generator), _line((x, y), (x + 0.03, y + u(-0.03, 0.03)))]


def _zero_tailed(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    start = u(-110, -60)
    oval = _arc((0.3, 0.5), (u(0.24, 0.34), 0.48), start, start - 360)
    x, y = _end(oval)
    return [
        _joined(oval, _curve((x, y), (x + u(0.02, 0.15), y + u(0.02, 0.12)), (x + u(0.15, 0.4), y - u(-0.05, 0.12))))
    ]


def _one(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    return [_curve((0.3, 0), (0.3 + u(-0.04, 0.04), 0.5), (0.3, 1))]


def _flag(generator: np.random.Generator) -> _Points:
    """The upstroke of a 1, ending at the top of its stem."""
    u = generator.uniform
    length = u(0.08, 0.45)
    drop = length * u(0.7, 2.2)  # a flatter one would make a 7
    return _curve((0.35 - length, drop), (0.35 - length * 0.45, drop * u(0.35, 0.6)), (0.35, 0))


def _one_flagged(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    return [_joined(_flag(generator), _line((0.35, 0), (0.35 + u(-0.04, 0.04), 1)))]


def _foot(generator: np.random.Generator) -> _Points:
    u = generator.uniform
    return _line((0.35 - u(0.1, 0.35), 1 + u(-0.03, 0.03)), (0.35 + u(0.1, 0.35), 1 + u(-0.03, 0.03)))


def _one_footed(generator: np.random.Generator) -> list[_Points]:
    return [_line((0.35, 0), (0.35, 1)), _foot(generator)]


def _one_flagged_and_footed(generator: np.random.Generator) -> list[_Points]:
    return [_joined(_flag(generator), _line((0.35, 0), (0.35, 1))), _foot(generator)]


def _head_of_two(generator: np.random.Generator) -> _Points:
    """From the left over the top and down to the lower left."""
    u = generator.uniform
    return _curve(
        (u(0.0, 0.1), u(0.12, 0.36)),
        (u(0.08, 0.16), u(0.04, 0.12)),
        (0.3 + u(-0.04, 0.04), 0),
        (u(0.48, 0.58), u(0.14, 0.28)),
        (u(0.36, 0.46), u(0.48, 0.6)),
        (u(0.12, 0.22), u(0.78, 0.88)),
        (u(0.0, 0.06), 1),
    )


def _two(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    head = _head_of_two(generator)
    base = _curve((float(head[-1, 0]), 1), (0.3, 1 + u(-0.06, 0.03)), (u(0.5, 0.75), 1 + u(-0.07, 0.07)))
    return [_joined(head, base)]


def _two_looped(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    size = u(0.06, 0.16)
    return [
        _curve(
            (u(0.0, 0.1), u(0.12, 0.32)),
            (0.28, 0),
            (u(0.48, 0.58), u(0.16, 0.28)),
            (u(0.32, 0.42), u(0.5, 0.62)),
            (0.08 + size, 0.9),
            (0.06, 1),
            (u(-0.04, 0.02), 1 - size),
            (0.1, 0.97 - size * 1.4),
            (0.1 + size * 1.2, 0.95 - size * 0.3),
            (0.36, 1 + u(-0.02, 0.04)),
            (u(0.52, 0.75), u(0.86, 1.0)),
        )
    ]


def _two_angular(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    return [
        _joined(
            _curve((u(0.0, 0.1), u(0.0, 0.16)), (0.32, u(-0.08, 0.0)), (u(0.48, 0.58), u(0.06, 0.18))),
            _line((0.54, 0.14), (u(0.0, 0.08), 1), (u(0.5, 0.7), 1 + u(-0.05, 0.05))),
        )
    ]


def _lower_bowl(generator: np.random.Generator, *, x: float, y: float) -> _Points:
    """From (x, y) to the right, round the bottom and to the left end."""
    u = generator.uniform
    return _curve(
        (x, y),
        (u(0.42, 0.52), y + u(0.05, 0.12)),
        (u(0.5, 0.62), u(0.68, 0.78)),
        (u(0.36, 0.44), u(0.93, 0.99)),
        (u(0.16, 0.26), 1),
        (u(-0.04, 0.08), u(0.78, 0.94)),
    )


def _three(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, y = u(0.16, 0.34), u(0.42, 0.52)
    head = _curve(
        (u(-0.02, 0.1), u(0.06, 0.24)),
        (0.26, 0),
        (u(0.44, 0.56), u(0.16, 0.26)),
        (u(0.34, 0.42), u(0.36, 0.42)),
        (x, y),
    )
    return [_joined(head, _lower_bowl(generator, x=x, y=y))]


def _three_looped(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, y, size = u(0.16, 0.3), u(0.44, 0.52), u(0.04, 0.1)
    head = _curve(
        (u(-0.02, 0.1), u(0.06, 0.24)),
        (0.26, 0),
        (u(0.44, 0.56), u(0.16, 0.26)),
        (x + size, y - size * 0.4),
        (x - size, y + size * 0.4),
        (x - size * 0.6, y - size),
        (x + size, y),
    )
    x, y = _end(head)
    return [_joined(head, _lower_bowl(generator, x=x, y=y))]


def _three_flat(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, y = u(0.18, 0.32), u(0.36, 0.46)
    return [
        _joined(
            _line((u(0.0, 0.1), u(0.0, 0.05)), (u(0.46, 0.6), u(-0.03, 0.04)), (x, y)), _lower_bowl(generator, x=x, y=y)
        )
    ]


def _stem_of_four(generator: np.random.Generator, x: float, top: float) -> _Points:
    u = generator.uniform
    return _line((x + u(-0.02, 0.04), top), (x + u(-0.04, 0.04), 1))


def _four_closed(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, bar = u(0.34, 0.54), u(0.52, 0.74)
    corner = _line((x, 0), (u(-0.02, 0.08), bar + u(-0.03, 0.03)), (x + u(0.05, 0.3), bar + u(-0.04, 0.04)))
    stem = _stem_of_four(generator, x, u(-0.03, 0.06))
    return [_joined(corner, stem)] if generator.random() < 0.2 else [corner, stem]


def _four_open(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, bar = u(0.36, 0.6), u(0.42, 0.66)
    left = u(0.0, 0.16)
    corner = _line(
        (left, u(-0.03, 0.16)), (left - u(0.0, 0.12), bar + u(-0.04, 0.03)), (x + u(-0.02, 0.26), bar + u(-0.06, 0.05))
    )
    return [corner, _stem_of_four(generator, x, u(-0.08, bar - 0.12))]


def _four_rounded(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    x, low = u(0.44, 0.6), u(0.44, 0.64)
    bowl = _curve(
        (u(0.0, 0.1), u(-0.02, 0.1)),
        (u(-0.03, 0.05), low * 0.6),
        (u(0.1, 0.2), low),
        (u(0.28, 0.36), low + u(-0.02, 0.03)),
        (x, low - u(0.0, 0.18)),
    )
    top = u(-0.06, 0.22)
    if generator.random() < 0.5:
        return [_joined(bowl, _line((x, low - 0.1), (x + u(-0.01, 0.03), top), (x + u(-0.04, 0.02), 1)))]
    return [bowl, _stem_of_four(generator, x, top)]


def _four_at_once(generator: np.random.Generator) -> list[_Points]:
    """Corner, then up in a loop to the top of the stem, then down."""
    u = generator.uniform
    x, bar = u(0.4, 0.56), u(0.46, 0.64)
    left = u(0.0, 0.12)
    return [
        _joined(
            _line((left, u(0.0, 0.1)), (left - u(0.0, 0.1), bar)),
            _curve((left - 0.05, bar), (x * 0.7, bar + u(-0.02, 0.04)), (x + 0.06, bar - 0.14), (x, u(-0.04, 0.12))),
            _stem_of_four(generator, x, 0.05),
        )
    ]


def _bowl_of_five(generator: np.random.Generator, *, x: float, y: float) -> _Points:
    """From the foot of the stem at (x, y) round to the lower left."""
    u = generator.uniform
    return _curve(
        (x, y),
        (u(0.24, 0.32), y - u(0.02, 0.09)),
        (u(0.48, 0.6), u(0.58, 0.68)),
        (u(0.42, 0.52), u(0.86, 0.93)),
        (u(0.2, 0.3), 1),
        (u(-0.04, 0.08), u(0.84, 0.96)),
    )


def _five_in_two(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    left, y = u(0.04, 0.16), u(0.4, 0.5)
    x = left - u(-0.02, 0.08)
    body = _joined(_line((left, u(0.0, 0.06)), (x, y)), _bowl_of_five(generator, x=x, y=y))
    fly = u(-0.08, 0.06)
    bar = _line((left + u(-0.04, 0.1), fly), (u(0.42, 0.75), fly + u(-0.08, 0.05)))
    return [body, bar]


def _five_at_once(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    left, y = u(0.04, 0.16), u(0.38, 0.5)
    x = left - u(-0.02, 0.08)
    return [
        _joined(
            _line((u(0.42, 0.65), u(-0.06, 0.05)), (left, u(0.0, 0.04)), (x, y)), _bowl_of_five(generator, x=x, y=y)
        )
    ]


def _five_rounded(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    return [
        _curve(
            (u(0.44, 0.65), u(-0.05, 0.06)),
            (u(0.2, 0.3), u(-0.02, 0.05)),
            (u(0.04, 0.12), u(0.16, 0.26)),
            (u(0.12, 0.22), u(0.38, 0.44)),
            (u(0.38, 0.48), u(0.48, 0.56)),
            (u(0.48, 0.6), u(0.68, 0.76)),
            (u(0.34, 0.42), 0.97),
            (u(-0.04, 0.1), u(0.88, 1.0)),
        )
    ]


def _loop_of_six(generator: np.random.Generator, *, top: float, start: tuple[float, float]) -> _Points:
    """From the stem round the bottom, up at the right and back to the stem."""
    u = generator.uniform
    right = u(0.46, 0.6)
    return _curve(
        start,
        (u(0.0, 0.06), u(0.76, 0.84)),
        (u(0.22, 0.3), 1),
        (right, u(0.74, 0.82)),
        (u(0.26, 0.36), top),
        (u(0.02, 0.16), u(0.66, 0.84)),
    )


def _six_curved(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    start = (u(0.0, 0.05), u(0.52, 0.62))
    stem = _curve((u(0.34, 0.56), u(-0.03, 0.06)), (u(0.16, 0.26), u(0.14, 0.22)), start)
    return [_joined(stem, _loop_of_six(generator, top=u(0.4, 0.6), start=start))]


def _six_straight(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    start = (u(0.0, 0.06), u(0.6, 0.7))
    return [_joined(_line((u(0.1, 0.5), 0), start), _loop_of_six(generator, top=u(0.46, 0.64), start=start))]


def _six_hooked(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    start = (u(0.0, 0.05), u(0.54, 0.62))
    stem = _curve((u(0.5, 0.6), u(0.1, 0.22)), (u(0.36, 0.44), 0), (u(0.12, 0.2), u(0.12, 0.22)), start)
    return [_joined(stem, _loop_of_six(generator, top=u(0.4, 0.56), start=start))]


def _top_of_seven(generator: np.random.Generator) -> _Points:
    u = generator.uniform
    right = (u(0.5, 0.66), u(-0.05, 0.06))
    kind = generator.random()
    if kind < 0.3:  # wavy
        return _curve((u(-0.04, 0.05), u(0.02, 0.12)), (0.16, u(-0.06, 0.0)), (0.36, u(0.0, 0.08)), right)
    return _line((u(-0.04, 0.08), u(-0.03, 0.08)), right)


def _seven(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    top = _top_of_seven(generator)
    if generator.random() < 0.3:  # begins with a serif
        x, y = top[0]
        top = _joined(_line((x + u(-0.04, 0.03), y + u(0.06, 0.24)), (x, y)), top)
    x, y = _end(top)
    middle = (u(0.28, 0.44) + u(-0.04, 0.02), u(0.4, 0.55))
    return [_joined(top, _curve((x, y), middle, (u(0.08, 0.36), 1)))]


def _seven_barred(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    (body,) = _seven(generator)
    y = u(0.38, 0.64)
    stem = body[body[:, 1] > 0.2]
    x = float(stem[np.abs(stem[:, 1] - y).argmin(), 0])
    tilt = u(-0.08, 0.04)
    return [body, _line((x - u(0.08, 0.3), y - tilt), (x + u(0.08, 0.3), y + tilt))]


def _eight(generator: np.random.Generator) -> list[_Points]:
    """One S-shaped turn and back; open at the top or closed."""
    u = generator.uniform
    upper, lower = u(0.17, 0.27), u(0.22, 0.32)
    waist = u(0.4, 0.52)
    start = u(-0.12, 0.1)
    end = 1 + u(-0.04, 0.1)
    t = np.linspace(start, end, 120) * 2 * np.pi  # 0: top right of the waist's upper loop
    height = np.where(np.cos(t) > 0, waist, 1 - waist)
    x = 0.3 - np.where(np.cos(t) > 0, upper, lower) * np.sin(2 * t)
    y = waist - height * np.cos(t)
    points = np.stack([x, y], axis=1)
    if generator.random() < 0.3:
        points[:, 0] = 0.6 - points[:, 0]
    return [_spaced(points)]


def _eight_in_two(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    waist = u(0.4, 0.54)
    upper = _arc((0.3 + u(-0.04, 0.04), waist / 2), (u(0.16, 0.26), waist / 2), 90 + u(-60, 60), 450 + u(-40, 60))
    lower = _arc((0.3, (1 + waist) / 2), (u(0.2, 0.3), (1 - waist) / 2), -90 + u(-60, 60), 270 + u(-40, 60))
    return [upper, lower]


def _head_of_nine(generator: np.random.Generator) -> _Points:
    """The loop, from its upper right round to where the stem begins; sometimes left open."""
    u = generator.uniform
    low = u(0.4, 0.58)
    gap = u(-0.02, 0.1)
    return _curve(
        (u(0.44, 0.54), u(0.1, 0.2)),
        (u(0.24, 0.34), u(-0.02, 0.03)),
        (u(-0.02, 0.08), u(0.2, 0.3)),
        (u(0.16, 0.28), low),
        (u(0.4, 0.48), u(0.24, 0.34)),
        (0.52, 0.08 + gap),
    )


def _nine_straight(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    head = _head_of_nine(generator)
    return [_joined(head, _line(_end(head), (u(0.3, 0.56), 1)))]


def _nine_curved(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    head = _head_of_nine(generator)
    x, y = _end(head)
    return [
        _joined(head, _curve((x, y), (u(0.48, 0.56), u(0.44, 0.56)), (u(0.32, 0.44), u(0.8, 0.9)), (u(0.0, 0.2), 1)))
    ]


def _nine_hooked(generator: np.random.Generator) -> list[_Points]:
    u = generator.uniform
    head = _head_of_nine(generator)
    x, y = _end(head)
    tail = _curve(
        (x, y),
        (u(0.5, 0.58), u(0.5, 0.62)),
        (u(0.42, 0.54), u(0.82, 0.92)),
        (u(0.18, 0.32), 1),
        (u(-0.06, 0.08), u(0.78, 0.92)),
    )
    return [_joined(head, tail)]


def _nine_round(generator: np.random.Generator) -> list[_Points]:
    """A closed round head and a stem of its own."""
    u = generator.uniform
    radius = u(0.2, 0.3)
    head = _arc((0.28, radius), (u(0.2, 0.28), radius), u(-60, 20), -360 + u(-40, 20))
    stem = _curve((u(0.46, 0.56), u(0.02, 0.2)), (u(0.46, 0.54), 0.5), (u(0.2, 0.54), 1))
    return [head, stem]


_FORMS: dict[int, tuple[tuple[str, float, _Form], ...]] = {  # name, relative frequency, function
    0: (
        ("plain", 5, _zero),
        ("slashed", 3, _zero_slashed),
        ("slashed at once", 1.5, _zero_slashed_at_once),
        ("dotted", 0.5, _zero_dotted),
        ("tailed", 1, _zero_tailed),
    ),
    1: (
        ("plain", 3, _one),
        ("flagged", 4, _one_flagged),
        ("footed", 1, _one_footed),
        ("flagged and footed", 2, _one_flagged_and_footed),
    ),
    2: (("plain", 4, _two), ("looped", 3, _two_looped), ("angular", 1.5, _two_angular)),
    3: (("plain", 4, _three), ("looped", 2, _three_looped), ("flat-topped", 2, _three_flat)),
    4: (
        ("closed", 2, _four_closed),
        ("open", 3, _four_open),
        ("rounded", 3, _four_rounded),
        ("at once", 1.5, _four_at_once),
    ),
    5: (("in two strokes", 4, _five_in_two), ("at once", 3, _five_at_once), ("rounded", 2, _five_rounded)),
    6: (("curved", 4, _six_curved), ("straight", 2, _six_straight), ("hooked", 1.5, _six_hooked)),
    7: (("plain", 4, _seven), ("barred", 4, _seven_barred)),
    8: (("at once", 5, _eight), ("in two strokes", 2, _eight_in_two)),
    9: (
        ("straight", 3, _nine_straight),
        ("curved", 3, _nine_curved),
        ("hooked", 2.5, _nine_hooked),
        ("round-headed", 1.5, _nine_round),
    ),
}
