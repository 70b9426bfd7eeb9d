"""Corrected labels on the pages, without a browser: in the sheet of a digit, in the sidebar, in figures."""

import pytest
from streamlit.testing.v1 import AppTest

from digitcore.data.datasets import known_digest
from digitcore.evaluation.evaluation import find_evaluation
from digitcore.models.library import load_checkpoint
from digitcore.settings import load_settings
from digitcore.store.corrections import CorrectionStore
from tests.pages.conftest import Visit, is_fine, texts, tiles

SET = "uci-digits"


@pytest.fixture(scope="module")
def wrong() -> tuple[int, int, int]:
    """Id, label and answer of a digit that compact gets wrong."""
    evaluation = find_evaluation(load_checkpoint("compact"), SET)
    assert evaluation is not None
    row = (evaluation.predictions != evaluation.labels).argmax()
    return int(evaluation.ids[row]), int(evaluation.labels[row]), int(evaluation.predictions[row])


@pytest.fixture(scope="module")
def errors() -> int:
    """Of compact, as recorded."""
    evaluation = find_evaluation(load_checkpoint("compact"), SET)
    assert evaluation is not None
    return evaluation.errors


def store() -> CorrectionStore:
    return CorrectionStore(load_settings().database_url)


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_a_label_is_corrected_and_figures_are_shown_with_and_without(
    visit: Visit, wrong: tuple[int, int, int], errors: int
) -> None:
    digit, label, answer = wrong
    app = visit("errors", dataset=SET, checkpoint="compact", digit=str(digit))
    assert is_fine(app)
    assert not app.toggle(key=f"star-{SET}-{digit}").value
    app.pills(key=f"should-be-{digit}").select(answer).run()
    app.text_input(key="corrected-by").input("Ada *L*")
    app = press(app, "Correct")
    assert is_fine(app)
    assert f"True digit corrected from **{label}** to **{answer}** by Ada \\*L\\*" in texts(app)
    assert digit in [tile["id"] for tile in tiles(app)]
    app.toggle(key="corrected").set_value(True).run()
    assert is_fine(app)
    assert digit not in [tile["id"] for tile in tiles(app)]
    assert "All figures are with 1 corrected label;" in texts(app)

    with_it = visit("accuracy", dataset=SET, checkpoint="compact", corrected="true")
    assert is_fine(with_it)
    assert f"of {SET} with 1 corrected label (95%" in texts(with_it)
    assert f"**{errors - 1} errors**" in texts(with_it)
    without = visit("accuracy", dataset=SET, checkpoint="compact")
    assert is_fine(without)
    assert f"**{errors} errors**" in texts(without)
    for page in (with_it, without):
        assert f"With 1 corrected label: {errors - 1} errors" in texts(page)
        assert f"As recorded: {errors} errors" in texts(page)
    compared = visit("compare", dataset=SET, view="A against B", a="mlp", b="compact", corrected="true")
    assert is_fine(compared)
    assert "All figures are with 1 corrected label;" in texts(compared)


def test_a_correction_is_undone(visit: Visit, wrong: tuple[int, int, int]) -> None:
    digit, label, answer = wrong
    visit("accuracy", dataset=SET)  # names the database
    store().correct(known_digest(SET), digit, old=label, new=answer)
    app = visit("errors", dataset=SET, checkpoint="compact", show="corrected", digit=str(digit))
    assert [tile["id"] for tile in tiles(app)] == [digit]
    app = press(app, "Undo")
    assert is_fine(app)
    assert store().load(known_digest(SET)) == {}
    assert not [toggle for toggle in app.toggle if toggle.key == "corrected"]


def test_who_comes_second_sees_what_the_first_has_said(visit: Visit, wrong: tuple[int, int, int]) -> None:
    digit, label, answer = wrong
    other = next(other for other in range(10) if other not in (label, answer))
    app = visit("errors", dataset=SET, checkpoint="compact", digit=str(digit))
    app.pills(key=f"should-be-{digit}").select(answer).run()
    store().correct(known_digest(SET), digit, old=label, new=other)
    app = press(app, "Correct")
    assert is_fine(app)
    assert f"True digit corrected from **{label}** to **{other}**" in texts(app)
    assert [correction.new for correction in store().load(known_digest(SET)).values()] == [other]
