"""The exercises of a class without a browser, with real processes: who is read best, and train and test."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from digitcore.data.datasets import DigitSet
from digitcore.models.classifier import load_classifier
from digitcore.store.handwriting import HandwrittenDigit
from digitcore.training.fine_tuning_jobs import job_of
from pages.shared.resources import class_store
from tests.pages.conftest import Visit, is_fine, texts
from tests.paths import WEIGHTS

Join = Callable[..., None]


@pytest.fixture
def notebook(visit: Visit, weights_folder: Path, data_folder: Path) -> str:
    """The key of a class, on a server with the model `tiny` alone."""
    shutil.copy(WEIGHTS / "tiny.safetensors", weights_folder)
    return class_store().start()


@pytest.fixture
def join(notebook: str, validation_digits: DigitSet) -> Join:
    """A function that has somebody join and write forty digits, drawn by others in truth."""
    rows = iter(np.arange(5_000).reshape(10, 500).T.reshape(-1, 40))  # four of each digit, again and again

    def joined(name: str, drawn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = np.copy) -> None:
        some = validation_digits.subset(next(rows))
        digits = [
            HandwrittenDigit(drawn(image), int(label), "guided")
            for image, label in zip(some.images, some.labels, strict=True)
        ]
        key = class_store().join(class_store().board(notebook).code, name)
        class_store().write(key, digits)

    return joined


def lying(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A digit that lies on its side."""
    return np.ascontiguousarray(np.rot90(image))


def opened(visit: Visit, notebook: str, show: str) -> AppTest:
    app = visit("handwriting", view="Class", notebook=notebook)
    app.segmented_control(key="class-show").set_value(show).run()
    assert is_fine(app)
    return app


def test_who_is_read_best_and_worst_and_why(visit: Visit, notebook: str, join: Join) -> None:
    app = opened(visit, notebook, "Who is read best")
    assert "Nobody has written yet." in texts(app)
    join("Ann")
    assert "Others have not written yet." in texts(app.run())
    join("Bob", lying)
    assert is_fine(app.run())
    shown, written = texts(app), class_store().load(notebook)
    right = load_classifier("tiny").logits(written.images).argmax(axis=1) == written.labels
    ann, bob = (int(right[np.array(written.writers) == name].sum()) for name in ("Ann", "Bob"))
    assert f"**tiny** reads **Ann** ({ann} of 40) best, **Bob** ({bob} of 40) worst." in shown
    assert "Worse than the others by more than chance: **Bob**." in shown
    ranking, models = (table.value for table in app.dataframe)
    assert ranking["member"].tolist() == ["Ann", "Bob"]
    assert ranking["against the others"].tolist() == ["", "▼ worse"]
    assert models[["model", "right", "reads best", "reads worst"]].to_numpy().tolist() == [
        ["tiny", f"{ann + bob} of 80", f"Ann ({ann} of 40)", f"Bob ({bob} of 40)"]
    ]
    assert shown.count(" read as ") == 3
    assert "95% interval, allowing for 2 writers." in shown


def test_a_lesson_takes_two_groups_and_says_when_its_processes_end(
    visit: Visit, notebook: str, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    join("Ann")
    app = opened(visit, notebook, "Train and test")
    assert "So far: 0 of A, 0 of B." in texts(app)
    join("Bob")
    class_store().set_group_a(notebook, ["Ann"])
    assert "40 digits by A, 40 by B." in texts(app.run())
    monkeypatch.setattr(sys, "executable", "/bin/false")
    app.button(key="start-lesson").click().run()
    wait_for_jobs(notebook)
    assert is_fine(app.run())
    figures = app.dataframe[0].value.set_index("model")
    assert figures.loc["before"].str.contains(" of 10, ").all()
    assert (figures.drop("before") == "failed").all(axis=None)
    assert {warning.value for warning in app.warning} >= {"The process has ended before its time: start it again."}
    app.button(key="lesson-again").click().run()
    assert "40 digits by A, 40 by B." in texts(app)
    assert job_of(f"{notebook} A") is None


@pytest.mark.slow
def test_each_group_is_a_test_for_the_model_of_the_other(visit: Visit, notebook: str, join: Join) -> None:
    """Group B writes lying down: who has not seen that does not read it, and learns it from both."""
    for name in ("Ann", "Anton", "Amy"):
        join(name)
    for name in ("Bob", "Bea", "Ben"):
        join(name, lying)
    class_store().set_group_a(notebook, ["Ann", "Anton", "Amy"])
    app = opened(visit, notebook, "Train and test")
    app.button(key="start-lesson").click().run()
    assert is_fine(app)
    assert app.dataframe[0].value["model"].tolist() == [
        "before", "learned from A", "learned from B", "learned from A and B",
    ]  # fmt: skip
    wait_for_jobs(notebook)
    app.run()
    assert is_fine(app)
    wrong = app.dataframe[0].value.set_index("model")
    assert all(" of 30, " in cell for cell in wrong.to_numpy().ravel())
    errors = wrong.map(lambda cell: int(cell.split()[0]))
    b = errors["B's test digits read wrong"]
    assert b["learned from A"] > 15
    assert b["learned from A and B"] < b["learned from A"]
    shown = texts(app)
    assert shown.count("test digits**, ") == 4
    assert "**better: learned from A and B**" in shown
    assert "A: as if each digit were of another person" in shown


def wait_for_jobs(notebook: str) -> None:
    """Until the three models have learned."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        jobs = [job_of(f"{notebook} {learner}") for learner in ("A", "B", "A and B")]
        if all(job is not None and not job.is_open for job in jobs):
            return
        time.sleep(0.5)
    raise AssertionError(jobs)
