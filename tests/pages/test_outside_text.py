"""Text from outside on pages without a browser: the Markdown that is sent shows each text as it is."""

import html
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from digitcore.settings import load_settings
from digitcore.store.annotations import Annotation, AnnotationStore
from tests.outside_text import FILE_NAMES, TEXTS
from tests.pages.conftest import Visit, texts

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
DATASET = "uci-digits"
NAME = "![x](q) <b>y $z$ :red[a]"


def shown(markdown: str) -> str:
    """What a reader sees of Markdown, on one line."""
    text = re.sub(r"<[^>]*>", "", MARKDOWN.render(markdown).replace("\N{WORD JOINER}", ""))
    return " ".join(html.unescape(text).split())


def missing(app: AppTest, expected: list[str]) -> list[str]:
    """The texts that a reader of the page does not see."""
    kinds = ("markdown", "caption", "warning", "error", "header")
    seen = " ".join(shown(element.value) for kind in kinds for element in app.get(kind))
    return [text for text in expected if " ".join(text.split()) not in seen]


def test_names_in_the_address(visit: Visit) -> None:
    app = visit("compare", view="Several", chosen=TEXTS, dataset=DATASET)
    assert missing(app, TEXTS) == []


def test_names_of_files_and_what_they_say_of_themselves(
    visit: Visit, weights_folder: Path, save_random: Callable[..., Path]
) -> None:
    provenance = {str(i): text for i, text in enumerate(TEXTS)}
    save_random(
        weights_folder / f"{NAME}.safetensors", trained_on=tuple(TEXTS), recipe={"name": NAME}, provenance=provenance
    )
    for name in FILE_NAMES:
        (weights_folder / f"{name}.pt").write_bytes(b"nonsense")
    app = visit("compare", dataset=DATASET, checkpoint=NAME)
    assert not app.exception
    assert missing(app, [f"{name}.pt:" for name in FILE_NAMES]) == []
    assert str(weights_folder) not in texts(app)
    app.button(key="about").click().run()
    assert missing(app, [*TEXTS, NAME]) == []


@pytest.mark.usefixtures("data_folder")
def test_notes_stand_in_their_field_alone(visit: Visit) -> None:
    with closing(AnnotationStore(load_settings().database_url)) as store:
        store.save("mnist-test", 3, Annotation(note=NAME))
    app = visit("errors", dataset="mnist-test", digit="3")
    assert app.text_area[0].value == NAME
    assert NAME not in texts(app)


@pytest.mark.parametrize("kind", [AttributeError, ValueError])
def test_of_what_nobody_expected_a_visitor_sees_no_details(kind: type[Exception]) -> None:
    def page(kind: type[Exception]) -> None:
        raise kind("a secret")

    app = AppTest.from_function(page, kwargs={"kind": kind}).run(timeout=60)
    (exception,) = app.exception
    assert "a secret" not in exception.message
    assert not exception.stack_trace
