"""The shipped figures: weights/manifest.json against the files beside it and, where MNIST is, new runs."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitcore.data.datasets import load_digits
from digitcore.evaluation.evaluation import evaluate, find_evaluation
from digitcore.evaluation.manifest import describe_checkpoints, write_manifest
from digitcore.evaluation.metrics import accuracy_score, expected_calibration_error, log_loss
from digitcore.models.classifier import load_classifier
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint, load_checkpoint
from digitcore.training.material import material_names
from tests.paths import WEIGHTS

MANIFEST = WEIGHTS / "manifest.json"
FIGURES = {"digits", "errors", "accuracy", "nll", "ece"}
DIGITS = {"mnist-test": 10_000, "mnist-validation": 5_000, "uci-digits": 1_797} | {
    "pen-digits": 1_248,
    "pen-validation": 1_250,
    "written-forms": 3_360,
}


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The shipped manifest, DIGITCORE_WEIGHTS naming its folder."""
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(WEIGHTS))
    contents: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return contents


def test_the_manifest_lists_the_files_that_are_there(shipped: dict[str, Any]) -> None:
    entries = CheckpointLibrary(WEIGHTS).entries()
    assert [entry for entry in entries if not isinstance(entry, UsableCheckpoint)] == []
    assert list(shipped) == [entry.name for entry in entries]
    for entry in entries:
        described = shipped[entry.name]
        assert described["file"] == entry.path.name
        assert described["sha256"] == hashlib.sha256(entry.path.read_bytes()).hexdigest()
        assert described["parameters"] == entry.parameters


def test_the_figures_are_those_of_the_shipped_evaluations(shipped: dict[str, Any]) -> None:
    for name, described in shipped.items():
        checkpoint = load_checkpoint(name)
        assert set(described["figures"]) == set(DIGITS)
        for dataset, figures in described["figures"].items():
            evaluation = find_evaluation(checkpoint, dataset)
            assert evaluation is not None, f"{name} on {dataset} was changed and not evaluated again"
            labels, logits = evaluation.labels, evaluation.logits
            assert set(figures) == FIGURES
            assert figures["digits"] == len(labels) == DIGITS[dataset]
            assert figures["errors"] == int((logits.argmax(axis=1) != labels).sum())
            assert figures["accuracy"] == pytest.approx(accuracy_score(labels, logits), abs=1e-12)
            assert figures["nll"] == pytest.approx(log_loss(labels, logits), abs=1e-9)
            assert figures["ece"] == pytest.approx(expected_calibration_error(labels, logits), abs=1e-9)


def test_every_shipped_evaluation_belongs_to_a_shipped_checkpoint(shipped: dict[str, Any]) -> None:
    fingerprints = set()
    for name in shipped:
        for dataset in DIGITS:
            evaluation = find_evaluation(load_checkpoint(name), dataset)
            assert evaluation is not None
            fingerprints.add(evaluation.fingerprint)
    assert {path.stem.rsplit("--", 1)[1] for path in (WEIGHTS / "evaluations").glob("*.npz")} == fingerprints


STEPS = pytest.mark.parametrize("step", [20, pytest.param(1, marks=pytest.mark.slow)])
"""One digit in twenty, or all."""


def _assert_reproduced(shipped: dict[str, Any], dataset: str, *, step: int) -> None:
    digits = load_digits(dataset)
    some = digits.subset(np.arange(0, len(digits), step))
    for name in shipped:
        evaluation = evaluate(load_classifier(name), some)
        stored = find_evaluation(load_checkpoint(name), dataset)
        assert stored is not None
        assert np.array_equal(stored.ids[::step], evaluation.ids)
        assert np.array_equal(stored.labels[::step], evaluation.labels)
        assert np.abs(stored.logits[::step] - evaluation.logits).max() < 1e-3


@STEPS
@pytest.mark.needs_mnist
def test_answers_on_the_test_set_are_reproduced(shipped: dict[str, Any], step: int) -> None:
    _assert_reproduced(shipped, "mnist-test", step=step)


@STEPS
@pytest.mark.parametrize("dataset", ["mnist-validation", "uci-digits"])
def test_answers_on_sets_that_are_always_there_are_reproduced(shipped: dict[str, Any], dataset: str, step: int) -> None:
    _assert_reproduced(shipped, dataset, step=step)


@STEPS
@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("cached_drawn_sets")
@pytest.mark.parametrize("dataset", ["pen-digits", "pen-validation"])
def test_answers_on_drawn_digits_are_reproduced(shipped: dict[str, Any], dataset: str, step: int) -> None:
    _assert_reproduced(shipped, dataset, step=step)


def test_no_shipped_checkpoint_has_seen_the_digits_it_is_judged_on(shipped: dict[str, Any]) -> None:
    for name in shipped:
        metadata = load_checkpoint(name).metadata
        assert set(metadata.trained_on) <= set(material_names())  # none of which judges
        assert "mnist-validation" in metadata.chosen_on
        assert "mnist-test" not in metadata.chosen_on


def test_a_manifest_describes_its_folder(weights_folder: Path, save_random: Callable[..., Path]) -> None:
    path = save_random(weights_folder / "one.safetensors", architecture="mlp")
    (weights_folder / "broken.pt").write_bytes(b"no weights")
    write_manifest(weights_folder)
    manifest = json.loads((weights_folder / "manifest.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest == {"one": {"file": "one.safetensors", "sha256": digest, "parameters": 101_770, "figures": {}}}
    assert manifest == describe_checkpoints(weights_folder)


def test_an_empty_folder_has_an_empty_manifest(weights_folder: Path) -> None:
    write_manifest(weights_folder)
    assert json.loads((weights_folder / "manifest.json").read_text(encoding="utf-8")) == {}
