"""The dialog of one's own digits without a browser: a first look, keeping, renaming, removing."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, own_datasets, prepare_dataset, remove_dataset
from tests.pages.conftest import Visit, is_fine, texts, tiles


@pytest.fixture
def prepared(tmp_path: Path, validation_digits: DigitSet) -> PreparedDataset:
    """Two hundred digits, ten of them twice, once as another digit; none is a 9; two labels are not digits."""
    some = validation_digits.subset(np.arange(0, 4500, 25))
    images = np.concatenate([some.images, some.images[:12]])
    labels = np.concatenate([some.labels, some.labels[:9], [5, 10, 11]])
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    *_, last = prepare_dataset(tmp_path / "mine.npz")
    assert isinstance(last, PreparedDataset)
    return last


def open_dialog(app: AppTest) -> AppTest:
    button = next(button for button in app.button if button.label == "Your own digits")
    return button.click().run()


def press(app: AppTest, label: str, **fields: str) -> AppTest:
    """Fills fields of the open dialog in and presses a button; the dialog stays open, as it does in a browser."""
    for name, text in fields.items():
        next(field for field in app.text_input if field.label == name.replace("_", " ")).input(text)
        app = open_dialog(app)
    next(button for button in app.button if button.label == label).click()
    return open_dialog(app)


def test_a_first_look_warns_of_what_stands_out_and_keeps_the_set(visit: Visit, prepared: PreparedDataset) -> None:
    app = visit("accuracy", dataset="uci-digits")
    app.session_state["own-digits-prepared"] = prepared
    app.session_state["own-digits-uploads"] = 0
    app = open_dialog(app)
    shown = texts(app)
    assert "190 digits** of mine.npz, as they are" in shown.replace("\\", "")
    assert "2 left out, such as row 190" in shown
    assert "10 are the same as an earlier one, 1 of them as another digit" in shown
    assert "190 are digits of mnist-validation too" in shown.replace("\\", "")
    assert "None is a 9" in shown
    app = press(app, "Keep", Name_of_the_set="Not a name")
    assert "name must be lower-case letters" in "\n".join(error.value for error in app.error)
    assert own_datasets() == []
    app = press(app, "Keep", Name_of_the_set="mine")
    assert [dataset.name for dataset in own_datasets()] == ["mine"]
    assert "190 digits of your own" in texts(app)


def test_what_is_discarded_is_gone(visit: Visit, prepared: PreparedDataset) -> None:
    app = visit("accuracy", dataset="uci-digits")
    app.session_state["own-digits-prepared"] = prepared
    app.session_state["own-digits-uploads"] = 0
    press(open_dialog(app), "Discard")
    assert not prepared.folder.exists()
    assert own_datasets() == []


def test_another_set_of_the_same_name_has_its_own_figures(
    visit: Visit, tmp_path: Path, prepared: PreparedDataset
) -> None:
    keep_dataset(prepared, "mine")
    assert len(tiles(visit("errors", dataset="mine", checkpoint="compact", show="all digits"))) == 190
    first = load_digits("mine").subset(np.arange(100))
    np.savez(tmp_path / "other.npz", images=first.images, labels=first.labels)
    remove_dataset("mine")
    *_, other = prepare_dataset(tmp_path / "other.npz")
    assert isinstance(other, PreparedDataset)
    keep_dataset(other, "mine")
    app = visit("errors", dataset="mine", checkpoint="compact", show="all digits")
    assert is_fine(app)
    assert len(tiles(app)) == 100


def test_a_set_is_renamed_and_removed(visit: Visit, prepared: PreparedDataset) -> None:
    keep_dataset(prepared, "mine")
    app = open_dialog(visit("accuracy", dataset="mine"))
    assert "190 digits of mine.npz, as they are, added" in texts(app).replace("\\", "")
    app = press(app, "Rename", New_name="mnist-test")
    assert "name must be one that no set has yet" in "\n".join(error.value for error in app.error)
    app = press(app, "Rename", New_name="ours")
    assert [dataset.name for dataset in own_datasets()] == ["ours"]
    app = press(open_dialog(visit("accuracy", dataset="ours")), "Remove")
    assert own_datasets() == []
    assert is_fine(app)
