"""Several checkpoints about one picture, against asking each of them alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import digitcore
from digitcore.models.votes import Vote, collect_votes, majority


def test_each_says_what_it_says_alone(
    draw: Callable[..., NDArray[np.uint8]], tmp_path: Path, save_random: Callable[..., Path]
) -> None:
    """Temperatures included, and in the order in which they were asked."""
    paths = [save_random(tmp_path / f"{i}.safetensors", seed=i, temperature=0.5 + i) for i in range(3)]
    classifiers = [digitcore.load_classifier(name) for name in ("standard", *paths, "mlp")]
    drawing = draw(5)
    answers = collect_votes(classifiers, classifiers[0].predict(drawing).model_input)
    alone = [classifier.predict(drawing) for classifier in classifiers]
    assert [vote.checkpoint for vote in answers] == ["standard", "0", "1", "2", "mlp"]
    assert [vote.digit for vote in answers] == [vote.digit for vote in alone]
    np.testing.assert_allclose([vote.confidence for vote in answers], [vote.confidence for vote in alone], atol=1e-6)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([(3, 0.9)], 3),
        ([(3, 0.9), (5, 0.99), (3, 0.2)], 3),
        ([(3, 0.6), (5, 0.9)], 5),
        ([(3, 0.6), (5, 0.9), (5, 0.2), (3, 0.6)], 3),
    ],
)
def test_the_majority(votes: list[tuple[int, float]], expected: int) -> None:
    assert majority([Vote("one", digit, confidence) for digit, confidence in votes]) == expected


def test_nobody_has_no_majority() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        majority([])
