"""The board of a class: who has written how many, and a wall of digits as they come."""

from dataclasses import dataclass

import streamlit as st

from digitcore.errors import ClassError
from digitcore.imaging.png import digit_sheet
from digitcore.store.classes import Board
from pages.parts.handwriting.membership import member_key
from pages.shared.error_box import error_box
from pages.shared.resources import class_store
from pages.shared.templates import show_template

TEACHERS_LOOK, MEMBERS_LOOK = 0.3, 2.0
"""Seconds between two looks whether there is anything new."""
_COLUMNS = 12


@dataclass(frozen=True, eq=False)
class ShownBoard:
    """A board, and its wall as a picture."""

    board: Board
    sheet: str


def shown_board(key: str) -> ShownBoard:
    """The board as it is now, by the key of the notebook or of a member; read once for all who look at it.

    Raises:
        ClassError: the class is over.
        HandwritingError: the database cannot be read.
    """
    return _board(class_store().board_version(key), key)


def follow_board(key: str, *, every: float, known: Board | None = None) -> None:
    """Shows the board of a class, and looks so often (in seconds) whether there is anything new.

    key: of the notebook, or of a member. known: what the rest of the page shows: it runs again when others have joined.
    """
    st.fragment(_show_board, run_every=every)(key, known)


def _show_board(key: str, known: Board | None) -> None:
    with error_box():
        try:
            _show(key, known)
        except ClassError:
            st.rerun()  # the page says that the class is over


def _show(key: str, known: Board | None) -> None:
    shown = shown_board(key)
    board = shown.board
    if known is not None and _outline(board) != _outline(known):
        st.rerun()
    own = class_store().member(key).name if key == member_key() else ""
    words = "The last digits, the newest first: " + ", ".join(map(str, board.labels))
    show_template("class_board.html", board=board, own=own, sheet=shown.sheet, words=words)


def _outline(board: Board) -> tuple[bool, bool, list[tuple[str, str]]]:
    """Whether others may join, whether there are digits, and who is in which group."""
    return board.is_open, board.digits > 0, [(member.name, member.group) for member in board.members]


@st.cache_resource(max_entries=32, show_spinner=False)
def _board(version: str, _key: str) -> ShownBoard:
    board = class_store().board(_key)
    return ShownBoard(board, digit_sheet(board.images, columns=_COLUMNS) if board.labels else "")
