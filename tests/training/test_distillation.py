import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.imaging.preprocessing import normalize
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import load_checkpoint
from digitcore.training.augmentation import Augmentation
from digitcore.training.distillation import Teachers
from digitcore.training.loop import EpochResult, train
from digitcore.training.losses import distillation_loss
from digitcore.training.recipes import Recipe, load_recipe, recipe_names

Save = Callable[..., Path]
CPU = torch.device("cpu")
RECIPE = Recipe(
    name="tiny",
    architecture="compact",
    epochs=2,
    summary="for tests",
    batch_norm=True,
    batch_size=50,
    average_decay=0.8,
    teachers=("compact",),
    distillation_temperature=2,
)


@pytest.fixture(scope="module")
def training(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5_000, 16))


@pytest.fixture(scope="module")
def validation(validation_digits: DigitSet) -> DigitSet:
    digits = validation_digits.subset(np.arange(1, 5_000, 20))
    return dataclasses.replace(digits, name="held out")


def _last_epoch(
    recipe: Recipe, training: DigitSet, validation: DigitSet, output: Path, **options: object
) -> EpochResult:
    results = list(train(recipe, training=training, validation=validation, output=output, device="cpu", **options))
    last = results[-1]
    assert isinstance(last, EpochResult)
    return last


def _equal(one: Path, other: Path) -> bool:
    weights, others = (load_checkpoint(path).network.state_dict() for path in (one, other))
    return all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_is_divergence_and_cross_entropy(weight: float, temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits, teacher, labels = rng.normal(0, 3, (6, 10)), rng.normal(0, 3, (6, 10)), rng.integers(0, 10, 6)
    soft = softmax(teacher / temperature, axis=1)
    divergence = (soft * (np.log(soft) - log_softmax(logits / temperature, axis=1))).sum(axis=1).mean()
    cross_entropy = -log_softmax(logits, axis=1)[np.arange(6), labels].mean()
    loss = distillation_loss(
        torch.from_numpy(logits),
        labels=torch.from_numpy(labels),
        probabilities=torch.from_numpy(soft),
        weight=weight,
        temperature=temperature,
    )
    assert float(loss) == pytest.approx(weight * temperature**2 * divergence + (1 - weight) * cross_entropy)


def test_a_row_without_an_answer_is_learned_from_its_label() -> None:
    rng = np.random.default_rng(0)
    logits, labels = torch.from_numpy(rng.normal(0, 3, (6, 10))).requires_grad_(), torch.arange(6)
    soft = torch.softmax(torch.from_numpy(rng.normal(0, 3, (6, 10))), dim=1)
    some = soft.clone()
    some[3:] = torch.nan

    def loss(rows: slice, probabilities: torch.Tensor, weight: float) -> torch.Tensor:
        return distillation_loss(
            logits[rows], labels=labels[rows], probabilities=probabilities[rows], weight=weight, temperature=2
        )

    mixed = loss(slice(None), some, 0.7)
    expected = (loss(slice(3), soft, 0.7) + loss(slice(3, 6), soft, 0.0)) / 2
    assert mixed.item() == pytest.approx(expected.item())
    mixed.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_student_equal_to_its_teacher_has_nothing_to_learn() -> None:
    logits = torch.randn((5, 10), generator=torch.Generator().manual_seed(0), requires_grad=True)
    soft = torch.softmax(logits.detach() / 2, dim=1)
    loss = distillation_loss(logits, labels=torch.zeros(5).long(), probabilities=soft, weight=1, temperature=2)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_one_teacher_gives_the_probabilities_of_its_checkpoint(validation: DigitSet) -> None:
    teachers = Teachers(["compact"], held_out="mnist-validation", device=CPU)
    probabilities = teachers.probabilities(normalize(validation.images), temperature=2)
    checkpoint = load_checkpoint("compact")
    expected = softmax(DigitClassifier(checkpoint).logits(validation.images) / 2, axis=1)
    assert not probabilities.requires_grad
    assert np.abs(probabilities.numpy() - expected).max() < 0.02  # bfloat16, where the processor has it
    assert (teachers.digests, teachers.trained_on) == ({"compact": checkpoint.digest}, {"mnist-train"})


def test_without_bfloat16_they_are_exact(validation: DigitSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    probabilities = Teachers(["compact"], held_out="x", device=CPU).probabilities(
        normalize(validation.images), temperature=1
    )
    expected = softmax(DigitClassifier(load_checkpoint("compact")).logits(validation.images), axis=1)
    assert np.abs(probabilities.numpy() - expected).max() < 1e-5


def test_several_teachers_give_their_mean(validation: DigitSet) -> None:
    batch = normalize(validation.images[:20])
    compact, baseline, both = (
        Teachers(names, held_out="x", device=CPU).probabilities(batch, temperature=2)
        for names in (["compact"], ["baseline"], ["compact", "baseline"])
    )
    assert torch.allclose(both, (compact + baseline) / 2)


def test_a_missing_teacher(training: DigitSet, validation: DigitSet, tmp_path: Path, weights_folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"The teacher compact cannot be used \(.*compact.*train it first"):
        _last_epoch(RECIPE, training, validation, tmp_path / "x.safetensors")


def test_a_teacher_that_knows_the_validation_digits(
    training: DigitSet, validation: DigitSet, tmp_path: Path, weights_folder: Path, save_random: Save
) -> None:
    save_random(weights_folder / "compact.safetensors", trained_on=("mnist-train", validation.name))
    with pytest.raises(TrainingError, match="The teacher compact was trained on held out"):
        _last_epoch(RECIPE, training, validation, tmp_path / "x.safetensors")


def test_a_student_learns_from_its_teacher_alone(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    wrong = dataclasses.replace(training, labels=(training.labels + 1) % 10)  # the labels weigh nothing
    recipe = dataclasses.replace(RECIPE, epochs=6)
    last = _last_epoch(recipe, wrong, validation, tmp_path / "x.safetensors")
    assert last.validation_errors < 0.3 * len(validation)


def test_the_checkpoint_names_its_teachers(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    output = tmp_path / "x.safetensors"
    _last_epoch(RECIPE, training, validation, output)
    metadata = load_checkpoint(output).metadata
    assert metadata.recipe["teachers"] == ["compact"]
    assert metadata.provenance["teachers"] == {"compact": load_checkpoint("compact").digest}
    assert metadata.provenance["teacher_precision"] in {"bfloat16", "float32"}
    assert metadata.trained_on == ("mnist-train", training.name)


@pytest.fixture
def stopped(training: DigitSet, validation: DigitSet, tmp_path: Path) -> Path:
    """The state of a run of RECIPE that was stopped after its first epoch."""
    state = tmp_path / "state.pt"
    output = tmp_path / "unfinished.safetensors"
    run = train(RECIPE, training=training, validation=validation, output=output, device="cpu", state_file=state)
    next(result for result in run if isinstance(result, EpochResult))
    run.close()
    return state


def test_a_resumed_student_is_the_same(training: DigitSet, validation: DigitSet, tmp_path: Path, stopped: Path) -> None:
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    _last_epoch(RECIPE, training, validation, whole)
    _last_epoch(RECIPE, training, validation, resumed, state_file=stopped, resume=True)
    assert _equal(whole, resumed)


def test_teachers_answer_once_a_view(training: DigitSet, tmp_path: Path, validation: DigitSet) -> None:
    recipe = dataclasses.replace(
        RECIPE, epochs=8, views=2, augmentation=Augmentation(shift=2), full_augmentation=0.75, plain_from=0.75
    )
    asked: list[torch.Tensor] = []
    answer = Teachers.probabilities

    def counted(teachers: Teachers, batch: torch.Tensor, *, temperature: float) -> torch.Tensor:
        asked.append(batch)
        return answer(teachers, batch, temperature=temperature)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Teachers, "probabilities", counted)
        _last_epoch(recipe, training, validation, tmp_path / "x.safetensors")
    steps = len(training) // recipe.batch_size
    assert len(asked) < 4 * steps
    assert sum(len(batch) for batch in asked) <= 2 * steps * recipe.batch_size + len(
        training
    )  # two views, and as they are
    assert not torch.equal(asked[0], asked[steps])


@pytest.mark.parametrize("plain_from", [0.0, 1.0])
def test_teachers_are_asked_about_some_materials_only(
    training: DigitSet, validation: DigitSet, tmp_path: Path, plain_from: float
) -> None:
    other = dataclasses.replace(training, name="written", ids=np.arange(len(training)))
    both = DigitSet(
        "mnist-train + written",
        *(
            np.concatenate([getattr(digits, part) for digits in (training, other)])
            for part in ("ids", "images", "labels")
        ),
    )
    recipe = dataclasses.replace(
        RECIPE, epochs=1, taught=("written",), full_augmentation=plain_from, plain_from=plain_from
    )
    asked: list[int] = []
    answer = Teachers.probabilities

    def counted(teachers: Teachers, batch: torch.Tensor, *, temperature: float) -> torch.Tensor:
        asked.append(len(batch))
        return answer(teachers, batch, temperature=temperature)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Teachers, "probabilities", counted)
        _last_epoch(recipe, both, validation, tmp_path / "x.safetensors")
    assert len(training) - recipe.batch_size < sum(asked) <= len(training)


@pytest.mark.parametrize("plain_from", [0.0, 0.5, 1.0])
def test_a_resumed_student_of_few_views_is_the_same(
    training: DigitSet, validation: DigitSet, tmp_path: Path, plain_from: float
) -> None:
    """Also where the plain digits were asked about in other batches before."""
    recipe = dataclasses.replace(
        RECIPE,
        epochs=4,
        views=2,
        augmentation=Augmentation(shift=2),
        full_augmentation=plain_from,
        plain_from=plain_from,
    )
    state = tmp_path / "state.pt"
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    _last_epoch(recipe, training, validation, whole)
    run = train(recipe, training=training, validation=validation, output=resumed, device="cpu", state_file=state)
    next(result for result in run if isinstance(result, EpochResult) and result.epoch == 3)
    run.close()
    _last_epoch(recipe, training, validation, resumed, state_file=state, resume=True)
    assert _equal(whole, resumed)


def test_another_teacher_of_that_name_is_refused(
    training: DigitSet, validation: DigitSet, tmp_path: Path, stopped: Path, weights_folder: Path, save_random: Save
) -> None:
    save_random(weights_folder / "compact.safetensors")
    with pytest.raises(TrainingError, match=r"state\.pt belongs to a run with another teachers"):
        _last_epoch(RECIPE, training, validation, tmp_path / "x.safetensors", state_file=stopped, resume=True)


@pytest.mark.parametrize("name", recipe_names())
def test_teachers_are_shipped_and_learned_from_others_in_the_end(name: str) -> None:
    generation, students = {name}, set[str]()
    while generation:
        assert not generation & students
        students |= generation
        recipes = [load_recipe(name) for name in generation if name in recipe_names()]
        generation = {teacher for recipe in recipes for teacher in recipe.teachers}
        for teacher in generation:
            assert load_checkpoint(teacher).name == teacher
