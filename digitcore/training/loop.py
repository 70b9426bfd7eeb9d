"""The training loop: a generator of epoch results, so that a command line prints them and a page draws them.

The recipe, the seed and the number of threads determine the weights. Each epoch draws its own randomness from the
seed and the number of its view, so a run that was killed and resumed ends in the same weights as one that was not. The
weights of the last epoch are kept: no epoch is chosen.

Several processes, started by `torchrun`, learn from their shares of the same batches and end in the same weights as
one, up to rounding. Batch normalisation, if any, takes its statistics of each share, which makes a difference as
between two seeds.
"""

import copy
import csv
import dataclasses
import hashlib
import io
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.files import write_atomically
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD, normalize
from digitcore.models.architectures import CLASS_NAMES, DigitNetwork, build_network
from digitcore.models.checkpoints import UNPICKLING_ERRORS, Checkpoint, CheckpointMetadata, save_checkpoint
from digitcore.training.augmentation import augment
from digitcore.training.calibration import REFUSAL_SCORE, choose_refusal_threshold, fit_temperature
from digitcore.training.distillation import Teachers, has_bfloat16, load_source_checkpoint
from digitcore.training.distributed import Processes, joined_processes, local_device
from digitcore.training.losses import cross_entropy, distillation_loss
from digitcore.training.material import named_sources, rows_of
from digitcore.training.optimizers import make_optimizers
from digitcore.training.provenance import git_commit, surroundings
from digitcore.training.recipes import Recipe
from digitcore.training.tensorboard import Board

__all__ = ["EpochResult", "StepResult", "train"]

_EVALUATION_BATCH = 500


@dataclass(frozen=True)
class StepResult:
    """How far a run is, after one batch."""

    epoch: int  # from 1
    epochs: int
    done: float
    """Share of the whole run, in (0, 1]."""
    loss: float
    """Mean loss, in nats, of the batch as augmented: cross-entropy, or `distillation_loss` with teachers."""


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch."""

    epoch: int  # from 1
    epochs: int
    train_loss: float
    """Mean of the losses of the epoch's batches, the weights changing meanwhile."""
    validation_loss: float
    """Mean cross-entropy, in nats, of the averaged weights on the validation digits."""
    validation_errors: int
    learning_rate: float
    """Of the last step."""
    augmentation_strength: float
    seconds: float
    output: Path | None = None
    """The finished checkpoint, after the last epoch."""


_METRICS = [each.name for each in dataclasses.fields(EpochResult) if each.name not in ("epochs", "output")]
"""The columns of a run's table."""


def train(
    recipe: Recipe,
    *,
    training: DigitSet,
    validation: DigitSet,
    output: Path,
    seed: int = 0,
    device: str = "auto",
    state_file: Path | None = None,
    resume: bool = False,
) -> Iterator[StepResult | EpochResult]:
    """Trains recipe and writes the checkpoint `output` after the last epoch.

    Yields a `StepResult` after each batch and an `EpochResult` after each epoch. With a `state_file` each epoch's
    state is kept there until the run is finished; with `resume` a run starts from it where it exists. Beside it, a
    CSV file and a folder for TensorBoard of the same name hold the figures of each epoch; they stay.

    Raises:
        TrainingError: the state file is damaged, belongs to another run, or is there without `resume`, the device is
            not there, a teacher is missing or has seen the validation digits, a file cannot be written, or the loss is
            no longer a number.
    """
    chosen_device = _device(device)
    with joined_processes(chosen_device) as processes, ExitStack() as stack:
        if processes.rank == 0:
            _check_writable(output, says="choose another --output")
            if state_file is not None:
                _check_writable(state_file, says="set DIGITCORE_CACHE to a folder that can be written to")
                if state_file.exists() and not resume:
                    raise TrainingError(
                        f"{state_file} holds a run that was stopped: go on with --resume, or delete it to start anew."
                    )
        run = _Run(recipe, training, held_out=validation.name, seed=seed, device=chosen_device, processes=processes)
        state = _read(state_file) if resume and state_file is not None and processes.rank == 0 else None
        state = processes.from_first(state)
        if state is not None:
            run.load_state(state, called=str(state_file))
        board = None
        if state_file is not None and processes.rank == 0:
            board = stack.enter_context(closing(Board(state_file.with_suffix(""), run.history)))
        while run.epoch < recipe.epochs:
            started = time.perf_counter()
            losses = []
            for done, loss in run.train_one_epoch():
                losses.append(loss)
                yield StepResult(run.epoch + 1, recipe.epochs, (run.epoch + done) / recipe.epochs, loss)
            if run.epoch + 1 == recipe.epochs:
                run.mix_in_start()
            logits = run.averaged_logits(validation)
            result = EpochResult(
                epoch=run.epoch + 1,
                epochs=recipe.epochs,
                train_loss=float(np.mean(losses)),
                validation_loss=float(
                    cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(validation.labels))
                ),
                validation_errors=int((logits.argmax(axis=1) != validation.labels).sum()),
                learning_rate=float(run.optimizers[0].param_groups[0]["lr"]),
                augmentation_strength=augmentation_strength(recipe, run.epoch),
                seconds=time.perf_counter() - started,
                output=output if run.epoch + 1 == recipe.epochs else None,
            )
            run.add(result)
            if board is not None:
                board.add(run.history[-1])
            if processes.rank == 0:
                _keep(run, result, logits, validation=validation, state_file=state_file)
            yield result


