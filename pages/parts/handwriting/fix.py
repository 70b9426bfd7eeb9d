"""A model learns to read the visitor's hand: what it learns from, how it goes, and whether it got better."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import handwriting_digits
from digitcore.evaluation.comparison import Comparison
from digitcore.evaluation.intervals import basis
from digitcore.models.architectures import architecture_names
from digitcore.models.library import UsableCheckpoint
from digitcore.reports import charts
from digitcore.store.handwriting import Handwriting
from digitcore.text import plain
from digitcore.training.fine_tuning import LEAST_DIGITS, FineTuned, TuningProgress
from digitcore.training.fine_tuning_jobs import Job, free_name, job_of, keep_result, remove_job, start_job, stop_job
from pages.shared.error_box import error_box
from pages.shared.notebook import notebook
from pages.shared.resources import checkpoint_library, handwriting_store, may_add
from pages.shared.state import CHECKPOINT

_LOOK = 0.5  # seconds between two looks at a job
_KEPT = "fine-tuned-model"


def fix_view() -> None:
    """Whatever comes next: writing, starting, watching, or judging."""
    key = notebook()
    job = None if key is None else job_of(key)
    _kept()
    if key is not None and job is not None:
        if job.is_open:
            _watch(key)
        else:
            _end(key, job)
        return
    written = None if key is None else handwriting_store().load(key)
    if key is None or written is None or len(written) < LEAST_DIGITS:
        count = 0 if written is None else len(written)
        words = f"A model can learn your hand from {LEAST_DIGITS} digits or more. So far there are {count}."
        st.info(words, icon=":material/edit_note:")
    else:
        _begin(key, written)


def _kept() -> None:
    """What has become of the model that was kept just now."""
    name = st.session_state.pop(_KEPT, None)
    if name is not None:
        st.success(f"Kept as **{plain(name)}**.", icon=":material/check:")
        st.button("Use it from now on", on_click=_pick, args=(name,))


def _pick(name: str) -> None:
    st.session_state[CHECKPOINT] = name


def _begin(key: str, written: Handwriting) -> None:
    st.markdown("A copy of a model learns to read your hand: a small one in seconds, a large one in minutes.")
    models = learning_models()
    picked = st.session_state.get(CHECKPOINT)
    names = sorted(set(written.writers))
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        model = st.selectbox("Model", models, index=models.index(picked) if picked in models else 0, width=220)
        writers = names
        if len(names) > 1:
            writers = st.multiselect("Writers", names, default=names, width=320, format_func=_named)
        rows = np.flatnonzero(np.isin(written.writers, writers))
        is_asked = st.button(
            "Fix it", icon=":material/model_training:", type="primary", disabled=len(rows) < LEAST_DIGITS
        )
    st.caption(
        f"{len(rows):,} digits. It learns from about two thirds, mixed with MNIST, so that it does not forget. "
        "The others are held out, and show whether it reads you better."
    )
    if is_asked:
        _start(key, model, written, rows)


def learning_models() -> list[str]:
    """The models that can learn."""
    entries = [entry for entry in checkpoint_library().entries() if isinstance(entry, UsableCheckpoint)]
    return [entry.name for entry in entries if entry.metadata.architecture in architecture_names()]


def _named(writer: str) -> str:
    return plain(writer) or "no name"


def _start(key: str, model: str, written: Handwriting, rows: NDArray[np.int64]) -> None:
    library = checkpoint_library()
    with error_box():
        own = handwriting_digits(written).subset(rows)
        name = free_name(model, library.usable_names())
        start_job(key, library.load(model), own, written.sittings[rows], name=name)
        st.rerun()


@st.fragment(run_every=_LOOK)
def _watch(key: str) -> None:
    """A job that waits or runs, until it does so no longer."""
    job = job_of(key)
    if job is None or not job.is_open:
        st.rerun()
    if job.progress:
        st.progress(job.progress[-1].step / job.progress[-1].steps, f"{plain(job.start)} is learning ...")
        _errors_chart(job.progress)
    elif job.ahead:
        st.info(f"Waiting: {job.ahead} before you.", icon=":material/hourglass_empty:")
    else:
        st.info("Starting ...", icon=":material/hourglass_empty:")
    if st.button("Stop", icon=":material/stop:"):
        stop_job(key)
    st.caption("It goes on when you leave this page.")


def _errors_chart(progress: Sequence[TuningProgress]) -> None:
    last, steps = progress[-1], [look.step for look in progress]
    sets = {
        f"your {last.own_digits:,} digits held out": [look.own_errors for look in progress],
        f"{last.validation_digits:,} digits of MNIST": [look.validation_errors for look in progress],
    }
    tables = [pd.DataFrame({"step": steps, "errors": errors, "digits": name}) for name, errors in sets.items()]
    st.vega_lite_chart(charts.specification(charts.fine_tuning_chart(pd.concat(tables), steps=last.steps)))


def _end(key: str, job: Job) -> None:
    """What has come of a job, and what can be done with it."""
    if job.result is None:
        words = "Stopped. Nothing is kept." if job.state == "stopped" else plain(job.problem)
        st.warning(words, icon=":material/info:")
    else:
        _verdict(job.result)
        _errors_chart(job.progress)
    with st.container(horizontal=True, gap="small"):
        if job.result is not None:
            _keep_buttons(key, job.result)
        if st.button("Discard" if job.result else "Begin again", icon=":material/close:"):
            remove_job(key)
            st.rerun()


def _verdict(result: FineTuned) -> None:
    """That of the page Compare, on each set of digits."""
    if result.is_better:
        st.success(f"{plain(result.own.verdict)}.", icon=":material/check:")
    else:
        st.info(f"Not clearly better, so nothing is kept unless you say so. {plain(result.own.verdict)}.")
    sets = {"your digits held out": result.own, "mnist-validation": result.validation, "mnist-test": result.test}
    rows = [_row(name, comparison) for name, comparison in sets.items() if comparison is not None]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")
    st.caption(" ".join(_remarks(result)))


def _row(name: str, comparison: Comparison) -> dict[str, str]:
    low, high = comparison.interval
    return {
        "read": f"{comparison.digits:,}: {name}",
        "errors before": f"{comparison.errors_a:,}",
        "after": f"{comparison.errors_b:,}",
        "change, points": f"{100 * comparison.difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})",
        "p": f"{comparison.p:.2g}",
    }


def _remarks(result: FineTuned) -> list[str]:
    """What the figures rest on."""
    remarks = [f"It learned from {result.learned_digits:,} digits. In brackets: 95% interval."]
    if result.own.writers is None:
        remarks.append("Yours is about the writers you picked, not about others.")
    else:
        remarks.append(f"Yours is {basis(result.own.writers)}.")
    if result.divided_writers:
        remarks.append(
            "Of a single sitting the last digits of each kind are held out: those of another day may differ more."
        )
    if result.known == result.validation.dataset:
        remarks.append(f"MNIST is not on this machine: it learned from {result.known}, whose errors say little now.")
    return remarks


def _keep_buttons(key: str, result: FineTuned) -> None:
    help_text = "Everybody who uses this server can pick it then. It says how many digits it learned from, not whose."
    words = "Keep" if result.is_better else "Keep it anyway"
    with error_box():
        importance: Literal["primary", "secondary"] = "primary" if result.is_better else "secondary"
        if may_add() and st.button(words, icon=":material/check:", type=importance, help=help_text):
            st.session_state[_KEPT] = keep_result(key, checkpoint_library())
            st.rerun()
        st.download_button(
            "Download", result.output.read_bytes, result.output.name, icon=":material/download:", on_click="ignore"
        )
