"""A class: started by a teacher, joined by others, and shown on one board."""

from urllib.parse import urlencode

import segno
import streamlit as st

from digitcore.errors import HandwritingError
from digitcore.store.classes import GROUPS, LONGEST_NAME, Board
from digitcore.text import plain
from digitcore.training.fine_tuning_jobs import remove_job
from pages.parts.handwriting.address import page_address
from pages.parts.handwriting.board import MEMBERS_LOOK, TEACHERS_LOOK, follow_board
from pages.parts.handwriting.lesson import forget_lesson, lesson_view
from pages.parts.handwriting.membership import CODE, decline, invitation, join, leave, member_key
from pages.parts.handwriting.readers import readers_view
from pages.parts.handwriting.swap import export_tool
from pages.shared.error_box import show_error
from pages.shared.keeping import may_keep
from pages.shared.notebook import change_notebook, notebook, notebook_before
from pages.shared.resources import class_store, handwriting_store
from pages.shared.templates import show_template

_CODE, _NAME, _PROBLEM = "class-code-field", "class-name-field", "class-problem"
_BOARD, _READERS, _LESSON = "Board", "Who is read best", "Train and test"
_OPEN, _GROUP_A = "class-open", "class-group-a"


def class_view() -> None:
    """Joining, teaching or watching, or the choice between starting and joining."""
    key, member = notebook(), member_key()
    if not may_keep():
        st.info("This server keeps no handwriting.", icon=":material/edit_off:")
    elif invitation() is not None:
        _join_form()
    elif key is not None and class_store().is_class(key):
        _teach(key)
    elif member is not None:
        _watch(member)
    else:
        _begin()


def _begin() -> None:
    st.markdown("Write together: a class shares one board. Phones join without an account.")
    st.button("Start a class", icon=":material/groups:", key="start-class", type="primary", on_click=_start)
    st.markdown("Or join one:")
    _join_form()


def _start() -> None:
    try:
        change_notebook(class_store().start())
    except HandwritingError as error:
        st.session_state[_PROBLEM] = error


def _join_form() -> None:
    invited = invitation()
    with st.form("join-class", border=False), st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if invited is None:
            st.text_input("Code", key=_CODE, max_chars=20, width=140)
        st.text_input("Name, any you like", key=_NAME, max_chars=LONGEST_NAME, width=240)
        st.form_submit_button("Join", icon=":material/login:", key="join-button", type="primary", on_click=_join)
    st.caption("It need not be your real name. The class sees it, and what you write.")
    if invited is not None:
        st.button("Not now", key="decline-class", type="tertiary", on_click=decline)
    if _PROBLEM in st.session_state:
        show_error(st.session_state.pop(_PROBLEM))


def _join() -> None:
    try:
        join(invitation() or st.session_state.get(_CODE, ""), st.session_state[_NAME])
    except HandwritingError as error:
        st.session_state[_PROBLEM] = error
        decline()


def _watch(key: str) -> None:
    _membership(key)
    follow_board(key, every=MEMBERS_LOOK)


def _membership(key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"You are **{plain(class_store().member(key).name)}**. Go on under Write.", width="content")
        with st.popover("Leave", icon=":material/logout:"):
            st.caption("What you have written stays. You cannot come back to it.")
            st.button("Leave the class", key="leave-class", on_click=leave)


def _teach(key: str) -> None:
    view = st.segmented_control(
        "Show", [_BOARD, _READERS, _LESSON], default=_BOARD, required=True, key="class-show",
        label_visibility="collapsed",
    )  # fmt: skip
    if view == _READERS:
        readers_view()
    elif view == _LESSON:
        lesson_view(key)
    else:
        _lead(key)


def _lead(key: str) -> None:
    """The invitation, the board, and what only the teacher can do."""
    board = class_store().board(key)
    _invite(board)
    follow_board(key, every=TEACHERS_LOOK, known=board)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.session_state[_OPEN] = board.is_open
        st.toggle("Others may join", key=_OPEN, on_change=_open_or_close, args=(key,))
        if board.digits:
            export_tool(handwriting_store().load(key))
        _end_tool(key)
    _groups(key, board)
    member = member_key()
    if member is not None:  # who teaches may write, too
        _membership(member)
    st.caption("Under Digits you see, correct and delete each digit. Only this browser can, or who has its link.")


def _invite(board: Board) -> None:
    if not board.is_open:
        st.info("Nobody else can join.", icon=":material/lock:")
        return
    place = page_address()
    link = f"{place.address}?{urlencode({CODE: board.code})}"
    picture = segno.make(link, error="l", micro=False).svg_data_uri(border=4, light="white", omitsize=True)
    address, code = place.address.partition("://")[2], f"{board.code[:3]} {board.code[3:]}"
    show_template("class_invitation.html", picture=picture, address=address, code=code)
    if not place.is_reachable:
        st.warning(
            "Only this computer reaches this address. For phones start the server with "
            "`digitcore dashboard --address 0.0.0.0`.",
            icon=":material/wifi_off:",
        )


def _open_or_close(key: str) -> None:
    class_store().allow_joining(key, st.session_state[_OPEN])


def _groups(key: str, board: Board) -> None:
    names = [member.name for member in board.members]
    with st.expander("Groups", icon=":material/call_split:"):
        st.caption(f"Two groups, {GROUPS[0]} and {GROUPS[1]}, test each other's models.")
        st.button("Split evenly", key="split-class", disabled=not names, on_click=_split, args=(key, names[::2]))
        if any(member.group for member in board.members):
            st.session_state[_GROUP_A] = [member.name for member in board.members if member.group == GROUPS[0]]
            st.multiselect("Group A; all others are B", names, key=_GROUP_A, on_change=_regroup, args=(key,))


def _split(key: str, names: list[str]) -> None:
    class_store().set_group_a(key, names)


def _regroup(key: str) -> None:
    class_store().set_group_a(key, st.session_state[_GROUP_A])


def _end_tool(key: str) -> None:
    with st.popover("End the class", icon=":material/delete_forever:"):
        st.caption("All digits, names and keys of the class are deleted. Export first what you want to keep.")
        st.button("Delete everything", icon=":material/delete_forever:", key="end-class", on_click=_end, args=(key,))


def _end(key: str) -> None:
    class_store().end(key)
    remove_job(key)
    forget_lesson(key)
    before = notebook_before()
    if before is not None:
        change_notebook(before)
