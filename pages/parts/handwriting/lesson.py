"""An exercise for a class, train and test: models learn from group A, from group B and from both, and read each group.

Each group's digits are a test set for the other: two thirds of them are learned from, and the last third is held out
for all models alike.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, handwriting_digits
from digitcore.errors import TrainingError
from digitcore.evaluation.comparison import LEAST_WRITERS, Comparison, compare
from digitcore.evaluation.evaluation import Evaluation, evaluate
from digitcore.evaluation.intervals import basis, share_interval
from digitcore.models.checkpoints import Checkpoint, read_checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.store.classes import GROUPS
from digitcore.store.handwriting import Handwriting
from digitcore.text import plain
from digitcore.training.fine_tuning import split_digits
from digitcore.training.fine_tuning_jobs import Job, job_digits, job_of, remove_job, start_job
from pages.parts.handwriting.fix import learning_models
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.error_box import error_box
from pages.shared.resources import checkpoint_library, class_store, handwriting_store

_BOTH = "A and B"
_LEARNERS = (*GROUPS, _BOTH)
_BEFORE, _NAME = "before", "learned"
_LOOK = 1.0  # seconds between two looks at the jobs
_LEAST_TESTS = 10  # digits of each group


def lesson_view(key: str) -> None:
    """Starts the lesson, or shows how it goes."""
    st.markdown("A model reads best the hands that it has learned from. So test it on hands that it has never seen.")
    if _BOTH in _jobs(key):
        _follow(key)
        if st.button("Begin again", icon=":material/restart_alt:", key="lesson-again"):
            forget_lesson(key)
            st.rerun()
    else:
        _begin(key)


def forget_lesson(key: str) -> None:
    """Ends and removes what models learn from the digits of a class."""
    for learner in _LEARNERS:
        remove_job(_owner(key, learner))


def _owner(key: str, learner: str) -> str:
    return f"{key} {learner}"


def _begin(key: str) -> None:
    written = handwriting_store().load(key)
    rows = _rows_by_group(key, written)
    counts = {group: _test_digits(written, own) for group, own in rows.items()}
    if min(counts.values()) < _LEAST_TESTS:
        st.info(
            f"It takes two groups, made under Board, and {_LEAST_TESTS} test digits of each: the last third of what a "
            f"member has written of each kind. So far: {counts['A']} of A, {counts['B']} of B.",
            icon=":material/call_split:",
        )
        return
    models = learning_models()
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        start = models.index("compact") if "compact" in models else 0
        model = st.selectbox("Model", models, index=start, width=220, key="lesson-model")
        if st.button("Let it learn", icon=":material/model_training:", type="primary", key="start-lesson"):
            _start(key, model, written, rows)
    st.caption(
        f"{len(rows['A']):,} digits by A, {len(rows['B']):,} by B. Three copies learn: from A, from B, from both. "
        "A third of each group's digits is held out for the test."
    )


def _rows_by_group(key: str, written: Handwriting) -> dict[str, NDArray[np.int64]]:
    """The rows of what each group has written."""
    members = class_store().board(key).members
    names = {group: [member.name for member in members if member.group == group] for group in GROUPS}
    return {group: np.flatnonzero(np.isin(written.writers, names[group])) for group in GROUPS}


def _test_digits(written: Handwriting, rows: NDArray[np.int64]) -> int:
    """How many of these digits would be held out."""
    if len(rows) == 0:
        return 0
    return len(split_digits(handwriting_digits(written).subset(rows), written.sittings[rows]).held_out)


def _start(key: str, model: str, written: Handwriting, rows: dict[str, NDArray[np.int64]]) -> None:
    start, digits = checkpoint_library().load(model), handwriting_digits(written)
    with error_box():
        try:
            for learner in _LEARNERS:
                own = np.sort(np.concatenate(list(rows.values()))) if learner == _BOTH else rows[learner]
                start_job(_owner(key, learner), start, digits.subset(own), written.sittings[own], name=_NAME)
        except TrainingError:
            forget_lesson(key)
            raise
        st.rerun()


def _follow(key: str) -> None:
    """The jobs until they have ended, and how the models read."""
    is_open = any(job.is_open for job in _jobs(key).values())
    st.fragment(_show, run_every=_LOOK if is_open else None)(key, is_open)


def _jobs(key: str) -> dict[str, Job]:
    jobs = {learner: job_of(_owner(key, learner)) for learner in _LEARNERS}
    return {learner: job for learner, job in jobs.items() if job is not None}


def _show(key: str, was_open: bool) -> None:
    jobs = _jobs(key)
    if was_open and not any(job.is_open for job in jobs.values()):
        st.rerun()
    with error_box():
        tests = _tests(key)
        evaluations = {_BEFORE: _evaluated(checkpoint_library().load(jobs[_BOTH].start), tests, name=_BEFORE)}
        for learner, job in jobs.items():
            if job.result is not None:
                name = _learned(learner)
                evaluations[name] = _evaluated(read_checkpoint(job.result.output), tests, name=name)
        _figures(evaluations, {_learned(learner): job for learner, job in jobs.items()})
        _verdicts(evaluations)
        known = "; ".join(f"{group}: {basis(_people(digits))}" for group, digits in tests.items())
        st.caption(f"In brackets: 95% interval. {known}.")


def _tests(key: str) -> dict[str, DigitSet]:
    """What no model of the lesson has learned from, by group.

    Raises:
        TrainingError: the lesson has been removed meanwhile.
    """
    own, sessions = job_digits(_owner(key, _BOTH))
    held_out = own.subset(split_digits(own, sessions).held_out)
    in_a = np.isin(held_out.ids, job_digits(_owner(key, GROUPS[0]))[0].ids)
    return {
        group: _about_these(held_out.subset(np.flatnonzero(inside)))
        for group, inside in zip(GROUPS, (in_a, ~in_a), strict=True)
    }


def _about_these(digits: DigitSet) -> DigitSet:
    """The digits; of few writers without these: the question is then how these few people are read."""
    is_few = digits.writers is not None and len(np.unique(digits.writers)) < LEAST_WRITERS
    return replace(digits, writers=None) if is_few else digits


def _people(digits: DigitSet) -> int | None:
    return None if digits.writers is None else len(np.unique(digits.writers))


def _learned(learner: str) -> str:
    return f"learned from {learner}"


def _evaluated(checkpoint: Checkpoint, tests: dict[str, DigitSet], *, name: str) -> dict[str, Evaluation]:
    """The answers to each group's test digits, under the name that the screen gives the model."""
    return {group: replace(_evaluation(checkpoint, digits), checkpoint=name) for group, digits in tests.items()}


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=HASH_FUNCS)
def _evaluation(checkpoint: Checkpoint, digits: DigitSet) -> Evaluation:
    return evaluate(DigitClassifier(checkpoint), digits)


