"""Classes in real databases: what the teacher's key, a member's key and the code each let one do."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from digitcore.errors import ClassError, HandwritingError, HandwritingFullError
from digitcore.store.classes import LONGEST_NAME, WALL, ClassStore
from tests.databases import empty_database
from tests.paths import ROOT
from tests.store.test_database import execute, schema
from tests.store.test_handwriting import digit


@pytest.fixture
def store(url: str) -> Iterator[ClassStore]:
    with closing(ClassStore(url)) as store:
        yield store


def code_of(store: ClassStore, notebook: str) -> str:
    return store.board(notebook).code


def test_the_teacher_sees_who_has_written_what(store: ClassStore) -> None:
    notebook = store.start()
    ann, bob = (store.join(code_of(store, notebook), name) for name in ("Ann", "Bob"))
    store.write(ann, [digit(3), digit(4, writer="Bob")])  # whatever a digit says, its writer is the member
    store.write(bob, [digit(5)])
    written = store.load(notebook)
    assert list(zip(written.writers, written.labels.tolist(), strict=True)) == [("Ann", 3), ("Ann", 4), ("Bob", 5)]
    for key in (notebook, ann):
        board = store.board(key)
        assert [(member.name, member.digits) for member in board.members] == [("Ann", 2), ("Bob", 1)]
        assert (board.digits, board.labels, board.writers) == (3, (5, 4, 3), ("Bob", "Ann", "Ann"))
        assert np.array_equal(board.images, written.images[::-1])


def test_members_see_and_take_back_their_own_digits_alone(store: ClassStore) -> None:
    notebook = store.start()
    ann, bob = (store.join(code_of(store, notebook), name) for name in ("Ann", "Bob"))
    (mine, other), (theirs,) = store.write(ann, [digit(1), digit(2)]), store.write(bob, [digit(7)])
    assert store.own_digits(ann).labels.tolist() == [1, 2]
    assert store.own_counts(bob).tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    store.take_back(ann, [mine, theirs])
    assert store.load(notebook).ids.tolist() == [other, theirs]
    assert store.own_counts(ann, source="draw").sum() == 0


def test_a_members_key_and_the_code_open_nothing_else(store: ClassStore) -> None:
    """Neither is the key of a notebook, and what is not the teacher's key changes no class."""
    notebook = store.start()
    code = code_of(store, notebook)
    ann = store.join(code, "Ann")
    (number,) = store.write(ann, [digit(1)])
    for key in (ann, code):
        assert len(store.load(key)) == 0
        assert store.delete(key, [number]) == store.read(key, [number]) == []
        store.correct(key, [number], 9)
        store.allow_joining(key, False)
        store.set_group_a(key, ["Ann"])
        store.end(key)
        assert not store.is_class(key)
    assert store.load(notebook).labels.tolist() == [1]
    board = store.board(ann)
    assert (board.is_open, board.members[0].group) == (True, "")
    for read in (store.board, store.board_version, store.member, store.own_digits):
        with pytest.raises(ClassError, match="This class is over"):
            read(code)


def test_codes_can_be_typed_in_any_way_and_are_not_guessed(store: ClassStore) -> None:
    notebook = store.start()
    code = code_of(store, notebook)
    assert len(code) == 6
    assert not set(code) & set("0O1IB8S52Z")
    store.join(f" {code[:3].lower()}-{code[3:]} ", "Ann")
    for _ in range(10):
        with pytest.raises(ClassError, match="No class has this code"):
            store.join("wrong", "Ann", origin="10.0.0.7")
    with pytest.raises(ClassError, match="Too many wrong codes"):
        store.join(code, "Ann", origin="10.0.0.7")
    store.join(code, "Bob", origin="10.0.0.8")
    assert [member.name for member in store.board(notebook).members] == ["Ann", "Bob"]


def test_names_are_told_apart(store: ClassStore) -> None:
    notebook = store.start()
    store.add(notebook, [digit(writer="Zoë")])
    names = ["Ann", "ann", " Ann\x00", "Zoë", "", "", "x" * 99]
    keys = [store.join(code_of(store, notebook), name) for name in names]
    expected = ["Ann", "ann 2", "Ann 3", "Zoë 2", "Somebody", "Somebody 2", "x" * LONGEST_NAME]
    assert [store.member(key).name for key in keys] == expected
    assert len(store.own_digits(keys[3])) == 0


def test_joining_ends_and_begins_again(store: ClassStore) -> None:
    notebook = store.start()
    code = code_of(store, notebook)
    ann = store.join(code, "Ann")
    store.allow_joining(notebook, False)
    with pytest.raises(ClassError, match="Nobody can join this class any more"):
        store.join(code, "Bob")
    store.write(ann, [digit()])
    store.allow_joining(notebook, True)
    store.join(code, "Bob")
    assert len(store.board(notebook).members) == 2


def test_groups_stay_even(store: ClassStore) -> None:
    notebook = store.start()
    code = code_of(store, notebook)
    keys = [store.join(code, name) for name in "pqr"]
    assert {store.member(key).group for key in keys} == {""}
    store.set_group_a(notebook, ["p", "r"])
    store.join(code, "s")
    assert [(member.name, member.group) for member in store.board(keys[0]).members] == [
        ("p", "A"), ("q", "B"), ("r", "A"), ("s", "B"),
    ]  # fmt: skip


