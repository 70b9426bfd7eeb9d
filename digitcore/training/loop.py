"""The training loop, a generator of step and epoch results: a command line prints them, a notebook draws them.

Recipe, seed and number of threads determine the weights, and a run that was stopped and resumed ends in the same
weights as one that was not. The weights of the last epoch are kept: no epoch is chosen.

Several processes, started by `torchrun`, learn from shards of the same batches and end in the same weights as one, up
to rounding. Batch normalisation takes its statistics from each shard, which makes a difference as between two seeds.
"""

import copy
import dataclasses
import math
import pickle
import struct
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
from digitcore.imaging.preprocessing import normalize
from digitcore.models.architectures import DigitNetwork, build_network
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, save_checkpoint
from digitcore.training.batches import Batch, Batches
from digitcore.training.calibration import REFUSAL_SCORE, choose_refusal_threshold, fit_temperature
from digitcore.training.distillation import Teachers, has_bfloat16, load_source_checkpoint
from digitcore.training.distributed import ProcessGroup, local_device, process_group
from digitcore.training.losses import cross_entropy, distillation_loss
from digitcore.training.material import named_sources
from digitcore.training.optimizers import make_optimizers
from digitcore.training.provenance import git_commit, surroundings
from digitcore.training.recipes import Recipe
from digitcore.training.run_files import (
    RunFiles,
    check_state_file,
    check_writable,
    pack_state,
    read_state,
    unpack_state,
)
from digitcore.training.schedules import augmentation_strength, learning_rate

__all__ = ["EpochResult", "StepResult", "train"]

_EVALUATION_BATCH = 500
_UNPICKLING_ERRORS = (  # RuntimeError covers RecursionError
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    OSError,
    struct.error,
)
"""What `torch.load` may raise for a damaged file; its documentation has no list."""


@dataclass(frozen=True)
class StepResult:
    """Progress after one batch."""

    epoch: int  # from 1
    epochs: int
    done: float
    """Share of the whole run, in (0, 1]."""
    loss: float
    """Mean loss, in nats, of the augmented batch: cross-entropy, or `distillation_loss` with teachers."""


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch."""

    epoch: int  # from 1
    epochs: int
    train_loss: float
    """Mean of the losses of the epoch's batches; the weights change from one to the next."""
    validation_loss: float
    """Mean cross-entropy, in nats, of the averaged weights on the validation digits."""
    validation_errors: int
    learning_rate: float
    """Of the last step."""
    augmentation_strength: float
    seconds: float
    output: Path | None = None
    """The finished checkpoint, after the last epoch."""


_FIGURES = [field.name for field in dataclasses.fields(EpochResult) if field.name not in ("epochs", "output")]
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
    """Trains a recipe and writes the checkpoint `output` after the last epoch.

    Yields a `StepResult` after each batch and an `EpochResult` after each epoch. With a `state_file`, the state of each
    epoch is kept there until the run is finished; with `resume`, a run continues from it where it exists. A CSV file
    and a folder for TensorBoard of the same name hold the figures of each epoch; they stay.

    Raises:
        TrainingError: the state file is damaged, belongs to another run, or exists without `resume`, the device does
            not exist, a teacher is missing or has seen the validation digits, a file cannot be written, or the loss
            becomes NaN or infinite.
    """
    torch_device = _find_device(device)
    with process_group(torch_device) as processes, ExitStack() as stack:
        if processes.rank == 0:
            check_writable(output, advice="choose another --output")
            if state_file is not None:
                check_state_file(state_file, resume=resume)
        trainer = _Trainer(
            recipe, training, held_out=validation.name, seed=seed, device=torch_device, processes=processes
        )
        if state_file is not None and resume:
            state = processes.broadcast(read_state(state_file) if processes.rank == 0 else None)
            if state is not None:
                trainer.load_state(state, path=state_file)
        files = None
        if state_file is not None and processes.rank == 0:
            files = stack.enter_context(closing(RunFiles(state_file, trainer.history)))

        for epoch in range(trainer.epoch, recipe.epochs):
            started = time.perf_counter()
            is_last = epoch + 1 == recipe.epochs
            losses = []
            steps = trainer.batches.per_epoch
            for step, batch in enumerate(trainer.batches.epoch(epoch)):
                rate = learning_rate(recipe, (epoch + step / steps) / recipe.epochs)
                losses.append(trainer.update(batch, rate))
                yield StepResult(epoch + 1, recipe.epochs, (epoch + (step + 1) / steps) / recipe.epochs, losses[-1])
            if is_last:
                trainer.mix_in_start()
            logits = trainer.averaged_logits(validation)  # (N, 10)
            result = EpochResult(
                epoch=epoch + 1,
                epochs=recipe.epochs,
                train_loss=float(np.mean(losses)),
                validation_loss=_mean_cross_entropy(logits, validation.labels),
                validation_errors=int((logits.argmax(axis=1) != validation.labels).sum()),
                learning_rate=rate,
                augmentation_strength=augmentation_strength(recipe, epoch),
                seconds=time.perf_counter() - started,
                output=output if is_last else None,
            )
            trainer.history.append({name: getattr(result, name) for name in _FIGURES})
            if is_last and processes.rank == 0:
                save_checkpoint(output, trainer.trained_network(), trainer.metadata(logits, validation))
            if files is not None:
                files.write_epoch(trainer.history, None if is_last else trainer.state())
            yield result


