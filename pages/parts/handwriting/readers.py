"""An exercise for a class: who is read best and worst, by which model, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from digitcore.data.datasets import load_handwriting
from digitcore.evaluation.evaluation import Evaluation, Summary
from digitcore.evaluation.intervals import basis
from digitcore.evaluation.slices import Slices, slice_table
from digitcore.store.handwriting import Handwriting
from digitcore.text import plain
from pages.parts.handwriting.mine import asked_models
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.evaluations import cached_confusion, evaluation_of, known_evaluation
from pages.shared.notebook import handwriting_dataset
from pages.shared.pickers import picked_classifier
from pages.shared.pictures import pictures_row
from pages.shared.resources import checkpoint_library
from pages.shared.slices import slices_of

_LOOK = 2.0  # seconds between two looks whether there are new digits
_MISTAKES, _EXAMPLES = 3, 12  # kinds that are shown, and digits of each


@dataclass(frozen=True)
class ReadMember:
    """How well a model reads one member."""

    name: str
    digits: int
    errors: int
    accuracy: float
    low: float
    high: float
    """Ends of its 95% interval."""
    is_worse: bool
    """Than all others together, by more than chance."""

    @property
    def count(self) -> str:
        """How many digits are read right, in words."""
        return f"{self.digits - self.errors:,} of {self.digits:,}"


def readers_view() -> None:
    """The members by how well the picked model reads them, its mistakes, and the other models."""
    dataset = handwriting_dataset()
    written = load_handwriting(dataset)
    _offer_new_digits(dataset)
    if len(written) == 0:
        st.info("Nobody has written yet.", icon=":material/edit_note:")
        return
    evaluation = evaluation_of(picked_classifier(), dataset)
    slices = slices_of(dataset, "writer")
    _ranking(evaluation, _read(evaluation, slices, dataset))
    _mistakes(evaluation, written)
    with st.expander("All models", icon=":material/leaderboard:"):
        models = asked_models(dataset, len(written))
        rows = [_model_row(name, summary, dataset, slices) for name, summary in models.items()]
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")


@st.fragment(run_every=_LOOK)
def _offer_new_digits(dataset: str) -> None:
    """The figures stand still while somebody speaks about them."""
    if handwriting_dataset() != dataset and st.button("Show new digits", icon=":material/refresh:", key="new-digits"):
        st.rerun()


def _ranking(evaluation: Evaluation, read: Sequence[ReadMember]) -> None:
    st.markdown(f"**{plain(evaluation.checkpoint)}** reads {_named(_best(read))} best{_worst_in_words(read)}")
    rows = [
        {
            "member": member.name,
            "right": member.count,
            "share": f"{member.accuracy:.0%}",
            "95% interval": f"{member.low:.0%} to {member.high:.0%}",
            "against the others": "▼ worse" if member.is_worse else "",
        }
        for member in sorted(read, key=lambda member: (-member.accuracy, -member.digits))
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")


def _best(read: Sequence[ReadMember]) -> ReadMember:
    """Who is read best for sure: the greatest lower end of an interval, so that few digits do not win by luck."""
    return max(read, key=lambda member: member.low)


def _worst(read: Sequence[ReadMember]) -> ReadMember:
    return min(read, key=lambda member: member.high)


def _worst_in_words(read: Sequence[ReadMember]) -> str:
    """Who is read worst, and whether that is more than chance; the end of a sentence."""
    if len(read) == 1:
        return ". Others have not written yet."
    worse = [f"**{plain(member.name)}**" for member in read if member.is_worse]
    verdict = f"Worse than the others by more than chance: {', '.join(worse)}." if worse else "That may be chance."
    return f", {_named(_worst(read))} worst. {verdict}"


def _named(member: ReadMember) -> str:
    return f"**{plain(member.name)}** ({member.count})"


def _mistakes(evaluation: Evaluation, written: Handwriting) -> None:
    """The most frequent mistakes, with the digits themselves."""
    _, pairs = cached_confusion(evaluation)
    if pairs.empty:
        st.success(f"No mistake in {len(evaluation):,} digits.", icon=":material/check:")
        return
    st.header("Why", anchor=False)
    for number, pair in enumerate(pairs.head(_MISTAKES).itertuples()):
        rows = np.flatnonzero((evaluation.labels == pair.true) & (evaluation.predictions == pair.predicted))
        members, written_so = len({written.writers[row] for row in rows}), int((evaluation.labels == pair.true).sum())
        st.markdown(
            f"**{pair.true} read as {pair.predicted}**: {pair.count:,} of {written_so:,}, "
            f"{pair.share:.0%} ({pair.low:.0%} to {pair.high:.0%}), of {members} "
            f"{'member' if members == 1 else 'members'}"
        )
        examples = [(written.images[row], written.writers[row] or "no name") for row in rows[:_EXAMPLES]]
        pictures_row(examples, name=f"mistakes-{number}")
    people = None if evaluation.writers is None else len(np.unique(evaluation.writers))
    st.caption(f"In brackets: 95% interval, {basis(people)}.")


def _model_row(name: str, summary: Summary, dataset: str, slices: Slices) -> dict[str, str]:
    evaluation = known_evaluation(checkpoint_library().load(name), dataset)
    low, high = summary.interval
    row = {
        "model": name,
        "right": f"{summary.digits - summary.errors:,} of {summary.digits:,}",
        "share": f"{summary.accuracy:.1%}",
        "95% interval": f"{low:.1%} to {high:.1%}",
    }
    if evaluation is not None:
        read = _read(evaluation, slices, dataset)
        for words, member in (("reads best", _best(read)), ("reads worst", _worst(read))):
            row[words] = f"{member.name} ({member.count})"
    return row


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _read(evaluation: Evaluation, _slices: Slices, dataset: str) -> list[ReadMember]:
    """The members as a model reads them; `dataset` names the state of the notebook."""
    table = slice_table(evaluation, _slices)
    columns = (table[name].tolist() for name in ("value", "digits", "errors", "accuracy", "low", "high", "worse"))
    return [ReadMember(*row) for row in zip(*columns, strict=True)]
