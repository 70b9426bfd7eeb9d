"""What a visitor says of an answer on the page Draw, and what is kept of it; without a browser."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

import digitcore
from digitcore.imaging.canvas_json import digit_object
from digitcore.imaging.stroke_links import decode_drawing
from digitcore.store.handwriting import StoredDigit, new_key
from pages.parts.draw.examples import EXAMPLES
from pages.shared.drawing import SIDE, Drawing
from pages.shared.notebook import NOTEBOOK
from pages.shared.resources import handwriting_store
from tests.pages.conftest import Visit, is_fine, texts

SLOPPY = EXAMPLES["a sloppy 4"]


def kept(app: AppTest) -> list[StoredDigit]:
    """What is in the visitor's notebook, and in no other."""
    store = handwriting_store()
    everything = store.load(None)
    assert set(everything.notebooks) <= {app.session_state[NOTEBOOK]}
    return store.read(app.session_state[NOTEBOOK], everything.ids.tolist())


def say(app: AppTest, choice: str | None) -> None:
    app.pills(key="true-digit").set_value(choice).run()
    assert is_fine(app)


def test_nothing_is_kept_before_the_visitor_asks(visit: Visit) -> None:
    app = visit(drawing=SLOPPY)
    assert app.pills(key="true-digit").value is None
    assert NOTEBOOK not in app.session_state
    assert len(handwriting_store().load(None)) == 0


def test_an_answer_that_is_right_is_kept_with_all_that_is_known(visit: Visit) -> None:
    app = visit(drawing=SLOPPY, checkpoint="compact")
    say(app, "right")
    (stored,) = kept(app)
    digit, reading = stored.digit, app.session_state["reading"]
    assert digit.label == digit.answer == reading.prediction.digit
    assert np.array_equal(digit.picture, reading.prediction.model_input)
    assert digit.checkpoint == digitcore.load_classifier("compact").checkpoint.digest
    assert len(decode_drawing(digit.strokes or "", side=SIDE)) == len(decode_drawing(SLOPPY, side=SIDE))
    assert (digit.source, digit.writer) == ("draw", "")
    assert max(Image.open(io.BytesIO(digit.ink or b"")).size) <= 200
    assert app.pills(key="true-digit").value == "right"


def test_a_wrong_answer_is_kept_as_what_it_should_have_been_corrected_and_taken_back(visit: Visit) -> None:
    app = visit(drawing=SLOPPY)
    answer = app.session_state["reading"].prediction.digit
    say(app, str((answer + 1) % 10))
    (first,) = kept(app)
    assert (first.digit.label, first.digit.answer) == ((answer + 1) % 10, answer)
    assert "in your notebook on this server: the drawing, the answer and the time" in texts(app)
    say(app, "7")
    (second,) = kept(app)
    assert (second.id, second.digit.label) == (first.id, 7)
    assert "Kept as 7." in texts(app)
    say(app, None)
    assert kept(app) == []
    assert "Kept as" not in texts(app)


def test_another_drawing_is_another_digit_of_the_same_sitting(visit: Visit) -> None:
    app = visit(drawing=SLOPPY)
    app.session_state["writer-name"] = "Ann"
    say(app, "4")
    app.query_params["drawing"] = EXAMPLES["a letter"]
    app.run()
    assert app.pills(key="true-digit").value is None
    say(app, "5")
    one, two = kept(app)
    assert (one.digit.label, two.digit.label) == (4, 5)
    assert one.digit.session == two.digit.session != ""
    assert one.digit.writer == two.digit.writer == "Ann"


def test_the_notebook_of_an_address_is_taken_and_leaves_the_address(visit: Visit) -> None:
    key = new_key()
    app = visit(drawing=SLOPPY, notebook=key)
    assert "notebook" not in app.query_params
    say(app, "4")
    assert app.session_state[NOTEBOOK] == key
    assert len(kept(app)) == 1
    assert NOTEBOOK not in visit(notebook="guessed").session_state


def test_a_picture_is_kept_without_strokes(
    visit: Visit, draw: Callable[..., NDArray[np.uint8]], encode: Callable[..., bytes]
) -> None:
    app = visit()
    app.segmented_control(key="source").set_value("Upload").run()
    app.file_uploader(key="upload").set_value(("picture.png", encode(255 - draw(6)), "image/png")).run()
    say(app, "6")
    (stored,) = kept(app)
    assert (stored.digit.label, stored.digit.strokes) == (6, None)


def test_a_number_is_kept_digit_by_digit_corrected_and_taken_back(visit: Visit) -> None:
    app = visit(drawing=EXAMPLES["1987"])
    answers = [digit.prediction.digit for digit in app.session_state["reading"].number.digits]
    say(app, "right")
    first = kept(app)
    assert [stored.digit.label for stored in first] == [stored.digit.answer for stored in first] == answers
    assert len({stored.digit.picture.tobytes() for stored in first}) == 4
    app.text_input(key="true-number").set_value("1 9 8 4").run()
    assert is_fine(app)
    assert [(stored.id, stored.digit.label) for stored in kept(app)] == [
        (stored.id, label) for stored, label in zip(first, [1, 9, 8, 4], strict=True)
    ]
    assert "Kept as 1984." in texts(app)
    assert app.pills(key="true-digit").value is None
    app.text_input(key="true-number").set_value("").run()
    assert kept(app) == []


@pytest.mark.parametrize("text", ["198", "19876", "198x", "²⁴⁶⁸"])
def test_another_number_of_digits_than_was_found_is_not_kept(visit: Visit, text: str) -> None:
    app = visit(drawing=EXAMPLES["1987"])
    app.text_input(key="true-number").set_value(text).run()
    assert "4 digits were found: type as many" in app.error[0].value
    assert NOTEBOOK not in app.session_state
    assert len(handwriting_store().load(None)) == 0


def test_what_the_visitor_has_not_written_cannot_be_kept(visit: Visit) -> None:
    """Nothing at all, and a digit from the samples."""
    app = visit()
    assert app.pills(key="true-digit").disabled
    drawing = Drawing()
    drawing.replace_by([digit_object(digitcore.load_digits("mnist-validation").images[0], side=SIDE)])
    app.session_state["drawing"] = drawing
    assert app.run().pills(key="true-digit").disabled


def test_a_server_may_collect_nothing(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_COLLECTING", "off")
    app = visit(drawing=SLOPPY)
    assert is_fine(app)
    assert not [one for one in app.pills if one.key == "true-digit"]


def test_a_database_that_fails_is_said_without_its_address(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit(drawing=SLOPPY)
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path}")
    app.pills(key="true-digit").set_value("4").run()
    assert not app.exception
    assert [error.value for error in app.error] == [
        "Handwriting cannot be read or stored at the moment. The log of this server says why."
    ]
    assert app.pills(key="true-digit").value is None


def test_a_full_notebook_says_so(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_MAX_NOTEBOOK_DIGITS", "1")
    app = visit(drawing=SLOPPY)
    say(app, "4")
    app.query_params["drawing"] = EXAMPLES["a letter"]
    app.run()
    app.pills(key="true-digit").set_value("5").run()
    assert [error.value for error in app.error] == ["A notebook holds at most 1 digits: delete some first."]
    assert len(kept(app)) == 1
