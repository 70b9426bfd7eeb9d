"""The visitor's notebook on the page Handwriting, and as a set of digits on every page; without a browser."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import event
from sqlalchemy.engine import Engine
from streamlit.testing.v1 import AppTest

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.data.exported_digits import export_handwriting
from digitcore.store.handwriting import Handwriting, HandwrittenDigit, new_key
from pages.shared.notebook import NOTEBOOK
from pages.shared.resources import handwriting_store
from pages.shared.state import DIGIT
from tests.pages.conftest import PAGES, Visit, is_fine, texts, tiles

Keep = Callable[..., str]


@pytest.fixture
def keep(visit: Visit, validation_digits: DigitSet) -> Keep:
    """A function that keeps so many digits of two writers in a new notebook, and returns its key."""

    def kept(count: int = 20, *, labels: NDArray[np.int64] | None = None) -> str:
        key = new_key()
        rows = np.arange(0, 5_000, 5_000 // count)[:count]
        digits = [
            HandwrittenDigit(
                picture=validation_digits.images[row],
                label=int(validation_digits.labels[row]),
                source="guided" if i % 2 else "draw",
                writer="Ann" if i % 4 < 2 else "",
                session=str(i % 3),
            )
            for i, row in enumerate(rows)
        ]
        handwriting_store().add(key, digits)
        return key

    return kept


def written(key: str) -> Handwriting:
    return handwriting_store().load(key)


def visit_digits(visit: Visit, key: str, **parameters: str) -> AppTest:
    app = visit("handwriting", view="Digits", notebook=key, **parameters)
    assert is_fine(app)
    return app


def test_an_empty_notebook_says_how_to_begin(visit: Visit) -> None:
    app = visit("handwriting", view="Digits")
    assert is_fine(app)
    assert "Nothing is kept yet. Write some" in texts(app)
    assert NOTEBOOK not in app.session_state


def test_the_picked_model_and_all_others_are_judged_with_intervals(visit: Visit, keep: Keep) -> None:
    app = visit_digits(visit, keep(), checkpoint="compact")
    assert "**compact** reads **20 of 20** right: 100.0% (95% interval" in texts(app)
    table = app.dataframe[0].value
    assert set(table["model"]) >= {"compact", "world", "mlp"}
    assert table["95% interval"].str.contains(" to ").all()


def test_each_writer_is_judged_by_name(visit: Visit, keep: Keep) -> None:
    """Of the digits without a name each sitting is somebody else's."""
    key = keep()
    handwriting_store().correct(key, written(key).ids[:2].tolist(), 7)
    app = visit_digits(visit, key, checkpoint="compact")
    _, table = [frame.value for frame in app.dataframe]
    assert table["digits"].sum() == 20
    assert table["writer"].tolist() == ["Ann", "no name", "no name", "no name"]
    assert table["digits"].iloc[0] == 10
    assert table["right"].iloc[0] == "80%"
    assert table["most often wrong"].iloc[0].startswith("7 read as 0")
    assert set(table["most often wrong"].iloc[1:]) == {""}


def test_what_others_write_into_the_notebook_is_shown(visit: Visit, keep: Keep) -> None:
    key = keep()
    app = visit_digits(visit, key)
    (more,) = handwriting_store().read(key, written(key).ids[:1].tolist())
    handwriting_store().add(key, [more.digit])
    app.run()
    assert len(tiles(app)) == 21


def test_the_filters_leave_what_they_name(visit: Visit, keep: Keep) -> None:
    key = keep()
    app = visit_digits(visit, key)
    kept = written(key)
    for name, value, expected in (
        ("hand-writer", "Ann", np.array(kept.writers) == "Ann"),
        ("hand-writer", "", np.array(kept.writers) == ""),
        ("hand-source", "draw", np.array(kept.sources) == "draw"),
        ("hand-digit", "3", kept.labels == 3),
        ("hand-read", "wrong", np.zeros(20, dtype=bool)),
    ):
        app.selectbox(key=name).select(value).run()
        assert is_fine(app)
        assert [tile["id"] for tile in tiles(app)] == kept.ids[expected].tolist()
        app.selectbox(key=name).select("any").run()
    assert len(tiles(app)) == 20


def test_a_digit_is_corrected_deleted_and_brought_back(visit: Visit, keep: Keep) -> None:
    key = keep()
    app = visit_digits(visit, key)
    before = written(key)
    picked, label = int(before.ids[4]), int(before.labels[4])
    app.session_state[DIGIT] = picked
    app.run()
    assert app.pills(key="hand-label").value == label
    app.pills(key="hand-label").set_value((label + 1) % 10).run()
    assert is_fine(app)
    assert written(key).labels[4] == (label + 1) % 10
    app.button(key="undo-change").click().run()
    assert np.array_equal(written(key).labels, before.labels)
    app.button(key="delete-digit").click().run()
    assert picked not in written(key).ids
    assert "1 digit deleted." in texts(app)
    app.button(key="undo-change").click().run()
    assert np.array_equal(written(key).ids, before.ids)


def test_all_are_deleted_and_brought_back(visit: Visit, keep: Keep) -> None:
    key, other = keep(), keep()
    app = visit_digits(visit, key)
    app.button(key="delete-all").click().run()
    assert len(written(key)) == 0
    assert len(written(other)) == 20
    assert "Nothing is kept yet" in texts(app)
    app.button(key="undo-change").click().run()
    assert len(written(key)) == 20