def _figures(evaluations: dict[str, dict[str, Evaluation]], jobs: dict[str, Job]) -> None:
    """How many test digits each model reads wrong, or how far it has learned."""
    rows = []
    for name in (_BEFORE, *jobs):
        cells = {group: _wrong(read) for group, read in evaluations.get(name, {}).items()}
        rows.append({"model": name} | {_column(group): cells.get(group) or _state(jobs[name]) for group in GROUPS})
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")
    for job in jobs.values():
        if job.problem:
            st.warning(plain(job.problem), icon=":material/info:")


def _column(group: str) -> str:
    return f"{group}'s test digits read wrong"


def _wrong(evaluation: Evaluation) -> str:
    wrong = evaluation.predictions != evaluation.labels
    low, high = share_interval(wrong, evaluation.writers)
    return f"{wrong.sum():,} of {len(wrong):,}, {wrong.mean():.0%} ({low:.0%} to {high:.0%})"


def _state(job: Job) -> str:
    """How far a model is that cannot be tested yet."""
    if job.state == "running" and job.progress:
        return f"learning: {job.progress[-1].step / job.progress[-1].steps:.0%}"
    return {"waiting": "waits its turn", "running": "starting"}.get(job.state, job.state)


def _verdicts(evaluations: dict[str, dict[str, Evaluation]]) -> None:
    """On each group's digits: a model that has seen only the other group, and then one that has seen both."""
    for learner, tested in (GROUPS, GROUPS[::-1]):
        for before, after in ((_BEFORE, _learned(learner)), (_learned(learner), _learned(_BOTH))):
            if before in evaluations and after in evaluations:
                st.markdown(_in_words(compare(evaluations[before][tested], evaluations[after][tested]), tested))


def _in_words(comparison: Comparison, tested: str) -> str:
    low, high = comparison.interval
    verdict = "no clear winner" if comparison.better is None else f"better: {comparison.better}"
    return (
        f"- **{tested}'s test digits**, {comparison.a} → {comparison.b}: {100 * comparison.difference:+.0f} points "
        f"right ({100 * low:+.0f} to {100 * high:+.0f}), p {comparison.p:.2g}, **{verdict}**"
    )
