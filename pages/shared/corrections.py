"""Corrected labels of the picked digits: a layer over the set, which the sidebar switches on, and the sheet of a digit
changes.
"""

import logging

import streamlit as st

from digitcore.data.datasets import is_handwriting, known_digest
from digitcore.errors import CorrectionError
from digitcore.evaluation.evaluation import Evaluation
from digitcore.store.corrections import LONGEST_NAME, Correction
from digitcore.text import plain
from pages.shared.resources import correction_store
from pages.shared.state import CORRECTED

_LOGGER = logging.getLogger(__name__)
_WHO = "corrected-by"


def corrections_of(dataset: str) -> dict[int, Correction]:
    """The corrections of a set that stand, by digit id; none where the database cannot be read.

    Handwriting has none: its labels are changed themselves, on its page.
    """
    if is_handwriting(dataset):
        return {}
    try:
        return correction_store().load(known_digest(dataset))
    except CorrectionError as error:  # what is shown says nothing of corrections then
        _LOGGER.warning("%s", error)
        return {}


def corrections_toggle(dataset: str) -> None:
    """The switch in the sidebar, where a set has corrections."""
    count = len(corrections_of(dataset))
    if count:
        st.toggle(
            f"Use {count:,} corrected label{'s' if count > 1 else ''}", key=CORRECTED, bind="query-params",
            help="Visitors have corrected the true digit of some pictures. The files of the set stay as they are.",
        )  # fmt: skip


def with_corrections(evaluation: Evaluation) -> Evaluation:
    """The evaluation with the corrected labels, where the visitor has switched them on."""
    if not st.session_state.get(CORRECTED):
        return evaluation
    corrections = corrections_of(evaluation.dataset)
    return evaluation.with_labels({digit: correction.new for digit, correction in corrections.items()})


def note_labels(evaluation: Evaluation) -> None:
    """Says that figures are with corrected labels."""
    if evaluation.corrected:
        st.caption(f":material/edit: All figures are {evaluation.labels_in_words}; the leaderboard's are without.")


def correct_label(evaluation: Evaluation, row: int) -> None:
    """In the sheet of a digit: who corrected its label, and a way to do so or to undo it.

    Raises:
        CorrectionError: the database cannot be read or written, or somebody else was faster.
    """
    if is_handwriting(evaluation.dataset):
        return
    digest, digit = known_digest(evaluation.dataset), int(evaluation.ids[row])
    correction = correction_store().load(digest).get(digit)
    if correction is not None:
        _standing(digest, correction)
        return
    label = int(evaluation.labels[row])
    with st.popover("Correct the true digit", icon=":material/edit:"):
        new = st.pills("It should be", [other for other in range(10) if other != label], key=f"should-be-{digit}")
        who = st.text_input("Your name, if you like", max_chars=LONGEST_NAME, key=_WHO)
        st.caption("All visitors see it, and can undo it.")
        if st.button("Correct", type="primary", disabled=new is None) and new is not None:
            correction_store().correct(digest, digit, old=label, new=new, who=" ".join(who.split()))
            st.rerun()


def _standing(digest: str, correction: Correction) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        who = f" by {plain(correction.who)}" if correction.who else ""
        st.caption(
            f":material/edit: True digit corrected from **{correction.old}** to **{correction.new}**{who}, "
            f"{correction.when:%Y-%m-%d}.",
            width="stretch",
        )
        if st.button("Undo", icon=":material/undo:", key="undo-correction"):
            correction_store().undo(digest, correction.digit, number=correction.number)
            st.rerun()
