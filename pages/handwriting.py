"""Your own handwriting: the digits that you have written, and how well they are read."""

import streamlit as st

from pages.parts.handwriting.classroom import class_view
from pages.parts.handwriting.fix import fix_view
from pages.parts.handwriting.membership import CLASS, WRITE, open_class
from pages.parts.handwriting.mine import digits_view
from pages.parts.handwriting.paper import paper_view
from pages.parts.handwriting.write import write_view
from pages.shared.error_box import error_box
from pages.shared.state import VIEW

_VIEWS = {
    WRITE: write_view,
    "On paper": paper_view,
    "Digits": digits_view,
    "Fix a model": fix_view,
    CLASS: class_view,
}

st.title("Handwriting", anchor=False)
open_class()
view = st.segmented_control(
    "View", list(_VIEWS), default=WRITE, required=True, key=VIEW, bind="query-params",
    label_visibility="collapsed",
)  # fmt: skip
with error_box():
    _VIEWS[view]()
