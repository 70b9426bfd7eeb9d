"""Notebooks of handwriting in real databases, against a dictionary that does the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import event
from sqlalchemy.engine import Engine

from digitcore.errors import HandwritingError, HandwritingFullError
from digitcore.store.handwriting import (
    Handwriting,
    HandwritingStore,
    HandwrittenDigit,
    StoredDigit,
    is_notebook,
    new_key,
)

MINE, THEIRS = "a" * 32, "b" * 32


def digit(label: int = 3, **known: object) -> HandwrittenDigit:
    """A digit whose picture shows its label."""
    picture = np.full((28, 28), 20 * label + 1, dtype=np.uint8)
    return HandwrittenDigit(picture=picture, label=label, source="guided", **known)  # type: ignore[arg-type]


@pytest.fixture
def store(url: str) -> Iterator[HandwritingStore]:
    with closing(HandwritingStore(url)) as store:
        yield store


def rows(handwriting: Handwriting) -> list[tuple[int, int, str, str]]:
    columns = (handwriting.ids.tolist(), handwriting.labels.tolist(), handwriting.writers, handwriting.sessions)
    return list(zip(*columns, strict=True))


def test_everything_known_of_a_digit_comes_back(store: HandwritingStore) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
    known = HandwrittenDigit(
        picture=noise, label=7, source="draw", writer="Zoë 'quoted' ☃", session="monday", answer=1, checkpoint="c" * 64,
        strokes="1abc", ink=b"\x89PNG\x00\xff",
    )  # fmt: skip
    (first, second) = store.add(MINE, [known, digit(np.int64(4))])  # type: ignore[arg-type]
    stored, plain = store.read(MINE, [first, second])
    assert {**vars(stored.digit), "picture": None} == {**vars(known), "picture": None}
    assert np.array_equal(stored.digit.picture, noise)
    assert (plain.digit.label, plain.digit.answer, plain.digit.ink) == (4, None, None)
    loaded = store.load(MINE)
    assert np.array_equal(loaded.images, [noise, plain.digit.picture])
    assert loaded.answers.tolist() == [1, -1]
    assert loaded.checkpoints == ("c" * 64, "")
    assert loaded.sources == ("draw", "guided")
    assert loaded.times == pytest.approx(stored.time.timestamp(), abs=1e-5)


def test_nobody_reaches_into_another_notebook(store: HandwritingStore) -> None:
    (mine,), (theirs,) = store.add(MINE, [digit(1)]), store.add(THEIRS, [digit(2)])
    assert store.read(MINE, [theirs]) == []
    assert store.delete(MINE, [theirs]) == []
    store.correct(MINE, [theirs], 9)
    store.delete(MINE, [mine, theirs])
    assert len(store.load(MINE)) == 0
    assert store.load(THEIRS).labels.tolist() == [2]
    assert store.load(None).ids.tolist() == [theirs]
    assert mine != theirs


def test_ids_are_never_given_twice(store: HandwritingStore) -> None:
    ids = store.add(MINE, [digit()] * 3)
    gone = store.delete(MINE, ids)
    again = store.add(MINE, [digit()] * 3)
    assert min(again) > max(ids)
    store.restore(MINE, gone)
    assert store.load(MINE).ids.tolist() == ids + again
    with pytest.raises(ValueError, match="digits must have been deleted"):
        store.restore(MINE, gone[:1])
    assert len(store.load(MINE)) == 6


def test_the_revision_tells_of_each_change_and_of_this_notebook_alone(store: HandwritingStore) -> None:
    seen = [store.revision(MINE)]
    ids = store.add(MINE, [digit()])
    seen.append(store.revision(MINE))
    store.correct(MINE, ids, 5)
    seen.append(store.revision(MINE))
    store.add(THEIRS, [digit()])
    assert store.revision(MINE) == seen[-1]
    gone = store.delete(MINE, ids)
    assert store.revision(MINE) == seen[0] == 0
    store.restore(MINE, gone)
    seen.append(store.revision(MINE))
    assert len(set(seen)) == 4


def test_who_wrote_and_in_which_sitting(store: HandwritingStore) -> None:
    written = [("ann", "1"), ("ann", "2"), ("bob", "1"), ("", "1"), ("", "2"), ("", "2")]
    store.add(MINE, [digit(writer=writer, session=session) for writer, session in written])
    store.add(THEIRS, [digit(writer="ann", session="1")])
    both = store.load(None)
    assert both.people.tolist() == [0, 0, 1, 2, 3, 3, 4]
    assert both.sittings.tolist() == [0, 1, 2, 3, 4, 4, 5]
    assert store.load(MINE, writer="ann").sessions == ("1", "2")
    assert store.counts(MINE, writer="ann").tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 0]
    assert store.counts(MINE).sum() == 6


def test_a_notebook_and_the_server_hold_so_many_and_no_more(url: str) -> None:
    with closing(HandwritingStore(url, most=5, most_together=7)) as store:
        store.add(MINE, [digit()] * 3)
        with pytest.raises(HandwritingFullError, match="A notebook holds at most 5 digits"):
            store.add(MINE, [digit()] * 3)
        store.add(THEIRS, [digit()] * 3)
        with pytest.raises(HandwritingFullError, match="This server holds as many digits as it may"):
            store.add(MINE, [digit()] * 2)
        store.add(MINE, [digit()])
        assert len(store.load(None)) == 7


def test_the_limit_holds_for_several_at_once(url: str) -> None:
    with closing(HandwritingStore(url, most=20)) as store:

        def kept(_: int) -> int:
            try:
                return len(store.add(MINE, [digit()]))
            except HandwritingFullError:
                return 0

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(kept, range(30))) == 20
        assert len(store.load(MINE)) == 20


def test_thirty_who_write_at_once_lose_nothing(store: HandwritingStore) -> None:
    def write(person: int) -> None:
        for label in range(10):
            store.add(MINE, [digit(label, writer=f"writer {person}")])

    with ThreadPoolExecutor(30) as pool:
        for _ in pool.map(write, range(30)):
            pass
    written = store.load(MINE)
    assert sorted(zip(written.writers, written.labels.tolist(), strict=True)) == sorted(
        (f"writer {person}", label) for person in range(30) for label in range(10)
    )


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"picture": np.zeros((28, 27), dtype=np.uint8)}, "picture must be uint8"),
        ({"picture": np.zeros((28, 28))}, "picture must be uint8"),
        ({"label": 10}, "label and answer must be 0 to 9"),
        ({"answer": -1}, "label and answer must be 0 to 9"),
        ({"source": "stolen"}, "source must be one of draw, guided, sheet, import"),
        ({"writer": "x" * 61}, "writer must be at most 60 printable characters"),
        ({"writer": "a\x00b"}, "writer must be at most 60 printable characters"),
        ({"session": "x" * 65}, "session must have at most 64 characters"),
        ({"strokes": "x" * 10_001}, "strokes must have at most 10000 characters"),
        ({"ink": bytes(50_001)}, "ink must have at most 50000 bytes"),
    ],
)
def test_what_cannot_be_stored_is_refused(known: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(digit(), **known)  # type: ignore[arg-type]


def test_keys_cannot_be_guessed_and_other_texts_are_none(store: HandwritingStore) -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_notebook(key) for key in keys)
    for text in ("", "ann", "x" * 65, "a" * 31 + "/", None, 7):
        assert not is_notebook(text)
    with pytest.raises(ValueError, match="notebook must be a key"):
        store.add("ann", [digit()])
    with pytest.raises(ValueError, match="label must be 0 to 9"):
        store.correct(MINE, [1], 10)


def test_a_database_that_cannot_be_used_is_an_error_of_handwriting() -> None:
    with pytest.raises(HandwritingError, match="see DIGITCORE_DATABASE_URL"):
        HandwritingStore("nosuchthing://me:secret@localhost/digits")


def test_many_digits_are_read_in_one_query(store: HandwritingStore) -> None:
    """And of each digit nothing that an overview does not show."""
    ids = store.add(MINE, [digit(i % 10, ink=bytes(5_000)) for i in range(1_000)])
    assert ids == sorted(ids)
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.extend([statement] if statement.startswith("SELECT") else [])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert len(store.load(MINE)) == 1_000
        store.revision(MINE)
        store.counts(MINE)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(statements) == 3
    assert not any("ink" in statement or "strokes" in statement for statement in statements)


class Model(RuleBasedStateMachine):
    """The store and a dictionary are told the same, and know the same."""

    store: HandwritingStore
    notebooks = st.sampled_from([MINE, THEIRS])

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, dict[int, tuple[int, str, str]]] = {MINE: {}, THEIRS: {}}
        self.gone: list[tuple[str, list[StoredDigit]]] = []
        for notebook in self.known:
            self.store.delete(notebook, self.store.load(notebook).ids.tolist())

    @rule(
        notebook=notebooks,
        written=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "ann", "bob"]), st.sampled_from("12"))),
    )
    def add(self, notebook: str, written: list[tuple[int, str, str]]) -> None:
        digits = [digit(label, writer=writer, session=session) for label, writer, session in written]
        self.known[notebook] |= zip(self.store.add(notebook, digits), written, strict=True)

    @rule(notebook=notebooks, data=st.data(), label=st.integers(0, 9))
    def correct(self, notebook: str, data: st.DataObject, label: int) -> None:
        ids = self._some(data)
        self.store.correct(notebook, ids, label)
        for number in set(ids) & self.known[notebook].keys():
            self.known[notebook][number] = (label, *self.known[notebook][number][1:])

    @rule(notebook=notebooks, data=st.data())
    def delete(self, notebook: str, data: st.DataObject) -> None:
        ids = self._some(data)
        gone = self.store.delete(notebook, ids)
        assert {one.id for one in gone} == set(ids) & self.known[notebook].keys()
        for one in gone:
            assert self.known[notebook].pop(one.id) == (one.digit.label, one.digit.writer, one.digit.session)
        self.gone.append((notebook, gone))

    @rule()
    def restore(self) -> None:
        for notebook, gone in self.gone:
            self.store.restore(notebook, gone)
            self.known[notebook] |= {one.id: (one.digit.label, one.digit.writer, one.digit.session) for one in gone}
        self.gone = []

    @invariant()
    def same(self) -> None:
        for notebook, known in self.known.items():
            expected = [(number, *values) for number, values in sorted(known.items())]
            assert rows(self.store.load(notebook)) == expected
            assert rows(self.store.load(notebook, writer="ann")) == [row for row in expected if row[2] == "ann"]
            assert self.store.counts(notebook).tolist() == [
                sum(label == count for _, label, *_ in expected) for count in range(10)
            ]

    def _some(self, data: st.DataObject) -> list[int]:
        ids = [number for known in self.known.values() for number in known]
        return data.draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []


def test_it_does_what_a_dictionary_does(store: HandwritingStore) -> None:
    Model.store = store
    run_state_machine_as_test(Model, settings=settings(max_examples=6, stateful_step_count=15))
