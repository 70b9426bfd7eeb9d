"""The first look at a set before it is kept: near duplicates against all pairs, odd pictures, bounds."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digitcore.data import first_look
from digitcore.data.datasets import DigitSet
from digitcore.data.first_look import NEAR, look_at, near_pairs
from digitcore.models.refusal import ink_oddity


def as_jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=80)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def some(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5000, 10))


def all_near_pairs(images: NDArray[np.uint8]) -> list[list[int]]:
    """By computing every distance."""
    flat = images.reshape(len(images), -1).astype(np.int64)
    distances = ((flat[:, np.newaxis] - flat) ** 2).sum(axis=2)
    return np.argwhere(np.triu(distances <= NEAR**2, k=1)).tolist()  # type: ignore[no-any-return]


def test_near_pairs_are_all_there_are(some: DigitSet) -> None:
    generator = np.random.default_rng(0)
    noisy = np.clip(some.images[:60] + generator.normal(0, np.linspace(2, 16, 60)[:, None, None], (60, 28, 28)), 0, 255)
    ones = some.images[some.labels == 1][:40]
    blurred = (ones[:, :, :-1] // 2 + ones[:, :, 1:] // 2).astype(np.uint8)
    images = np.concatenate([some.images[:60], noisy.astype(np.uint8), ones, np.pad(blurred, ((0, 0), (0, 0), (0, 1)))])
    pairs, compared = near_pairs(images, np.arange(len(images)))
    expected = all_near_pairs(images)
    assert 20 < len(expected) < 100
    assert pairs.tolist() == expected
    assert compared == len(images)


def test_pictures_saved_again_are_found_and_other_digits_are_not(some: DigitSet) -> None:
    again = np.stack([as_jpeg(image) for image in some.images[:30]])
    labels = np.concatenate([some.labels, some.labels[:28], (some.labels[28:30] + 1) % 10])
    look = look_at(np.concatenate([some.images, again]), labels)
    assert sorted(look.near.tolist()) == [[i, 500 + i] for i in range(30)]
    assert look.near_contradicted == 2
    assert sorted(look.near[:2].tolist()) == [[28, 528], [29, 529]]
    assert look.near_rows.shape == (10, 2)
    assert "30 pairs are nearly the same (2 as two digits), of 530 different pictures compared." in list(look.remarks())


def test_equal_pictures_are_not_nearly_the_same(some: DigitSet) -> None:
    look = look_at(np.concatenate([some.images[:50], some.images[:50]]), np.tile(some.labels[:50], 2))
    assert (look.repeated, len(look.near), look.compared) == (50, 0, 50)


def test_pictures_that_are_no_single_digit_are_counted(some: DigitSet) -> None:
    two = np.zeros((28, 28), np.uint8)
    two[4:24, 3:6] = two[4:24, 18:21] = 255  # two strokes, far apart
    odd = np.stack([np.zeros((28, 28), np.uint8), two, two.T])
    look = look_at(np.concatenate([some.images[:40], odd]), np.append(some.labels[:40], [0, 1, 1]), oddity=ink_oddity)
    assert look.refused["blank"].tolist() == [40]
    assert look.refused["several digits"].tolist() == [41]
    assert set(look.odd_rows) <= {40, 41, 42}
    assert any("of 43 looked at may not show one digit: " in remark for remark in look.remarks())


def test_a_crowd_of_near_pictures_is_bounded(some: DigitSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "_MOST_CANDIDATES", 500)
    crowd = np.repeat(some.images[:1], 800, axis=0)
    crowd[np.arange(784), np.arange(784) // 28, np.arange(784) % 28] ^= 1
    pairs, compared = near_pairs(crowd, np.arange(784))
    assert 10 < compared < 40
    assert len(pairs) == compared * (compared - 1) // 2


def test_a_set_without_a_remark(some: DigitSet) -> None:
    assert list(look_at(some.images, some.labels).remarks()) == []
    assert list(look_at(some.images[:1], some.labels[:1]).remarks()) == ["None is a 1, 2, 3, 4, 5, 6, 7, 8, 9."]