def test_the_end_deletes_everything_and_nothing_of_others(url: str) -> None:
    with closing(ClassStore(url)) as store:
        notebook, other = store.start(), store.start()
        code = code_of(store, notebook)
        ann, bob = store.join(code, "Ann"), store.join(code_of(store, other), "Ann")
        store.write(ann, [digit(1)])
        store.write(bob, [digit(2)])
        store.end(notebook)
        assert len(store.load(notebook)) == store.size(notebook) == 0
        with pytest.raises(ClassError, match="This class is over"):
            store.write(ann, [digit(3)])
        with pytest.raises(ClassError, match="No class has this code"):
            store.join(code, "Ann")
        assert store.own_digits(bob).labels.tolist() == [2]
        assert store.load(None).labels.tolist() == [2]
        assert store.is_class(other)
        assert not store.is_class(notebook)


def test_the_version_tells_of_each_change_and_costs_one_query(store: ClassStore) -> None:
    notebook, other = store.start(), store.start()
    ann = store.join(code_of(store, notebook), "Ann")
    seen = [store.board_version(notebook)]
    (number,) = store.write(ann, [digit()])
    seen.append(store.board_version(notebook))
    store.set_group_a(notebook, ["Ann"])
    seen.append(store.board_version(notebook))
    store.allow_joining(notebook, False)
    seen.append(store.board_version(notebook))
    store.write(store.join(code_of(store, other), "Bob"), [digit()])
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.extend([statement] if statement.startswith("SELECT") else [])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert store.board_version(ann) == seen[-1]
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(statements) == 1
    store.take_back(ann, [number])
    assert len({*seen, store.board_version(notebook)}) == 5


def test_a_board_shows_the_last_digits(store: ClassStore) -> None:
    notebook = store.start()
    ann = store.join(code_of(store, notebook), "Ann")
    store.write(ann, [digit(number % 10) for number in range(WALL + 5)])
    board = store.board(notebook)
    assert board.labels == tuple(number % 10 for number in reversed(range(5, WALL + 5)))
    assert board.digits == WALL + 5


def test_limits_hold_for_members_too(url: str) -> None:
    with closing(ClassStore(url, most=3_000)) as store:
        notebook = store.start()
        code = code_of(store, notebook)
        ann, bob = store.join(code, "Ann"), store.join(code, "Bob")
        store.write(ann, [digit()] * 1_999)
        with pytest.raises(HandwritingFullError, match="each may write 2,000 digits"):
            store.write(ann, [digit()] * 2)
        with pytest.raises(HandwritingFullError, match="A notebook holds at most 3,000 digits"):
            store.write(bob, [digit()] * 1_002)
        assert store.size(notebook) == 1_999


def test_a_class_and_a_server_have_so_many_members_and_classes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digitcore.store.classes._MOST_MEMBERS", 2)
    monkeypatch.setattr("digitcore.store.classes._MOST_CLASSES", 2)
    with closing(ClassStore(url)) as store:
        code = code_of(store, store.start())
        for name in ("Ann", "Bob"):
            store.join(code, name)
        with pytest.raises(ClassError, match="A class has at most 2 members"):
            store.join(code, "Zoë")
        store.start()
        with pytest.raises(ClassError, match="This server has as many classes as it may"):
            store.start()


THIRTY = """
import os, sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from digitcore.store.classes import ClassStore
from digitcore.store.handwriting import HandwrittenDigit


def join_and_write(url, code):
    store = ClassStore(url)

    def one(_):
        key = store.join(code, "Ann")
        for label in range(10):
            store.write(key, [HandwrittenDigit(np.zeros((28, 28), dtype=np.uint8), label, "guided")])

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(one, range(10)))


processes = 3 * list(zip(sys.argv[1::2], sys.argv[2::2]))
for url, code in processes:
    if os.fork() == 0:
        join_and_write(url, code)
        os._exit(0)
sys.exit(any(os.wait()[1] for _ in processes))
"""


@pytest.mark.slow
def test_thirty_join_and_write_at_once_from_several_processes(postgresql_server: str, tmp_path: Path) -> None:
    """All under the same name, into either kind of database."""
    with ExitStack() as stack:
        urls = [f"sqlite:///{tmp_path / 'digitcore.sqlite'}", empty_database(postgresql_server)]
        stores = [stack.enter_context(closing(ClassStore(url))) for url in urls]
        notebooks = [store.start() for store in stores]
        codes = map(code_of, stores, notebooks)
        command = [sys.executable, "-c", THIRTY, *(word for pair in zip(urls, codes, strict=True) for word in pair)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        names = ["Ann", *(f"Ann {number}" for number in range(2, 31))]
        for store, notebook in zip(stores, notebooks, strict=True):
            assert sorted(member.name for member in store.board(notebook).members) == sorted(names)
            written = store.load(notebook)
            assert sorted(zip(written.writers, written.labels.tolist(), strict=True)) == sorted(
                (name, label) for name in names for label in range(10)
            )


def test_a_database_of_before_has_no_classes_and_keeps_its_digits(url: str) -> None:
    with closing(ClassStore(url)) as store:
        store.add("a" * 32, [digit(4)])
    execute(
        url,
        "DROP TABLE classes",
        "DROP TABLE members",
        "DROP TABLE corrections",
        "DROP INDEX handwriting_of_writer",
        "UPDATE alembic_version SET version_num = '2'",
    )
    with closing(ClassStore(url)) as store:
        assert store.load("a" * 32).labels.tolist() == [4]
        assert store.own_digits(store.join(code_of(store, store.start()), "Ann")).labels.tolist() == []
    assert {"classes", "members"} <= schema(url).keys()


def test_a_database_that_cannot_be_used_is_an_error_of_handwriting() -> None:
    with pytest.raises(HandwritingError, match="see DIGITCORE_DATABASE_URL"):
        ClassStore("nosuchthing://me:secret@localhost/digits")