@dataclass
class _View:
    """The digits of an epoch as varied, and what the teachers say to them, where later epochs show them again.

    One tensor for all its batches: thousands of small ones among the large that come and go would leave the memory
    between them unused.
    """

    strength: float
    """Of the augmentation, in [0, 1]."""
    ink: Tensor | None = None
    """(steps, N, 1, 28, 28), uint8; None where no later epoch shows it."""
    answers: Tensor | None = None
    """(steps, N, 10), likewise; unused without teachers."""
    complete: bool = False
    """Whether every batch has been seen."""


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        recipe: Recipe,
        training: DigitSet,
        *,
        held_out: str,
        seed: int,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.recipe, self.seed, self.device, self.processes = recipe, seed, device, processes
        self.history: list[dict[str, float]] = []  # the figures of each finished epoch
        self.commit = git_commit()  # of the code that was loaded, whatever is edited while the run goes on
        self.teachers = Teachers(recipe.teachers, held_out=held_out, device=device)
        self.views: dict[int, _View] = {}  # those that later epochs show again, by number
        self.plain_answers = torch.full((len(training), len(CLASS_NAMES)), math.nan, device=device)
        self.training = training
        self.images = torch.tensor(training.images).unsqueeze(1).to(device)  # (N, 1, 28, 28)
        self.labels = torch.tensor(training.labels).to(device)
        self.taught = torch.from_numpy(
            np.full(len(training), True) if recipe.taught is None else rows_of(recipe.taught, training)
        ).to(device)
        network, self.start = _first_weights(recipe, seed=seed, held_out=held_out)
        self.bfloat16 = recipe.precision == "bfloat16" and has_bfloat16(device)
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        moving_average = get_ema_multi_avg_fn(recipe.average_decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.network, multi_avg_fn=moving_average, use_buffers=True)
        self.optimizers = make_optimizers(self.network, recipe)
        if processes.from_first(self._identity()) != self._identity():
            raise TrainingError("The processes differ in data or teachers: give each machine the same files.")

    @property
    def trained_on(self) -> set[str]:
        """Every set that the weights learned from, at first hand or through other checkpoints."""
        start = set() if self.start is None else set(self.start.metadata.trained_on)
        return {*named_sources(self.training.name)} | self.teachers.trained_on | start

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    def add(self, result: EpochResult) -> None:
        """Takes an epoch for finished."""
        self.history.append({name: getattr(result, name) for name in _METRICS})

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; digits that fill no whole batch wait for the next shuffle."""
        return max(1, len(self.labels) // self.recipe.batch_size)

    def train_one_epoch(self) -> Iterator[tuple[float, float]]:
        """Yields (share of the epoch done, loss of the batch)."""
        number = self.epoch % (self.recipe.views or self.recipe.epochs)
        generator = torch.Generator().manual_seed(_mixed(self.seed, number))
        order = torch.randperm(len(self.labels), generator=generator)
        view = self._view(number, augmentation_strength(self.recipe, self.epoch))
        self.network.train()
        for step in range(self.steps_per_epoch):
            rows = order[step * self.recipe.batch_size :][: self.recipe.batch_size].to(self.device)
            batch, answers = self._show(rows, view, step=step, generator=generator)
            labels = self.processes.share(self.labels[rows])
            loss = self._update(batch, labels, answers, step=step, weight=len(labels) / len(rows))
            yield (step + 1) / self.steps_per_epoch, loss
        view.complete = True

    def _view(self, number: int, strength: float) -> "_View":
        """The view of this number, as it was seen before where the recipe has few of them."""
        if any(view.strength != strength for view in self.views.values()):
            self.views.clear()
        if self.recipe.views is None or strength == 0:
            return _View(strength)
        if number not in self.views:
            share = len(self.processes.share(self.labels[: self.recipe.batch_size]))
            self.views[number] = _View(
                strength,
                ink=torch.empty(self.steps_per_epoch, share, 1, 28, 28, dtype=torch.uint8, device=self.device),
                answers=torch.empty(self.steps_per_epoch, share, len(CLASS_NAMES), device=self.device),
            )
        return self.views[number]

    def _show(
        self, rows: Tensor, view: "_View", *, step: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """A batch, normalised, (N, 1, 28, 28), and what the teachers say to it, (N, 10): the share of this process."""
        if view.ink is not None and view.complete:
            ink = view.ink[step] / 255
        else:
            ink = self.images[rows].to(torch.float32) / 255
            ink = augment(ink, self.recipe.augmentation, strength=view.strength, generator=generator)
            ink = self.processes.share(ink)
            if view.ink is not None:
                view.ink[step] = (ink * 255).round()
                ink = view.ink[step] / 255
        batch = ((ink - INPUT_MEAN) / INPUT_STD).contiguous(memory_format=torch.channels_last)
        if not self.recipe.teachers:
            return batch, None
        if view.answers is not None and view.complete:
            return batch, view.answers[step]
        answers = self._ask(batch, self.processes.share(rows), plain=view.strength == 0)
        if view.answers is not None:
            view.answers[step] = answers
        return batch, answers

    def _ask(self, batch: Tensor, rows: Tensor, *, plain: bool) -> Tensor:
        """What the teachers say to the batch of these rows, (N, 10); of plain digits they are asked once."""
        answers = torch.full((len(rows), len(CLASS_NAMES)), math.nan, device=self.device)
        if plain:
            answers = self.plain_answers[rows]
        asked = self.taught[rows] & answers[:, 0].isnan()
        if asked.any():
            temperature = self.recipe.distillation_temperature
            answers[asked] = self.teachers.probabilities(batch[asked], temperature=temperature)
        if plain:
            self.plain_answers[rows] = answers
        return answers

    def _update(self, batch: Tensor, labels: Tensor, answers: Tensor | None, *, step: int, weight: float) -> float:
        """Learns from this process's share of a batch, of the given weight; the loss is that of the whole batch."""
        done = (self.epoch + step / self.steps_per_epoch) / self.recipe.epochs
        for group in [group for optimizer in self.optimizers for group in optimizer.param_groups]:
            group["lr"] = learning_rate(self.recipe, done)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(batch)
        loss = self._loss(logits.float(), labels, answers)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        loss = loss.detach()
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        statistics = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]
        self.processes.average([*gradients, *statistics, loss], weight=weight)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update_parameters(self.network)
        value = float(loss)
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss is no longer a number in epoch {self.epoch + 1}: lower peak_learning_rate in the recipe."
            )
        return value

    def _loss(self, logits: Tensor, labels: Tensor, answers: Tensor | None) -> Tensor:
        if answers is None:
            return cross_entropy(logits, labels)
        return distillation_loss(
            logits,
            labels=labels,
            probabilities=answers,
            weight=self.recipe.distillation_weight,
            temperature=self.recipe.distillation_temperature,
        )

    def mix_in_start(self) -> None:
        """Brings the averaged weights a share of the way back to those they started from.

        Source: M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
        """
        if self.start is not None:
            start = self.start.network.to(self.device).state_dict()
            for name, value in self.trained_network().state_dict().items():
                value.lerp_(start[name], self.recipe.start_share)

    def averaged_logits(self, digits: DigitSet) -> NDArray[np.float32]:
        """Logits (N, 10) of the averaged weights."""
        network = self.average.module.eval()
        with torch.inference_mode():
            batches = [
                network(normalize(digits.images[start : start + _EVALUATION_BATCH]).to(self.device)).cpu().numpy()
                for start in range(0, len(digits), _EVALUATION_BATCH)
            ]
        return np.concatenate(batches)

    def trained_network(self) -> DigitNetwork:
        """The averaged weights."""
        network = self.average.module
        assert isinstance(network, DigitNetwork)
        return network

    def save_state(self, path: Path) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "run": self._identity(),
                "history": self.history,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            },
            buffer,
        )
        state = buffer.getvalue()
        write_atomically(path, hashlib.sha256(state).digest() + state)

    def load_state(self, contents: bytes, *, called: str) -> None:
        try:
            if hashlib.sha256(contents[32:]).digest() != contents[:32]:
                raise ValueError("its checksum differs")
            state = torch.load(io.BytesIO(contents[32:]), map_location=self.device, weights_only=True)
            if state["run"] != self._identity():
                differing = [name for name, value in self._identity().items() if state["run"].get(name) != value]
                raise TrainingError(
                    f"{called} belongs to a run with another {' and another '.join(differing)}: "
                    "resume with the same, or delete it to start anew."
                )
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.history = [{name: row[name] for name in _METRICS} for row in state["history"]]
        except UNPICKLING_ERRORS as error:
            raise TrainingError(f"{called} cannot be resumed from ({error}): delete it to start anew.") from error

    def _identity(self) -> dict[str, Any]:
        return {
            "recipe": repr(self.recipe),
            "seed": self.seed,
            "data": self.training.digest,
            "teachers": self.teachers.digests,
            "start": self.start and self.start.digest,
        }


