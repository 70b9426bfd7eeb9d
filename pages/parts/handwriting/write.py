"""Guided collecting: one digit is asked for after the other, and what was written stands below."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.errors import HandwritingError, ImageError
from digitcore.imaging.png import digit_sheet
from digitcore.imaging.preprocessing import preprocess_ink
from digitcore.imaging.segmentation import PictureInk
from digitcore.imaging.stroke_links import encode_drawing
from digitcore.imaging.strokes import InkStroke, Stroke, relative_length, render_strokes
from digitcore.models.refusal import refuse_ink
from digitcore.store.guided import PER_DIGIT, remaining_prompts, rounds_written
from digitcore.store.handwriting import LONGEST_WRITER, Handwriting
from digitcore.text import plain
from pages.parts.handwriting.board import MEMBERS_LOOK, follow_board
from pages.parts.handwriting.desk import current_desk
from pages.parts.handwriting.membership import member_key
from pages.parts.handwriting.pad import SIDE, PadState, pad, pad_events
from pages.shared.error_box import show_error
from pages.shared.keeping import WRITER, handwritten_digit, may_keep, writer
from pages.shared.notebook import notebook, remember_notebook
from pages.shared.resources import class_store, handwriting_store
from pages.shared.templates import show_template

_FIELD, _STARTED, _AGAIN = "writer-field", "writing-started", "write-again"
_DONE, _WRITTEN, _PROBLEM, _ERROR = "pad-done", "pad-written", "pad-problem", "pad-error"
_BRUSH = 24  # pixels of the pad
_LONGEST = 7  # of all strokes, in longer sides: of 4,996 digits of the pen writers 1 to 20 none is over 4.8
_TOTAL = 10 * PER_DIGIT
_MOST_PROMPTS = 20  # that the pad knows ahead


def write_view() -> None:
    """Asks for a name, then for one digit after the other."""
    if not may_keep():
        st.info("This server keeps no handwriting.", icon=":material/edit_off:")
        return
    member = member_key()
    if member:
        st.markdown(f"You write as **{plain(class_store().member(member).name)}** for your class.")
        _collect()
        follow_board(member, every=MEMBERS_LOOK)
    elif st.session_state.get(_STARTED):
        _collect()
    else:
        _start()


def _start() -> None:
    key = notebook()
    if _FIELD not in st.session_state:
        st.session_state[_FIELD] = writer() or (handwriting_store().latest_writer(key) if key else "")
    st.markdown(f"Write {_TOTAL} digits, ten of each, as you always do. It takes about four minutes.")
    st.caption("They are kept in your notebook on this server, which only you can open. Stop and go on as you like.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input("Name (any, or none)", key=_FIELD, max_chars=LONGEST_WRITER, width=240)
        st.button("Start", icon=":material/edit:", key="start-writing", on_click=_begin)


def _begin() -> None:
    name = "".join(character for character in st.session_state[_FIELD] if character.isprintable()).strip()
    st.session_state.update({WRITER: name, _STARTED: True, _PROBLEM: ""})


def _stop() -> None:
    st.session_state[_STARTED] = False


@st.fragment
def _collect() -> None:
    """A fragment, so that a digit reruns this and nothing else."""
    _take()
    desk = current_desk()
    counts = desk.counts()
    finished = rounds_written(counts)
    is_complete = finished > 0 and counts == [finished * PER_DIGIT] * 10 and not st.session_state.get(_AGAIN)
    if is_complete:
        finished -= 1
        st.success(f"All {_TOTAL} digits are written.", icon=":material/check_circle:")
        st.button(f"Write {_TOTAL} more", icon=":material/edit:", key="write-more", on_click=_go_on)
    if _ERROR in st.session_state:
        show_error(st.session_state.pop(_ERROR))
    with st.container(horizontal=True, gap="medium", key="write-area"):
        if not is_complete:
            pad(_pad_state(remaining_prompts(desk.seed, counts, finished=finished)))
        _sheet(desk.digits(), finished)
    if desk.may_stop:
        st.button("Stop", icon=":material/pause:", key="stop-writing", on_click=_stop)
    remember_notebook("write-notebook")


def _go_on() -> None:
    st.session_state[_AGAIN] = True


def _pad_state(prompts: list[int]) -> PadState:
    return PadState(
        prompts=prompts[:_MOST_PROMPTS],
        written=_TOTAL - len(prompts),
        total=_TOTAL,
        done=st.session_state.get(_DONE, 0),
        problem=st.session_state.get(_PROBLEM, ""),
    )


def _take() -> None:
    """Stores what was written on the pad; where the database fails, the pad sends it again."""
    for event in pad_events(after=st.session_state.get(_DONE, 0)):
        try:
            if event.strokes:
                _keep(event.label, event.strokes)
            else:
                _take_back()
        except HandwritingError as error:
            st.session_state[_ERROR] = error
            return
        st.session_state[_DONE] = event.number


def _keep(label: int, strokes: Sequence[Stroke]) -> None:
    ink = _ink(strokes)
    problem = st.session_state[_PROBLEM] = _problem(strokes, ink)
    if not problem:
        digit = handwritten_digit(preprocess_ink(ink), label, source="guided", strokes=_code(strokes))
        stored = current_desk().keep(digit)
        st.session_state.setdefault(_WRITTEN, []).append(stored)
        st.session_state[_AGAIN] = False


def _problem(strokes: Sequence[Stroke], ink: NDArray[np.uint8]) -> str:
    """Why this is plainly not one digit, whatever a checkpoint may read; empty where it may be one."""
    if relative_length(strokes) > _LONGEST:
        return "Not counted. Scribble: too many lines for a digit."
    refusal = refuse_ink(PictureInk(ink))
    return "" if refusal is None else f"Not counted. {refusal.headline}: {refusal.advice}."


def _take_back() -> None:
    """Deletes the last digit, whether of this visit or of one before."""
    st.session_state[_PROBLEM] = ""
    written: list[int] = st.session_state.setdefault(_WRITTEN, [])
    desk = current_desk()
    known = desk.digits().ids.tolist()
    desk.take_back([digit for digit in written if digit in known][-1:] or known[-1:])


def _ink(strokes: Sequence[Stroke]) -> NDArray[np.uint8]:
    """The ink of a drawing with a margin on all sides, even where the pen left the pad."""
    points = np.concatenate(strokes)
    least, extent = points.min(axis=0), np.ptp(points, axis=0)
    side = max(SIDE, int(extent.max()) + 4 * _BRUSH)
    return render_strokes([stroke - least + (side - extent) / 2 for stroke in strokes], side=side, brush=_BRUSH)


def _code(strokes: Sequence[Stroke]) -> str | None:
    try:
        return encode_drawing([InkStroke(stroke, _BRUSH) for stroke in strokes], side=SIDE)
    except ImageError:  # more than a link can carry
        return None


def _sheet(written: Handwriting, finished: int) -> None:
    """What was written in this round, a row for each digit, and room for what is missing."""
    grid = np.zeros((10, PER_DIGIT, 28, 28), dtype=np.uint8)
    for digit in range(10):
        row = written.images[written.labels == digit][finished * PER_DIGIT :][:PER_DIGIT]
        grid[digit, : len(row)] = row
    counts = [min(PER_DIGIT, max(0, int(np.sum(written.labels == d)) - finished * PER_DIGIT)) for d in range(10)]
    words = "What you have written: " + ", ".join(f"{count} of {digit}" for digit, count in enumerate(counts))
    show_template("written.html", sheet=digit_sheet(grid.reshape(-1, 28, 28), columns=PER_DIGIT), words=words)
