"""Pictures of what is not a digit: how many of each kind, and what they look like."""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.nondigits import (
    DOODLES,
    LETTERS,
    NOISES,
    RESEMBLING,
    SCRIBBLES,
    SYMBOLS,
    NonDigit,
    doodles,
    fashion_items,
    noises,
    pen_letters,
    printed_letters,
    printed_symbols,
    scribbles,
)
from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.imaging.strokes import CANVAS_SIDE

Draw = Callable[[np.random.Generator], Iterator[NonDigit]]

DRAWN: dict[str, tuple[Draw, tuple[str, ...]]] = {
    "letters": (lambda generator: pen_letters(per_kind=3, generator=generator), LETTERS),
    "doodles": (lambda generator: doodles(per_kind=3, generator=generator), DOODLES),
    "scribbles": (lambda generator: scribbles(per_kind=3, generator=generator), SCRIBBLES),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_drawings_are_on_the_canvas_and_all_different(kind: str) -> None:
    draw, names = DRAWN[kind]
    drawings = list(draw(np.random.default_rng(0)))
    assert Counter(drawing.kind for drawing in drawings) == dict.fromkeys(names, 3)
    assert len({drawing.picture.tobytes() for drawing in drawings}) == len(drawings)
    for drawing in drawings:
        assert (drawing.picture.dtype, drawing.picture.shape) == (np.uint8, (CANVAS_SIDE, CANVAS_SIDE))
        assert drawing.picture.max() == 255
        assert (drawing.picture == 0).mean() > 0.2


@pytest.mark.parametrize("kind", DRAWN)
def test_a_seed_repeats_the_drawings(kind: str) -> None:
    draw, _ = DRAWN[kind]
    first, same, other = (b"".join(x.picture.tobytes() for x in draw(np.random.default_rng(i))) for i in (1, 1, 2))
    assert first == same
    assert first != other


def test_letters_that_resemble_a_digit_are_letters() -> None:
    assert set(RESEMBLING) < set(LETTERS)
    assert len(LETTERS) == 52


@pytest.mark.parametrize(("draw", "signs", "typefaces"), [(printed_letters, LETTERS, 6), (printed_symbols, SYMBOLS, 3)])
def test_signs_are_printed_in_every_typeface(
    draw: Callable[[], Iterator[NonDigit]], signs: tuple[str, ...], typefaces: int
) -> None:
    prints = list(draw())
    assert Counter(sign.kind for sign in prints) == dict.fromkeys(signs, typefaces)
    for sign in prints:
        assert sign.picture.any()
        assert sign.picture[[0, -1]].max() == sign.picture[:, [0, -1]].max() == 0
    for i in range(typefaces):  # a typeface without two of the signs would print the same box for both
        pictures = {sign.picture.tobytes() for sign in prints[i * len(signs) : (i + 1) * len(signs)]}
        assert len(pictures) == len(signs)


def test_noises() -> None:
    pictures = list(noises(per_kind=2, generator=np.random.default_rng(0)))
    assert Counter((noise.kind, *noise.picture.shape) for noise in pictures) == {
        (name, side, side): 2 for name in NOISES for side in (28, CANVAS_SIDE)
    }
    levels = {noise.kind: np.unique(noise.picture) for noise in pictures if noise.picture.shape[0] == CANVAS_SIDE}
    assert levels["salt and pepper"].tolist() == [0, 255]
    assert levels["uniform"].tolist() == list(range(256))
    assert len(levels["gaussian"]) > 200


def _write_fashion(folder: Path, *, count: int) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels.tobytes()))
    return images


def test_fashion_items_are_different_rows_of_the_file(tmp_path: Path) -> None:
    images = _write_fashion(tmp_path, count=50)
    rows = {image.tobytes(): row for row, image in enumerate(images)}
    kinds = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    items = fashion_items(tmp_path, count=20, generator=np.random.default_rng(0))
    chosen = [rows[item.picture.tobytes()] for item in items]
    assert len(set(chosen)) == 20
    assert [item.kind for item in items] == [kinds[row % 10] for row in chosen]


@pytest.mark.parametrize("data", [b"", b"not gzip", gzip.compress(bytes(3))], ids=["empty", "text", "too short"])
def test_fashion_files_that_are_missing_or_damaged(tmp_path: Path, data: bytes) -> None:
    read = partial(fashion_items, tmp_path, count=1, generator=np.random.default_rng(0))
    with pytest.raises(DatasetMissingError, match="apt-get install dataset-fashion-mnist"):
        read()
    _write_fashion(tmp_path, count=2)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(data)
    with pytest.raises(DatasetError, match=r"images-idx3-ubyte\.gz cannot be read"):
        read()
