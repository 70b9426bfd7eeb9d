"""The sidebar's pickers, whose choices hold on every page and in the address, and what is picked."""

import time
from collections.abc import Iterable

import streamlit as st

from digitcore.data.datasets import HANDWRITING, DigitSet, download_mnist
from digitcore.data.own_datasets import own_datasets
from digitcore.errors import HandwritingError
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.intervals import basis
from digitcore.evaluation.leaderboard import strength
from digitcore.formats.endings import stem_of
from digitcore.models.classifier import DigitClassifier
from digitcore.models.conventions import describe_input
from digitcore.models.library import UnusableCheckpoint, UsableCheckpoint
from digitcore.text import plain
from pages.shared.corrections import corrections_toggle, note_labels
from pages.shared.error_box import visible
from pages.shared.evaluations import evaluation_of, known_summary, standings, stored_evaluation
from pages.shared.keeping import may_keep
from pages.shared.notebook import handwriting_dataset, notebook
from pages.shared.own_digits import own_digits_button
from pages.shared.progress import report_on
from pages.shared.resources import checkpoint_library, digits_if_available, handwriting_store, named_classifier
from pages.shared.state import ADDED_DATASET, CHECKPOINT, DATASET, forget_digit
from pages.shared.words import DATASETS

_REPLACED = "replaced-model"
_MOST_NAMED = 3
_PATIENCE = 10  # seconds


def model_picker() -> None:
    """The picker of a checkpoint, with what it is good for; names the files that cannot be used."""
    _await_addressed()
    entries = checkpoint_library().entries()
    usable = {entry.name: entry for entry in entries if isinstance(entry, UsableCheckpoint)}
    if usable:
        _note_unknown(list(usable))
        start = list(usable).index(checkpoint_library().default_name())
        st.selectbox("Model", list(usable), index=start, key=CHECKPOINT, bind="query-params", on_change=_forget_unknown)
        _describe(usable[st.session_state[CHECKPOINT]])
    else:
        st.warning("This server has no usable model.", icon=":material/warning:")
    unusable = [entry for entry in entries if isinstance(entry, UnusableCheckpoint)]
    pending = [entry.path.name for entry in unusable if entry.is_pending]
    if pending:
        _await_trials(pending)
    problems = [entry for entry in unusable if not entry.is_pending]
    if problems:
        with st.expander(f"{len(problems)} unusable", icon=":material/warning:"):
            for entry in problems:
                st.caption(f"**{plain(entry.path.name)}**: {visible(entry.problem)}")


def _await_addressed() -> None:
    """Waits a while for a file that is being tried out, where it is the one in the visitor's address."""
    addressed, deadline = st.query_params.get(CHECKPOINT), time.monotonic() + _PATIENCE
    if _is_pending(addressed):
        with st.spinner(f"{plain(str(addressed))} is being tried out ..."):
            while _is_pending(addressed) and time.monotonic() < deadline:
                time.sleep(0.1)


def _is_pending(name: str | None) -> bool:
    return name in [stem_of(file) for file in _pending_names()]


@st.fragment(run_every=2)
def _await_trials(names: list[str]) -> None:
    """Names the files that are being tried out; runs the page again when that has changed."""
    if _pending_names() != names:
        st.rerun()
    listed = ", ".join(names[:_MOST_NAMED]) + (" ..." if len(names) > _MOST_NAMED else "")
    words = "is being tried out" if len(names) == 1 else "are being tried out"
    st.caption(f":material/hourglass_empty: {plain(listed)} {words}")


def _pending_names() -> list[str]:
    entries = checkpoint_library().entries()
    return [entry.path.name for entry in entries if isinstance(entry, UnusableCheckpoint) and entry.is_pending]


def _note_unknown(names: list[str]) -> None:
    """Remembers a name in the address that no model has; the picker would replace it without a word."""
    addressed = st.query_params.get(CHECKPOINT)
    if addressed is not None and addressed not in names:
        st.session_state[_REPLACED] = addressed


def _forget_unknown() -> None:
    st.session_state.pop(_REPLACED, None)


def _describe(entry: UsableCheckpoint) -> None:
    if _REPLACED in st.session_state:
        st.warning(
            f"There is no model {plain(st.session_state[_REPLACED])}: {plain(entry.name)} answers instead.",
            icon=":material/warning:",
        )
    words = strength(entry.name, drawn=standings("pen-digits"), scanned=standings("mnist-test"))
    size = f"{entry.parameters:,} parameters" if entry.metadata.has_network else "Answers of a model, no network"
    size += "" if entry.is_verified else " · unverified"
    lines = [f"{words[0].upper()}{words[1:]}  \n{size}" if words else size]
    if taken := describe_input(entry.metadata.provenance):
        lines.append(f"input: {plain(taken)}")
    st.caption("  \n".join(lines))


