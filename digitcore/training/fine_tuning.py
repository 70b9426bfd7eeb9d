"""Fine-tuning: a checkpoint learns from digits of one's own, mixed with digits that it knows.

What keeps it from forgetting was chosen by `digitcore.training.benchmark`: the own digits are mixed with known
ones, for which it is held to what it answered before.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitcore.data.datasets import (
    DigitSet,
    handwriting_digits,
    is_available,
    is_handwriting,
    load_digits,
    load_handwriting,
)
from digitcore.data.own_datasets import own_dataset, own_datasets, read_column
from digitcore.errors import TrainingError
from digitcore.evaluation.comparison import LEAST_WRITERS, Comparison, compare
from digitcore.evaluation.evaluation import evaluate
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD, normalize
from digitcore.models.architectures import DigitNetwork, Layered
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, read_checkpoint, save_checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.onnx import OnnxNetwork
from digitcore.training.augmentation import Augmentation, augment
from digitcore.training.calibration import choose_refusal_threshold, fit_temperature
from digitcore.training.losses import cross_entropy, distillation_loss
from digitcore.training.provenance import git_commit, surroundings

__all__ = [
    "LEAST_DIGITS",
    "METHOD",
    "FineTuned",
    "KnownDigits",
    "Method",
    "Split",
    "TuningProgress",
    "fine_tune",
    "fine_tuning_steps",
    "known_digits",
    "network_logits",
    "own_digits",
    "split_digits",
]

LEAST_DIGITS = 20
"""Own digits that fine-tuning takes at least."""

_HELD_OUT = 1 / 3  # of the own digits
_LOOKS = 8  # at the errors, during a run
_MOST_KNOWN = 20_000  # known digits to draw from
_BATCH = 500  # digits put through a network at a time
_UNRECORDED = "digits that are not recorded"
_WEAKLY_VARIED = Augmentation(rotation=8, shear=0.15, scale=0.08, shift=1, elastic=0.4, stroke_width=0.4)


@dataclass(frozen=True)
class Method:
    """How a checkpoint is fine-tuned."""

    steps: int = 200
    learning_rate: float = 3e-3
    """The highest, after `warmup`; then it falls to 0 as a cosine."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    own: int = 32
    """Own digits in a batch, each varied anew."""
    known: int = 64
    """Known digits in a batch."""
    known_weight: float = 1.0
    """Weight of the loss on known digits; that on own digits has 1."""
    old_answers: float = 1.0
    """Share of that loss that holds the network to its old answers; the rest is for the labels."""
    temperature: float = 2.0
    """Divides the logits of both answers; above 1, less likely digits count for more."""
    only_head: bool = False
    """Whether only the last layer learns."""
    augmentation: Augmentation = _WEAKLY_VARIED
    """Of the own digits."""


METHOD = Method()
"""What is used where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of own digits: those that are learned from, and those that are held out."""

    learned: NDArray[np.int64]
    held_out: NDArray[np.int64]
    divided_writers: int
    """Writers with a single session, which had to be divided: its last digits of each kind are held out."""


@dataclass(frozen=True, eq=False)
class KnownDigits:
    """Digits that a network knows, and what it answered before fine-tuning."""

    name: str
    images: Tensor  # (N, 1, 28, 28), uint8
    labels: Tensor  # (N,)
    logits: Tensor  # (N, 10)


@dataclass(frozen=True)
class TuningProgress:
    """How far a run is, and the errors at this point; step 0 is the checkpoint that it started from."""

    step: int
    steps: int
    own_errors: int
    own_digits: int
    """That are held out."""
    validation_errors: int
    validation_digits: int


@dataclass(frozen=True)
class FineTuned:
    """The end of a run: the new checkpoint against the one that it started from."""

    output: Path
    own: Comparison
    """On the own digits that were held out."""
    validation: Comparison
    """On mnist-validation."""
    test: Comparison | None
    """On mnist-test, which decides nothing; None where it is not on this machine."""
    learned_digits: int
    divided_writers: int
    """As `Split.divided_writers`."""
    known: str
    """Name of the set that was mixed in."""

    @property
    def is_better(self) -> bool:
        """Whether it is clearly better on the own digits, and not clearly worse on mnist-validation."""
        return self.own.better == self.own.b and self.validation.better != self.validation.a


