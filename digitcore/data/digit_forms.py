"""The forms in which people write each digit, as runs of the pen with random proportions.

MNIST was written in America around 1990. Elsewhere a 1 has a flag, a 7 a bar, a 0 a slash and a 4 an open top.

Sources of the forms. "Regional handwriting variation" (Wikipedia): the slashed, backslashed, halved and dotted 0, the
flagged, long-flagged and footed 1, the looped 2, the flat-topped 3, the open 4, the barred and hooked 7 and the 7 in
one run. The pen strokes of writers 1 to 20 of UCI's "Pen-Based Recognition of Handwritten Digits", by eye: the grammar
holds none of them. The others were described in words by people who looked at what `world` misread of other drawings.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from digitcore.data.pen_runs import Points, arc, curve, end_of, joined, line, spaced

__all__ = ["FORMS", "Form"]

Form: TypeAlias = Callable[[np.random.Generator], list[Points]]
"""Draws the strokes of one digit, about 1 high."""


def _oval(generator: np.random.Generator) -> Points:
    u = generator.uniform
    radii = (u(0.22, 0.36), 0.5)
    start = u(-140, -30)
    turn = u(325, 410) * generator.choice([-1, 1])
    return arc((0.3, 0.5), radii, start, start + turn)


def _zero(generator: np.random.Generator) -> list[Points]:
    return [_oval(generator)]


def _zero_crossed(
    generator: np.random.Generator, *, angle: tuple[float, float], excess: tuple[float, float]
) -> list[Points]:
    """An oval and a line through its middle: `angle` in degrees above level, `excess` beyond the rim, in radii."""
    u = generator.uniform
    width = u(0.2, 0.42)
    start = u(-140, -30)
    oval = arc((0.3, 0.5), (width, 0.5), start, start + u(325, 410) * generator.choice([-1, 1]))
    direction = np.radians(u(*angle))
    radius = 1 / math.hypot(math.cos(direction) / width, math.sin(direction) / 0.5)
    x, y = 0.3 + u(-0.05, 0.05), 0.5 + u(-0.06, 0.06)
    ends = [radius * (1 + u(*excess)) * sign for sign in (-1, 1)]
    corners = [(x + end * math.cos(direction), y - end * math.sin(direction)) for end in ends]
    return [oval, line(*corners[:: int(generator.choice([-1, 1]))])]


def _zero_slashed(generator: np.random.Generator) -> list[Points]:
    return _zero_crossed(generator, angle=(35, 75), excess=(-0.25, 0.35))


def _zero_long_slashed(generator: np.random.Generator) -> list[Points]:
    return _zero_crossed(generator, angle=(30, 78), excess=(0.35, 1.1))


def _zero_backslashed(generator: np.random.Generator) -> list[Points]:
    return _zero_crossed(generator, angle=(105, 150), excess=(-0.25, 0.5))


def _zero_barred(generator: np.random.Generator) -> list[Points]:
    return _zero_crossed(generator, angle=(-15, 22), excess=(-0.25, 0.5))


def _zero_halved(generator: np.random.Generator) -> list[Points]:
    return _zero_crossed(generator, angle=(78, 102), excess=(-0.2, 0.6))


def _zero_slashed_at_once(generator: np.random.Generator) -> list[Points]:
    """The slash leaves the oval at its end, with a corner or through a loop outside."""
    u = generator.uniform
    start = u(-80, -20)
    oval = arc((0.3, 0.5), (u(0.22, 0.38), 0.5), start, start - u(330, 372))
    x, y = end_of(oval)
    foot = (u(-0.2, 0.16), u(0.75, 1.15))
    if generator.random() < 0.5:
        slash = line((x, y), foot)
    else:
        size = u(0.05, 0.2)
        slash = curve((x, y), (x + size * 0.4, y - size), (x + size * 1.2, y - size * 0.7), (x + size, y), foot)
    stroke = joined(oval, slash)
    return [np.array([0.6, 1.0]) - stroke if generator.random() < 0.2 else stroke]


def _zero_dotted(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, y = 0.3 + u(-0.04, 0.04), 0.5 + u(-0.06, 0.06)
    return [_oval(generator), line((x, y), (x + 0.03, y + u(-0.03, 0.03)))]


def _zero_tailed(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    start = u(-110, -60)
    oval = arc((0.3, 0.5), (u(0.24, 0.34), 0.48), start, start - 360)
    x, y = end_of(oval)
    return [joined(oval, curve((x, y), (x + u(0.02, 0.15), y + u(0.02, 0.12)), (x + u(0.15, 0.4), y - u(-0.05, 0.12))))]


def _one(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    return [curve((0.3, 0), (0.3 + u(-0.04, 0.04), 0.5), (0.3, 1))]


def _flag(generator: np.random.Generator) -> Points:
    """The upstroke of a 1, ending at the top of its stem."""
    u = generator.uniform
    length = u(0.08, 0.45)
    drop = length * u(0.7, 2.2)  # a flatter one would make a 7
    return curve((0.35 - length, drop), (0.35 - length * 0.45, drop * u(0.35, 0.6)), (0.35, 0))


def _one_flagged(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    return [joined(_flag(generator), line((0.35, 0), (0.35 + u(-0.04, 0.04), 1)))]


def _foot(generator: np.random.Generator) -> Points:
    u = generator.uniform
    return line((0.35 - u(0.1, 0.35), 1 + u(-0.03, 0.03)), (0.35 + u(0.1, 0.35), 1 + u(-0.03, 0.03)))


def _one_footed(generator: np.random.Generator) -> list[Points]:
    return [line((0.35, 0), (0.35, 1)), _foot(generator)]


def _one_flagged_and_footed(generator: np.random.Generator) -> list[Points]:
    return [joined(_flag(generator), line((0.35, 0), (0.35, 1))), _foot(generator)]


def _one_long_flagged(generator: np.random.Generator) -> list[Points]:
    """The flag is nearly as long as the stem, or reaches the foot."""
    u = generator.uniform
    drop = u(0.45, 1.02)
    length = drop * u(0.25, 0.7)
    flag = curve((0.35 - length, drop), (0.35 - length * u(0.4, 0.6), drop * u(0.4, 0.55)), (0.35, 0))
    return [joined(flag, line((0.35, 0), (0.35 + u(-0.04, 0.06), 1)))]


def _one_looped(generator: np.random.Generator) -> list[Points]:
    """The upstroke turns into the stem by a loop at the top."""
    u = generator.uniform
    drop, size = u(0.25, 0.75), u(0.04, 0.1)
    return [
        curve(
            (0.35 - drop * u(0.3, 0.8), drop),
            (0.35 + size * 0.4, size * 2.4),
            (0.35 + size, size * 0.7),
            (0.35, 0),
            (0.35 - size, size),
            (0.34, u(0.4, 0.55)),
            (0.35 + u(-0.03, 0.05), 1),
        )
    ]


def _one_footed_at_once(generator: np.random.Generator) -> list[Points]:
    """The stem goes on to the left and back along the foot; with or without a flag."""
    u = generator.uniform
    left = (0.35 - u(0.08, 0.3), 1 + u(-0.06, 0.02))
    foot = curve((0.35, 1), left, (0.35 + u(0.12, 0.36), 1 + u(-0.04, 0.03)))
    stem = line((0.35, 0), (0.35, 1))
    return [joined(_flag(generator), stem, foot) if generator.random() < 0.6 else joined(stem, foot)]


def _one_tailed(generator: np.random.Generator) -> list[Points]:
    """The stem bends to the right at its foot; with or without a flag."""
    u = generator.uniform
    tail = u(0.1, 0.28)
    stem = curve(
        (0.35, 0), (0.35 + u(-0.03, 0.03), 0.5), (0.37, 0.9), (0.35 + tail * 0.5, 1), (0.35 + tail, u(0.85, 1))
    )
    return [joined(_flag(generator), stem) if generator.random() < 0.5 else stem]


def _head_of_two(generator: np.random.Generator) -> Points:
    """From the left over the top and down to the lower left."""
    u = generator.uniform
    return curve(
        (u(0.0, 0.1), u(0.12, 0.36)),
        (u(0.08, 0.16), u(0.04, 0.12)),
        (0.3 + u(-0.04, 0.04), 0),
        (u(0.48, 0.58), u(0.14, 0.28)),
        (u(0.36, 0.46), u(0.48, 0.6)),
        (u(0.12, 0.22), u(0.78, 0.88)),
        (u(0.0, 0.06), 1),
    )


def _two(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    head = _head_of_two(generator)
    base = curve((float(head[-1, 0]), 1), (0.3, 1 + u(-0.06, 0.03)), (u(0.5, 0.75), 1 + u(-0.07, 0.07)))
    return [joined(head, base)]


def _two_looped(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    size = u(0.06, 0.16)
    return [
        curve(
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


def _two_angular(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    return [
        joined(
            curve((u(0.0, 0.1), u(0.0, 0.16)), (0.32, u(-0.08, 0.0)), (u(0.48, 0.58), u(0.06, 0.18))),
            line((0.54, 0.14), (u(0.0, 0.08), 1), (u(0.5, 0.7), 1 + u(-0.05, 0.05))),
        )
    ]


def _two_cursive(generator: np.random.Generator) -> list[Points]:
    """Begins with a curl, and its base is a loop and a wave."""
    u = generator.uniform
    size = u(0.05, 0.14)
    return [
        curve(
            (u(0.12, 0.22), u(0.16, 0.3)),
            (u(0.02, 0.08), u(0.2, 0.34)),
            (u(0.0, 0.08), u(0.06, 0.16)),
            (0.3, u(-0.03, 0.03)),
            (u(0.48, 0.6), u(0.16, 0.28)),
            (u(0.28, 0.4), u(0.56, 0.68)),
            (0.04 + size, 0.93),
            (u(-0.06, 0.0), 1 - size * 0.6),
            (0.08, 0.96 - size * 1.4),
            (0.12 + size * 1.4, 0.96 - size * 0.4),
            (0.42, 1 + u(0.0, 0.05)),
            (u(0.6, 0.8), u(0.84, 0.98)),
        )
    ]


def _lower_bowl(generator: np.random.Generator, *, x: float, y: float) -> Points:
    """From (x, y) to the right, round the bottom and to the left end."""
    u = generator.uniform
    return curve(
        (x, y),
        (u(0.42, 0.52), y + u(0.05, 0.12)),
        (u(0.5, 0.62), u(0.68, 0.78)),
        (u(0.36, 0.44), u(0.93, 0.99)),
        (u(0.16, 0.26), 1),
        (u(-0.04, 0.08), u(0.78, 0.94)),
    )


def _three(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, y = u(0.16, 0.34), u(0.42, 0.52)
    head = curve(
        (u(-0.02, 0.1), u(0.06, 0.24)),
        (0.26, 0),
        (u(0.44, 0.56), u(0.16, 0.26)),
        (u(0.34, 0.42), u(0.36, 0.42)),
        (x, y),
    )
    return [joined(head, _lower_bowl(generator, x=x, y=y))]


def _three_looped(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, y, size = u(0.16, 0.3), u(0.44, 0.52), u(0.04, 0.1)
    head = curve(
        (u(-0.02, 0.1), u(0.06, 0.24)),
        (0.26, 0),
        (u(0.44, 0.56), u(0.16, 0.26)),
        (x + size, y - size * 0.4),
        (x - size, y + size * 0.4),
        (x - size * 0.6, y - size),
        (x + size, y),
    )
    x, y = end_of(head)
    return [joined(head, _lower_bowl(generator, x=x, y=y))]


def _three_flat(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, y = u(0.18, 0.32), u(0.36, 0.46)
    return [
        joined(
            line((u(0.0, 0.1), u(0.0, 0.05)), (u(0.46, 0.6), u(-0.03, 0.04)), (x, y)), _lower_bowl(generator, x=x, y=y)
        )
    ]


def _three_narrow(generator: np.random.Generator) -> list[Points]:
    (stroke,) = _three(generator)
    return [stroke * [generator.uniform(0.4, 0.65), 1]]


def _three_shallow(generator: np.random.Generator) -> list[Points]:
    """The two bowls hardly meet at the waist."""
    u = generator.uniform
    x, y = u(0.34, 0.44), u(0.42, 0.52)
    head = curve(
        (u(0.0, 0.14), u(0.0, 0.16)), (0.28, u(-0.03, 0.02)), (u(0.46, 0.56), u(0.14, 0.24)), (x + 0.04, 0.36), (x, y)
    )
    return [joined(head, _lower_bowl(generator, x=x, y=y))]


def _stem_of_four(generator: np.random.Generator, x: float, top: float) -> Points:
    u = generator.uniform
    return line((x + u(-0.02, 0.04), top), (x + u(-0.04, 0.04), 1))


def _four_closed(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, bar = u(0.34, 0.54), u(0.52, 0.74)
    corner = line((x, 0), (u(-0.02, 0.08), bar + u(-0.03, 0.03)), (x + u(0.05, 0.3), bar + u(-0.04, 0.04)))
    stem = _stem_of_four(generator, x, u(-0.03, 0.06))
    return [joined(corner, stem)] if generator.random() < 0.2 else [corner, stem]


def _four_open(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, bar = u(0.36, 0.6), u(0.42, 0.66)
    left = u(0.0, 0.16)
    corner = line(
        (left, u(-0.03, 0.16)), (left - u(0.0, 0.12), bar + u(-0.04, 0.03)), (x + u(-0.02, 0.26), bar + u(-0.06, 0.05))
    )
    return [corner, _stem_of_four(generator, x, u(-0.08, bar - 0.12))]


def _four_rounded(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    x, low = u(0.44, 0.6), u(0.44, 0.64)
    bowl = curve(
        (u(0.0, 0.1), u(-0.02, 0.1)),
        (u(-0.03, 0.05), low * 0.6),
        (u(0.1, 0.2), low),
        (u(0.28, 0.36), low + u(-0.02, 0.03)),
        (x, low - u(0.0, 0.18)),
    )
    top = u(-0.06, 0.22)
    if generator.random() < 0.5:
        return [joined(bowl, line((x, low - 0.1), (x + u(-0.01, 0.03), top), (x + u(-0.04, 0.02), 1)))]
    return [bowl, _stem_of_four(generator, x, top)]


def _four_at_once(generator: np.random.Generator) -> list[Points]:
    """Corner, then up in a loop to the top of the stem, then down."""
    u = generator.uniform
    x, bar = u(0.4, 0.56), u(0.46, 0.64)
    left = u(0.0, 0.12)
    return [
        joined(
            line((left, u(0.0, 0.1)), (left - u(0.0, 0.1), bar)),
            curve((left - 0.05, bar), (x * 0.7, bar + u(-0.02, 0.04)), (x + 0.06, bar - 0.14), (x, u(-0.04, 0.12))),
            _stem_of_four(generator, x, 0.05),
        )
    ]


def _four_in_one_bow(generator: np.random.Generator) -> list[Points]:
    """A bow from the top round the left to the bar, up as in a G or hardly at all as in an S, and down."""
    u = generator.uniform
    bar, right = u(0.44, 0.66), u(0.42, 0.6)
    rise = u(0.0, 0.3)
    end = (right - u(-0.04, 0.22), 1.0)
    top = (u(0.16, 0.56), u(-0.04, 0.08))
    left = u(-0.05, 0.1)
    bow = curve(
        top,
        ((top[0] + left) / 2 - u(0.0, 0.08), bar * u(0.4, 0.5)),
        (left, bar * u(0.75, 0.92)),
        (left + u(0.1, 0.2), bar + u(-0.02, 0.05)),
        (right - u(0.05, 0.14), bar - rise * 0.15),
    )
    x, y = end_of(bow)
    if rise > 0.15 and generator.random() < 0.5:
        return [joined(bow, line((x, y), (right, bar - rise), end))]
    peak = (right, bar - rise * 0.8 + 0.02)
    return [joined(bow, curve((x, y), peak, (right + u(-0.02, 0.04), bar + u(0.08, 0.16)), end))]


def _bowl_of_five(generator: np.random.Generator, *, x: float, y: float) -> Points:
    """From the foot of the stem at (x, y) round to the lower left."""
    u = generator.uniform
    return curve(
        (x, y),
        (u(0.24, 0.32), y - u(0.02, 0.09)),
        (u(0.48, 0.6), u(0.58, 0.68)),
        (u(0.42, 0.52), u(0.86, 0.93)),
        (u(0.2, 0.3), 1),
        (u(-0.04, 0.08), u(0.84, 0.96)),
    )


def _five_in_two(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    left, y = u(0.04, 0.16), u(0.4, 0.5)
    x = left - u(-0.02, 0.08)
    body = joined(line((left, u(0.0, 0.06)), (x, y)), _bowl_of_five(generator, x=x, y=y))
    fly = u(-0.08, 0.06)
    bar = line((left + u(-0.04, 0.1), fly), (u(0.42, 0.75), fly + u(-0.08, 0.05)))
    return [body, bar]


def _five_at_once(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    left, y = u(0.04, 0.16), u(0.38, 0.5)
    x = left - u(-0.02, 0.08)
    return [
        joined(line((u(0.42, 0.65), u(-0.06, 0.05)), (left, u(0.0, 0.04)), (x, y)), _bowl_of_five(generator, x=x, y=y))
    ]


def _five_rounded(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    return [
        curve(
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


def _five_crossed(generator: np.random.Generator) -> list[Points]:
    """The bar begins left of the stem, or crosses it below the top."""
    u = generator.uniform
    left, y = u(0.06, 0.18), u(0.4, 0.5)
    body = joined(line((left, u(-0.08, 0.0)), (left, y)), _bowl_of_five(generator, x=left, y=y))
    height = u(-0.02, 0.14)
    return [body, line((left - u(0.06, 0.26), height + u(-0.02, 0.06)), (left + u(0.2, 0.5), height + u(-0.06, 0.03)))]


def _five_short_barred(generator: np.random.Generator) -> list[Points]:
    """The bar is short, or apart from the stem."""
    u = generator.uniform
    left, y = u(0.04, 0.16), u(0.34, 0.48)
    body = joined(line((left, u(0.0, 0.08)), (left - u(-0.02, 0.06), y)), _bowl_of_five(generator, x=left, y=y))
    start = left + u(0.0, 0.14)
    height = u(-0.08, 0.04)
    return [body, line((start, height), (start + u(0.1, 0.24), height + u(-0.06, 0.03)))]


def _five_closed(generator: np.random.Generator) -> list[Points]:
    """The bowl comes back to the stem."""
    u = generator.uniform
    left, y = u(0.06, 0.16), u(0.38, 0.48)
    stem = line((u(0.4, 0.62), u(-0.05, 0.05)), (left, u(0.0, 0.04)), (left, y))
    bowl = curve(
        (left, y),
        (u(0.26, 0.34), y - u(0.0, 0.06)),
        (u(0.48, 0.6), u(0.6, 0.7)),
        (u(0.38, 0.46), u(0.9, 0.96)),
        (u(0.16, 0.24), 1),
        (u(-0.02, 0.06), u(0.8, 0.88)),
        (left - u(0.0, 0.06), y + u(0.08, 0.3)),
    )
    return [joined(stem, bowl)]


def _loop_of_six(generator: np.random.Generator, *, top: float, start: tuple[float, float]) -> Points:
    """From the stem round the bottom, up at the right and back to the stem."""
    u = generator.uniform
    right = u(0.46, 0.6)
    return curve(
        start,
        (u(0.0, 0.06), u(0.76, 0.84)),
        (u(0.22, 0.3), 1),
        (right, u(0.74, 0.82)),
        (u(0.26, 0.36), top),
        (u(0.02, 0.16), u(0.66, 0.84)),
    )


def _six_curved(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    start = (u(0.0, 0.05), u(0.52, 0.62))
    stem = curve((u(0.34, 0.56), u(-0.03, 0.06)), (u(0.16, 0.26), u(0.14, 0.22)), start)
    return [joined(stem, _loop_of_six(generator, top=u(0.4, 0.6), start=start))]


def _six_straight(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    start = (u(0.0, 0.06), u(0.6, 0.7))
    return [joined(line((u(0.1, 0.5), 0), start), _loop_of_six(generator, top=u(0.46, 0.64), start=start))]


def _six_hooked(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    start = (u(0.0, 0.05), u(0.54, 0.62))
    stem = curve((u(0.5, 0.6), u(0.1, 0.22)), (u(0.36, 0.44), 0), (u(0.12, 0.2), u(0.12, 0.22)), start)
    return [joined(stem, _loop_of_six(generator, top=u(0.4, 0.56), start=start))]


def _six_spiral(generator: np.random.Generator) -> list[Points]:
    """The loop ends inside, without touching the stem."""
    u = generator.uniform
    return [
        curve(
            (u(0.36, 0.6), u(0.0, 0.1)),
            (u(0.12, 0.26), u(0.06, 0.2)),
            (u(-0.02, 0.05), u(0.46, 0.58)),
            (u(0.08, 0.16), u(0.86, 0.94)),
            (u(0.32, 0.4), 1),
            (u(0.48, 0.6), u(0.72, 0.82)),
            (u(0.32, 0.42), u(0.5, 0.6)),
            (u(0.16, 0.24), u(0.6, 0.7)),
            (u(0.18, 0.32), u(0.72, 0.84)),
        )
    ]


def _top_of_seven(generator: np.random.Generator) -> Points:
    u = generator.uniform
    right = (u(0.5, 0.66), u(-0.05, 0.06))
    kind = generator.random()
    if kind < 0.3:  # wavy
        return curve((u(-0.04, 0.05), u(0.02, 0.12)), (0.16, u(-0.06, 0.0)), (0.36, u(0.0, 0.08)), right)
    return line((u(-0.04, 0.08), u(-0.03, 0.08)), right)


def _seven(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    top = _top_of_seven(generator)
    if generator.random() < 0.3:  # begins with a serif
        x, y = top[0]
        top = joined(line((x + u(-0.04, 0.03), y + u(0.06, 0.24)), (x, y)), top)
    x, y = end_of(top)
    middle = (u(0.28, 0.44) + u(-0.04, 0.02), u(0.4, 0.55))
    return [joined(top, curve((x, y), middle, (u(0.08, 0.36), 1)))]


def _seven_barred(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    (body,) = _seven(generator)
    y = u(0.38, 0.64)
    stem = body[body[:, 1] > 0.2]
    x = float(stem[np.abs(stem[:, 1] - y).argmin(), 0])
    tilt = u(-0.08, 0.04)
    return [body, line((x - u(0.08, 0.3), y - tilt), (x + u(0.08, 0.3), y + tilt))]


def _seven_barred_at_once(generator: np.random.Generator) -> list[Points]:
    """From the foot the pen goes back up in a loop, and across the stem."""
    u = generator.uniform
    top = _top_of_seven(generator)
    foot, bar = u(0.1, 0.3), u(0.4, 0.62)
    stem = curve(end_of(top), (u(0.3, 0.42), u(0.4, 0.52)), (foot, 1))
    loop = curve(
        (foot, 1),
        (foot - u(0.04, 0.14), u(0.84, 0.96)),
        (foot - u(0.0, 0.12), bar + u(0.1, 0.2)),
        (foot + 0.1, bar + u(-0.02, 0.06)),
        (u(0.48, 0.72), bar + u(-0.08, 0.06)),
    )
    return [joined(top, stem, loop)]


def _seven_sloping(generator: np.random.Generator) -> list[Points]:
    """The top rises or falls to the right, by less than the flag of a 1 does."""
    u = generator.uniform
    slope, right = u(-0.24, 0.3), u(0.5, 0.66)
    left = u(-0.08, 0.04)
    drop = (right - left) * abs(slope)
    top = line((left, drop), (right, 0)) if slope > 0 else line((left, 0), (right, drop))
    body = curve(end_of(top), (u(0.28, 0.44), u(0.42, 0.56)), (u(0.1, 0.36), 1))
    return [joined(top, body)]


def _seven_hooked(generator: np.random.Generator) -> list[Points]:
    """Begins with a downstroke or a hook, as long as a third of the height."""
    u = generator.uniform
    top = _top_of_seven(generator)
    x, y = float(top[0, 0]), float(top[0, 1])
    start = (x + u(-0.05, 0.08), y + u(0.12, 0.36))
    hook = line(start, (x, y)) if generator.random() < 0.6 else curve(start, (x - 0.06, y + 0.08), (x, y))
    body = curve(end_of(top), (u(0.28, 0.44), u(0.4, 0.55)), (u(0.08, 0.36), 1))
    return [joined(hook, top, body)]


def _seven_footed(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    (body,) = _seven(generator)
    x, y = end_of(body)
    if generator.random() < 0.5:
        return [joined(body, line((x, y), (x + u(0.1, 0.28), y + u(-0.06, 0.02))))]
    return [body, line((x - u(0.06, 0.18), y + u(-0.03, 0.03)), (x + u(0.06, 0.2), y + u(-0.03, 0.03)))]


def _eight(generator: np.random.Generator) -> list[Points]:
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
    return [spaced(points)]


def _eight_in_two(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    waist = u(0.4, 0.54)
    upper = arc((0.3 + u(-0.04, 0.04), waist / 2), (u(0.16, 0.26), waist / 2), 90 + u(-60, 60), 450 + u(-40, 60))
    lower = arc((0.3, (1 + waist) / 2), (u(0.2, 0.3), (1 - waist) / 2), -90 + u(-60, 60), 270 + u(-40, 60))
    return [upper, lower]


def _eight_open(generator: np.random.Generator) -> list[Points]:
    """As an S with its end led back up; the ends do not meet at the top."""
    u = generator.uniform
    gap = u(0.08, 0.28)
    return [
        curve(
            (u(0.4, 0.54), u(0.04, 0.16)),
            (u(0.22, 0.32), u(-0.03, 0.03)),
            (u(0.04, 0.12), u(0.16, 0.26)),
            (0.28, u(0.44, 0.54)),
            (u(0.46, 0.56), u(0.7, 0.8)),
            (0.28, 1),
            (u(0.02, 0.1), u(0.72, 0.84)),
            (0.3, u(0.46, 0.56)),
            (u(0.44, 0.56), 0.12 + gap),
        )
    ]


def _head_of_nine(generator: np.random.Generator) -> Points:
    """The loop, from its upper right round to where the stem begins; sometimes left open."""
    u = generator.uniform
    low = u(0.4, 0.58)
    gap = u(-0.02, 0.1)
    return curve(
        (u(0.44, 0.54), u(0.1, 0.2)),
        (u(0.24, 0.34), u(-0.02, 0.03)),
        (u(-0.02, 0.08), u(0.2, 0.3)),
        (u(0.16, 0.28), low),
        (u(0.4, 0.48), u(0.24, 0.34)),
        (0.52, 0.08 + gap),
    )


def _nine_straight(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    head = _head_of_nine(generator)
    return [joined(head, line(end_of(head), (u(0.3, 0.56), 1)))]


def _nine_curved(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    head = _head_of_nine(generator)
    x, y = end_of(head)
    return [joined(head, curve((x, y), (u(0.48, 0.56), u(0.44, 0.56)), (u(0.32, 0.44), u(0.8, 0.9)), (u(0.0, 0.2), 1)))]


def _nine_hooked(generator: np.random.Generator) -> list[Points]:
    u = generator.uniform
    head = _head_of_nine(generator)
    x, y = end_of(head)
    tail = curve(
        (x, y),
        (u(0.5, 0.58), u(0.5, 0.62)),
        (u(0.42, 0.54), u(0.82, 0.92)),
        (u(0.18, 0.32), 1),
        (u(-0.06, 0.08), u(0.78, 0.92)),
    )
    return [joined(head, tail)]


def _nine_round(generator: np.random.Generator) -> list[Points]:
    """A closed round head and a stem of its own."""
    u = generator.uniform
    radius = u(0.2, 0.3)
    head = arc((0.28, radius), (u(0.2, 0.28), radius), u(-60, 20), -360 + u(-40, 20))
    stem = curve((u(0.46, 0.56), u(0.02, 0.2)), (u(0.46, 0.54), 0.5), (u(0.2, 0.54), 1))
    return [head, stem]


def _nine_open(generator: np.random.Generator) -> list[Points]:
    """The head is a bowl that does not close at the top."""
    u = generator.uniform
    gap = u(0.08, 0.24)
    x = u(0.44, 0.54)
    low = u(0.38, 0.54)
    head = curve(
        (x - gap, u(-0.03, 0.08)),
        (u(-0.02, 0.08), u(0.14, 0.26)),
        (u(0.1, 0.24), low),
        (u(0.34, 0.42), low - u(0.04, 0.14)),
        (x, u(-0.02, 0.14)),
    )
    if generator.random() < 0.4:
        tail = line(end_of(head), (u(0.3, 0.54), 1))
    else:
        tail = curve(end_of(head), (x + u(-0.02, 0.05), 0.5), (u(0.34, 0.46), u(0.84, 0.94)), (u(-0.02, 0.24), 1))
    return [joined(head, tail)]


def _nine_wide_tailed(generator: np.random.Generator) -> list[Points]:
    """The tail ends left of the head, and may turn up again."""
    u = generator.uniform
    head = _head_of_nine(generator)
    left = u(-0.3, 0.0)
    tail = [
        (u(0.5, 0.58), u(0.44, 0.56)),
        (u(0.36, 0.48), u(0.84, 0.92)),
        (u(0.1, 0.22), 1),
        (left, u(0.82, 0.98)),
    ]
    return [joined(head, curve(end_of(head), *tail))]


FORMS: dict[int, tuple[tuple[str, float, Form], ...]] = {  # name, relative frequency, function
    0: (
        ("plain", 5, _zero),
        ("slashed", 2, _zero_slashed),
        ("long-slashed", 1.2, _zero_long_slashed),
        ("backslashed", 0.6, _zero_backslashed),
        ("barred", 0.8, _zero_barred),
        ("halved", 0.6, _zero_halved),
        ("slashed at once", 1.6, _zero_slashed_at_once),
        ("dotted", 0.4, _zero_dotted),
        ("tailed", 1, _zero_tailed),
    ),
    1: (
        ("plain", 3, _one),
        ("flagged", 3.5, _one_flagged),
        ("long-flagged", 1.2, _one_long_flagged),
        ("looped", 0.7, _one_looped),
        ("footed", 1, _one_footed),
        ("flagged and footed", 1.5, _one_flagged_and_footed),
        ("footed at once", 0.8, _one_footed_at_once),
        ("tailed", 0.6, _one_tailed),
    ),
    2: (("plain", 4, _two), ("looped", 3, _two_looped), ("angular", 1.5, _two_angular), ("cursive", 1, _two_cursive)),
    3: (
        ("plain", 4, _three),
        ("looped", 2, _three_looped),
        ("flat-topped", 2, _three_flat),
        ("narrow", 1, _three_narrow),
        ("shallow", 0.8, _three_shallow),
    ),
    4: (
        ("closed", 2, _four_closed),
        ("open", 3, _four_open),
        ("rounded", 3, _four_rounded),
        ("at once", 1.5, _four_at_once),
        ("in one bow", 2, _four_in_one_bow),
    ),
    5: (
        ("in two strokes", 4, _five_in_two),
        ("at once", 3, _five_at_once),
        ("rounded", 2, _five_rounded),
        ("crossed", 0.8, _five_crossed),
        ("short-barred", 0.8, _five_short_barred),
        ("closed", 0.7, _five_closed),
    ),
    6: (
        ("curved", 4, _six_curved),
        ("straight", 2, _six_straight),
        ("hooked", 1.5, _six_hooked),
        ("spiral", 1, _six_spiral),
    ),
    7: (
        ("plain", 3.5, _seven),
        ("barred", 3.5, _seven_barred),
        ("barred at once", 1.2, _seven_barred_at_once),
        ("sloping", 1, _seven_sloping),
        ("hooked", 0.8, _seven_hooked),
        ("footed", 0.8, _seven_footed),
    ),
    8: (("at once", 5, _eight), ("in two strokes", 2, _eight_in_two), ("open", 1.2, _eight_open)),
    9: (
        ("straight", 3, _nine_straight),
        ("curved", 3, _nine_curved),
        ("hooked", 2.5, _nine_hooked),
        ("round-headed", 1.5, _nine_round),
        ("open", 1.2, _nine_open),
        ("wide-tailed", 1, _nine_wide_tailed),
    ),
}
"""The forms of each digit, the common ones first."""