def set_picker() -> None:
    """The picker of a set of digits, with what it holds."""
    own = {dataset.name: f"{dataset.digits:,} digits of your own" for dataset in own_datasets()}
    words = DATASETS | own | _handwriting_in_words()
    added = st.session_state.pop(ADDED_DATASET, None)
    if added in words:
        st.session_state[DATASET] = added
    elif st.session_state.get(DATASET, added) not in (None, *words):  # removed or renamed meanwhile
        del st.session_state[DATASET]
    st.selectbox("Test digits", list(words), key=DATASET, bind="query-params", on_change=forget_digit)
    st.caption(words[st.session_state[DATASET]])
    corrections_toggle(picked_dataset())
    own_digits_button()


def picked_figures() -> None:
    """How the picked model does on the picked digits, where that is known."""
    name = st.session_state.get(CHECKPOINT)
    summary = known_summary(name, picked_dataset()) if name else None
    if name and summary:
        low, high = summary.interval
        st.caption(
            f"**{plain(name)}** on {summary.dataset}: {summary.errors:,} errors in {summary.digits:,}, "
            f"{summary.accuracy:.2%} right (95% interval {low:.2%} to {high:.2%}, {basis(summary.writers)})"
        )


def _handwriting_in_words() -> dict[str, str]:
    """What the visitor's notebook holds, where this server has notebooks."""
    if not may_keep() and notebook() is None:
        return {}
    key = notebook()
    try:
        digits = 0 if key is None else handwriting_store().size(key)
    except HandwritingError:  # what needs the digits says so
        return {HANDWRITING: "digits that you have kept"}
    return {HANDWRITING: f"{digits:,} digits that you have kept" if digits else "digits that you keep: none yet"}


def picked_dataset() -> str:
    """The set of digits that the sidebar names, as `load_digits` takes it; on the screen it is `dataset_label`."""
    dataset: str = st.session_state[DATASET]
    return handwriting_dataset() if dataset == HANDWRITING else dataset


def picked_classifier() -> DigitClassifier:
    """The checkpoint that the sidebar names.

    Raises:
        CheckpointError: none is usable.
    """
    return named_classifier(st.session_state.get(CHECKPOINT) or checkpoint_library().default_name())


def picked_evaluation() -> tuple[DigitClassifier, Evaluation]:
    """The picked checkpoint on the picked digits; warns where it has seen them in training.

    Raises:
        DigitcoreError: no checkpoint is usable, or the digits are missing and have never been evaluated.
    """
    classifier = picked_classifier()
    warn_of_training([classifier])
    evaluation = evaluation_of(classifier, picked_dataset())
    note_labels(evaluation)
    return classifier, evaluation


def picked_pictures() -> DigitSet | None:
    """The pictures of the picked digits, or None and a way to get them."""
    dataset = picked_dataset()
    digits = digits_if_available(dataset)
    if digits is None and not dataset.startswith("mnist"):
        st.info("The pictures of these digits are not on this machine.", icon=":material/image_not_supported:")
    elif digits is None:
        st.info(
            "The MNIST pictures are not on this machine. All figures are shown without them. "
            "The download is 13 MB and is verified.",
            icon=":material/image_not_supported:",
        )
        if st.button("Download MNIST", icon=":material/download:", key="download-mnist"):
            _download()
    return digits


def _download() -> None:
    report = report_on(st.progress(0.0), "Downloading MNIST ...")
    for share in download_mnist():
        report(share)
    stored_evaluation.clear()  # who wrote the digits is known now
    st.rerun()


def warn_of_training(classifiers: Iterable[DigitClassifier]) -> None:
    """Warns of checkpoints trained or chosen on the picked digits, and names those whose training is not recorded."""
    metadata = {classifier.checkpoint.name: classifier.checkpoint.metadata for classifier in classifiers}
    cautions = {name: record.caution(picked_dataset()) for name, record in metadata.items()}
    seen, chosen = ([name for name in cautions if cautions[name] == caution] for caution in ("trained on", "chosen on"))
    silent = [name for name, record in metadata.items() if not record.trained_on]
    if seen:
        st.warning(f"Trained on these digits: {plain(', '.join(seen))}. Figures on them say little.")
    if chosen:
        st.caption(f":material/info: Chosen on these digits, so a little better here: {plain(', '.join(chosen))}.")
    if silent:
        st.caption(f":material/info: Not recorded which digits these were trained on: {plain(', '.join(silent))}.")
