import csv
import dataclasses
import hashlib
import io
import itertools
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import load_checkpoint
from digitcore.training.augmentation import Augmentation
from digitcore.training.loop import EpochResult, StepResult, train
from digitcore.training.recipes import Recipe, load_recipe, recipe_names
from digitcore.training.schedules import augmentation_strength, learning_rate

RECIPE = Recipe(
    name="tiny",
    architecture="compact",
    epochs=4,
    summary="for tests",
    batch_norm=True,
    batch_size=50,
    average_decay=0.8,
    augmentation=Augmentation(rotation=5, shift=1, elastic=0.3, stroke_width=0.5),
)


@pytest.fixture(scope="module")
def training(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5_000, 8))  # 625 digits


@pytest.fixture(scope="module")
def validation(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(1, 5_000, 20))  # 250 others


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """So that sums are taken in one order, whatever else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _train(training: DigitSet, validation: DigitSet, output: Path, **options: object) -> list[EpochResult]:
    options = {"recipe": RECIPE} | options
    recipe = options.pop("recipe")
    results = train(recipe, training=training, validation=validation, output=output, device="cpu", **options)
    return [result for result in results if isinstance(result, EpochResult)]


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).network.state_dict()


def _equal(one: Path, other: Path) -> bool:
    return all(torch.equal(value, _weights(other)[name]) for name, value in _weights(one).items())


def test_a_network_learns_and_the_last_epoch_is_kept(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    output = tmp_path / "folder" / "tiny.safetensors"
    epochs = _train(training, validation, output, seed=1)
    assert [result.epoch for result in epochs] == [1, 2, 3, 4]
    assert [result.output for result in epochs] == [None, None, None, output]
    assert epochs[-1].validation_errors < 0.25 * len(validation) < epochs[0].validation_errors
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert epochs[-1].validation_loss < epochs[0].validation_loss
    assert all(result.seconds > 0 for result in epochs)

    checkpoint = load_checkpoint(output)
    logits = DigitClassifier(checkpoint).logits(validation.images)
    assert int((logits.argmax(axis=1) != validation.labels).sum()) == epochs[-1].validation_errors
    metadata = checkpoint.metadata
    assert metadata.recipe == json.loads(json.dumps(dataclasses.asdict(RECIPE)))
    assert metadata.seed == 1
    assert metadata.trained_on == (training.name,)
    provenance = metadata.provenance
    assert provenance["data_sha256"] == training.digest
    assert (provenance["torch"], provenance["numpy"]) == (torch.__version__, np.__version__)
    assert (provenance["threads"], provenance["processes"], provenance["device"]) == (1, 1, "cpu")
    assert provenance["seconds"] == round(sum(result.seconds for result in epochs))
    assert (provenance["teachers"], provenance["teacher_precision"]) == ({}, None)
    assert metadata.temperature != 1
    assert metadata.refusal_score == "energy"
    assert np.isfinite(metadata.refusal_threshold)


def test_each_batch_is_reported(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=2)
    results = list(train(recipe, training=training, validation=validation, output=tmp_path / "x.safetensors"))
    steps = [result for result in results if isinstance(result, StepResult)]
    assert [type(result) for result in results] == ([StepResult] * 12 + [EpochResult]) * 2
    assert [step.done for step in steps] == pytest.approx(np.arange(1, 25) / 24)
    assert {(step.epoch, step.epochs) for step in steps} == {(1, 2), (2, 2)}


def test_a_seed_means_the_same_weights(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=2)
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for path, seed in zip(paths, (5, 5, 6), strict=True):
        torch.manual_seed(len(path.name) + seed)  # the global numbers must not matter
        torch.rand(int(path.stem) + 1)
        _train(training, validation, path, seed=seed, recipe=recipe)
    assert _equal(paths[0], paths[1])
    assert not _equal(paths[0], paths[2])


@pytest.mark.parametrize(
    ("stopped_after", "optimizer"), [(2, "muon"), *(pytest.param(n, "adamw", marks=pytest.mark.slow) for n in (1, 3))]
)
def test_a_resumed_run_ends_in_the_same_weights(
    training: DigitSet, validation: DigitSet, tmp_path: Path, stopped_after: int, optimizer: Literal["adamw", "muon"]
) -> None:
    whole, resumed, state = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors", tmp_path / "state.pt"
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer)
    expected = _train(training, validation, whole, seed=2, recipe=recipe)

    def run(resume: bool) -> Iterator[StepResult | EpochResult]:
        return train(
            recipe,
            training=training,
            validation=validation,
            output=resumed,
            seed=2,
            device="cpu",
            state_file=state,
            resume=resume,
        )

    stopped = run(resume=False)
    for result in stopped:  # and some batches of the next epoch, which are lost
        if isinstance(result, StepResult) and result.epoch == stopped_after + 1:
            break
    stopped.close()
    assert state.exists()
    assert not resumed.exists()
    torch.rand(3)
    rest = [result for result in run(resume=True) if isinstance(result, EpochResult)]
    assert [result.epoch for result in rest] == list(range(stopped_after + 1, 5))
    assert [result.validation_loss for result in rest] == [
        result.validation_loss for result in expected[stopped_after:]
    ]
    assert _equal(whole, resumed)
    assert not state.exists()
    rows = list(csv.DictReader(state.with_suffix(".csv").read_text(encoding="utf-8").splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    for row, result in zip(rows[stopped_after:], rest, strict=True):
        assert float(row["seconds"]) == result.seconds
    names = set(rows[0]) - {"epoch"}
    assert _events(state.with_suffix("")) == {
        (name, int(row["epoch"])): pytest.approx(float(row[name]), rel=1e-6) for row in rows for name in names
    }
    for row, result in zip(rows, expected, strict=True):
        assert {name: float(value) for name, value in row.items() if name != "seconds"} == {
            name: getattr(result, name)
            for name in (
                "epoch",
                "train_loss",
                "validation_loss",
                "validation_errors",
                "learning_rate",
                "augmentation_strength",
            )
        }


def _events(folder: Path) -> dict[tuple[str, int], float]:
    """What TensorBoard would draw: by name and step. Records are a length in 8 bytes, its checksum, bytes, theirs."""
    (path,) = folder.iterdir()
    contents = path.read_bytes()
    values = {}
    while contents:
        (length,) = struct.unpack("<Q", contents[:8])
        event = Event.FromString(contents[12 : 12 + length])
        for value in event.summary.value:
            assert (value.tag, event.step) not in values
            values[value.tag, event.step] = value.simple_value
        contents = contents[16 + length :]
    return values


@pytest.fixture
def state(training: DigitSet, validation: DigitSet, tmp_path: Path) -> Path:
    """The state of a run that was stopped after its first epoch."""
    path = tmp_path / "state.pt"
    run = train(
        RECIPE,
        training=training,
        validation=validation,
        output=tmp_path / "x.safetensors",
        device="cpu",
        state_file=path,
    )
    next(result for result in run if isinstance(result, EpochResult))
    run.close()
    return path


def test_without_resume_a_run_that_was_stopped_is_not_lost(
    training: DigitSet, validation: DigitSet, tmp_path: Path, state: Path
) -> None:
    contents = state.read_bytes()
    with pytest.raises(
        TrainingError, match=r"state\.pt holds a run that was stopped: go on with --resume, or delete it"
    ):
        _train(training, validation, tmp_path / "x.safetensors", state_file=state)
    assert state.read_bytes() == contents
    state.unlink()
    recipe = dataclasses.replace(RECIPE, epochs=2)
    epochs = _train(training, validation, tmp_path / "x.safetensors", state_file=state, recipe=recipe)
    assert [result.epoch for result in epochs] == [1, 2]
    assert len(state.with_suffix(".csv").read_text(encoding="utf-8").splitlines()) == 1 + 2


def test_without_a_state_resuming_starts_anew(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    options = {"state_file": tmp_path / "none.pt", "resume": True, "recipe": dataclasses.replace(RECIPE, epochs=1)}
    assert [result.epoch for result in _train(training, validation, tmp_path / "x.safetensors", **options)] == [1]


@pytest.mark.parametrize(("other", "differs"), [("recipe", "recipe"), ("seed", "seed"), ("training", "data")])
def test_the_state_of_another_run_is_refused(
    training: DigitSet, validation: DigitSet, tmp_path: Path, state: Path, other: str, differs: str
) -> None:
    options: dict[str, object] = {"state_file": state, "resume": True}
    digits = training
    if other == "recipe":
        options["recipe"] = dataclasses.replace(RECIPE, peak_learning_rate=1e-3)
    elif other == "seed":
        options["seed"] = 1
    else:
        digits = training.subset(np.arange(len(training) - 1))
    with pytest.raises(
        TrainingError, match=rf"state\.pt belongs to a run with another {differs}: resume with the same"
    ):
        _train(digits, validation, tmp_path / "x.safetensors", **options)
    assert state.exists()


def _with_checksum(contents: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def test_a_damaged_state_is_refused(training: DigitSet, validation: DigitSet, tmp_path: Path, state: Path) -> None:
    data = state.read_bytes()
    contents = torch.load(io.BytesIO(data[32:]), weights_only=True)  # after its SHA-256
    del contents["average"]
    damaged = [
        b"",
        data[:-500],
        data[: len(data) // 2],
        b"state" * 100,
        _with_checksum(contents),
        _with_checksum([1, 2]),
    ]
    for damaged_data in damaged:
        state.write_bytes(damaged_data)
        with pytest.raises(TrainingError, match=r"state\.pt cannot be resumed from .*delete it to start anew"):
            _train(training, validation, tmp_path / "x.safetensors", state_file=state, resume=True)


def test_a_flipped_bit_in_the_state_is_noticed_or_harmless(
    training: DigitSet, validation: DigitSet, tmp_path: Path, state: Path
) -> None:
    data = state.read_bytes()
    position = len(data) // 2  # amid the weights, where torch.load itself notices nothing
    state.write_bytes(data[:position] + bytes([data[position] ^ 64]) + data[position + 1 :])
    with pytest.raises(TrainingError, match=r"state\.pt"):
        _train(training, validation, tmp_path / "x.safetensors", state_file=state, resume=True)


def test_a_run_that_diverges_is_stopped(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, peak_learning_rate=1e30, warmup=0.01, batch_norm=False)
    with pytest.raises(TrainingError, match=r"no longer a number in epoch \d: lower peak_learning_rate"):
        _train(training, validation, tmp_path / "x.safetensors", recipe=recipe)
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("device", ["nosuch", "cuda:99"])
def test_a_device_that_is_not_there(training: DigitSet, validation: DigitSet, tmp_path: Path, device: str) -> None:
    with pytest.raises(TrainingError, match=f"The device '{device}' is not there"):
        next(train(RECIPE, training=training, validation=validation, output=tmp_path / "x.safetensors", device=device))


@pytest.mark.parametrize("name", recipe_names())
def test_the_learning_rate_rises_then_falls_as_a_cosine(name: str) -> None:
    recipe = load_recipe(name)
    peak, warmup = recipe.peak_learning_rate, recipe.warmup
    assert learning_rate(recipe, warmup) == pytest.approx(peak)
    assert learning_rate(recipe, warmup / 2) == pytest.approx(peak / 2)
    assert 0 < learning_rate(recipe, 0) < peak / 100
    assert learning_rate(recipe, (1 + warmup) / 2) == pytest.approx(peak / 2)
    assert learning_rate(recipe, 1) == pytest.approx(0, abs=1e-12)
    rates = [learning_rate(recipe, done) for done in np.linspace(0, 1, 201)]
    assert all(one < other for one, other in itertools.pairwise(rates[: int(200 * warmup)]))
    assert all(one > other for one, other in itertools.pairwise(rates[int(200 * warmup) + 1 :]))


def test_augmentation_is_full_then_weaker_then_none() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=100, full_augmentation=0.5, plain_from=0.9)
    strengths = [augmentation_strength(recipe, epoch) for epoch in range(100)]
    assert strengths[:51] == [1.0] * 51
    assert strengths[70] == pytest.approx(0.5)
    assert all(one > other for one, other in itertools.pairwise(strengths[50:91]))
    assert strengths[90:] == [0.0] * 10


def test_the_last_epoch_of_the_shipped_recipe_is_plain() -> None:
    recipe = load_recipe("compact")
    assert augmentation_strength(recipe, recipe.epochs - 1) == 0


def test_recipes_by_name() -> None:
    assert all(load_recipe(name).name == name for name in recipe_names())
    with pytest.raises(ValueError, match=r"name must be one of compact, .*, got 'nosuch'"):
        load_recipe("nosuch")


def test_a_run_can_start_from_a_checkpoint(
    training: DigitSet, validation: DigitSet, weights_folder: Path, save_random: Callable[..., Path], tmp_path: Path
) -> None:
    start = load_checkpoint(save_random(weights_folder / "first.safetensors", trained_on=("uci-digits",)))
    recipe = dataclasses.replace(
        RECIPE, batch_norm=False, starts_from="first", epochs=1, peak_learning_rate=1e-9, weight_decay=0.0
    )
    output = tmp_path / "next.safetensors"
    _train(training, validation, output, recipe=recipe)
    assert all(
        torch.allclose(value, start.network.state_dict()[name], atol=1e-6) for name, value in _weights(output).items()
    )
    metadata = load_checkpoint(output).metadata
    assert metadata.provenance["start"] == start.digest
    assert set(metadata.trained_on) == {training.name, "uci-digits"}


def test_a_share_of_the_start_stays_in_the_weights(
    training: DigitSet, validation: DigitSet, weights_folder: Path, save_random: Callable[..., Path], tmp_path: Path
) -> None:
    start = load_checkpoint(save_random(weights_folder / "first.safetensors")).network.state_dict()
    weights = {}
    for share in (0.0, 0.25, 1.0):
        recipe = dataclasses.replace(RECIPE, batch_norm=False, starts_from="first", epochs=1, start_share=share)
        output = tmp_path / f"{share}.safetensors"
        _train(training, validation, output, recipe=recipe)
        weights[share] = _weights(output)
    for name, value in start.items():
        assert torch.allclose(weights[0.25][name], 0.75 * weights[0.0][name] + 0.25 * value, atol=1e-6)
        assert torch.allclose(weights[1.0][name], value, atol=1e-6)
    assert not torch.allclose(weights[0.0]["head.weight"], start["head.weight"], atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"starts_from": "none"}, "The start none cannot be used"),
        ({"starts_from": "seen"}, "was trained on mnist-validation, the validation digits of this run"),
        ({"starts_from": "mlp"}, "is a mlp network"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(
    training: DigitSet,
    validation: DigitSet,
    weights_folder: Path,
    save_random: Callable[..., Path],
    tmp_path: Path,
    changes: dict[str, str],
    message: str,
) -> None:
    save_random(weights_folder / "seen.safetensors", trained_on=(validation.name,))
    save_random(weights_folder / "mlp.safetensors", architecture="mlp")
    recipe = dataclasses.replace(RECIPE, batch_norm=False, **changes)
    with pytest.raises(TrainingError, match=message):
        _train(training, validation, tmp_path / "x.safetensors", recipe=recipe)


def test_bfloat16_learns_as_float32_does(training: DigitSet, validation: DigitSet, tmp_path: Path) -> None:
    """Where the processor has no such instructions both are float32, and equal."""
    last = [
        _train(
            training,
            validation,
            tmp_path / f"{precision}.safetensors",
            recipe=dataclasses.replace(RECIPE, precision=precision),
        )[-1]
        for precision in ("float32", "bfloat16")
    ]
    assert abs(last[0].validation_errors - last[1].validation_errors) <= 0.05 * len(validation)
