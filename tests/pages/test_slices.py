"""Slices of a set of one's own on the pages, without a browser."""

from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, prepare_dataset
from tests.pages.conftest import Visit, is_fine, texts, tiles


@pytest.fixture(autouse=True)
def with_devices(tmp_path: Path, validation_digits: DigitSet) -> None:
    """A set "mine" of two hundred digits, a quarter of them from a phone, and upside down."""
    some = validation_digits.subset(np.arange(0, 5000, 25))
    from_phone = np.arange(len(some)) % 4 == 0
    images = np.where(from_phone[:, None, None], some.images[:, ::-1], some.images)
    devices = np.where(from_phone, "phone", "*pen*")
    years = 1990 + np.arange(len(some)) % 3
    np.savez(tmp_path / "mine.npz", images=images, labels=some.labels, device=devices, year=years.astype(np.str_))
    *_, last = prepare_dataset(tmp_path / "mine.npz", use="as they are")
    assert isinstance(last, PreparedDataset)
    keep_dataset(last, "mine")


def test_a_slice_that_is_worse_is_marked(visit: Visit) -> None:
    app = visit("accuracy", dataset="mine", checkpoint="compact")
    assert is_fine(app)
    assert "Worse than the rest by more than chance: **phone**." in texts(app)
    (table,) = [frame.value for frame in app.dataframe if "worse" in frame.value]
    assert table["value"].tolist() == ["phone", "*pen*"]
    assert table["worse"].tolist() == ["▼ worse", ""]
    assert table["digits"].tolist() == [50, 150]
    app.selectbox(key="slice-by").select("year").run()
    assert is_fine(app)
    assert "By year, no slice is worse than the rest by more than chance." in texts(app)


def test_the_gallery_shows_a_slice_alone(visit: Visit) -> None:
    parameters = {"dataset": "mine", "checkpoint": "compact", "show": "all digits"}
    app = visit("errors", **parameters, column="device", value="phone")
    assert is_fine(app)
    assert sorted(tile["id"] for tile in tiles(app)) == list(range(0, 200, 4))
    app.selectbox(key="column").select("year").run()
    assert is_fine(app)
    assert len(tiles(app)) == 200
    app.selectbox(key="value").select("1991").run()
    assert sorted(tile["id"] for tile in tiles(app)) == list(range(1, 200, 3))
    app.selectbox(key="dataset").select("uci-digits").run()
    assert is_fine(app)
    assert not [box for box in app.selectbox if box.label == "Slices by"]


def test_where_b_gains_is_on_the_page_that_compares(visit: Visit) -> None:
    parameters = {"dataset": "mine", "view": "A against B", "chart": "Slice by slice"}
    app = visit("compare", **parameters, a="mlp", b="compact", outcome="both right", column="device", value="*pen*")
    assert is_fine(app)
    (table,) = [frame.value for frame in app.dataframe if "verdict" in frame.value]
    assert sorted(table["value"]) == ["*pen*", "phone"]
    assert table["digits"].sum() == 200
    assert {tile["id"] % 4 for tile in tiles(app)} == {1, 2, 3}
    assert "slices." in texts(app)
