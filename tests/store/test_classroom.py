"""Thirty members of a class who write at once, over their own web sockets to a real server, into either database."""

from pathlib import Path

import pytest

from tests.classroom import classroom, hold_lesson


@pytest.mark.slow
def test_what_thirty_write_at_once_is_kept_each_with_its_writer(url: str, tmp_path: Path) -> None:
    with classroom(tmp_path, url) as client:
        lesson = hold_lesson(client, url, members=30, digits=10)
    print(f"30 members, 10 digits each, at once, {url.partition(':')[0]}: {lesson}")
    kept = {name: [label for writer, label in lesson.kept if writer == name] for name in lesson.asked}
    assert kept == lesson.asked
    assert len(lesson.kept) == 300
    assert lesson.seen[-1][1] == 300
