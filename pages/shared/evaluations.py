"""Evaluations of checkpoints, and what is computed from one of them for more than one page.

Nothing may write to what comes back: all visitors share it.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import is_handwriting
from digitcore.errors import DatasetMissingError, DigitcoreError, HandwritingError
from digitcore.evaluation.evaluation import (
    REMEMBERED,
    Evaluation,
    Summary,
    evaluate_remembering,
    evaluation_folders,
    find_evaluation,
    load_or_evaluate,
    remembered_evaluation,
    summarize,
)
from digitcore.evaluation.leaderboard import Standing, leaderboard
from digitcore.evaluation.manifest import SHIPPED_ON
from digitcore.evaluation.metrics import confused_pairs, confusion_matrix, digit_table
from digitcore.evaluation.timing import timing_folder
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import DigitClassifier, all_cores
from digitcore.models.library import CheckpointEntry, UsableCheckpoint
from digitcore.reports.cards import model_card
from pages.shared.background import with_progress
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.corrections import with_corrections
from pages.shared.progress import report_on
from pages.shared.resources import cached_digits, checkpoint_library, state_of
from pages.shared.words import dataset_label


def evaluation_of(classifier: DigitClassifier, dataset: str) -> Evaluation:
    """The known evaluation, or a new one behind a progress bar; with the corrected labels where they are switched on.

    Raises:
        DatasetError: there is none, and the digits are missing or damaged.
    """
    checkpoint = classifier.checkpoint
    known = known_evaluation(checkpoint, dataset)
    if known is not None:
        return with_corrections(known)
    bar = st.progress(0.0)
    words = f"Evaluating {checkpoint.name} on {dataset_label(dataset)} ..."
    evaluation = evaluated(classifier, dataset, report_on(bar, words))
    bar.empty()
    stored_evaluation.clear(checkpoint, dataset, state_of(dataset))
    return with_corrections(evaluation)


def evaluated(classifier: DigitClassifier, dataset: str, report: Callable[[float], None]) -> Evaluation:
    """`load_or_evaluate`, which leaves a core to the strokes of others; `report` gets the share done.

    Raises:
        DatasetError: nothing is stored, and the digits are missing or damaged.
    """
    threads = max(1, all_cores() - 1)
    if is_handwriting(dataset) and classifier.checkpoint.answers is None:
        digits = cached_digits(dataset)
        return with_progress(
            lambda progress: evaluate_remembering(classifier, digits, progress=progress, threads=threads), report
        )
    return with_progress(
        lambda progress: load_or_evaluate(classifier, dataset, progress=progress, threads=threads), report
    )


def known_evaluation(checkpoint: Checkpoint, dataset: str) -> Evaluation | None:
    """The evaluation that was made before, or None; that of a table of answers is made at once."""
    if is_handwriting(dataset):
        with suppress(DatasetMissingError, HandwritingError):
            return remembered_evaluation(checkpoint, cached_digits(dataset))
        return None
    return stored_evaluation(checkpoint, dataset, state_of(dataset))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def stored_evaluation(checkpoint: Checkpoint, dataset: str, state: str) -> Evaluation | None:
    """`find_evaluation`, but that of a table of answers is made at once; `state` is the set's `state_of`."""
    if checkpoint.answers is not None:
        with suppress(DigitcoreError):
            return load_or_evaluate(DigitClassifier(checkpoint), dataset)
    return find_evaluation(checkpoint, dataset)


def known_summary(name: str, dataset: str) -> Summary | None:
    """Figures of the checkpoint of this name, where they are known."""
    evaluation = known_evaluation(checkpoint_library().load(name), dataset)
    return None if evaluation is None else cached_summary(with_corrections(evaluation))


def card_of(name: str) -> str:
    """The model card of the checkpoint of this name, in Markdown, with the evaluations that are known."""
    checkpoint = checkpoint_library().load(name)
    evaluations = [known_evaluation(checkpoint, dataset) for dataset in SHIPPED_ON]
    return model_card(checkpoint, [evaluation for evaluation in evaluations if evaluation is not None])


def standings(dataset: str) -> list[Standing]:
    """The leaderboard on a set of digits, as the folders are now."""
    entries = checkpoint_library().entries()
    folders = (*evaluation_folders(), timing_folder())
    for entry in entries:
        if isinstance(entry, UsableCheckpoint) and not entry.metadata.has_network:
            _take_in(entry.name, entry.digest, dataset, (state_of(dataset), *folders))
    changed = tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders)
    answers = len(REMEMBERED) if is_handwriting(dataset) else 0
    return _cached_standings(entries, dataset, (state_of(dataset), *changed, answers))


@st.cache_data(max_entries=200, show_spinner=False)
def _take_in(name: str, digest: str, dataset: str, state: tuple[str | Path, ...]) -> None:
    """Stores a table of answers as an evaluation, once for each state of the set and folders, if it is for this set."""
    with suppress(DigitcoreError):
        load_or_evaluate(DigitClassifier(checkpoint_library().load(name)), dataset)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=HASH_FUNCS)
def _cached_standings(entries: list[CheckpointEntry], dataset: str, changed: tuple[str | int, ...]) -> list[Standing]:
    """`leaderboard`; `changed` tells states of what it reads apart."""
    return leaderboard(entries, dataset)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_summary(evaluation: Evaluation) -> Summary:
    """`summarize` of an evaluation."""
    return summarize(evaluation)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_digit_table(evaluation: Evaluation) -> pd.DataFrame:
    """`digit_table` of an evaluation."""
    return digit_table(evaluation.ids, evaluation.labels, evaluation.logits)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_confusion(evaluation: Evaluation) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """`confusion_matrix` and `confused_pairs` of an evaluation."""
    labels, logits = evaluation.labels, evaluation.logits
    return confusion_matrix(labels, logits), confused_pairs(labels, logits, writers=evaluation.writers)
