"""Evaluations: the answers of a checkpoint to every digit of a dataset, stored under a fingerprint.

The fingerprint covers the weights and everything else that changes an answer, the digits, and the preprocessing. A
changed file has another fingerprint, so a stale evaluation is never used.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from digitcore.data.datasets import (
    DigitSet,
    is_handwriting,
    known_digest,
    load_digits,
    writers_of,
)
from digitcore.data.own_datasets import release
from digitcore.errors import DatasetError, DatasetMissingError, HandwritingError
from digitcore.evaluation.intervals import share_interval, wilson_interval
from digitcore.evaluation.metrics import (
    accuracy_score,
    calibration_error_interval,
    expected_calibration_error,
    log_loss,
    right_answers,
    sure_answers,
)
from digitcore.evaluation.remembered import AnswerMemory, picture_keys
from digitcore.files import atomic_file, load_arrays, write_arrays
from digitcore.formats.answers_file import AnswersError, AnswerTable, answer_table, is_sure_of_all
from digitcore.imaging.preprocessing import PREPROCESSING
from digitcore.models.architectures import CLASS_NAMES
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import BATCH_SIZE, DigitClassifier
from digitcore.settings import load_settings
from digitcore.text import printable

__all__ = [
    "REMEMBERED",
    "Evaluation",
    "Processes",
    "Summary",
    "evaluate",
    "evaluate_remembering",
    "evaluation_folders",
    "find_evaluation",
    "find_summaries",
    "load_or_evaluate",
    "remembered_evaluation",
    "save_evaluation",
    "shipped_evaluations",
    "summarize",
]

REMEMBERED = AnswerMemory()
"""The answers to handwriting that this process knows: a set that changes with each digit is not stored in files."""
_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")


class Processes(Protocol):
    """Processes that share a set out, such as `training.distributed.ProcessGroup`."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0 on."""

    @property
    def count(self) -> int:
        """How many there are."""

    def complete(self, rows: NDArray[np.float32], shares: Sequence[slice]) -> None:
        """Fills in the rows that other processes have computed; `shares` are the rows of each."""

    def broadcast(self, value: T) -> T:
        """The value of the first process."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The answers of a checkpoint to every digit of a dataset. Row i of each array belongs to the same digit."""

    checkpoint: str
    dataset: str
    fingerprint: str
    ids: NDArray[np.int64]  # (N,)
    labels: NDArray[np.int64]  # (N,)
    logits: NDArray[np.floating]  # (N, 10), calibrated: float32, or float64 of answers that were given as numbers
    writers: NDArray[np.int64] | None = None  # (N,), a number for each person; None where they are not known
    corrected: int = 0
    """How many labels are not those of the set's files."""

    @classmethod
    def from_predictions(
        cls,
        name: str,
        digits: DigitSet,
        *,
        probabilities: NDArray[Any] | None = None,
        logits: NDArray[Any] | None = None,
        predictions: NDArray[Any] | None = None,
    ) -> "Evaluation":
        """The answers of any model, under this name, to every digit of a set, row by row.

        probabilities or logits: (N, 10); predictions: (N,), the answers alone. Give one of the three.

        Raises:
            ValueError: not one of them was given, or its shape or a value does not fit.
        """
        given = {"probabilities": probabilities, "logits": logits, "prediction": predictions}
        columns = {kind: np.asarray(values) for kind, values in given.items() if values is not None}
        if len(columns) != 1:
            raise ValueError(f"give probabilities, logits or predictions, got {', '.join(columns) or 'none of them'}")
        try:
            table = answer_table(columns)
        except AnswersError as error:
            raise ValueError(f"{name} {error}") from error
        if len(table) != len(digits):
            raise ValueError(f"{name} must have an answer for each of {len(digits):,} digits, got {len(table):,}")
        digest = hashlib.sha256(table.logits.tobytes()).hexdigest()
        fingerprint = _fingerprint(digest, digits.digest)
        return cls(name, digits.name, fingerprint, digits.ids, digits.labels, table.logits, digits.writers)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_probabilities(self) -> bool:
        """Whether there is more than the answers alone, such as figures of confidence need."""
        return not is_sure_of_all(self.logits)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Most probable class (N,); the smallest where several are equal."""
        predictions: NDArray[np.int64] = self.logits.argmax(axis=1)
        return predictions

    def without(self, ids: Collection[int]) -> "Evaluation":
        """The evaluation without the digits of these ids."""
        mask = ~np.isin(self.ids, list(ids))
        writers = None if self.writers is None else self.writers[mask]
        return replace(self, ids=self.ids[mask], labels=self.labels[mask], logits=self.logits[mask], writers=writers)

    def with_labels(self, labels: Mapping[int, int]) -> "Evaluation":
        """The evaluation with other labels for some digits, by id, such as corrected ones. Unknown ids are left out.

        Its fingerprint is another one; it is not stored.
        """
        places = np.flatnonzero(np.isin(self.ids, list(labels)))
        if len(places) == 0:
            return self
        changed = self.labels.copy()
        changed[places] = [labels[digit] for digit in self.ids[places].tolist()]
        fingerprint = _fingerprint(self.fingerprint, hashlib.sha256(changed.tobytes()).hexdigest())
        return replace(self, labels=changed, fingerprint=fingerprint, corrected=len(places))

    @property
    def labels_in_words(self) -> str:
        """What figures must say of the labels: nothing, or "with 3 corrected labels"."""
        if self.corrected == 0:
            return ""
        return f"with {self.corrected:,} corrected label{'s' if self.corrected > 1 else ''}"

    @property
    def errors(self) -> int:
        """Number of digits whose prediction differs from their label."""
        return len(self) - int(right_answers(self.labels, self.logits).sum())


@dataclass(frozen=True)
class Summary:
    """The figures of one evaluation."""

    checkpoint: str
    dataset: str
    digits: int
    errors: int
    accuracy: float
    interval: tuple[float, float]
    """95% interval of the accuracy that allows for writers, see `digitcore.evaluation.intervals`."""
    plain_interval: tuple[float, float]
    """95% Wilson interval of the accuracy, as if each digit were of another person."""
    writers: int | None
    """Number of people who wrote the digits; None where they are not known."""
    nll: float
    """Log loss, in nats."""
    ece: float
    """Expected calibration error over 15 equally wide bins of confidence."""
    ece_interval: tuple[float, float]
    """Its 95% interval that allows for writers."""
    sure: int
    """Answers called over 99.9% sure."""
    sure_right: int
    """Those of them that are right."""
    sure_interval: tuple[float, float]
    """95% interval of their share, allowing for writers."""


def evaluate(
    classifier: DigitClassifier,
    digits: DigitSet,
    *,
    progress: Callable[[float], None] | None = None,
    threads: int | None = None,
    processes: Processes | None = None,
) -> Evaluation:
    """Evaluates a classifier on every digit; `progress` gets the share done, in (0, 1], after each batch.

    threads: how many compute; by default one a core. processes: those that share the digits out; each comes to the same
    evaluation. Of mapped images little is in memory at a time.
    """
    logits = np.empty((len(digits), len(CLASS_NAMES)), dtype=np.float32)
    shares = _shares(len(digits), 1 if processes is None else processes.count)
    mine = shares[0 if processes is None else processes.rank]
    done = mine.start
    for batch in classifier.logits_by_batch(digits.images[mine], threads=threads):
        logits[done : done + len(batch)] = batch
        done += len(batch)
        release(digits.images)
        if progress is not None:
            progress((done - mine.start) / (mine.stop - mine.start))
    if processes is not None:
        processes.complete(logits, shares)
    return _evaluation(classifier.checkpoint.name, classifier.checkpoint.digest, digits, logits)


def _shares(digits: int, count: int) -> list[slice]:
    """The rows of each of so many processes: whole batches, so that no answer depends on their number."""
    batches = np.linspace(0, -(-digits // BATCH_SIZE), count + 1).astype(np.int64) * BATCH_SIZE
    ends = np.minimum(batches, digits).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _evaluation(checkpoint: str, digest: str, digits: DigitSet, logits: NDArray[np.float32]) -> Evaluation:
    return Evaluation(
        checkpoint=checkpoint,
        dataset=digits.name,
        fingerprint=_fingerprint(digest, digits.digest),
        ids=digits.ids,
        labels=digits.labels,
        logits=logits,
        writers=digits.writers,
    )


def evaluate_remembering(
    classifier: DigitClassifier,
    digits: DigitSet,
    *,
    progress: Callable[[float], None] | None = None,
    threads: int | None = None,
) -> Evaluation:
    """`evaluate`, which asks the network only about pictures that this process has not asked it about before."""
    digest, keys = classifier.checkpoint.digest, picture_keys(digits.images)
    missing = REMEMBERED.missing(digest, keys)
    if len(missing):
        new = evaluate(classifier, digits.subset(missing), progress=progress, threads=threads)
        REMEMBERED.add(digest, [keys[row] for row in missing], new.logits)
    logits = REMEMBERED.logits(digest, keys)
    if logits is None:  # there are more than it holds
        return evaluate(classifier, digits, progress=progress, threads=threads)
    return _evaluation(classifier.checkpoint.name, digest, digits, logits)


def remembered_evaluation(checkpoint: Checkpoint, digits: DigitSet) -> Evaluation | None:
    """The evaluation of a checkpoint on digits to all of which this process knows its answers; else None."""
    logits = REMEMBERED.logits(checkpoint.digest, picture_keys(digits.images))
    return None if logits is None else _evaluation(checkpoint.name, checkpoint.digest, digits, logits)


def summarize(evaluation: Evaluation) -> Summary:
    """The figures of an evaluation."""
    labels, logits, writers = evaluation.labels, evaluation.logits, evaluation.writers
    sure = sure_answers(labels, logits, writers=writers)
    return Summary(
        checkpoint=evaluation.checkpoint,
        dataset=evaluation.dataset,
        digits=len(evaluation),
        errors=evaluation.errors,
        accuracy=accuracy_score(labels, logits),
        interval=share_interval(right_answers(labels, logits), writers),
        plain_interval=wilson_interval(len(evaluation) - evaluation.errors, len(evaluation)),
        writers=None if writers is None else int(np.count_nonzero(np.bincount(writers))),
        nll=log_loss(labels, logits),
        ece=expected_calibration_error(labels, logits),
        ece_interval=calibration_error_interval(labels, logits, writers=writers),
        sure=sure.count,
        sure_right=sure.right,
        sure_interval=sure.interval,
    )


def load_or_evaluate(
    classifier: DigitClassifier,
    dataset: str,
    *,
    progress: Callable[[float], None] | None = None,
    threads: int | None = None,
    processes: Processes | None = None,
) -> Evaluation:
    """The stored evaluation of a checkpoint on a dataset, or a new one, which is then stored in the cache folder.

    Evaluations of handwriting are not stored; what this process knows of them is not computed again. Of several
    processes, the first one looks for a stored evaluation, and stores a new one.

    Raises:
        DatasetError: there is no stored one, and the digits are missing or damaged, or a checkpoint that is a table of
            answers answers other digits.
    """
    if is_handwriting(dataset) and classifier.checkpoint.answers is None:
        return evaluate_remembering(classifier, load_digits(dataset), progress=progress, threads=threads)
    stored = find_evaluation(classifier.checkpoint, dataset)
    if processes is not None:
        stored = processes.broadcast(stored)
    if stored is not None:
        return stored
    if classifier.checkpoint.answers is not None:
        evaluation = _evaluation_of_answers(classifier.checkpoint, classifier.checkpoint.answers, dataset)
    else:
        digits = load_digits(dataset)
        evaluation = evaluate(classifier, digits, progress=progress, threads=threads, processes=processes)
    if processes is not None and processes.rank > 0:
        return evaluation
    folder = load_settings().cache_directory / "evaluations"
    try:
        save_evaluation(evaluation, folder)
    except OSError as error:  # the next one waits again; this one gets the result
        _LOGGER.warning("The evaluation cannot be stored in %s (%s): see DIGITCORE_CACHE.", folder, error.strerror)
    return evaluation


def _evaluation_of_answers(checkpoint: Checkpoint, table: AnswerTable, dataset: str) -> Evaluation:
    file = checkpoint.path or checkpoint.name
    if table.dataset not in (None, dataset):
        raise DatasetError(
            f"{file} holds answers to {printable(str(table.dataset))}, not to {dataset}: pick those digits."
        )
    ids, labels, writers = _known_digits(dataset)
    answered = ids if table.ids is None else table.ids
    rows = np.argsort(answered)
    if len(table) != len(ids) or not np.array_equal(answered[rows], np.sort(ids)):
        raise DatasetError(
            f"{file} holds answers to {len(table):,} digits, which are not the {len(ids):,} of {dataset}: "
            "pick the digits that it is for, or give each of them once, by the column id."
        )
    places = np.argsort(np.argsort(ids))  # of each digit of the set among the sorted ids
    rows = rows[places]
    differing = np.array([], dtype=np.int64) if table.labels is None else np.flatnonzero(table.labels[rows] != labels)
    if len(differing):
        raise DatasetError(
            f"{file} has other labels than {dataset} for {len(differing):,} digits, first for id {ids[differing[0]]}: "
            "it is of other digits, or its rows are in another order."
        )
    fingerprint = _fingerprint(checkpoint.digest, known_digest(dataset))
    return Evaluation(checkpoint.name, dataset, fingerprint, ids, labels, table.logits[rows], writers)


def _known_digits(dataset: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
    """Ids, labels and writers of a set, from a shipped evaluation where there is one: its pictures may not be here."""
    for path in sorted(shipped_evaluations().glob(f"*--{dataset}--*.npz")):
        evaluation = _read(path, path.stem.rsplit("--", 1)[-1])
        if evaluation is not None:
            return evaluation.ids, evaluation.labels, evaluation.writers
    digits = load_digits(dataset)
    return digits.ids, digits.labels, digits.writers


def find_evaluation(checkpoint: Checkpoint, dataset: str) -> Evaluation | None:
    """The stored evaluation of a checkpoint on a dataset, shipped or from the cache; None where there is none.

    The digits themselves are not needed, but for handwriting, of which there are only answers known to this process.
    """
    if is_handwriting(dataset):
        with suppress(DatasetMissingError):
            return remembered_evaluation(checkpoint, load_digits(dataset))
        return None
    fingerprint = _fingerprint(checkpoint.digest, known_digest(dataset))
    for directory in evaluation_folders():
        for path in sorted(directory.glob(f"*--{fingerprint}.npz")):
            evaluation = _read(path, fingerprint)
            if evaluation is not None:  # checkpoint and dataset are these, whatever the file says
                return replace(_with_writers(evaluation, dataset), checkpoint=checkpoint.name, dataset=dataset)
    return None


def find_summaries(digests: Iterable[str], dataset: str) -> dict[str, Summary]:
    """The figures of the stored evaluations on a dataset, by `Checkpoint.digest`; hundreds in a fraction of a second.

    Their `checkpoint` is its name at the time of the evaluation.
    """
    if is_handwriting(dataset):
        return _remembered_summaries(digests, dataset)
    digits_digest = known_digest(dataset)
    digest_of = {_fingerprint(digest, digits_digest): digest for digest in digests}
    summaries: dict[str, Summary] = {}
    for path in (path for directory in evaluation_folders() for path in _evaluation_files(directory)):
        fingerprint = path.stem.rsplit("--", 1)[-1]
        if fingerprint in digest_of and digest_of[fingerprint] not in summaries:
            summary = _read_summary(path, fingerprint, dataset)
            if summary is not None:
                summaries[digest_of[fingerprint]] = replace(summary, dataset=dataset)
    return summaries


def _remembered_summaries(digests: Iterable[str], dataset: str) -> dict[str, Summary]:
    try:
        digits = load_digits(dataset)
    except (DatasetMissingError, HandwritingError):  # whoever asks for the digits themselves is told
        return {}
    keys = picture_keys(digits.images)
    known = {digest: REMEMBERED.logits(digest, keys) for digest in digests}
    return {
        digest: summarize(_evaluation("", digest, digits, logits))
        for digest, logits in known.items()
        if logits is not None
    }


def evaluation_folders() -> tuple[Path, Path]:
    """The folders of stored evaluations: those that ship with the weights, and those of the cache."""
    return shipped_evaluations(), load_settings().cache_directory / "evaluations"


def _evaluation_files(directory: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in directory.iterdir() if path.suffix == ".npz")


def shipped_evaluations() -> Path:
    """The folder of the evaluations that ship with the weights."""
    return load_settings().weights_directory / "evaluations"


def save_evaluation(evaluation: Evaluation, directory: Path) -> Path:
    """Writes an evaluation, without pickle, under the name that `find_evaluation` looks for; returns its path."""
    path = directory / f"{evaluation.checkpoint}--{evaluation.dataset}--{evaluation.fingerprint}.npz"
    summary = json.dumps(asdict(summarize(evaluation)))
    with atomic_file(path) as file:
        write_arrays(
            file,
            names=np.array([evaluation.checkpoint, evaluation.dataset, evaluation.fingerprint]),
            ids=evaluation.ids,
            labels=evaluation.labels.astype(np.uint8),
            logits=evaluation.logits,
            writers=np.array([]) if evaluation.writers is None else evaluation.writers.astype(np.int32),
            summary=np.array(summary),
        )
    return path


def _read(path: Path, fingerprint: str) -> Evaluation | None:
    """The evaluation in a file; None where it is damaged, since it can be computed again."""
    try:
        arrays = load_arrays(path, only=("names", "ids", "labels", "logits", "writers"))
        checkpoint, dataset, stored_fingerprint = (str(name) for name in arrays["names"])
        evaluation = Evaluation(
            checkpoint=checkpoint,
            dataset=dataset,
            fingerprint=stored_fingerprint,
            ids=arrays["ids"],
            labels=arrays["labels"].astype(np.int64),
            logits=arrays["logits"],
            writers=arrays["writers"].astype(np.int64) if "writers" in arrays and len(arrays["writers"]) else None,
        )
    except (OSError, ValueError, KeyError):
        return None
    count = len(evaluation.ids)
    is_valid = (
        stored_fingerprint == fingerprint
        and evaluation.labels.shape == (count,)
        and (evaluation.writers is None or evaluation.writers.shape == (count,))
        and evaluation.logits.shape == (count, 10)
        and evaluation.logits.dtype in (np.float32, np.float64)
        and bool(np.isfinite(evaluation.logits).all())
    )
    return evaluation if is_valid else None


def _with_writers(evaluation: Evaluation, dataset: str) -> Evaluation:
    """The evaluation with its writers, which may have become known after it was stored."""
    return evaluation if evaluation.writers is not None else replace(evaluation, writers=writers_of(dataset))


def _read_summary(path: Path, fingerprint: str, dataset: str) -> Summary | None:
    """The figures stored with an evaluation, or computed where they are missing or its writers have become known.

    None where the file is damaged.
    """
    try:
        arrays = load_arrays(path, only=("names", "summary"))
        if str(arrays["names"][2]) != fingerprint:
            return None
        figures = json.loads(str(arrays["summary"]))
        figures |= {name: tuple(figures[name]) for name in figures if name.endswith("interval")}
        summary = Summary(**{field.name: figures[field.name] for field in fields(Summary)})
        if summary.writers is not None or writers_of(dataset) is None:
            return summary
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        pass
    evaluation = _read(path, fingerprint)
    return None if evaluation is None else summarize(_with_writers(evaluation, dataset))


def _fingerprint(checkpoint_digest: str, digits_digest: str) -> str:
    return hashlib.sha256(f"{checkpoint_digest} {digits_digest} {PREPROCESSING}".encode()).hexdigest()[:16]
