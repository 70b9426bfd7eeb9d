"""A photographed sheet on the page Handwriting, without a browser."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from digitcore.data.datasets import load_digits
from digitcore.imaging.sheet import COLUMNS, box_label
from digitcore.store.handwriting import Handwriting
from pages.shared.notebook import NOTEBOOK
from pages.shared.resources import handwriting_store
from tests.filled_sheets import FilledSheet
from tests.pages.conftest import Visit, is_fine, texts, tiles


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    return app.file_uploader(key="paper-photograph-0").set_value((name, data, "image/jpeg")).run()


def correct(app: AppTest, place: int, label: int | str) -> None:
    """Picks a tile, as a click on it does, and says what it is."""
    app.session_state["paper-picked"] = place
    app.run()
    app.button_group(key=f"paper-label-{place}").set_value(label).run()
    assert is_fine(app)


def kept(app: AppTest) -> Handwriting:
    return handwriting_store().load(app.session_state[NOTEBOOK])


def test_a_sheet_is_looked_through_and_kept(visit: Visit, filled_sheet: FilledSheet, sheet_photograph: bytes) -> None:
    app = upload(visit("handwriting", view="On paper", checkpoint="world"), "sheet.jpg", sheet_photograph)
    assert is_fine(app)
    places = sorted(row * COLUMNS + column for row, column in filled_sheet.inks)
    labels = [box_label(*divmod(place, COLUMNS)) for place in places]
    assert [tile["id"] for tile in tiles(app)] == places
    assert f"**{len(places)}** digits" in texts(app)
    correct(app, places[0], 7)
    correct(app, places[1], "leave out")
    assert [tile["caption"] for tile in tiles(app)][1] == "✕"
    app.text_input(key="paper-writer").set_value("Ada").run()
    button = app.button(key="keep-sheet")
    assert button.label == f"Keep {len(places) - 1} digits"
    button.click().run()
    assert is_fine(app)
    assert f"{len(places) - 1} digits are in your notebook" in texts(app)
    assert tiles(app) == []
    stored = kept(app)
    assert stored.labels.tolist() == [7, *labels[2:]]
    assert set(stored.writers) == {"Ada"}
    assert set(stored.sources) == {"sheet"}
    assert len(set(stored.sessions)) == 1
    assert np.mean(stored.answers == stored.labels) > 0.9
    (one,) = handwriting_store().read(app.session_state[NOTEBOOK], [int(stored.ids[0])])
    assert one.digit.ink is not None
    assert one.digit.ink.startswith(b"\x89PNG")


def test_a_table_of_answers_is_no_hindrance(
    visit: Visit, weights_folder: Path, filled_sheet: FilledSheet, sheet_photograph: bytes
) -> None:
    pd.DataFrame({"prediction": load_digits("uci-digits").labels}).to_csv(weights_folder / "alone.csv", index=False)
    app = upload(visit("handwriting", view="On paper", checkpoint="alone"), "sheet.jpg", sheet_photograph)
    assert is_fine(app)
    assert "alone is a table of answers and reads none of them." in texts(app)
    app.button(key="keep-sheet").click().run()
    assert is_fine(app)
    assert len(kept(app).labels) == len(filled_sheet.inks)


def test_what_is_no_sheet_gets_a_reason_and_nothing_to_keep(visit: Visit, sheet_photograph: bytes) -> None:
    app = upload(visit("handwriting", view="On paper"), "table.jpg", sheet_photograph[:2000])
    assert ["table" in error.value for error in app.error] == [True]
    app = visit("handwriting", view="On paper")
    app = upload(app, "sheet.jpg", sheet_photograph)
    app.file_uploader(key="paper-photograph-0").set_value(None).run()
    assert "keep-sheet" not in [button.key for button in app.button]


def test_a_server_that_keeps_nothing_says_so(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_COLLECTING", "off")
    app = visit("handwriting", view="On paper")
    assert "keeps no handwriting" in texts(app)
    assert len(app.file_uploader) == 0
