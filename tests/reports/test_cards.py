"""Model cards: the committed ones are current, every figure is the evaluation's, and nothing a file says is trusted."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import digitcore
from digitcore.data.written_forms import PER_FORM, WRITTEN_FORMS
from digitcore.evaluation.evaluation import Evaluation, find_evaluation
from digitcore.evaluation.intervals import share_interval, wilson_interval
from digitcore.evaluation.manifest import SHIPPED_ON
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, save_checkpoint
from digitcore.models.export import export_network
from digitcore.models.library import load_checkpoint
from digitcore.reports.cards import describe_folder, model_card
from digitcore.serving.cli import main
from digitcore.training.recipes import load_recipe
from tests.paths import WEIGHTS

Save = Callable[..., Path]
HOSTILE = "</script><img src=x onerror=alert(1)> **bold** | `code` [link](http://x) $x$ :red[y]\n# heading"


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(WEIGHTS))
    return load_checkpoint("compact")


def _evaluations(checkpoint: Checkpoint) -> list[Evaluation]:
    return [found for name in SHIPPED_ON if (found := find_evaluation(checkpoint, name)) is not None]


def test_the_committed_cards_are_current(shipped: Checkpoint) -> None:
    """Fails where weights or recipes have changed since: run `python -m digitcore cards`."""
    assert (WEIGHTS / "README.md").read_text(encoding="utf-8") == describe_folder(WEIGHTS)


def test_figures_and_weaknesses_are_those_of_the_evaluations(shipped: Checkpoint) -> None:
    evaluations = _evaluations(shipped)
    card = model_card(shipped, evaluations)
    assert len(evaluations) == len(SHIPPED_ON)
    for evaluation in evaluations:
        wrong = evaluation.predictions != evaluation.labels
        row = next(line for line in card.splitlines() if line.startswith(f"| {evaluation.dataset} "))
        assert f" {wrong.sum():,} of {len(wrong):,} | {1 - wrong.mean():.2%} (" in row
        line = next(line for line in card.splitlines() if line.startswith(f"- {evaluation.dataset}: highest"))
        shares = [wrong[evaluation.labels == digit].mean() for digit in range(10)]
        worst = int(np.argmax(shares))
        errors, digits = int(wrong[evaluation.labels == worst].sum()), int((evaluation.labels == worst).sum())
        inside = evaluation.labels == worst
        low, high = share_interval(wrong[inside], None if evaluation.writers is None else evaluation.writers[inside])
        assert f"highest error rate for {worst}, {errors} of {digits:,} ({low:.1%} to {high:.1%})" in line
        for true, predicted, count in re.findall(r"true digit (\d), answer (\d) \(([\d,]+)\)", line):
            inside = (evaluation.labels == int(true)) & (evaluation.predictions == int(predicted))
            assert inside.sum() == int(count.replace(",", ""))


def test_the_forms_that_are_read_worst_are_counted(shipped: Checkpoint) -> None:
    evaluations = _evaluations(shipped)
    card = model_card(shipped, evaluations)
    written = next(evaluation for evaluation in evaluations if evaluation.dataset == "written-forms")
    right = np.bincount(written.ids // PER_FORM, weights=written.predictions == written.labels)
    digit, form = WRITTEN_FORMS[int(right.argmin())]
    low, high = wilson_interval(int(right.min()), PER_FORM)
    assert f"| {digit} {form} | {right.min():.0f} of {PER_FORM} ({low:.1%} to {high:.1%}) |" in card
    assert "Forms" not in model_card(shipped, [item for item in evaluations if item is not written])


def test_the_card_says_what_mnist_alone_costs(shipped: Checkpoint) -> None:
    evaluations = _evaluations(shipped)
    card = model_card(shipped, evaluations)
    assert "It has only seen MNIST" in card
    drawn = next(evaluation for evaluation in evaluations if evaluation.dataset == "pen-digits")
    low, high = share_interval(drawn.predictions == drawn.labels, drawn.writers)
    assert f"{1 - drawn.errors / len(drawn):.2%} ({low:.2%} to {high:.2%}) on pen-digits" in card


def test_how_to_make_it_again(tmp_path: Path) -> None:
    """The command of today's recipe; of one that has changed, the commit too; of a stranger's, none."""
    recipe = asdict(load_recipe("quick"))
    current = _save(tmp_path / "other.safetensors", recipe=recipe, seed=3)
    command = "python -m digitcore train quick --seed 3 --output weights/other.safetensors"
    card = model_card(load_checkpoint(current), [])
    assert f"```sh\n{command}\n```" in card
    assert "recipe has changed" not in card
    changed = recipe | {"peak_learning_rate": 0.5}
    old = _save(tmp_path / "quick.safetensors", recipe=changed, seed=3, provenance={"commit": "abc", "processes": 4})
    card = model_card(load_checkpoint(old), [])
    assert "from the commit abc, since the recipe has changed" in card
    assert "torchrun --nproc-per-node 4 -m digitcore train quick --seed 3\n" in card
    strange = _save(tmp_path / "strange.safetensors", recipe={"name": "x; rm -rf ~"}, seed=3)
    assert "```" not in model_card(load_checkpoint(strange), [])


@pytest.mark.parametrize("role", ["teachers", "start"])
def test_what_it_learned_from_may_have_changed(tmp_path: Path, save_random: Save, role: str) -> None:
    source = load_checkpoint(save_random(tmp_path / "source.safetensors", seed=1))
    recipe = asdict(load_recipe("world")) | {"starts_from": "source"}
    provenance = {"commit": "abc", role: source.digest if role == "start" else {"source": source.digest}}
    path = save_random(tmp_path / "mine.safetensors", recipe=recipe, provenance=provenance)
    unchanged = model_card(load_checkpoint(path), [])
    assert "source is no longer the same" not in unchanged
    assert ("), asked only about mnist-train." in unchanged) == (role == "teachers")
    save_random(tmp_path / "source.safetensors", seed=2)
    changed = model_card(load_checkpoint(path), [])
    assert "from the commit abc, since" in changed
    assert "source is no longer the same:\n" in changed
    (tmp_path / "source.safetensors").unlink()
    assert model_card(load_checkpoint(path), []) == changed


def test_the_commit_is_named_where_nothing_changed_too(tmp_path: Path, save_random: Save) -> None:
    """Later code may round otherwise."""
    recipe = asdict(load_recipe("quick"))
    path = save_random(tmp_path / "quick.safetensors", recipe=recipe, provenance={"commit": "abc"})
    assert "with as many threads, from the commit abc:\n" in model_card(load_checkpoint(path), [])


def test_a_recipe_from_before_a_field_was_there_is_current(tmp_path: Path, save_random: Save) -> None:
    written = {name: value for name, value in asdict(load_recipe("quick")).items() if name not in ("views", "teachers")}
    path = save_random(tmp_path / "quick.safetensors", recipe=written)
    assert "recipe has changed" not in model_card(load_checkpoint(path), [])


@pytest.mark.parametrize(("value", "current"), [(None, True), (3, False)])
def test_an_option_that_is_gone_counts_where_it_was_used(
    tmp_path: Path, save_random: Save, value: int | None, current: bool
) -> None:
    path = save_random(tmp_path / "quick.safetensors", recipe=asdict(load_recipe("quick")) | {"gone": value})
    assert ("recipe has changed" not in model_card(load_checkpoint(path), [])) == current


def test_a_plain_state_dict_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    torch.save(build_network("mlp").state_dict(), path)
    checkpoint = load_checkpoint(path)
    card = model_card(checkpoint, [digitcore.evaluate(digitcore.load_classifier(path), _few())])
    for words in ("does not say what it was trained on", "does not say which recipe", "101,770 parameters"):
        assert words in card
    assert "None" not in card


def test_an_onnx_file(tmp_path: Path, shipped: Checkpoint) -> None:
    export_network(shipped, tmp_path / "mine.onnx", file_format="onnx")
    card = model_card(load_checkpoint(tmp_path / "mine.onnx"), [])
    assert "architecture onnx" in card
    assert "Its input is normalised, bright ink (declared), its output logits." in card
    assert "It has not been evaluated yet" in card


def test_digits_seen_in_training_are_marked(tmp_path: Path, save_random: Save) -> None:
    path = save_random(tmp_path / "seen.safetensors", trained_on=("uci-digits", "my own"))
    checkpoint = load_checkpoint(path)
    card = model_card(checkpoint, [digitcore.evaluate(digitcore.load_classifier(path), _few())])
    assert "| uci-digits (trained on) |" in card
    assert "Trained on uci-digits" in card
    assert "only seen MNIST" not in card


def test_nothing_that_a_file_says_is_markup(tmp_path: Path, save_random: Save) -> None:
    texts = dict.fromkeys(
        ("device", "processor", "threads", "python", "torch", "commit", "finished", "chosen_on"), HOSTILE
    )
    checkpoint = load_checkpoint(save_random(tmp_path / "hostile.safetensors"))
    metadata = dataclasses.replace(
        checkpoint.metadata,
        trained_on=(HOSTILE,),
        recipe={"name": HOSTILE, "summary": HOSTILE, "epochs": HOSTILE},
        provenance=texts | {"teachers": {HOSTILE: HOSTILE}, "input": {"scale": HOSTILE}},
    )
    card = model_card(dataclasses.replace(checkpoint, name="a `b` *c* <i>\n# d", metadata=metadata), [])
    assert not re.search(r"(?<!\\)[<>`$\[\]]", card)
    headings = ("**Limits**", "**How it was made**")
    for line in card.splitlines():
        assert line in headings or not re.search(r"(?<!\\)\*", line)
        assert not line.startswith("#")


def test_long_words_are_cut(tmp_path: Path, save_random: Save) -> None:
    path = save_random(tmp_path / "long.safetensors", recipe={"summary": "x" * 90_000})
    assert len(model_card(load_checkpoint(path), [])) < 5_000


def test_a_folder_in_one_file(weights_folder: Path, save_random: Save, capsys: pytest.CaptureFixture[str]) -> None:
    save_random(weights_folder / "large.safetensors", architecture="mlp")
    save_random(weights_folder / "small.safetensors")
    (weights_folder / "broken.pt").write_bytes(b"no weights")
    assert main(["cards"]) == 0
    assert capsys.readouterr().out == f"{weights_folder / 'README.md'}\n"
    text = (weights_folder / "README.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## small", "## large"]
    assert "broken" not in text
    assert "| small | 8,778 | not evaluated |" in text


@pytest.mark.parametrize("command", ["cards", "evaluate"])
def test_an_empty_folder_is_said_to_be_empty(
    weights_folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command]) == 1
    assert f"There is no checkpoint in {weights_folder}: train one" in capsys.readouterr().err
    assert not list(weights_folder.iterdir())


def test_cards_that_cannot_be_written(
    weights_folder: Path, save_random: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    save_random(weights_folder / "one.safetensors")
    (weights_folder / "README.md").mkdir()
    assert main(["cards"]) == 1
    assert f"{weights_folder} cannot be written" in capsys.readouterr().err


def _few() -> digitcore.DigitSet:
    return digitcore.load_digits("uci-digits").subset(np.arange(200))


def _save(path: Path, **metadata: object) -> Path:
    save_checkpoint(path, build_network("compact"), CheckpointMetadata("compact", **metadata))
    return path
