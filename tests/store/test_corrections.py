"""Corrected labels in real databases of both kinds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from digitcore.errors import CorrectionConflictError, CorrectionError
from digitcore.store.corrections import CorrectionStore

A, B = 64 * "a", 64 * "b"


@pytest.fixture
def store(url: str) -> Iterator[CorrectionStore]:
    with closing(CorrectionStore(url)) as store:
        yield store


def labels(store: CorrectionStore, digest: str = A) -> dict[int, tuple[int, int]]:
    return {digit: (correction.old, correction.new) for digit, correction in store.load(digest).items()}


def test_a_correction_says_who_when_and_what(store: CorrectionStore, url: str) -> None:
    number = store.correct(A, 947, old=8, new=9, who="Ada 'Ü'")
    with closing(CorrectionStore(url)) as again:
        (correction,) = again.load(A).values()
    assert (correction.digit, correction.old, correction.new) == (947, 8, 9)
    assert (correction.who, correction.number) == ("Ada 'Ü'", number)
    assert timedelta(0) <= datetime.now(UTC) - correction.when < timedelta(minutes=5)
    assert store.load(B) == {}


def test_each_correction_can_be_undone(store: CorrectionStore) -> None:
    first = store.correct(A, 7, old=1, new=2)
    second = store.correct(A, 7, old=2, new=3)
    store.correct(A, 5, old=0, new=6)
    assert labels(store) == {5: (0, 6), 7: (1, 3)}
    with pytest.raises(CorrectionConflictError, match="Digit 7 has been corrected otherwise"):
        store.undo(A, 7, number=first)
    store.undo(A, 7, number=second)
    assert labels(store) == {5: (0, 6), 7: (1, 2)}
    store.undo(A, 7, number=first)
    with pytest.raises(CorrectionConflictError):
        store.undo(A, 7, number=first)
    assert labels(store) == {5: (0, 6)}


def test_the_label_of_the_files_is_no_correction(store: CorrectionStore) -> None:
    store.correct(A, 7, old=1, new=2)
    store.correct(A, 7, old=2, new=1)
    assert labels(store) == {}


def test_what_others_have_corrected_is_not_overwritten(store: CorrectionStore) -> None:
    store.correct(A, 7, old=1, new=2)
    with pytest.raises(CorrectionConflictError, match="Digit 7 has been corrected to 2 meanwhile"):
        store.correct(A, 7, old=1, new=3)
    assert labels(store) == {7: (1, 2)}


def test_of_several_who_correct_at_once_one_is_heard(store: CorrectionStore) -> None:
    def correct(new: int) -> bool:
        try:
            store.correct(A, 7, old=0, new=new)
        except CorrectionConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(correct, range(1, 9))) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"new": 10}, "two labels from 0 to 9, got 1 and 10"),
        ({"new": 1}, "two labels from 0 to 9, got 1 and 1"),
        ({"who": "x" * 61}, "who must be at most 60 printable characters"),
        ({"who": "a\nb"}, "who must be at most 60 printable characters"),
    ],
)
def test_what_cannot_be_stored(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with closing(CorrectionStore(f"sqlite:///{tmp_path / 'a.sqlite'}")) as store:
        with pytest.raises(ValueError, match=message):
            store.correct(A, 7, **({"old": 1, "new": 2, "who": ""} | change))  # type: ignore[arg-type]
        assert store.load(A) == {}


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(CorrectionError, match=r"Corrected labels cannot be stored in .*DIGITCORE_DATABASE_URL"):
        CorrectionStore(f"sqlite:///{tmp_path / 'file' / 'a.sqlite'}")
