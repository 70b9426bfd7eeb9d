"""Stars and notes in a real database file."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from digitcore.errors import AnnotationConflictError, AnnotationError
from digitcore.store.annotations import Annotation, AnnotationStore


@pytest.fixture
def store(url: str) -> Iterator[AnnotationStore]:
    """A store without annotations."""
    with closing(AnnotationStore(url)) as store:
        yield store


def test_they_survive_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new folder' / 'annotations.sqlite'}"
    store = AnnotationStore(url)
    store.save("mnist-test", 7, Annotation(starred=True, note="a hooked one; 'quoted', ünïcode"))
    store.save("mnist-test", 8, Annotation(note="only a note"))
    store.save("uci-digits", 7, Annotation(starred=True))
    store.close()
    again = AnnotationStore(url)
    assert again.load("mnist-test") == {
        7: Annotation(starred=True, note="a hooked one; 'quoted', ünïcode"),
        8: Annotation(note="only a note"),
    }
    again.close()


def test_the_last_word_counts_and_an_empty_one_removes(tmp_path: Path) -> None:
    store = AnnotationStore(f"sqlite:///{tmp_path / 'annotations.sqlite'}")
    store.save("mnist-test", 7, Annotation(starred=True))
    store.save("mnist-test", 7, Annotation(note="no star any more"))
    assert store.load("mnist-test") == {7: Annotation(note="no star any more")}
    store.save("mnist-test", 7, Annotation())
    assert store.load("mnist-test") == {}
    store.close()


def test_a_note_has_an_end(tmp_path: Path) -> None:
    store = AnnotationStore(f"sqlite:///{tmp_path / 'annotations.sqlite'}")
    with pytest.raises(ValueError, match="note must have at most 2000 characters, got 2001"):
        store.save("mnist-test", 7, Annotation(note="x" * 2001))
    store.close()


@pytest.mark.parametrize("kind", ["no address", "no such database", "a file in the way", "no database"])
def test_a_database_that_cannot_be_used_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_bytes(b"this is no database, but long enough to be taken for one" * 50)
    url = {
        "no address": "nonsense",
        "no such database": "nosuchthing://me:secret@localhost/digits",
        "a file in the way": f"sqlite:///{tmp_path / 'file' / 'annotations.sqlite'}",
        "no database": f"sqlite:///{tmp_path / 'file'}",
    }[kind]
    with pytest.raises(AnnotationError, match="DIGITCORE_DATABASE_URL") as caught:
        AnnotationStore(url)
    assert "secret" not in str(caught.value)


def test_threads_may_share_a_store(tmp_path: Path) -> None:
    store = AnnotationStore(f"sqlite:///{tmp_path / 'annotations.sqlite'}")
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda i: store.save("mnist-test", i % 20, Annotation(note=f"digit {i % 20}")), range(200)):
            pass
    assert store.load("mnist-test") == {i: Annotation(note=f"digit {i}") for i in range(20)}
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgresql://me:secret@localhost:port/digits",
        "postgresql://me:a@secret:1@localhost/digits",
        "mysql+nosuchdriver://me:secret@localhost/digits",
        "mysql://me:secret@localhost/digits",  # its driver is not installed
        "sqlite://me:secret@localhost/digits",
    ],
)
def test_bad_addresses_do_not_give_the_password_away(url: str) -> None:
    with pytest.raises(AnnotationError, match="DIGITCORE_DATABASE_URL") as caught:
        AnnotationStore(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_damaged_later_is_an_annotation_error(tmp_path: Path) -> None:
    path = tmp_path / "annotations.sqlite"
    store = AnnotationStore(f"sqlite:///{path}")
    store.save("mnist-test", 7, Annotation(starred=True))
    store.close()  # or the pages would be read from memory
    path.write_bytes(path.read_bytes()[:100] + b"x" * 8_000)
    with pytest.raises(AnnotationError, match=r"annotations\.sqlite"):
        store.load("mnist-test")
    with pytest.raises(AnnotationError, match=r"annotations\.sqlite"):
        store.save("mnist-test", 7, Annotation(note="still here?"))
    store.close()


def test_a_change_that_has_not_been_read_is_not_overwritten(store: AnnotationStore) -> None:
    """A new one, a changed one, a removed one, and one that was removed and written anew."""
    mine = store.save("mnist-test", 7, Annotation(note="mine"), version=0)
    with pytest.raises(AnnotationConflictError, match="Digit 7 of mnist-test"):
        store.save("mnist-test", 7, Annotation(note="other"), version=0)
    theirs = store.save("mnist-test", 7, Annotation(note="theirs"), version=mine.version)
    for annotation in (Annotation(note="mine"), Annotation()):
        with pytest.raises(AnnotationConflictError):
            store.save("mnist-test", 7, annotation, version=mine.version)
    assert store.load("mnist-test") == {7: Annotation(note="theirs")}
    assert store.load("mnist-test")[7].version == theirs.version
    removed = store.save("mnist-test", 7, Annotation(), version=theirs.version)
    assert removed.version == 0
    with pytest.raises(AnnotationConflictError):
        store.save("mnist-test", 7, Annotation(note="mine"), version=theirs.version)
    store.save("mnist-test", 7, Annotation(note="theirs"), version=0)
    with pytest.raises(AnnotationConflictError):
        store.save("mnist-test", 7, Annotation(note="mine"), version=theirs.version)


def test_of_several_writers_who_have_read_the_same_one_is_heard(store: AnnotationStore, url: str) -> None:
    def write(i: int) -> bool:
        with closing(AnnotationStore(url)) as own:
            try:
                own.save("mnist-test", i // 4, Annotation(note=str(i)), version=0)
            except AnnotationConflictError:
                return False
            return True

    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(write, range(40)))
    assert sum(heard) == 10
    assert all(heard[int(annotation.note)] for annotation in store.load("mnist-test").values())


def test_a_database_without_versions_goes_on(url: str) -> None:
    """As older releases left it; several servers may open it at once, and an old one may go on writing to it."""
    engine = create_engine(url)
    old = "INSERT INTO annotations (dataset, digit_id, starred, note) VALUES ('uci-digits', {}, true, 'old')"
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE annotations (dataset VARCHAR(100) NOT NULL, digit_id INTEGER NOT NULL, "
                "starred BOOLEAN NOT NULL, note TEXT NOT NULL, PRIMARY KEY (dataset, digit_id))"
            )
        )
        connection.execute(text(old.format(1)))
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(AnnotationStore, [url] * 4))
    with engine.begin() as connection:
        connection.execute(text(old.format(2)))
    engine.dispose()
    known = stores[0].load("uci-digits")
    assert known == {digit: Annotation(starred=True, note="old") for digit in (1, 2)}
    stores[1].save("uci-digits", 1, Annotation(note="new"), version=known[1].version)
    with pytest.raises(AnnotationConflictError):
        stores[2].save("uci-digits", 1, Annotation(), version=known[1].version)
    with pytest.raises(AnnotationConflictError):
        stores[3].save("uci-digits", 2, Annotation(note="new"), version=0)
    for store in stores:
        store.close()
