"""Training data by name: MNIST, synthetic digits, pen strokes, and drawings that are not digits.

| name | digits | contents |
|---|---|---|
| `mnist-train` | 55,000 | MNIST's training file without the validation digits |
| `written` | 32,000 | synthetic digits of 800 hands, in the forms of `digitcore.data.synthetic_digits` |
| `pen-train` | 14,988 | pen strokes of writers 1 to 20, each drawn three times |
| `no-digits` | 14,000 | not digits, drawn by `digitcore.data.synthetic_outliers`, labelled `losses.NO_DIGIT` |

All but MNIST are drawn as on the canvas, with brushes of 3% to 40% of the digit's size, and preprocessed.
"""

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits
from digitcore.data.synthetic_digits import draw_hand, write_digit
from digitcore.data.synthetic_outliers import draw_outlier
from digitcore.files import load_arrays, write_atomically
from digitcore.imaging.preprocessing import PREPROCESSING, preprocess_ink
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes
from digitcore.settings import load_settings
from digitcore.training.losses import NO_DIGIT

__all__ = ["draw_material", "load_material", "material_names", "named_sources", "rows_of"]

_SIDE = 140  # of the canvas, in pixels: half that of the page, for speed
_EXTENT = 0.75
_BRUSHES = (0.03, 0.4)  # widths as shares of the digit's longer side, drawn evenly on a logarithmic scale
_SEED = 20
_EDITION = 5  # in the names of the cached files: raise it when a change draws other digits
_JOINT = " + "


def material_names() -> list[str]:
    """The names that `load_material` takes."""
    return ["mnist-train", *_DRAWN]


def load_material(names: Sequence[str]) -> DigitSet:
    """The named datasets one after the other; ids are positions within each.

    Raises:
        ValueError: a name is unknown.
        DatasetMissingError, DatasetError: as for `load_digits`.
    """
    unknown = set(names) - set(material_names())
    if unknown or not names:
        raise ValueError(f"names must be some of {', '.join(material_names())}, got {list(names)}")
    sets = [load_digits(name) if name == "mnist-train" else _load_drawn(name) for name in names]
    return DigitSet(
        _JOINT.join(names),
        np.concatenate([digits.ids for digits in sets]),
        np.concatenate([digits.images for digits in sets]),
        np.concatenate([digits.labels for digits in sets]),
    )


def draw_material(name: str) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Draws the model inputs (28, 28) and labels of a dataset one by one, the same in every call.

    Raises:
        KeyError: no drawn dataset has this name.
        DatasetMissingError, DatasetError: as for `load_pen_digits`.
    """
    return _DRAWN[name](np.random.default_rng(_SEED))


def named_sources(name: str) -> tuple[str, ...]:
    """The names of the datasets that a dataset of this name consists of."""
    return tuple(name.split(_JOINT))


def rows_of(names: Collection[str], material: DigitSet) -> NDArray[np.bool_]:
    """Mask (N,) of the rows that come from the datasets of these names; ids rise within each dataset.

    Raises:
        ValueError: the ids do not show as many datasets as the name lists.
    """
    sources = named_sources(material.name)
    starts = np.flatnonzero(np.diff(material.ids, prepend=np.iinfo(np.int64).max) <= 0)
    if len(starts) != len(sources):
        raise ValueError(f"material must be whole datasets one after the other, got {material.name} in {len(starts)}")
    numbers = np.repeat(np.arange(len(sources)), np.diff(starts, append=len(material)))
    return np.isin(numbers, [i for i, source in enumerate(sources) if source in names])


def _load_drawn(name: str) -> DigitSet:
    """A drawn dataset, from the cache if it was drawn before: drawing takes minutes."""
    cached_path = load_settings().cache_directory / "digits" / f"{name}--{PREPROCESSING}--{_EDITION}.npz"
    with suppress(OSError, ValueError, KeyError):
        arrays = load_arrays(cached_path)
        return DigitSet(name, np.arange(len(arrays["labels"])), arrays["images"], arrays["labels"])
    pairs = list(draw_material(name))
    images, labels = np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs], dtype=np.int64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels)
    with suppress(OSError):  # a folder that cannot be written costs time, not the result
        write_atomically(cached_path, buffer.getvalue())
    return DigitSet(name, np.arange(len(labels)), images, labels)


def _brush(generator: np.random.Generator) -> float:
    """A random brush width in pixels."""
    least, greatest = np.log(_BRUSHES)
    return float(np.exp(generator.uniform(least, greatest))) * _EXTENT * _SIDE


def _draw(strokes: Sequence[Stroke], generator: np.random.Generator) -> NDArray[np.uint8]:
    brush = _brush(generator)
    position = (float(generator.random()), float(generator.random()))
    placed = place_strokes(strokes, side=_SIDE, extent=_EXTENT, position=position, brush=brush)
    return preprocess_ink(render_strokes(placed, side=_SIDE, brush=brush)).model_input


def _written(generator: np.random.Generator) -> Iterator[tuple[NDArray[np.uint8], int]]:
    for _ in range(800):
        hand = draw_hand(generator)
        for i in range(40):
            yield _draw(write_digit(i % 10, generator=generator, hand=hand), generator), i % 10


def _pen_train(generator: np.random.Generator) -> Iterator[tuple[NDArray[np.uint8], int]]:
    for digit in load_pen_digits():
        if digit.writer not in JUDGING_WRITERS:
            for _ in range(3):
                yield _draw(digit.strokes, generator), digit.label


def _no_digits(generator: np.random.Generator) -> Iterator[tuple[NDArray[np.uint8], int]]:
    for _ in range(14_000):
        ink = draw_outlier(side=_SIDE, brush=_brush(generator), generator=generator)
        yield preprocess_ink(ink).model_input, NO_DIGIT


_DRAWN: dict[str, Callable[[np.random.Generator], Iterator[tuple[NDArray[np.uint8], int]]]] = {
    "written": _written,
    "pen-train": _pen_train,
    "no-digits": _no_digits,
}