def test_what_was_deleted_from_one_notebook_does_not_come_back_into_another(visit: Visit, keep: Keep) -> None:
    first, second = keep(), keep()
    app = visit("handwriting", view="Digits", notebook=first, checkpoint="compact")
    app.button(key="delete-all").click().run()
    app.query_params["notebook"] = second
    app.run()
    assert is_fine(app)
    assert not [button for button in app.button if button.key == "undo-change"]


@pytest.mark.parametrize("file_format", ["png", "idx", "npz"])
def test_what_is_exported_is_imported_elsewhere_with_its_writers(
    visit: Visit, keep: Keep, tmp_path: Path, file_format: str
) -> None:
    here = written(keep())
    output = tmp_path / "out"
    export_handwriting(here, output, file_format=file_format)  # type: ignore[arg-type]
    if output.is_dir():
        with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
            for file in output.iterdir():
                archive.write(file, file.name)
        output = tmp_path / "files.zip"
    name = "a.npz" if file_format == "npz" else "a.zip"
    there = visit("handwriting", view="Digits")
    for words in ("20 digits added.", "0 digits added. 20 were here already."):
        there.file_uploader(key="import-files").set_value([(name, output.read_bytes(), "application/zip")]).run()
        there.button(key="add-imported").click().run()
        assert is_fine(there)
        assert words in texts(there)
    copied = written(there.session_state[NOTEBOOK])
    assert np.array_equal(copied.images, here.images)
    assert np.array_equal(copied.labels, here.labels)
    assert (copied.writers, copied.sessions) == (here.writers, here.sessions)
    assert set(copied.sources) == {"import"}


def test_a_file_that_cannot_be_read_says_so(visit: Visit) -> None:
    app = visit("handwriting", view="Digits")
    app.file_uploader(key="import-files").set_value([("a.zip", b"PK nonsense", "application/zip")]).run()
    app.button(key="add-imported").click().run()
    assert not app.exception
    assert "a.zip is not a zip file" in app.error[0].value


@pytest.mark.parametrize("name", PAGES)
def test_the_notebook_is_a_set_of_digits_on_every_page(visit: Visit, keep: Keep, name: str) -> None:
    key = keep()
    keep()
    app = visit(name, dataset="handwriting", notebook=key, checkpoint="compact")
    assert is_fine(app)
    assert app.sidebar.selectbox(key="dataset").value == "handwriting"
    assert "20 digits that you have kept" in texts(app)
    assert key not in texts(app)
    assert app.query_params["dataset"] == "handwriting"
    assert "notebook" not in app.query_params


def test_figures_follow_the_notebook_and_nobody_else_sees_it(visit: Visit, keep: Keep) -> None:
    key = keep()
    app = visit("accuracy", dataset="handwriting", notebook=key, checkpoint="compact")
    assert "of 20 digits" in texts(app)
    handwriting_store().delete(key, written(key).ids[:5].tolist())
    assert "of 15 digits" in texts(app.run())
    stranger = visit("accuracy", dataset="handwriting", checkpoint="compact")
    assert not stranger.exception
    assert [error.value for error in stranger.error] == [
        "Nothing has been written yet: write digits on the page Handwriting."
    ]
    assert "of 15 digits" not in texts(visit("accuracy", dataset=f"handwriting:{key}", notebook="Ann"))


@pytest.mark.parametrize("name", ["", "accuracy", "handwriting"])
def test_without_the_database_the_rest_of_the_page_goes_on(
    visit: Visit, keep: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    app = visit(name, dataset="handwriting", notebook=keep(), checkpoint="compact")
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path}")
    app.run()
    assert not app.exception
    assert [title.value for title in app.title] == [PAGES[name]]
    assert {error.value for error in app.error} <= {
        "Handwriting cannot be read or stored at the moment. The log of this server says why."
    }
    assert str(tmp_path) not in texts(app)


def test_ten_thousand_digits_are_read_from_the_database_once(visit: Visit, keep: Keep) -> None:
    """However often the page runs: a run asks for the state of the notebook, and for no digit again."""
    key = keep(5_000)
    store = handwriting_store()
    loaded = store.load(key)
    store.add(key, [
        HandwrittenDigit(picture=255 - image, label=int(label), source="import")
        for image, label in zip(loaded.images, loaded.labels, strict=True)
    ])  # fmt: skip
    app = visit_digits(visit, key, checkpoint="mlp")
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.extend([statement] if statement.startswith("SELECT") else [])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        app.selectbox(key="hand-digit").select("3").run()
        app.run()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert is_fine(app)
    assert len(tiles(app)) == 500
    assert len(statements) <= 20
    assert not [statement for statement in statements if "FROM handwriting" in statement]


def test_handwriting_is_evaluated_in_python_too(keep: Keep) -> None:
    key = keep()
    keep()
    digits = digitcore.load_digits(f"handwriting:{key}")
    assert np.array_equal(digits.ids, written(key).ids)
    assert digits.writers is not None
    assert digitcore.evaluate(digitcore.load_classifier("compact"), digits).errors == 0
    everything = digitcore.load_digits("handwriting")
    assert len(everything) == 40
    assert everything.name == "handwriting"
