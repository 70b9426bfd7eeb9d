"""One digit of a set in detail: the answers of all checkpoints, the most similar digits, and its star and note."""

import numpy as np
import streamlit as st

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.evaluation.evaluation import Evaluation
from digitcore.models.classifier import DigitClassifier
from digitcore.models.probabilities import answers_from
from digitcore.models.votes import collect_votes
from digitcore.serving.annotations import Annotation
from digitcore.text import plain
from pages.shared.answer import evaluated_panel
from pages.shared.drawing import put_on_canvas
from pages.shared.error_box import error_box
from pages.shared.resources import annotations, checkpoint_library, named_classifier
from pages.shared.similar import similar_row
from pages.shared.state import DIGIT
from pages.shared.words import percent

_MOST_CHECKPOINTS = 12
_MOST_SIMILAR = 5


def digit_panel(classifier: DigitClassifier, evaluation: Evaluation, pictures: DigitSet | None) -> None:
    """All about the digit whose id is picked, or how to pick one."""
    rows = np.flatnonzero(evaluation.ids == st.session_state.get(DIGIT))
    if len(rows) == 0:
        digit = st.session_state.get(DIGIT)
        st.caption(
            "Pick a digit to see the answer, and why."
            if digit is None
            else f"There is no digit {digit} in {evaluation.dataset}."
        )
        return
    row = int(rows[0])
    label = int(evaluation.labels[row])
    (answer,) = answers_from(evaluation.logits[[row]])
    disputed = int(evaluation.ids[row]) in disputed_ids(evaluation.dataset)
    st.markdown(
        f"**Digit {evaluation.ids[row]}** of {evaluation.dataset}, answered by {plain(classifier.checkpoint.name)}"
        + (" :orange-badge[disputed digit]" if disputed else "")
    )
    evaluated_panel(
        answer,
        checkpoint=classifier.checkpoint.name,
        label=label,
        image=None if pictures is None else pictures.images[row],
    )
    if pictures is not None:
        if st.button("Open on the canvas", icon=":material/draw:", key="to-canvas"):
            put_on_canvas(pictures.images[row])
            st.session_state["source"] = "Draw"
            st.switch_page("pages/draw.py", query_params={})
        _other_checkpoints(classifier, pictures, row)
        itself = (pictures.name, int(pictures.ids[row]))
        similar_row(classifier, pictures.images[row], count=_MOST_SIMILAR, exclude=itself)
    with error_box():
        _annotate(evaluation.dataset, int(evaluation.ids[row]))


def _other_checkpoints(classifier: DigitClassifier, pictures: DigitSet, row: int) -> None:
    names = checkpoint_library().usable_names()
    others = [name for name in names if name != classifier.checkpoint.name][:_MOST_CHECKPOINTS]
    if not others:
        return
    votes = collect_votes(map(named_classifier, others), pictures.images[row])
    lines = [f"{plain(vote.checkpoint)}: **{vote.digit}**, {percent(vote.confidence)} sure" for vote in votes]
    st.caption("Answers of other models")
    st.markdown("  \n".join(lines))


def _annotate(dataset: str, digit: int) -> None:
    """Star and note; saved at once, for everybody."""
    store = annotations()
    known = store.load(dataset).get(digit, Annotation())
    starred = st.toggle("Star", known.starred, key=f"star-{dataset}-{digit}")
    note = st.text_area("Note", known.note, key=f"note-{dataset}-{digit}", max_chars=2000, height=68)
    if Annotation(starred, note) != known:
        store.save(dataset, digit, Annotation(starred, note))
