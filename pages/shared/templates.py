"""HTML from the templates of `pages/templates`, which escape every value, and the styles of `pages/styles`."""

from pathlib import Path

import streamlit as st
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pages.shared.words import percent

_PAGES = Path(__file__).parents[1]
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_PAGES / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters["percent"] = percent


def render(template: str, **values: object) -> str:
    """The text of a template with these values; their markup is escaped."""
    return _ENVIRONMENT.get_template(template).render(values)


def show_template(template: str, **values: object) -> None:
    """Shows a template on the page."""
    st.html(render(template, **values))


def load_styles() -> None:
    """Sends the styles of all templates, once for each run of a page."""
    sheets = sorted((_PAGES / "styles").glob("*.css"))
    st.html("<style>" + "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets) + "</style>")
