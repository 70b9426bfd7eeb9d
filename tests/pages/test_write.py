"""Guided collecting on the page Handwriting, without a browser: what the pad sends is put into the session state."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from digitcore.imaging.stroke_links import decode_drawing
from digitcore.imaging.strokes import Stroke, place_strokes
from digitcore.store.guided import remaining_prompts
from digitcore.store.handwriting import Handwriting, new_key
from pages.parts.handwriting.pad import PAD, SIDE
from pages.shared.notebook import NOTEBOOK
from pages.shared.resources import handwriting_store
from tests.pages.conftest import Visit, is_fine, texts

StrokesOf = Callable[..., list[Stroke]]
Points = list[list[list[float]]]
SCRIBBLE: Points = [np.random.default_rng(0).uniform(20, 300, (60, 2)).tolist()]


@pytest.fixture
def points(strokes_of: StrokesOf) -> Callable[[int], Points]:
    """A function from a digit to its strokes on the pad."""

    def written(digit: int) -> Points:
        placed = place_strokes(strokes_of(digit), side=SIDE, extent=0.6, position=(0.5, 0.5), brush=24)
        return [stroke.tolist() for stroke in placed]

    return written


def start(app: AppTest, name: str = "") -> None:
    app.text_input(key="writer-field").set_value(name)
    app.button(key="start-writing").click().run()
    assert is_fine(app)


def asked(app: AppTest) -> dict[str, Any]:
    """What the pad is told."""
    (pad,) = [component for component in app.get("bidi_component") if component.key == PAD]
    told: dict[str, Any] = json.loads(pad.proto.json)
    return told


def send(app: AppTest, events: Iterable[tuple[int, int, Points]]) -> None:
    """What the pad sends: number, label and strokes."""
    queue = [{"number": number, "label": label, "strokes": strokes} for number, label, strokes in events]
    app.session_state[PAD] = {"queue": queue}
    app.run()
    assert is_fine(app)


def kept(app: AppTest) -> Handwriting:
    return handwriting_store().load(app.session_state[NOTEBOOK])


def test_digits_are_kept_in_the_order_in_which_they_are_asked_for(
    visit: Visit, points: Callable[[int], Points]
) -> None:
    app = visit("handwriting")
    start(app, "Ann")
    first, second, third = asked(app)["prompts"][:3]
    send(app, [(1, first, points(first)), (2, second, points(second))])
    assert kept(app).labels.tolist() == [first, second]
    assert set(kept(app).writers) == {"Ann"}
    assert set(kept(app).sources) == {"guided"}
    told = asked(app)
    assert (told["prompts"][0], told["written"], told["total"], told["done"]) == (third, 2, 100, 2)
    (stored, _) = handwriting_store().read(app.session_state[NOTEBOOK], kept(app).ids.tolist())
    assert len(decode_drawing(stored.digit.strokes or "", side=SIDE)) == len(points(first))


def test_what_comes_twice_is_kept_once(visit: Visit, points: Callable[[int], Points]) -> None:
    """The pad sends again what it does not know to be done."""
    app = visit("handwriting")
    start(app)
    first, second = asked(app)["prompts"][:2]
    send(app, [(1, first, points(first))])
    send(app, [(1, first, points(first)), (2, second, points(second))])
    app.run()
    assert kept(app).labels.tolist() == [first, second]


@pytest.mark.parametrize(
    ("strokes", "words"),
    [(SCRIBBLE, "Not counted. Scribble"), ([[[100, 100], [101, 100]]], "Not counted. Too small")],
)
def test_a_scribble_is_not_counted_and_asked_for_again(visit: Visit, strokes: Points, words: str) -> None:
    app = visit("handwriting")
    start(app)
    first = asked(app)["prompts"][0]
    send(app, [(1, first, strokes)])
    told = asked(app)
    assert (told["prompts"][0], told["written"], told["done"]) == (first, 0, 1)
    assert told["problem"].startswith(words)
    assert len(kept(app)) == 0


def test_an_odd_digit_counts_whatever_a_checkpoint_reads(visit: Visit, points: Callable[[int], Points]) -> None:
    app = visit("handwriting")
    start(app)
    first = asked(app)["prompts"][0]
    send(app, [(1, first, points((first + 5) % 10))])
    assert kept(app).labels.tolist() == [first]


def test_a_digit_beyond_the_edge_of_the_pad_is_whole(visit: Visit, points: Callable[[int], Points]) -> None:
    app = visit("handwriting")
    start(app)
    first = asked(app)["prompts"][0]
    moved = [[[x + 150, y - 100] for x, y in stroke] for stroke in points(first)]
    send(app, [(1, first, points(first)), (2, first, moved)])
    one, other = kept(app).images
    assert np.abs(one.astype(int) - other).max() < 60


def test_undo_takes_the_last_digit_back_whenever_it_was_written(visit: Visit, points: Callable[[int], Points]) -> None:
    app = visit("handwriting")
    start(app)
    first, second = asked(app)["prompts"][:2]
    send(app, [(1, first, points(first)), (2, second, points(second)), (3, 0, [])])
    assert kept(app).labels.tolist() == [first]
    assert asked(app)["prompts"][0] == second
    later = visit("handwriting", notebook=app.session_state[NOTEBOOK])
    start(later)
    send(later, [(1, 0, []), (2, 0, [])])
    assert len(kept(later)) == 0


def test_whoever_comes_back_goes_on_where_they_were(visit: Visit, points: Callable[[int], Points]) -> None:
    app = visit("handwriting")
    start(app, "Ann")
    prompts = asked(app)["prompts"]
    send(app, [(i, label, points(label)) for i, label in enumerate(prompts[:5], 1)])
    app.button(key="stop-writing").click().run()
    later = visit("handwriting", notebook=app.session_state[NOTEBOOK])
    assert later.text_input(key="writer-field").value == "Ann"
    start(later, "Ann")
    assert asked(later)["prompts"][:15] == prompts[5:]
    assert asked(later)["written"] == 5
    start_other = visit("handwriting", notebook=app.session_state[NOTEBOOK])
    start(start_other, "Bob")
    assert asked(start_other)["written"] == 0


def test_after_a_round_there_is_another(visit: Visit, points: Callable[[int], Points]) -> None:
    app = visit("handwriting")
    start(app)
    prompts = remaining_prompts(f"{app.session_state[NOTEBOOK]} ", [0] * 10, finished=0)
    send(app, [(i, label, points(label)) for i, label in enumerate(prompts, 1)])
    assert np.bincount(kept(app).labels).tolist() == [10] * 10
    assert [success.value for success in app.success] == ["All 100 digits are written."]
    app.button(key="write-more").click().run()
    assert asked(app)["written"] == 0
    second = asked(app)["prompts"][0]
    send(app, [(101, second, points(second))])
    assert asked(app)["written"] == 1


def test_what_no_pad_sends_is_left_out(visit: Visit) -> None:
    event = {"number": 1, "label": 3, "strokes": [[[1, 1]]]}
    others = {"label": [10, "3"], "number": ["1"], "strokes": [
        "drawing", [[]], [[[1, 2, 3]]], [[[1, float("nan")]]], [[[1, 1e9]]], [[[1, 1]] * 7_000],
    ]}  # fmt: skip
    app = visit("handwriting")
    start(app)
    for queue in ["text", [1, None], *([event | {name: value}] for name in others for value in others[name])]:
        app.session_state[PAD] = {"queue": queue}
        app.run()
        assert is_fine(app), queue
        assert asked(app)["done"] == 0, queue
    assert len(kept(app)) == 0


def test_where_the_database_fails_nothing_counts_as_done(
    visit: Visit, points: Callable[[int], Points], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITCORE_MAX_NOTEBOOK_DIGITS", "1")
    app = visit("handwriting")
    start(app)
    first, second = asked(app)["prompts"][:2]
    queue = [{"number": i, "label": label, "strokes": points(label)} for i, label in enumerate((first, second), 1)]
    app.session_state[PAD] = {"queue": queue}
    app.run()
    assert [error.value for error in app.error] == ["A notebook holds at most 1 digits: delete some first."]
    assert (asked(app)["done"], asked(app)["written"]) == (1, 1)


def test_a_server_may_collect_nothing(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_COLLECTING", "off")
    assert "This server keeps no handwriting" in texts(visit("handwriting", notebook=new_key()))
