"""Fine-tuning on the digits of a person who leans far to the right, further than `compact` has ever seen."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import load_checkpoint
from digitcore.reports.cards import model_card
from digitcore.training.fine_tuning import (
    METHOD,
    FineTuned,
    TuningProgress,
    fine_tune,
    fine_tuning_steps,
    known_digits,
    network_logits,
    split_digits,
)
from tests.paths import ROOT

SHORT = replace(METHOD, steps=80)


@pytest.fixture(scope="module")
def start() -> Checkpoint:
    return load_checkpoint(ROOT / "weights" / "compact.safetensors")


@pytest.fixture(scope="module")
def validation(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(1, 5_000, 4))


@pytest.fixture(scope="module")
def slanted(validation_digits: DigitSet) -> DigitSet:
    """A hundred digits, ten of each, of one person who leans far to the right."""
    rows = np.arange(0, 5_000, 50)
    rows = rows.reshape(10, 10).T.ravel()  # 0, 1, ... 9, 0, 1, ...
    some = validation_digits.subset(rows)
    slanted = [np.roll(some.images[:, row], round(1.5 * (row - 14)), axis=1) for row in range(28)]
    return DigitSet("handwriting", np.arange(100), np.stack(slanted, axis=1), some.labels)


@pytest.fixture(scope="module")
def run(
    start: Checkpoint, slanted: DigitSet, validation: DigitSet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[TuningProgress | FineTuned]]:
    """The results of one run where MNIST is missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITCORE_DATA", str(tmp_path_factory.mktemp("data")))
        output = tmp_path_factory.mktemp("weights") / "mine.safetensors"
        sessions = np.repeat([7, 8], 50)
        results = fine_tune(start, slanted, sessions, output=output, validation=validation, method=SHORT)
        yield list(results)


def _verdict(results: list[TuningProgress | FineTuned]) -> FineTuned:
    assert isinstance(results[-1], FineTuned)
    return results[-1]


def test_a_checkpoint_learns_to_read_another_hand_and_forgets_little(run: list[TuningProgress | FineTuned]) -> None:
    *progress, end = run
    assert isinstance(end, FineTuned)
    assert [look.step for look in progress] == list(range(0, 81, 10))
    first, last = progress[0], progress[-1]
    assert first.own_digits == 50
    assert first.own_errors >= 20
    assert last.own_errors < first.own_errors / 2
    assert last.validation_errors <= first.validation_errors + 8
    assert (end.own.errors_a, end.own.errors_b) == (first.own_errors, last.own_errors)
    assert (end.validation.errors_a, end.validation.errors_b) == (first.validation_errors, last.validation_errors)
    assert end.own.better == "mine"
    assert end.is_better
    assert end.test is None
    assert (end.learned_digits, end.divided_writers) == (50, 0)


def test_what_is_clearly_worse_on_mnist_is_not_called_better(run: list[TuningProgress | FineTuned]) -> None:
    end = _verdict(run)
    forgetful = replace(end.validation, only_a=300, only_b=10, p=1e-9)
    assert not replace(end, validation=forgetful).is_better
    assert not replace(end, own=replace(end.own, p=0.2)).is_better


def test_its_history_stands_in_its_metadata(start: Checkpoint, run: list[TuningProgress | FineTuned]) -> None:
    end = _verdict(run)
    metadata = load_checkpoint(end.output).metadata
    assert metadata.recipe["starts_from"] == "compact"
    assert metadata.recipe["steps"] == 80
    assert metadata.provenance["start"] == start.digest
    own = metadata.provenance["own_digits"]
    assert (own["digits"], own["writers"], own["sessions"]) == (50, 1, 1)
    assert metadata.trained_on == ("handwriting", "mnist-train", "mnist-validation")
    assert (
        metadata.caution("handwriting")
        == metadata.caution("handwriting:a-notebook")
        == metadata.caution("mnist-validation")
        == "trained on"
    )
    assert end.known == "mnist-validation"


