"""Training batches: shuffled, augmented, and answered by the teachers.

Each epoch draws its randomness from the seed and the number of its view, so a resumed run sees the same batches. With
`Recipe.views`, later epochs see the batches of earlier ones again, from memory.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from digitcore.data.datasets import DigitSet
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD
from digitcore.models.architectures import CLASS_NAMES
from digitcore.training.augmentation import augment
from digitcore.training.distillation import Teachers
from digitcore.training.distributed import ProcessGroup
from digitcore.training.material import rows_of
from digitcore.training.recipes import Recipe
from digitcore.training.schedules import augmentation_strength

__all__ = ["Batch", "Batches"]


@dataclass(frozen=True)
class Batch:
    """One process's shard of a batch."""

    images: Tensor  # (N, 1, 28, 28), normalised, channels last
    labels: Tensor  # (N,)
    teacher_probabilities: Tensor | None  # (N, 10), NaN in rows that no teacher was asked about; None without teachers
    weight: float
    """Share of the whole batch, in (0, 1]."""


@dataclass
class _View:
    """The batches of one epoch in memory.

    One tensor for all batches: thousands of small ones would fragment the memory between the large temporary ones.
    """

    strength: float  # of the augmentation
    ink: Tensor  # (steps, N, 1, 28, 28), uint8
    teacher_probabilities: Tensor  # (steps, N, 10), unused without teachers
    complete: bool = False


class Batches:
    """The batches of every epoch of a run."""

    def __init__(
        self,
        recipe: Recipe,
        training: DigitSet,
        *,
        teachers: Teachers,
        seed: int,
        device: torch.device,
        processes: ProcessGroup,
    ) -> None:
        self._recipe, self._seed, self._device = recipe, seed, device
        self._teachers, self._processes = teachers, processes
        self._images = torch.tensor(training.images).unsqueeze(1).to(device)  # (N, 1, 28, 28)
        self._labels = torch.tensor(training.labels).to(device)  # (N,)
        is_taught = np.full(len(training), True) if recipe.taught is None else rows_of(recipe.taught, training)
        self._is_taught = torch.from_numpy(is_taught).to(device)  # (N,)
        self._plain_probabilities = torch.full((len(training), len(CLASS_NAMES)), math.nan, device=device)  # (N, 10)
        self._views: dict[int, _View] = {}  # by number

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch; digits that do not fill a whole batch are left out until the next shuffle."""
        return max(1, len(self._labels) // self._recipe.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0."""
        number = epoch % (self._recipe.views or self._recipe.epochs)
        generator = torch.Generator().manual_seed(_epoch_seed(self._seed, number))
        order = torch.randperm(len(self._labels), generator=generator)
        strength = augmentation_strength(self._recipe, epoch)
        view = self._view(number, strength)
        for step in range(self.per_epoch):
            rows = order[step * self._recipe.batch_size :][: self._recipe.batch_size].to(self._device)
            shard = self._processes.shard(rows)
            if view is not None and view.complete:
                images, probabilities = _normalize(view.ink[step] / 255), view.teacher_probabilities[step]
            else:
                images, probabilities = self._create(rows, strength, generator, view=view, step=step)
            yield Batch(
                images=images,
                labels=self._labels[shard],
                teacher_probabilities=probabilities if self._recipe.teachers else None,
                weight=len(shard) / len(rows),
            )
        if view is not None:
            view.complete = True

    def _view(self, number: int, strength: float) -> _View | None:
        """The view of this number; None where no later epoch needs it."""
        if any(view.strength != strength for view in self._views.values()):
            self._views.clear()
        if self._recipe.views is None or strength == 0:
            return None
        if number not in self._views:
            count = len(self._processes.shard(self._labels[: self._recipe.batch_size]))
            self._views[number] = _View(
                strength,
                ink=torch.empty(self.per_epoch, count, 1, 28, 28, dtype=torch.uint8, device=self._device),
                teacher_probabilities=torch.empty(self.per_epoch, count, len(CLASS_NAMES), device=self._device),
            )
        return self._views[number]

    def _create(
        self, rows: Tensor, strength: float, generator: torch.Generator, *, view: _View | None, step: int
    ) -> tuple[Tensor, Tensor]:
        """The images (N, 1, 28, 28) and the teachers' probabilities (N, 10) of this process's shard of these rows.

        Every process augments the whole batch, so that all draw the same random numbers.
        """
        ink = self._images[rows].to(torch.float32) / 255
        ink = augment(ink, self._recipe.augmentation, strength=strength, generator=generator)
        ink = self._processes.shard(ink)
        if view is not None:
            view.ink[step] = (ink * 255).round()
            ink = view.ink[step] / 255  # rounded, as later epochs will see it
        images = _normalize(ink)
        probabilities = self._ask_teachers(images, self._processes.shard(rows), plain=strength == 0)
        if view is not None:
            view.teacher_probabilities[step] = probabilities
        return images, probabilities

    def _ask_teachers(self, images: Tensor, rows: Tensor, *, plain: bool) -> Tensor:
        """The teachers' probabilities for the images of these rows, (N, 10); those of plain digits are kept."""
        probabilities = torch.full((len(rows), len(CLASS_NAMES)), math.nan, device=self._device)
        if not self._recipe.teachers:
            return probabilities
        if plain:
            probabilities = self._plain_probabilities[rows]
        is_open = self._is_taught[rows] & probabilities[:, 0].isnan()
        if is_open.any():
            temperature = self._recipe.distillation_temperature
            probabilities[is_open] = self._teachers.probabilities(images[is_open], temperature=temperature)
        if plain:
            self._plain_probabilities[rows] = probabilities
        return probabilities


def _normalize(ink: Tensor) -> Tensor:
    return ((ink - INPUT_MEAN) / INPUT_STD).contiguous(memory_format=torch.channels_last)


def _epoch_seed(seed: int, view: int) -> int:
    """A seed for each view of each run."""
    return int(np.random.SeedSequence([seed, view]).generate_state(1, np.uint64)[0] >> 1)
