"""The caches of the pages tell their arguments apart by what stands for them: fingerprints, digests, ids."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet
from digitcore.evaluation.evaluation import Evaluation, evaluate, summarize
from digitcore.models.classifier import load_classifier
from pages.parts.compare.comparisons import Pair, answers_specification, cached_average, cached_comparison
from pages.parts.draw.explanations import attribution_maps
from pages.shared.evaluations import cached_digit_table, cached_summary, known_evaluation


@pytest.fixture(scope="module")
def evaluation(validation_digits: DigitSet) -> Evaluation:
    return evaluate(load_classifier("compact"), validation_digits.subset(np.arange(300)))


@pytest.fixture(scope="module")
def other(evaluation: Evaluation) -> Evaluation:
    """Of the same digits, a hundred of them wrong."""
    logits = evaluation.logits.copy()
    logits[:100] = np.roll(logits[:100], 1, axis=1)
    return replace(evaluation, checkpoint="other", fingerprint="fedcba9876543210", logits=logits)


def test_equal_evaluations_share_a_result_and_others_do_not(evaluation: Evaluation, other: Evaluation) -> None:
    table = cached_digit_table(evaluation)
    assert cached_digit_table(replace(evaluation, logits=evaluation.logits.copy())) is table
    for different in (
        other,
        replace(evaluation, fingerprint="0123456789abcdef"),
        replace(evaluation, checkpoint="renamed"),
        evaluation.without(evaluation.ids[:1].tolist()),
    ):
        assert cached_digit_table(different) is not table
    assert cached_digit_table(evaluation) is table


def test_what_is_cached_is_of_the_evaluation_asked_for(evaluation: Evaluation, other: Evaluation) -> None:
    parts = [evaluation.without(evaluation.ids[:100].tolist()), evaluation.without(evaluation.ids[100:200].tolist())]
    for asked in (evaluation, other, *parts, replace(evaluation, checkpoint="renamed"), evaluation):
        assert cached_summary(asked) == summarize(asked)


def test_a_pair_is_not_the_pair_turned_round(evaluation: Evaluation, other: Evaluation) -> None:
    there, back = cached_comparison(Pair(evaluation, other)), cached_comparison(Pair(other, evaluation))
    assert (there.errors_a, there.errors_b) == (back.errors_b, back.errors_a) == (evaluation.errors, other.errors)
    assert evaluation.errors != other.errors
    assert cached_comparison(Pair(evaluation, other)) is there
    specifications = [answers_specification(Pair(evaluation, other), cell) for cell in (("1", "2"), ("2", "1"))]
    assert specifications[0] != specifications[1]


def test_averages_are_of_their_members(evaluation: Evaluation, other: Evaluation) -> None:
    both, alone = cached_average([evaluation, other]), cached_average([evaluation])
    assert not np.allclose(both.logits, alone.logits)
    np.testing.assert_array_equal(alone.predictions, evaluation.predictions)
    assert cached_average([evaluation, other]) is both


def test_a_checkpoint_is_known_by_its_weights(
    weights_folder: Path, save_random: Callable[..., Path], validation_digits: DigitSet
) -> None:
    """A file of the same name with other weights does not get the maps of the first."""
    image = validation_digits.images[0]
    path = weights_folder / "mine.safetensors"
    maps = []
    for seed in (0, 1, 0):
        save_random(path, seed=seed)
        classifier = load_classifier(path)
        assert known_evaluation(classifier.checkpoint, "mnist-validation") is None
        maps.append(attribution_maps(classifier, image, 7))
    assert not np.array_equal(*(one["saliency: where\na little ink\nchanges most"] for one in maps[:2]))
    for name, values in maps[0].items():
        np.testing.assert_array_equal(maps[2][name], values)