def test_its_card_tells_the_history(run: list[TuningProgress | FineTuned]) -> None:
    card = model_card(load_checkpoint(_verdict(run).output), [])
    assert "Fine-tuned on 50 own digits (writers: 1, sessions: 1)." in card
    assert "Recipe fine-tuning, seed 0" in card
    assert "80 steps in batches of 96, starting from compact." in card


def test_its_temperature_and_threshold_hold(
    start: Checkpoint, run: list[TuningProgress | FineTuned], validation: DigitSet
) -> None:
    tuned = load_checkpoint(_verdict(run).output)
    logits = DigitClassifier(tuned).logits(validation.images)
    energies = torch.logsumexp(torch.from_numpy(logits), dim=1).numpy()
    assert tuned.metadata.refusal_score == "energy"
    assert 0.004 < (energies < tuned.metadata.refusal_threshold).mean() < 0.009
    assert 0.5 < tuned.metadata.temperature / start.metadata.temperature < 2


def test_without_known_digits_it_forgets_far_more(
    start: Checkpoint,
    slanted: DigitSet,
    run: list[TuningProgress | FineTuned],
    validation: DigitSet,
    data_folder: Path,
) -> None:
    network = copy.deepcopy(start.network).requires_grad_()
    known = known_digits(start.network, seed=0)
    learned = slanted.subset(np.arange(50))
    assert len(list(fine_tuning_steps(network, learned, known, method=replace(SHORT, known=0), seed=0))) == 80
    predictions = network_logits(network, validation.images).argmax(dim=1).numpy()
    mixed = _verdict(run).validation.errors_b
    assert (predictions != validation.labels).sum() > 2 * mixed


def test_only_the_head_learns_where_it_is_asked_to(start: Checkpoint, slanted: DigitSet, data_folder: Path) -> None:
    method = replace(METHOD, steps=3, only_head=True, learning_rate=0.1)
    network = copy.deepcopy(start.network).requires_grad_()
    known = known_digits(start.network, seed=0)
    assert list(fine_tuning_steps(network, slanted, known, method=method, seed=0)) == [1, 2, 3]
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, start.network.state_dict()[name])
    }
    assert changed == {"head.weight", "head.bias"}


def test_what_cannot_be_fine_tuned_is_said(start: Checkpoint, slanted: DigitSet, tmp_path: Path) -> None:
    few = slanted.subset(np.arange(19))
    results = fine_tune(start, few, np.zeros(19, np.int64), output=tmp_path / "few.safetensors", validation=slanted)
    with pytest.raises(TrainingError, match=r"19 digits are too few .* it takes 20"):
        next(results)


@given(rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=80))
def test_no_session_of_a_writer_with_several_stands_on_both_sides(rows: list[tuple[int, int, int]]) -> None:
    writers, sittings, labels = np.array(rows, dtype=np.int64).T
    sessions = writers * 10 + sittings
    images = np.zeros((len(rows), 28, 28), np.uint8)
    split = split_digits(DigitSet("mine", np.arange(len(rows)), images, labels, writers), sessions)
    assert sorted([*split.learned, *split.held_out]) == list(range(len(rows)))
    single = [writer for writer in set(writers) if len(set(sessions[writers == writer])) == 1]
    assert split.divided_writers == len(single)
    on_both = set(sessions[split.learned]) & set(sessions[split.held_out])
    assert {session // 10 for session in on_both} <= set(single)
    assert set(writers) <= set(writers[split.learned])
    assert all((writers[split.held_out] == writer).any() for writer in set(writers) - set(single))


def test_of_a_single_session_the_last_digits_of_each_kind_are_held_out(slanted: DigitSet) -> None:
    split = split_digits(slanted, np.zeros(100, np.int64))
    assert split.held_out.tolist() == list(range(70, 100))  # the last three of ten rounds
    assert np.bincount(slanted.labels[split.held_out]).tolist() == [3] * 10
