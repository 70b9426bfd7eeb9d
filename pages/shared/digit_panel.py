"""One digit of a set in detail, in a sheet: star and note, the answers of all checkpoints, the most similar digits."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import streamlit as st
from streamlit.elements.lib.utils import LabelVisibility

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.errors import AnnotationConflictError
from digitcore.evaluation.evaluation import Evaluation
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import UsableCheckpoint
from digitcore.models.probabilities import answers_from
from digitcore.store.annotations import Annotation
from digitcore.text import plain
from pages.shared.answer import evaluated_panel, evaluated_panels
from pages.shared.background import wait_for
from pages.shared.corrections import correct_label
from pages.shared.drawing import put_on_canvas
from pages.shared.error_box import error_box
from pages.shared.resources import annotations, checkpoint_library
from pages.shared.similar import similar_row
from pages.shared.state import DIGIT, EXPLORE, SHEET, address_digit, picked_digit
from pages.shared.votes import votes_job
from pages.shared.words import percent

Reader: TypeAlias = tuple[DigitClassifier, Evaluation]
"""A network, and what it answers to each digit of the set."""

_MOST_CHECKPOINTS = 12
_MOST_SIMILAR = 5


@st.fragment(key=SHEET)
def digit_panel(readers: Sequence[Reader], pictures: DigitSet | None, ids: list[int], *, over: bool = False) -> None:
    """All about the picked digit, in a sheet beside its gallery; or how to pick one.

    readers: those whose answers stand side by side. ids: of the digits in the gallery, in their order.
    over: whether the sheet lies over the column to the left, rather than in its own.

    A fragment, so that walking through the gallery runs nothing else; what takes longest comes last.
    """
    address_digit()
    if picked_digit() is None:
        _id_field()
        st.caption("Pick a digit to see the answer, and why.")
        return
    place = st.container(key="digit-over" if over else "digit-beside")
    st.empty()  # at once in the place of the invitation, which would stand there until all is done
    with place, st.container(key="digit-sheet", gap="small"):
        evaluation = readers[0][1]
        _head(readers)
        _walk(ids)
        rows = np.flatnonzero(evaluation.ids == picked_digit())
        if len(rows) > 0:
            _sheet(readers, pictures, int(rows[0]))


def _head(readers: Sequence[Reader]) -> None:
    digit, evaluation = picked_digit(), readers[0][1]
    if digit in evaluation.ids:
        names = " and ".join(plain(reader.checkpoint.name) for reader, _ in readers)
        words = f"**Digit {digit}** of {evaluation.dataset}, answered by {names}"
        words += " :orange-badge[disputed digit]" if digit in disputed_ids(evaluation.dataset) else ""
    else:
        words = f"There is no digit {digit} in {evaluation.dataset}."
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="digit-head"):
        st.markdown(words, width="stretch")
        st.button("Close", icon=":material/close:", type="tertiary", shortcut="Escape", on_click=_show, args=(None,))


def _walk(ids: list[int]) -> None:
    """To the digit before or after the picked one, or to any by its id."""
    picked = picked_digit()
    here = ids.index(picked) if picked in ids else None
    last = here is not None and here == len(ids) - 1
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.button("Back", shortcut="Left", on_click=_step, args=(ids, here, -1), disabled=not here)
        st.button("Next", shortcut="Right", on_click=_step, args=(ids, here, 1), disabled=last or not ids)
        _id_field(label_visibility="collapsed")


def _id_field(*, label_visibility: LabelVisibility = "visible") -> None:
    st.number_input(
        "Digit", min_value=0, value=None, step=1, key=DIGIT, width=110, placeholder="its id",
        on_change=lambda: st.rerun(EXPLORE), label_visibility=label_visibility,
    )  # fmt: skip


def _step(ids: list[int], here: int | None, by: int) -> None:
    _show(ids[0] if here is None else ids[here + by])


def _show(digit: int | None) -> None:
    """Picks a digit, in the gallery too."""
    st.session_state[DIGIT] = digit
    st.rerun(EXPLORE)


def _sheet(readers: Sequence[Reader], pictures: DigitSet | None, row: int) -> None:
    classifier, evaluation = readers[0]
    with error_box():
        _annotate(evaluation.dataset, int(evaluation.ids[row]))
    with error_box():
        correct_label(evaluation, row)
    _answers(readers, pictures, row)
    if pictures is not None:
        if st.button("Open on the canvas", icon=":material/draw:", key="to-canvas"):
            put_on_canvas(pictures.images[row])
            st.session_state["source"] = "Draw"
            st.switch_page("pages/draw.py", query_params={})
        _other_checkpoints([reader.checkpoint.name for reader, _ in readers], pictures, row)
        itself = (pictures.name, int(pictures.ids[row]))
        if classifier.checkpoint.metadata.has_network:
            similar_row(classifier, pictures.images[row], count=_MOST_SIMILAR, exclude=itself)


def _answers(readers: Sequence[Reader], pictures: DigitSet | None, row: int) -> None:
    answers = [answers_from(evaluation.logits[[row]])[0] for _, evaluation in readers]
    checkpoints = [classifier.checkpoint.name for classifier, _ in readers]
    label, image = int(readers[0][1].labels[row]), None if pictures is None else pictures.images[row]
    if len(readers) == 1:
        evaluated_panel(answers[0], checkpoint=checkpoints[0], label=label, image=image)
    else:
        evaluated_panels(answers, checkpoints=checkpoints, label=label, image=image)
    silent = [evaluation.checkpoint for _, evaluation in readers if not evaluation.has_probabilities]
    if silent:
        st.caption(f":material/info: {plain(' and '.join(silent))} gives answers without probabilities.")


def _other_checkpoints(shown: Sequence[str], pictures: DigitSet, row: int) -> None:
    usable = [entry for entry in checkpoint_library().entries() if isinstance(entry, UsableCheckpoint)]
    others = [entry for entry in usable if entry.name not in shown and entry.metadata.has_network][:_MOST_CHECKPOINTS]
    if not others:
        return
    votes = wait_for("Asking the others ...", "votes", votes_job, others, pictures.images[row])
    lines = [f"{plain(vote.checkpoint)}: **{vote.digit}**, {percent(vote.confidence)} sure" for vote in votes]
    st.caption("Answers of other models")
    st.markdown("  \n".join(lines))


def _annotate(dataset: str, digit: int) -> None:
    """Star and note; saved at once, for everybody, unless somebody else has changed them since they were read here."""
    store, names = annotations(), _annotation_keys(dataset, digit)
    stored = store.load(dataset).get(digit, Annotation())
    if _is_unchanged(names):
        _show_stored(names, stored)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        starred = st.toggle("Star", key=names.star)
        note = st.text_area(
            "Note", key=names.note, max_chars=2000, height=68, label_visibility="collapsed", placeholder="Note"
        )
    st.caption("Everybody who uses this server sees stars and notes, and can change them.")
    mine, read = Annotation(starred, note), st.session_state[names.read]
    if mine == stored:
        st.session_state[names.read] = stored
    elif mine != read:
        try:
            st.session_state[names.read] = store.save(dataset, digit, mine, version=read.version)
        except AnnotationConflictError:
            _conflict(names, mine, store.load(dataset).get(digit, Annotation()))


class _AnnotationKeys(NamedTuple):
    """Where the session state has the star and the note of a digit, and what was read when they were shown."""

    star: str
    note: str
    read: str


def _annotation_keys(dataset: str, digit: int) -> _AnnotationKeys:
    return _AnnotationKeys(*(f"{name}-{dataset}-{digit}" for name in _AnnotationKeys._fields))


def _is_unchanged(names: _AnnotationKeys) -> bool:
    """Whether star and note are as they were read, or not shown yet."""
    state = st.session_state
    return names.note not in state or Annotation(state[names.star], state[names.note]) == state[names.read]


def _show_stored(names: _AnnotationKeys, stored: Annotation) -> None:
    st.session_state.update({names.star: stored.starred, names.note: stored.note, names.read: stored})


def _conflict(names: _AnnotationKeys, mine: Annotation, theirs: Annotation) -> None:
    """Both versions, and a choice of which to keep."""
    st.warning(
        f"Changed meanwhile.  \nYours: {_in_words(mine)}  \nTheirs: {_in_words(theirs)}", icon=":material/warning:"
    )
    with st.container(horizontal=True, gap="small"):
        st.button("Keep yours", on_click=lambda: st.session_state.update({names.read: theirs}))
        st.button("Keep theirs", on_click=_show_stored, args=(names, theirs))


def _in_words(annotation: Annotation) -> str:
    return f"{'starred' if annotation.starred else 'no star'}, {plain(annotation.note) or 'no note'}"
