"""The digits of the visitor's notebook: how well they are read, each of them, and what can be done with them."""

from collections import Counter

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import load_handwriting
from digitcore.evaluation.evaluation import Evaluation, Summary
from digitcore.evaluation.intervals import basis, wilson_interval
from digitcore.evaluation.leaderboard import Standing
from digitcore.evaluation.metrics import writer_table
from digitcore.store.handwriting import Handwriting
from digitcore.text import plain
from pages.parts.handwriting.change import digit_card, show_undo
from pages.parts.handwriting.swap import swap_tools
from pages.shared.digit_gallery import digit_gallery
from pages.shared.evaluations import cached_digit_table, cached_summary, evaluated, evaluation_of, standings
from pages.shared.keeping import may_keep
from pages.shared.notebook import handwriting_dataset, notebook
from pages.shared.pickers import picked_classifier
from pages.shared.progress import report_on
from pages.shared.resources import cached_digits, named_classifier
from pages.shared.state import ANY, EXPLORE

_SOURCES = {"draw": "page Draw", "guided": "written one by one", "sheet": "paper", "import": "imported"}
_AT_ONCE = 2_000  # answers that nobody is asked to wait for


def digits_view() -> None:
    """All of the notebook; or how to begin one."""
    dataset = handwriting_dataset()
    written = load_handwriting(dataset) if notebook() else None
    show_undo()
    if written is None or len(written) == 0:
        words = "Write some, or say on the page Draw whether an answer is right." if may_keep() else ""
        st.info(f"Nothing is kept yet. {words}", icon=":material/edit_note:")
        swap_tools(None)
        return
    evaluation = evaluation_of(picked_classifier(), dataset)
    _headline(evaluation)
    _all_models(dataset, len(written))
    _by_writer(evaluation, written)
    _explore(evaluation, written, dataset)
    swap_tools(written)
    _follow(dataset)


@st.fragment(run_every=1)
def _follow(dataset: str) -> None:
    """Runs the page again when somebody else has written into the same notebook."""
    if handwriting_dataset() != dataset:
        st.rerun()


def _headline(evaluation: Evaluation) -> None:
    summary = cached_summary(evaluation)
    low, high = summary.interval
    right = summary.digits - summary.errors
    st.markdown(
        f"**{plain(summary.checkpoint)}** reads **{right:,} of {summary.digits:,}** right: {summary.accuracy:.1%} "
        f"(95% interval {low:.1%} to {high:.1%}, {basis(summary.writers)})."
    )


def _all_models(dataset: str, digits: int) -> None:
    """The accuracy of every model."""
    with st.expander(f"All {len(_networks(dataset))} models", icon=":material/leaderboard:"):
        rows = [_row(name, summary) for name, summary in asked_models(dataset, digits).items()]
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")


def asked_models(dataset: str, digits: int) -> dict[str, Summary]:
    """The networks by name, best first, that have answered; all are asked at once where that takes no time."""
    everybody = _networks(dataset)
    missing = [standing.entry.name for standing in everybody if standing.summary is None]
    is_wanted = len(missing) * digits <= _AT_ONCE or st.button("Ask them all", icon=":material/play_arrow:")
    if missing and is_wanted:
        _ask(missing, dataset)
        everybody = _networks(dataset)
    return {standing.entry.name: standing.summary for standing in everybody if standing.summary is not None}


def _networks(dataset: str) -> list[Standing]:
    """The leaderboard without tables of answers, which know no digit but their own."""
    return [standing for standing in standings(dataset) if standing.entry.metadata.has_network]


def _ask(names: list[str], dataset: str) -> None:
    bar = st.progress(0.0)
    for i, name in enumerate(names):
        share = (i / len(names), (i + 1) / len(names))
        evaluated(named_classifier(name), dataset, report_on(bar, f"Asking {name} ...", start=share[0], end=share[1]))
    bar.empty()


def _row(name: str, summary: Summary) -> dict[str, str]:
    low, high = summary.interval
    return {
        "model": name,
        "right": f"{summary.digits - summary.errors:,} of {summary.digits:,}",
        "accuracy": f"{summary.accuracy:.1%}",
        "95% interval": f"{low:.1%} to {high:.1%}",
    }


def _by_writer(evaluation: Evaluation, written: Handwriting) -> None:
    """How well the digits of each person are read, where there are several."""
    people = written.people
    if not people.any():
        return
    table = writer_table(evaluation.labels, evaluation.logits, people)
    with st.expander(f"{len(table):,} writers", icon=":material/group:"):
        rows = [_writer_row(evaluation, written, people == person) for person in table["writer"]]
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")


def _writer_row(evaluation: Evaluation, written: Handwriting, mine: NDArray[np.bool_]) -> dict[str, str | int]:
    labels, predictions = evaluation.labels[mine], evaluation.predictions[mine]
    right, digits = int((labels == predictions).sum()), len(labels)
    low, high = wilson_interval(right, digits)
    mistakes = Counter(zip(labels[labels != predictions], predictions[labels != predictions], strict=True))
    return {
        "writer": written.writers[int(np.flatnonzero(mine)[0])] or "no name",
        "digits": digits,
        "right": f"{right / digits:.0%}",
        "95% interval": f"{low:.0%} to {high:.0%}",
        "most often wrong": "".join(f"{true} read as {answer}: {n}" for (true, answer), n in mistakes.most_common(1)),
    }


@st.fragment(key=EXPLORE)
def _explore(evaluation: Evaluation, written: Handwriting, dataset: str) -> None:
    """One fragment: filters, gallery and the picked digit."""
    table = cached_digit_table(evaluation)
    rows = table[_wanted(table, written)]
    left, right = st.columns([4, 3], gap="medium")
    with left:
        digit_gallery(rows, evaluation, cached_digits(dataset), key="handwriting-gallery")
    with right:
        digit_card(written, evaluation)


def _wanted(table: pd.DataFrame, written: Handwriting) -> NDArray[np.bool_]:
    """Which rows the filters leave (N,)."""
    writers, sources = sorted(set(written.writers)), list(dict.fromkeys(written.sources))
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        read = st.selectbox("Read", [ANY, "right", "wrong"], key="hand-read", width=110)
        digit = st.selectbox("Digit", [ANY, *map(str, range(10))], key="hand-digit", width=90)
        writer = st.selectbox(
            "Writer", [ANY, *writers], key="hand-writer", width=150, format_func=lambda name: plain(name) or "no name"
        )  # fmt: skip
        source = st.selectbox(
            "From", [ANY, *sources], key="hand-source", width=170, format_func=lambda name: _SOURCES.get(name, name)
        )  # fmt: skip
    wanted = np.ones(len(table), dtype=bool)
    if read != ANY:
        wanted &= table["right"].to_numpy() == (read == "right")
    if digit != ANY:
        wanted &= written.labels == int(digit)
    if writer != ANY:
        wanted &= np.array(written.writers) == writer
    if source != ANY:
        wanted &= np.array(written.sources) == source
    return wanted