def fine_tune(
    start: Checkpoint,
    own: DigitSet,
    sessions: NDArray[np.int64],
    *,
    output: Path,
    validation: DigitSet,
    method: Method = METHOD,
    seed: int = 0,
) -> Iterator[TuningProgress | FineTuned]:
    """Fine-tunes a checkpoint on its owner's digits and writes the new checkpoint `output`.

    Yields the errors now and then, from step 0 on, and a `FineTuned` at the end. Closing the generator stops the run;
    then nothing is written.

    own: digits with their writers; unknown writers count as one. sessions: the number of the sitting of each (N,).
    validation: `mnist-validation`, for the temperature, the refusal threshold, and the errors shown.

    Raises:
        TrainingError: there are too few digits, the checkpoint cannot learn, or its loss becomes NaN or infinite.
        CheckpointError: output cannot be written.
        DatasetError: MNIST's files are damaged.
    """
    split = split_digits(own, sessions)
    _check(start, split)
    learned, held_out = own.subset(split.learned), own.subset(split.held_out)
    known = known_digits(start.network, seed=seed)
    network = copy.deepcopy(start.network).requires_grad_()
    looks = {round(method.steps * look / _LOOKS) for look in range(1, _LOOKS + 1)}
    yield _progress(0, method, start.network, held_out, validation)
    for step in fine_tuning_steps(network, learned, known, method=method, seed=seed):
        if step in looks:
            yield _progress(step, method, network, held_out, validation)
    metadata = _metadata(start, network, validation, known=known, learned=learned, sessions=sessions[split.learned])
    metadata = replace(metadata, seed=seed, recipe=_recipe(start, method))
    save_checkpoint(output, network, metadata)
    yield _compared(start, read_checkpoint(output), held_out, split, validation, known=known.name)


def split_digits(own: DigitSet, sessions: NDArray[np.int64]) -> Split:
    """Holds about a third of each writer's digits out.

    Of a writer with several sessions whole ones are held out, the latest first, so that no session stands on both
    sides. A single session is divided: of each kind of digit the last third is held out, in the order of the rows.
    """
    writers = np.zeros(len(own), dtype=np.int64) if own.writers is None else own.writers
    is_held_out = np.zeros(len(own), dtype=np.bool_)
    divided = 0
    for writer in np.unique(writers):
        rows = np.flatnonzero(writers == writer)
        if len(np.unique(sessions[rows])) > 1:
            is_held_out[rows] = np.isin(sessions[rows], _last_sessions(sessions[rows]))
        else:
            is_held_out[_last_of_each_label(rows, own.labels)] = True
            divided += 1
    return Split(np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out), divided)


def own_digits(dataset: str) -> tuple[DigitSet, NDArray[np.int64]]:
    """The digits of an added set or of notebooks, and the number of the session of each (N,).

    Sessions of an added set are read from its column "session"; where it has none, each writer has one.

    Raises:
        TrainingError: it is another set: a test set, which no network may learn from.
        DatasetError, HandwritingError: it cannot be read.
    """
    if is_handwriting(dataset):
        written = load_handwriting(dataset)
        return handwriting_digits(written), written.sittings
    about = own_dataset(dataset)
    if about is None:
        known = ", ".join(each.name for each in own_datasets()) or "none"
        raise TrainingError(
            f"{dataset!r} is not a set that was added here: add it with `digitcore data add`. There are: {known}."
        )
    digits = load_digits(dataset)
    all_alike = np.zeros(len(digits), dtype=np.int64)
    sittings = read_column(about, "session")[1] if "session" in about.columns else all_alike
    writers = all_alike if digits.writers is None else digits.writers
    return digits, np.unique(np.stack([writers, sittings]), axis=1, return_inverse=True)[1]


