"""One digit of the notebook: what is known of it, and its true digit, which can be corrected; or it is deleted."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import streamlit as st

from digitcore.evaluation.evaluation import Evaluation
from digitcore.models.probabilities import answers_from
from digitcore.store.handwriting import Handwriting, StoredDigit
from digitcore.text import plain
from pages.shared.answer import evaluated_panel
from pages.shared.notebook import notebook, opened_notebook
from pages.shared.resources import handwriting_store
from pages.shared.state import DIGIT, SHEET, picked_digit

_LABEL, _UNDO = "hand-label", "hand-undo"


@st.fragment(key=SHEET)
def digit_card(written: Handwriting, evaluation: Evaluation) -> None:
    """The picked digit, or how to pick one."""
    rows = np.flatnonzero(written.ids == picked_digit())
    if len(rows) == 0:
        st.caption("Pick a digit to see its answer, to correct it or to delete it.")
        return
    row = int(rows[0])
    digit, label = int(written.ids[row]), int(written.labels[row])
    st.caption(_known(written, row))
    st.session_state[_LABEL] = label
    st.pills("It is a", range(10), key=_LABEL, on_change=_correct, args=(digit, label), required=True)
    st.button("Delete", icon=":material/delete:", key="delete-digit", on_click=_delete, args=([digit],))
    answer = answers_from(evaluation.logits[[row]])[0]
    evaluated_panel(answer, checkpoint=evaluation.checkpoint, label=label, image=written.images[row])


def show_undo() -> None:
    """Offers to bring back what was deleted last from this notebook, or the label that was corrected last."""
    words, _, changed = st.session_state.get(_UNDO, ("", None, None))
    if changed is None or changed != notebook():
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption(words, width="content")
        st.button("Undo", icon=":material/undo:", key="undo-change", on_click=_undo)


def delete_digits(digits: Sequence[int]) -> None:
    """Deletes these digits; the last deletion can be undone."""
    gone = handwriting_store().delete(opened_notebook(), digits)
    words = f"{len(gone):,} digits deleted." if len(gone) != 1 else "1 digit deleted."
    st.session_state.update({_UNDO: (words, gone, notebook()), DIGIT: None})


def _delete(digits: Sequence[int]) -> None:
    delete_digits(digits)
    st.rerun()


def _correct(digit: int, label: int) -> None:
    chosen = st.session_state[_LABEL]
    if chosen is not None and chosen != label:
        handwriting_store().correct(opened_notebook(), [digit], chosen)
        st.session_state[_UNDO] = (f"Corrected from {label} to {chosen}.", (digit, label), notebook())
        st.rerun()


def _undo() -> None:
    _, change, _ = st.session_state.pop(_UNDO)
    if isinstance(change, tuple):
        digit, label = change
        handwriting_store().correct(opened_notebook(), [digit], label)
    else:
        deleted: list[StoredDigit] = change
        handwriting_store().restore(opened_notebook(), deleted)


def _known(written: Handwriting, row: int) -> str:
    """Who wrote it, when, and what was answered then."""
    when = datetime.fromtimestamp(written.times[row], UTC)
    words = [plain(written.writers[row])] if written.writers[row] else []
    words.append(f"{when:%Y-%m-%d %H:%M} UTC")
    if written.answers[row] >= 0:
        words.append(f"read as {written.answers[row]} then")
    return " · ".join(words)
