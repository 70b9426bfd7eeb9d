from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digitcore.data import datasets
from digitcore.data.datasets import DigitSet
from digitcore.evaluation import evaluation
from digitcore.evaluation.evaluation import (
    Evaluation,
    evaluate,
    find_evaluation,
    load_or_evaluate,
    save_evaluation,
    summarize,
)
from digitcore.models.classifier import DigitClassifier, load_classifier

Save = Callable[..., Path]


@pytest.fixture
def few(validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch) -> DigitSet:
    """1,250 digits that the rest of the program takes for the whole of mnist-validation."""
    digits = validation_digits.subset(np.arange(0, 5_000, 4))
    monkeypatch.setitem(datasets._LOADERS, "mnist-validation", lambda: digits)
    monkeypatch.setitem(datasets._KNOWN_DIGESTS, "mnist-validation", digits.digest)
    return digits


@pytest.fixture
def classifier(weights_folder: Path, save_random: Save) -> DigitClassifier:
    return load_classifier(save_random(weights_folder / "one.safetensors"))


def _same(one: Evaluation, other: Evaluation) -> bool:
    names = [(evaluation.checkpoint, evaluation.dataset, evaluation.fingerprint) for evaluation in (one, other)]
    arrays = [
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("ids", "labels", "logits")
    ]
    return names[0] == names[1] and all(arrays)


def test_every_digit_is_evaluated_in_order(classifier: DigitClassifier, few: DigitSet) -> None:
    seen: list[float] = []
    evaluation_of_few = evaluate(classifier, few, progress=seen.append)
    assert (evaluation_of_few.checkpoint, evaluation_of_few.dataset, len(evaluation_of_few)) == (
        "one",
        "mnist-validation",
        1_250,
    )
    assert np.array_equal(evaluation_of_few.ids, few.ids)
    assert np.array_equal(evaluation_of_few.labels, few.labels)
    assert np.abs(evaluation_of_few.logits[::300] - classifier.logits(few.images[::300])).max() < 1e-5
    assert np.array_equal(evaluation_of_few.predictions, evaluation_of_few.logits.argmax(axis=1))
    assert evaluation_of_few.errors == int((evaluation_of_few.logits.argmax(axis=1) != few.labels).sum())
    assert seen == [0.4, 0.8, 1.0]


def test_what_is_saved_is_found(classifier: DigitClassifier, few: DigitSet, cache_folder: Path) -> None:
    evaluation_of_few = evaluate(classifier, few)
    assert find_evaluation(classifier.checkpoint, "mnist-validation") is None
    path = save_evaluation(evaluation_of_few, cache_folder / "evaluations")
    stored = find_evaluation(classifier.checkpoint, "mnist-validation")
    assert stored is not None
    assert _same(stored, evaluation_of_few)
    assert list((cache_folder / "evaluations").iterdir()) == [path]
    assert find_evaluation(classifier.checkpoint, "mnist-test") is None


