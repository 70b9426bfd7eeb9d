"""Answers to pictures that come again."""

from dataclasses import replace

import numpy as np

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.evaluation.evaluation import REMEMBERED, evaluate_remembering, remembered_evaluation
from digitcore.evaluation.remembered import AnswerMemory, picture_keys


def test_a_picture_is_known_by_its_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    keys = picture_keys(images)
    assert len(set(keys)) == 50
    assert picture_keys(images[::-1]) == keys[::-1]


def test_what_is_missing_is_named_and_what_is_known_comes_back() -> None:
    memory = AnswerMemory()
    keys, logits = [bytes([i]) for i in range(5)], np.arange(50, dtype=np.float32).reshape(5, 10)
    assert memory.missing("a", keys).tolist() == [0, 1, 2, 3, 4]
    memory.add("a", keys[1:3], logits[1:3])
    assert memory.missing("a", keys).tolist() == [0, 3, 4]
    assert memory.missing("b", keys).tolist() == [0, 1, 2, 3, 4]
    assert memory.logits("a", keys) is None
    known = memory.logits("a", [keys[2], keys[1], keys[2]])
    assert known is not None
    assert np.array_equal(known, logits[[2, 1, 2]])


def test_it_holds_so_many_and_drops_the_checkpoint_that_came_first() -> None:
    memory = AnswerMemory(most=5)
    for checkpoint in "abc":
        memory.add(checkpoint, [b"1", b"2"], np.zeros((2, 10), np.float32))
    assert len(memory) == 4
    assert memory.logits("a", [b"1"]) is None
    assert memory.logits("c", [b"1"]) is not None


def test_only_new_digits_are_asked_about_and_the_answers_are_those_of_evaluate(validation_digits: DigitSet) -> None:
    classifier = digitcore.load_classifier("mlp")
    shown: list[float] = []
    new = replace(validation_digits, images=validation_digits.images ^ 3)  # which no other test asks about
    few, more = (new.subset(np.arange(0, 5_000, step)) for step in (100, 50))
    evaluate_remembering(classifier, few)
    known = len(REMEMBERED)
    evaluation = evaluate_remembering(classifier, more, progress=shown.append)
    assert len(REMEMBERED) == known + 50
    again = remembered_evaluation(classifier.checkpoint, more)
    expected = digitcore.evaluate(classifier, more)
    assert again is not None
    assert again.fingerprint == evaluation.fingerprint == expected.fingerprint
    np.testing.assert_allclose(evaluation.logits, expected.logits, atol=1e-4)
    assert np.array_equal(evaluation.predictions, expected.predictions)
    assert shown[-1] == 1
    assert remembered_evaluation(classifier.checkpoint, new) is None
