"""Which model is better, on which digits, and how certain that is."""

import streamlit as st

from pages.parts.compare.leaderboard import leaderboard_view
from pages.parts.compare.pair import pair_view
from pages.parts.compare.several import several_view
from pages.shared.error_box import error_box
from pages.shared.state import LEADERBOARD, PAIR, SEVERAL, VIEW

_VIEWS = {LEADERBOARD: leaderboard_view, PAIR: pair_view, SEVERAL: several_view}

st.title("Compare models", anchor=False)
view = st.segmented_control(
    "View", list(_VIEWS), default=LEADERBOARD, required=True, key=VIEW, bind="query-params",
    label_visibility="collapsed",
)  # fmt: skip
with error_box():
    _VIEWS[view]()
