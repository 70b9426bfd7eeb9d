"""The name of the dashboard, its icon and its logo. They are drawn here: Streamlit would fetch its own elsewhere."""

import streamlit as st

from pages.shared.templates import render

NAME = "Digit workbench"
_INK = {"light": "#31333f", "dark": "#fafafa"}  # as the text of the sidebar


def icon() -> str:
    """A 4 on a blue square, as SVG."""
    return render("logo.svg", name="", ink="", width=32)


def show_logo() -> None:
    """Puts the icon and the name at the head of the sidebar; where that is closed, the icon stands alone."""
    ink = _INK.get(st.context.theme.type or "light", _INK["light"])
    st.logo(render("logo.svg", name=NAME, ink=ink, width=212), size="large", icon_image=icon())
