"""Answers of any model: scikit-learn's own figures are the oracle, and the shipped evaluations."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, log_loss

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.errors import CheckpointError, DatasetError
from digitcore.evaluation import metrics
from digitcore.evaluation.evaluation import find_evaluation, load_or_evaluate, summarize
from digitcore.models.library import CheckpointLibrary, load_checkpoint
from digitcore.serving.cli import main


@pytest.fixture(scope="module")
def uci() -> DigitSet:
    return digitcore.load_digits("uci-digits")


@pytest.fixture(scope="module")
def probabilities(uci: DigitSet) -> np.ndarray:
    """Of a logistic regression that has seen every second digit, coarsely."""
    pixels = uci.images[:, ::4, ::4].reshape(len(uci), -1) / 255
    model = LogisticRegression(max_iter=200).fit(pixels[::2], uci.labels[::2])
    return np.asarray(model.predict_proba(pixels))


def _table(digits: DigitSet, probabilities: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"id": digits.ids, "label": digits.labels} | {f"p{i}": probabilities[:, i] for i in range(10)})


@pytest.fixture
def answers(weights_folder: Path, uci: DigitSet, probabilities: np.ndarray) -> Path:
    """A table of answers in the weights folder, its rows in no order."""
    path = weights_folder / "regression.csv"
    _table(uci, probabilities).sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


@pytest.mark.usefixtures("answers")
def test_figures_are_those_of_scikit_learn(uci: DigitSet, probabilities: np.ndarray) -> None:
    classifier = digitcore.load_classifier("regression")
    evaluation = load_or_evaluate(classifier, "uci-digits")
    summary = summarize(evaluation)
    answers = probabilities.argmax(axis=1)
    assert summary.accuracy == pytest.approx(accuracy_score(uci.labels, answers), abs=1e-12)
    assert summary.nll == pytest.approx(log_loss(uci.labels, probabilities), abs=1e-12)
    expected = brier_score_loss(uci.labels, probabilities, labels=list(range(10)), scale_by_half=False)
    assert metrics.brier_loss(evaluation.labels, evaluation.logits) == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(
        metrics.confusion_matrix(evaluation.labels, evaluation.logits), confusion_matrix(uci.labels, answers)
    )
    stored = find_evaluation(classifier.checkpoint, "uci-digits")
    assert stored is not None
    assert np.array_equal(stored.logits, evaluation.logits)
    assert stored.has_probabilities


def test_from_predictions_is_the_same_as_the_file(answers: Path, uci: DigitSet, probabilities: np.ndarray) -> None:
    mine = digitcore.Evaluation.from_predictions("mine", uci, probabilities=probabilities)
    theirs = load_or_evaluate(digitcore.load_classifier(answers), "uci-digits")
    assert np.array_equal(mine.logits, theirs.logits)
    assert digitcore.compare(mine, theirs).difference == 0
    logits = np.log(probabilities) + 3
    again = digitcore.Evaluation.from_predictions("mine", uci, logits=logits)
    assert again.logits == pytest.approx(mine.logits, abs=1e-9)


def test_the_answers_alone_can_be_compared(uci: DigitSet, probabilities: np.ndarray) -> None:
    alone = digitcore.Evaluation.from_predictions("alone", uci, predictions=probabilities.argmax(axis=1))
    whole = digitcore.Evaluation.from_predictions("whole", uci, probabilities=probabilities)
    assert not alone.has_probabilities
    assert alone.errors == whole.errors > 0
    assert digitcore.compare(alone, whole).agreement == len(uci)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "give probabilities, logits or predictions, got none"),
        ({"predictions": np.zeros(3), "logits": np.zeros((3, 10))}, "got logits, prediction"),
        ({"predictions": np.zeros(3)}, "must have an answer for each of 1,797 digits, got 3"),
        ({"predictions": np.full(1797, 10)}, "mine has as prediction 10 in row 0"),
        ({"probabilities": np.ones((1797, 10))}, "do not add up to 1"),
    ],
)
def test_what_does_not_fit_is_a_mistake_of_the_caller(uci: DigitSet, given: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        digitcore.Evaluation.from_predictions("mine", uci, **given)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.assign(set="mnist-test"), "holds answers to mnist-test, not to uci-digits: pick those"),
        (lambda table: table.drop(columns="id")[:100], "holds answers to 100 digits, which are not the 1,797"),
        (lambda table: pd.concat([table, table]).drop(columns="id"), "holds answers to 3,594 digits, which are not"),
        (lambda table: table[:100], "holds answers to 100 digits, which are not the 1,797 of uci-digits"),
        (lambda table: table.assign(id=table["id"] + 1), "which are not the 1,797 of uci-digits"),
        (lambda table: table.assign(label=(table["label"] + 1) % 10), "has other labels than uci-digits for 1,797"),
    ],
)
def test_answers_to_other_digits_are_refused(
    weights_folder: Path,
    uci: DigitSet,
    probabilities: np.ndarray,
    change: Callable[[pd.DataFrame], pd.DataFrame],
    reason: str,
) -> None:
    change(_table(uci, probabilities)).to_csv(weights_folder / "other.csv", index=False)
    with pytest.raises(DatasetError, match=reason):
        load_or_evaluate(digitcore.load_classifier("other"), "uci-digits")


def test_a_table_is_listed_and_reads_no_pictures(answers: Path, weights_folder: Path) -> None:
    (entry,) = CheckpointLibrary(weights_folder).entries()
    assert (entry.name, entry.path) == ("regression", answers)
    checkpoint = load_checkpoint("regression")
    assert not checkpoint.metadata.has_network
    assert checkpoint.parameters == 0
    with pytest.raises(CheckpointError, match=r"regression\.csv holds answers to 1,797 digits and no network"):
        digitcore.load_classifier("regression").predict(np.eye(28, dtype=np.uint8) * 255)
    answers.write_text("id,prediction\n0,1\n")
    assert load_checkpoint("regression").digest != checkpoint.digest


def test_the_pictures_need_not_be_here(weights_folder: Path, data_folder: Path, shipped: Path) -> None:
    """The labels of MNIST's test digits are those of the evaluations that ship."""
    known = next(shipped.glob("compact--mnist-test--*.npz"))
    (weights_folder / "evaluations").mkdir()
    (weights_folder / "evaluations" / known.name).write_bytes(known.read_bytes())
    with np.load(known) as arrays:
        labels = arrays["labels"]
    pd.DataFrame({"prediction": labels}).to_csv(weights_folder / "perfect.csv", index=False)
    assert not list(data_folder.iterdir())
    assert load_or_evaluate(digitcore.load_classifier("perfect"), "mnist-test").errors == 0


@pytest.fixture(scope="session")
def shipped() -> Path:
    return Path(__file__).parents[2] / "weights" / "evaluations"


def test_the_command_line_compares_it(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv(answers).assign(p0=lambda table: table["p0"]).to_csv(answers.with_name("again.csv"), index=False)
    assert main(["compare", "regression", "again", "--dataset", "uci-digits", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["digits"], row["difference"]) == (1797, 0)
