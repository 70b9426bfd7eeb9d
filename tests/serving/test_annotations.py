"""Stars and notes in a real database file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from digitcore.errors import AnnotationError
from digitcore.serving.annotations import Annotation, AnnotationStore


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