def known_digits(network: DigitNetwork, *, seed: int) -> KnownDigits:
    """Digits to mix in: some of mnist-train, or where it is not on this machine, those of mnist-validation.

    Raises:
        DatasetError: MNIST's files are damaged.
    """
    digits = load_digits("mnist-train" if is_available("mnist-train") else "mnist-validation")
    rows = np.random.default_rng(seed).permutation(len(digits))[:_MOST_KNOWN]
    images = digits.images[rows]
    return KnownDigits(
        digits.name,
        torch.from_numpy(images).unsqueeze(1),
        torch.from_numpy(digits.labels[rows]),
        network_logits(network, images),
    )


def network_logits(network: DigitNetwork, images: NDArray[np.uint8]) -> Tensor:
    """Logits (N, 10) of model inputs uint8 (N, 28, 28), without a temperature."""
    with torch.no_grad():
        batches = [network(normalize(images[start : start + _BATCH])) for start in range(0, len(images), _BATCH)]
    return torch.cat(batches)


def fine_tuning_steps(
    network: DigitNetwork, own: DigitSet, known: KnownDigits, *, method: Method, seed: int
) -> Iterator[int]:
    """Fine-tunes a network in place; yields the number of finished steps after each.

    Raises:
        TrainingError: the loss becomes NaN or infinite.
    """
    generator = torch.Generator().manual_seed(seed)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = network.head.parameters() if method.only_head else network.parameters()
    optimizer = torch.optim.AdamW(weights, lr=method.learning_rate, weight_decay=0.0)
    ink, labels = torch.tensor(own.images).unsqueeze(1) / 255, torch.from_numpy(own.labels)
    for step in range(method.steps):
        rows = _own_rows(len(own), method.own, generator)
        mixed = torch.randint(len(known.labels), (method.known,), generator=generator)
        varied = augment(ink[rows], method.augmentation, strength=1, generator=generator)
        batch = (torch.cat([varied, known.images[mixed] / 255]) - INPUT_MEAN) / INPUT_STD
        logits = network(batch.contiguous(memory_format=torch.channels_last))  # (own + known, 10)
        loss = cross_entropy(logits[: method.own], labels[rows])
        if method.known:
            loss = loss + method.known_weight * _known_loss(logits[method.own :], known, mixed, method)
        optimizer.param_groups[0]["lr"] = _learning_rate(method, (step + 1) / method.steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if not math.isfinite(float(loss.detach())):
            raise TrainingError(f"The loss is no longer a number in step {step + 1}: fine-tune another model.")
        yield step + 1


def _own_rows(count: int, wanted: int, generator: torch.Generator) -> Tensor:
    """So many rows of `count` own digits in random order, each as often as the others, give or take one."""
    rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(wanted / count))]
    rows = torch.cat(rounds)[:wanted]
    return rows[torch.randperm(wanted, generator=generator)]  # since `augment` treats each third in its own way


def _known_loss(logits: Tensor, known: KnownDigits, rows: Tensor, method: Method) -> Tensor:
    """How far the answers (N, 10) to the known digits of these rows are from the old ones, and from the labels."""
    return distillation_loss(
        logits,
        labels=known.labels[rows],
        probabilities=torch.softmax(known.logits[rows] / method.temperature, dim=1),
        weight=method.old_answers,
        temperature=method.temperature,
    )


def _learning_rate(method: Method, progress: float) -> float:
    if progress < method.warmup:
        return method.learning_rate * progress / method.warmup
    return method.learning_rate * (1 + math.cos(math.pi * (progress - method.warmup) / (1 - method.warmup))) / 2


def _check(start: Checkpoint, split: Split) -> None:
    if isinstance(start.network, OnnxNetwork):
        raise TrainingError(f"{start.name} is an ONNX file, which cannot learn: pick a .safetensors or .pt file.")
    if isinstance(start.network, Layered):
        raise TrainingError(
            f"{start.name} is described by a layers file, and only networks of ours learn: pick another."
        )
    count = len(split.learned) + len(split.held_out)
    if count < LEAST_DIGITS or not len(split.learned) or not len(split.held_out):
        raise TrainingError(
            f"{count} digits are too few to learn from some and test on others: it takes {LEAST_DIGITS}, "
            "several of a kind."
        )


