import os
import stat
from pathlib import Path

import pytest

from digitcore.files import update_copies, write_atomically


def _contents(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "below").mkdir(parents=True)
    for name in ("a", "b", "below/c"):
        (folder / name).write_text(f"{name} of version 1", encoding="utf-8")
    return folder


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)], ids=oct)
def test_the_umask_decides_who_may_read_a_file(umask: int, mode: int, tmp_path: Path) -> None:
    earlier = os.umask(umask)
    try:
        write_atomically(tmp_path / "new", b"contents")
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", b"contents")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_files_are_copied_once_for_each_version(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "home" / "target"
    update_copies(source, target, version="1")
    assert _contents(target) == _contents(source)
    (target / "a").unlink()
    update_copies(source, target, version="1")
    assert "a" not in _contents(target)
    for name in ("a", "b", "below/c"):
        (source / name).write_text(f"{name} of version 2", encoding="utf-8")
    update_copies(source, target, version="2")
    assert _contents(target) == _contents(source)


def test_what_the_user_has_added_or_changed_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "a").write_text("a of the user, there before the first copy", encoding="utf-8")
    update_copies(source, target, version="1")
    (target / "b").write_text("b of the user, changed afterwards", encoding="utf-8")
    (target / "mine").write_text("mine", encoding="utf-8")
    for name in ("a", "b", "below/c", "mine"):
        (source / name).write_text(f"{name} of version 2", encoding="utf-8")
    update_copies(source, target, version="2")
    assert _contents(target) == {
        "a": "a of the user, there before the first copy",
        "b": "b of the user, changed afterwards",
        "below/c": "below/c of version 2",
        "mine": "mine",
    }


@pytest.mark.parametrize("record", ["", "[]", "{", '{"version": "2"}', '{"version": "2", "digests": []}'])
def test_a_damaged_record_costs_a_copy_and_no_file_of_the_user(record: str, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    update_copies(source, target, version="1")
    (target / "a").write_text("a of the user", encoding="utf-8")
    (target / "b").unlink()
    (target / ".copies.json").write_text(record, encoding="utf-8")
    update_copies(source, target, version="2")
    assert _contents(target) == _contents(source) | {"a": "a of the user"}


def test_copying_that_was_stopped_is_finished_next_time(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "below").mkdir(parents=True)
    (target / "below" / "c").mkdir()  # in the way of a file
    with pytest.raises(OSError, match="c"):
        update_copies(source, target, version="1")
    (target / "below" / "c").rmdir()
    update_copies(source, target, version="1")
    assert _contents(target) == _contents(source)