def test_an_evaluation_is_made_once(
    classifier: DigitClassifier, few: DigitSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_or_evaluate(classifier, "mnist-validation")
    monkeypatch.setattr(evaluation, "evaluate", None)  # calling it would fail
    assert _same(load_or_evaluate(classifier, "mnist-validation"), first)


def test_shipped_evaluations_come_before_those_made_here(
    classifier: DigitClassifier, few: DigitSet, weights_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = evaluate(classifier, few)
    save_evaluation(shipped, weights_folder / "evaluations")
    monkeypatch.setattr(evaluation, "evaluate", None)
    assert _same(load_or_evaluate(classifier, "mnist-validation"), shipped)


def test_all_that_changes_an_answer_changes_the_fingerprint(
    weights_folder: Path, save_random: Save, few: DigitSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants: list[dict[str, object]] = [{}, {"seed": 1}, {"temperature": 2.0}, {"architecture": "mlp"}]
    classifiers = [
        load_classifier(save_random(weights_folder / f"{i}.safetensors", **variant))
        for i, variant in enumerate(variants)
    ]
    rows = np.arange(len(few))
    fingerprints = [evaluate(classifier, few).fingerprint for classifier in classifiers]
    fingerprints.append(evaluate(classifiers[0], few.subset(rows[::-1])).fingerprint)
    fingerprints.append(evaluate(classifiers[0], few.subset(rows[:-1])).fingerprint)
    monkeypatch.setattr(evaluation, "PREPROCESSING", "mnist-2")
    fingerprints.append(evaluate(classifiers[0], few).fingerprint)
    assert len(set(fingerprints)) == len(fingerprints)


def test_a_changed_file_does_not_find_the_old_evaluation(
    classifier: DigitClassifier, few: DigitSet, weights_folder: Path, save_random: Save
) -> None:
    old = load_or_evaluate(classifier, "mnist-validation")
    save_random(weights_folder / "one.safetensors", seed=1)
    changed = load_classifier("one")
    assert find_evaluation(changed.checkpoint, "mnist-validation") is None
    assert not np.array_equal(load_or_evaluate(changed, "mnist-validation").logits, old.logits)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped", "other fingerprint", "NaN", "rows", "pickle"])
def test_a_damaged_file_is_made_again(
    classifier: DigitClassifier, few: DigitSet, cache_folder: Path, damage: str
) -> None:
    evaluation_of_few = evaluate(classifier, few)
    path = save_evaluation(evaluation_of_few, cache_folder / "evaluations")
    data = path.read_bytes()
    names = np.array([evaluation_of_few.checkpoint, evaluation_of_few.dataset, evaluation_of_few.fingerprint])
    if damage in ("empty", "cut", "text"):
        path.write_bytes({"empty": b"", "cut": data[:-200], "text": b"an evaluation"}[damage])
    elif damage == "other fingerprint":
        names[2] = "0" * 16
        np.savez(
            path,
            names=names,
            ids=evaluation_of_few.ids,
            labels=evaluation_of_few.labels,
            logits=evaluation_of_few.logits,
        )
    elif damage == "NaN":
        np.savez(
            path,
            names=names,
            ids=evaluation_of_few.ids,
            labels=evaluation_of_few.labels,
            logits=evaluation_of_few.logits * np.float32("nan"),
        )
    elif damage == "rows":
        np.savez(
            path,
            names=names,
            ids=evaluation_of_few.ids,
            labels=evaluation_of_few.labels,
            logits=evaluation_of_few.logits[1:],
        )
    elif damage == "pickle":
        np.savez(
            path,
            names=names,
            ids=evaluation_of_few.ids,
            labels=evaluation_of_few.labels.astype(object),
            logits=evaluation_of_few.logits,
        )
    if damage != "flipped":
        assert find_evaluation(classifier.checkpoint, "mnist-validation") is None
        assert _same(load_or_evaluate(classifier, "mnist-validation"), evaluation_of_few)
        return
    rng = np.random.default_rng(0)
    for position in np.concatenate([np.arange(200), rng.integers(0, len(data), 300)]):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(damaged)
        stored = find_evaluation(classifier.checkpoint, "mnist-validation")
        assert stored is None or _same(stored, evaluation_of_few), position


def test_summary() -> None:
    logits = np.zeros((4, 10), dtype=np.float32)
    logits[[0, 1, 2, 3], [1, 2, 3, 0]] = 2
    summary = summarize(Evaluation("one", "few", "0", np.arange(4), np.array([1, 2, 3, 4]), logits))
    confidence = np.exp(2) / (np.exp(2) + 9)
    assert (summary.checkpoint, summary.dataset, summary.digits, summary.errors) == ("one", "few", 4, 1)
    assert summary.accuracy == 0.75
    assert summary.interval == pytest.approx((0.300642, 0.954413), abs=1e-6)
    assert summary.nll == pytest.approx(-(3 * np.log(confidence) + np.log((1 - confidence) / 9)) / 4, abs=1e-6)
    assert summary.ece == pytest.approx(0.75 - confidence, abs=1e-6)


def test_digits_can_be_left_out() -> None:
    logits = np.eye(10, dtype=np.float32)[[1, 2, 3, 0]]
    whole = Evaluation("one", "few", "0", np.array([10, 20, 30, 40]), np.array([1, 2, 3, 4]), logits)
    rest = whole.without([40, 10, 99])  # 99 is the id of no digit
    assert (rest.ids.tolist(), rest.labels.tolist(), rest.predictions.tolist()) == ([20, 30], [2, 3], [2, 3])
    assert (whole.errors, rest.errors, len(rest)) == (1, 0, 2)
    assert (rest.checkpoint, rest.dataset) == (whole.checkpoint, whole.dataset)
    assert _same(whole.without(frozenset()), whole)
    assert len(whole.without(whole.ids.tolist())) == 0


def test_other_labels_change_the_figures_and_the_fingerprint(validation_digits: DigitSet) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 100)[::-1])
    evaluation = Evaluation.from_predictions("mine", some, predictions=some.labels)
    changed = {int(some.ids[3]): (int(some.labels[3]) + 1) % 10, 999_999: 5}
    corrected = evaluation.with_labels(changed)
    assert (evaluation.errors, corrected.errors) == (0, 1)
    assert np.flatnonzero(corrected.labels != evaluation.labels).tolist() == [3]
    assert corrected.labels[3] == changed[int(some.ids[3])]
    assert corrected.fingerprint != evaluation.fingerprint
    assert (evaluation.labels_in_words, corrected.labels_in_words) == ("", "with 1 corrected label")
    assert evaluation.with_labels({}) is evaluation