def _last_sessions(sessions: NDArray[np.int64]) -> list[int]:
    """The latest of several sessions that together hold a third of the rows, or as near to it as whole ones come."""
    numbers, first_rows, counts = np.unique(sessions, return_index=True, return_counts=True)
    latest_first = np.argsort(-first_rows)[:-1]  # one is always learned from
    shares = np.cumsum(counts[latest_first]) / len(sessions)
    last = int(np.abs(shares - _HELD_OUT).argmin())
    chosen: list[int] = numbers[latest_first[: last + 1]].tolist()
    return chosen


def _last_of_each_label(rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last third of the rows of each label."""
    by_label = [rows[labels[rows] == label] for label in range(10)]
    return np.concatenate([some[len(some) - round(_HELD_OUT * len(some)) :] for some in by_label])


def _progress(
    step: int, method: Method, network: DigitNetwork, held_out: DigitSet, validation: DigitSet
) -> TuningProgress:
    own_errors, validation_errors = (
        int((network_logits(network, digits.images).argmax(dim=1).numpy() != digits.labels).sum())
        for digits in (held_out, validation)
    )
    return TuningProgress(step, method.steps, own_errors, len(held_out), validation_errors, len(validation))


def _metadata(
    start: Checkpoint,
    network: DigitNetwork,
    validation: DigitSet,
    *,
    known: KnownDigits,
    learned: DigitSet,
    sessions: NDArray[np.int64],
) -> CheckpointMetadata:
    """The metadata of the new checkpoint; what was fitted on other digits too is changed by as much as on these."""
    old, new = (network_logits(each, validation.images).numpy() for each in (start.network, network))
    factor = fit_temperature(new, validation.labels) / fit_temperature(old, validation.labels)
    temperature = start.metadata.temperature * factor
    score = start.metadata.refusal_score
    writers = 1 if learned.writers is None else len(np.unique(learned.writers))
    return CheckpointMetadata(
        architecture=start.metadata.architecture,
        temperature=temperature,
        refusal_score=score,
        refusal_threshold=choose_refusal_threshold(new, temperature=temperature, score=score),
        trained_on=tuple(sorted({*(start.metadata.trained_on or [_UNRECORDED]), known.name, learned.name})),
        provenance={
            **{name: value for name, value in start.metadata.provenance.items() if name == "input"},
            "start": start.digest,
            "own_digits": {
                "digits": len(learned),
                "writers": writers,
                "sessions": len(np.unique(sessions)),
                "sha256": learned.digest,
            },
            "chosen_on": list(dict.fromkeys((*start.metadata.chosen_on, validation.name))),
            **surroundings(torch.device("cpu"), commit=git_commit()),
        },
    )


def _recipe(start: Checkpoint, method: Method) -> dict[str, Any]:
    return {
        "name": "fine-tuning",
        "summary": "own digits, mixed with digits that the model knew",
        "starts_from": start.name,
        "batch_size": method.own + method.known,
        **asdict(method),
    }


def _compared(
    start: Checkpoint, tuned: Checkpoint, held_out: DigitSet, split: Split, validation: DigitSet, *, known: str
) -> FineTuned:
    """The verdict on the own digits that were held out, and on MNIST."""
    few_writers = held_out.writers is None or len(np.unique(held_out.writers)) < LEAST_WRITERS
    own = replace(held_out, writers=None) if few_writers else held_out  # the question is how these few people are read
    before, after = DigitClassifier(start), DigitClassifier(tuned)

    def comparison(digits: DigitSet) -> Comparison:
        return compare(evaluate(before, digits), evaluate(after, digits))

    assert tuned.path is not None  # it was read from there
    return FineTuned(
        tuned.path,
        own=comparison(own),
        validation=comparison(validation),
        test=comparison(load_digits("mnist-test")) if is_available("mnist-test") else None,
        learned_digits=len(split.learned),
        divided_writers=split.divided_writers,
        known=known,
    )