class _Trainer:
    """A network in training: its weights, their moving average, its optimizers, and the figures of finished epochs."""

    def __init__(
        self,
        recipe: Recipe,
        training: DigitSet,
        *,
        held_out: str,
        seed: int,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        self.recipe, self.training, self.seed, self.device, self.processes = recipe, training, seed, device, processes
        self.commit = git_commit()  # of the code that was loaded, even if it is edited during the run
        self.history: list[dict[str, float]] = []  # one row per finished epoch
        self.teachers = Teachers(recipe.teachers, held_out=held_out, device=device)
        self.batches = Batches(recipe, training, teachers=self.teachers, seed=seed, device=device, processes=processes)
        network, self.start = _first_network(recipe, seed=seed, held_out=held_out)
        self.network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        moving_average = get_ema_multi_avg_fn(recipe.average_decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.network, multi_avg_fn=moving_average, use_buffers=True)
        self.optimizers = make_optimizers(self.network, recipe)
        self.bfloat16 = recipe.precision == "bfloat16" and has_bfloat16(device)
        if processes.broadcast(self._identity()) != self._identity():
            raise TrainingError("The processes differ in data or teachers: give each machine the same files.")

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history)

    def update(self, batch: Batch, rate: float) -> float:
        """One step of gradient descent; returns the loss of the whole batch over all processes.

        Raises:
            TrainingError: the loss is NaN or infinite.
        """
        for group in [group for optimizer in self.optimizers for group in optimizer.param_groups]:
            group["lr"] = rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(batch.images)  # (N, 10)
        loss = self._loss(logits.float(), batch)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        loss = loss.detach()
        self._average_over_processes(loss, weight=batch.weight)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update_parameters(self.network)
        if not math.isfinite(float(loss)):
            raise TrainingError(
                f"The loss is no longer a number in epoch {self.epoch + 1}: lower peak_learning_rate in the recipe."
            )
        return float(loss)

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        if batch.teacher_probabilities is None:
            return cross_entropy(logits, batch.labels)
        return distillation_loss(
            logits,
            labels=batch.labels,
            probabilities=batch.teacher_probabilities,
            weight=self.recipe.distillation_weight,
            temperature=self.recipe.distillation_temperature,
        )

    def _average_over_processes(self, loss: Tensor, *, weight: float) -> None:
        """Replaces gradients, batch statistics and loss by their means over all processes."""
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        statistics = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]
        self.processes.average([*gradients, *statistics, loss], weight=weight)

    def mix_in_start(self) -> None:
        """Moves the averaged weights a share of the way back to those that the run started from, if any.

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
        """The network with the averaged weights."""
        network = self.average.module
        assert isinstance(network, DigitNetwork)
        return network

    def metadata(self, logits: NDArray[np.float32], validation: DigitSet) -> CheckpointMetadata:
        """The metadata of the finished checkpoint; temperature and threshold are fitted on the validation logits."""
        temperature = fit_temperature(logits, validation.labels)
        return CheckpointMetadata(
            architecture=self.recipe.architecture,
            temperature=temperature,
            refusal_score=REFUSAL_SCORE,
            refusal_threshold=choose_refusal_threshold(logits, temperature=temperature),
            trained_on=tuple(sorted(self._trained_on())),
            recipe=dataclasses.asdict(self.recipe),
            seed=self.seed,
            provenance={
                "data_sha256": self.training.digest,
                "teachers": self.teachers.digests,
                "teacher_precision": str(self.teachers.dtype).removeprefix("torch.") if self.recipe.teachers else None,
                "start": self.start and self.start.digest,
                "precision": "bfloat16" if self.bfloat16 else "float32",
                "chosen_on": validation.name,
                "processes": self.processes.count,
                "seconds": round(sum(row["seconds"] for row in self.history)),
                **surroundings(self.device, commit=self.commit),
            },
        )

    def _trained_on(self) -> set[str]:
        """Every dataset that the weights learned from, directly or through other checkpoints."""
        start = set() if self.start is None else set(self.start.metadata.trained_on)
        return {*named_sources(self.training.name)} | self.teachers.trained_on | start

    def state(self) -> bytes:
        """Everything that a resumed run needs."""
        return pack_state(
            {
                "run": self._identity(),
                "history": self.history,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            }
        )

    def load_state(self, contents: bytes, *, path: Path) -> None:
        """Continues from a state, which was read from this path.

        Raises:
            TrainingError: it is damaged, or the state of another run.
        """
        try:
            state = unpack_state(contents, device=self.device)
            self._check_identity(state["run"], path=path)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            for optimizer, optimizer_state in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(optimizer_state)
            self.history = [{name: row[name] for name in _FIGURES} for row in state["history"]]
        except _UNPICKLING_ERRORS as error:
            raise TrainingError(f"{path} cannot be resumed from ({error}): delete it to start anew.") from error

    def _identity(self) -> dict[str, Any]:
        """What two runs must have in common for one to continue the other."""
        return {
            "recipe": repr(self.recipe),
            "seed": self.seed,
            "data": self.training.digest,
            "teachers": self.teachers.digests,
            "start": self.start and self.start.digest,
        }

    def _check_identity(self, identity: dict[str, Any], *, path: Path) -> None:
        differences = [name for name, value in self._identity().items() if identity.get(name) != value]
        if differences:
            raise TrainingError(
                f"{path} belongs to a run with another {' and another '.join(differences)}: "
                "resume with the same, or delete it to start anew."
            )


def _first_network(recipe: Recipe, *, seed: int, held_out: str) -> tuple[DigitNetwork, Checkpoint | None]:
    """The network before the first step, and the checkpoint that its weights come from, if any."""
    if recipe.starts_from is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_network(recipe.architecture, batch_norm=recipe.batch_norm), None
    start = load_source_checkpoint(recipe.starts_from, role="start", held_out=held_out)
    if not start.metadata.convention.is_ours:
        raise TrainingError(
            f"{recipe.starts_from} takes its digits as {start.metadata.convention.words}: start from another."
        )
    if start.metadata.architecture != recipe.architecture or recipe.batch_norm:
        raise TrainingError(
            f"{recipe.starts_from} is a {start.metadata.architecture} network without batch normalisation: "
            f"the recipe {recipe.name} cannot start from it."
        )
    return copy.deepcopy(start.network).requires_grad_().train(), start


def _mean_cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float(cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)))


def _find_device(name: str) -> torch.device:
    try:
        device = torch.device(local_device(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f"The device {name!r} is not there: use auto or cpu.") from error
    return device