def _first_weights(recipe: Recipe, *, seed: int, held_out: str) -> tuple[DigitNetwork, Checkpoint | None]:
    """The network to begin with, and the checkpoint it comes from, if any."""
    if recipe.starts_from is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_network(recipe.architecture, batch_norm=recipe.batch_norm), None
    start = load_source_checkpoint(recipe.starts_from, role="start", held_out=held_out)
    if start.metadata.architecture != recipe.architecture or recipe.batch_norm:
        raise TrainingError(
            f"{recipe.starts_from} is a {start.metadata.architecture} network without batch normalisation: "
            f"the recipe {recipe.name} cannot start from it."
        )
    return copy.deepcopy(start.network).requires_grad_().train(), start


def _read(state_file: Path) -> bytes | None:
    """None where there is no such file: the run starts anew."""
    try:
        return state_file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainingError(f"{state_file} cannot be read ({error.strerror}): delete it to start anew.") from error


def _check_writable(path: Path, *, says: str) -> None:
    """Now rather than after hours; an error says what to do."""
    if path.is_dir():
        raise TrainingError(f"{path} is a folder, not a file: {says}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise TrainingError(f"{path} cannot be written ({error.strerror}): {says}.") from error


def learning_rate(recipe: Recipe, done: float) -> float:
    """The learning rate after a share `done` in [0, 1] of all steps: linear warm-up, then a cosine to 0."""
    if done < recipe.warmup:
        return recipe.peak_learning_rate * max(done, 1e-4) / recipe.warmup
    falling = (done - recipe.warmup) / (1 - recipe.warmup)
    return recipe.peak_learning_rate * (1 + math.cos(math.pi * falling)) / 2


def augmentation_strength(recipe: Recipe, epoch: int) -> float:
    """Strength in [0, 1] in this epoch, counted from 0: full, then falling linearly, then none."""
    done = epoch / recipe.epochs
    if done >= recipe.plain_from:
        return 0.0
    if done <= recipe.full_augmentation:
        return 1.0
    return (recipe.plain_from - done) / (recipe.plain_from - recipe.full_augmentation)


def _keep(
    run: _Run,
    result: EpochResult,
    logits: NDArray[np.float32],
    *,
    validation: DigitSet,
    state_file: Path | None,
) -> None:
    """Writes what there is after an epoch: the figures, and the state or the finished checkpoint."""
    if result.output is not None:
        _finish(run, logits, validation=validation, output=result.output)
    if state_file is not None:
        write_atomically(state_file.with_suffix(".csv"), _as_csv(run.history))
        if result.output is None:
            run.save_state(state_file)
        else:
            state_file.unlink(missing_ok=True)


def _finish(run: _Run, logits: NDArray[np.float32], *, validation: DigitSet, output: Path) -> None:
    temperature = fit_temperature(logits, validation.labels)
    metadata = CheckpointMetadata(
        architecture=run.recipe.architecture,
        temperature=temperature,
        refusal_score=REFUSAL_SCORE,
        refusal_threshold=choose_refusal_threshold(logits, temperature=temperature),
        trained_on=tuple(sorted(run.trained_on)),
        recipe=dataclasses.asdict(run.recipe),
        seed=run.seed,
        provenance={
            "data_sha256": run.training.digest,
            "teachers": run.teachers.digests,
            "teacher_precision": str(run.teachers.dtype).removeprefix("torch.") if run.recipe.teachers else None,
            "start": run.start and run.start.digest,
            "precision": "bfloat16" if run.bfloat16 else "float32",
            "chosen_on": validation.name,
            "processes": run.processes.count,
            "seconds": round(sum(row["seconds"] for row in run.history)),
            **surroundings(run.device, commit=run.commit),
        },
    )
    save_checkpoint(output, run.trained_network(), metadata)


def _as_csv(history: list[dict[str, float]]) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, _METRICS)
    writer.writeheader()
    writer.writerows(history)
    return table.getvalue().encode()


def _mixed(seed: int, epoch: int) -> int:
    """A seed of its own for each epoch of each run."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(local_device(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f"The device {name!r} is not there: use auto or cpu.") from error
    return device
