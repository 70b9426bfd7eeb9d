"""The view "Fix a model" without a browser, with real processes: digits of a notebook become a model of one's own."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from digitcore.data.datasets import DigitSet
from digitcore.models.library import load_checkpoint
from digitcore.settings import load_settings
from digitcore.store.handwriting import HandwritingStore, HandwrittenDigit, new_key
from tests.pages.conftest import Visit, is_fine, texts
from tests.paths import WEIGHTS


@pytest.fixture
def notebook(visit: Visit, validation_digits: DigitSet) -> str:
    """The key of a notebook with forty digits of one sitting, leaning far to the right."""
    rows = np.arange(0, 5_000, 125)
    some = validation_digits.subset(rows)
    images = np.stack([np.roll(some.images[:, row], round(1.6 * (row - 14)), axis=1) for row in range(28)], axis=1)
    digits = [
        HandwrittenDigit(image, int(label), "import", session="one")
        for image, label in zip(images, some.labels, strict=True)
    ]
    key = new_key()
    HandwritingStore(load_settings().database_url).add(key, digits)
    return key


@pytest.fixture
def open_view(visit: Visit, notebook: str, weights_folder: Path, data_folder: Path) -> Callable[[], AppTest]:
    """A function that opens the view with the notebook, where MNIST is missing and `compact` is the only model."""
    shutil.copy(WEIGHTS / "compact.safetensors", weights_folder)

    def opened() -> AppTest:
        return visit("handwriting", view="Fix a model", notebook=notebook)

    return opened


def _press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def _wait_for(words: str, open_view: Callable[[], AppTest]) -> AppTest:
    """The view, opened anew by who comes back, once it says this."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        app = open_view()
        if words in texts(app):
            return app
        time.sleep(1)
    raise AssertionError(texts(app))


def test_without_digits_the_view_says_how_many_it_takes(visit: Visit) -> None:
    app = visit("handwriting", view="Fix a model")
    assert is_fine(app)
    assert "20 digits or more. So far there are 0." in texts(app)


def test_only_what_can_learn_is_offered(open_view: Callable[[], AppTest], weights_folder: Path) -> None:
    (weights_folder / "answers.csv").write_text("prediction\n7\n", encoding="utf-8")
    assert next(box for box in open_view().selectbox if box.label == "Model" and box.key is None).options == ["compact"]


def test_a_model_learns_a_hand_is_judged_and_kept(open_view: Callable[[], AppTest], weights_folder: Path) -> None:
    app = open_view()
    assert "40 digits. It learns from about two thirds" in texts(app)
    app = _press(app, "Fix it")
    assert is_fine(app)
    assert "goes on when you leave" in texts(app)
    app = _wait_for("It learned from", open_view)
    assert is_fine(app)
    shown = texts(app)
    assert "errors in 10" in shown
    assert "Of a single sitting" in shown
    assert "learned from mnist-validation, whose errors say little now" in shown
    table = app.dataframe[0].value
    assert table["read"].tolist() == ["10: your digits held out", "5,000: mnist-validation"]
    keep = next(button.label for button in app.button if button.label.startswith("Keep"))
    app = _press(app, keep)
    assert "Kept as **compact-mine**" in texts(app).replace("\\", "")
    assert load_checkpoint("compact-mine").metadata.trained_on == ("handwriting", "mnist-train", "mnist-validation")
    app = _press(app, "Use it from now on")
    assert app.session_state["checkpoint"] == "compact-mine"
    assert "40 digits. It learns from" in texts(app)


@pytest.mark.slow
def test_a_stopped_one_leaves_nothing_behind(open_view: Callable[[], AppTest], cache_folder: Path) -> None:
    _press(open_view(), "Fix it")
    _press(open_view(), "Stop")
    app = _wait_for("Stopped. Nothing is kept.", open_view)
    _press(app, "Begin again")
    assert list((cache_folder / "fine-tuning").glob("*-*")) == []


@pytest.mark.slow
def test_who_deletes_all_digits_deletes_the_copies_of_a_fine_tuning(
    open_view: Callable[[], AppTest], visit: Visit, notebook: str, cache_folder: Path
) -> None:
    _press(open_view(), "Fix it")
    assert len(list((cache_folder / "fine-tuning").glob("*-*"))) == 1
    _press(visit("handwriting", view="Digits", notebook=notebook), "Delete them")
    assert list((cache_folder / "fine-tuning").glob("*-*")) == []
