"""Whether a class loses anything when all write at once: `python -m tests.classroom [MEMBERS [DIGITS]]`.

Members join over their own web sockets and send digits as the pad on a phone does; a teacher's board looks as often as
in a browser. First each member sends the next digit at once, then at the pace of a quick hand.
"""

import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from digitcore.store.classes import ClassStore
from pages.parts.handwriting.board import MEMBERS_LOOK, TEACHERS_LOOK
from pages.parts.handwriting.pad import PAD
from tests.paths import ROOT
from tests.processes import free_port, inherited_environment, running_server
from tests.visitors import Visitor, visitor

QUICK_HAND = 2.4  # seconds for a digit: a hundred in four minutes
_SEVEN = [[[100.0, 60.0], [220.0, 60.0], [130.0, 270.0]]]
_COUNT = re.compile(r"<b>(\d+)</b> digits? by")


@dataclass
class Lesson:
    """What came of it."""

    asked: dict[str, list[int]] = field(default_factory=dict)
    """The digits that each member has sent and the server has confirmed, by name."""
    kept: list[tuple[str, int]] = field(default_factory=list)
    """Writer and label of the digits in the database, in their order."""
    confirmed: list[float] = field(default_factory=list)
    """When digits were confirmed, in seconds of the clock."""
    answers: list[float] = field(default_factory=list)
    """Seconds from each digit to its confirmation."""
    seen: list[tuple[float, int]] = field(default_factory=list)
    """When the board was seen, and how many digits stood there."""

    def lags(self) -> list[float]:
        """Seconds from each confirmation until the board showed at least as many digits."""
        moments = sorted(self.confirmed)
        first_seen = [min(moment for moment, count in self.seen if count > i) for i in range(len(moments))]
        return [max(0.0, seen - moment) for seen, moment in zip(first_seen, moments, strict=True)]

    def __str__(self) -> str:
        lags, seconds = np.array(self.lags()), max(self.confirmed) - min(self.confirmed)
        answers = np.array(self.answers)
        return (
            f"{len(self.kept)} of {sum(map(len, self.asked.values()))} kept in {seconds:.1f} s; "
            f"confirmed after {np.median(answers):.2f} s (95%: {np.quantile(answers, 0.95):.2f} s); "
            f"the board behind by {np.median(lags):.2f} s (95%: {np.quantile(lags, 0.95):.2f} s, "
            f"most {lags.max():.2f} s)"
        )


def hold_lesson(client: httpx.Client, url: str, *, members: int, digits: int, pace: float = 0.0) -> Lesson:
    """A class of so many members on the server of this client, each of whom writes so many digits.

    url: of the server's database. pace: seconds from one digit of a member to the next, at least.
    """
    lesson = Lesson()
    with visitor(client, "handwriting", view="Class") as teacher:
        teacher.run()
        teacher.run(pressed="start-class")
        notebook = teacher.told["notebook-memory"]["value"]
        with closing(ClassStore(url)) as store:
            code = store.board(notebook).code
            everybody_is_there = threading.Barrier(members)
            with ThreadPoolExecutor(members) as pool:
                names = [f"Member {number}" for number in range(members)]
                jobs = [
                    pool.submit(_take_part, client, code, name, digits, pace, everybody_is_there, lesson)
                    for name in names
                ]
                _watch(teacher, lesson, members * digits, jobs)
                for job in jobs:
                    job.result()
            written = store.load(notebook)
    lesson.kept = list(zip(written.writers, written.labels.tolist(), strict=True))
    return lesson


def _take_part(
    client: httpx.Client, code: str, name: str, digits: int, pace: float, all_there: threading.Barrier, lesson: Lesson
) -> None:
    """Joins, waits for the others, and writes what is asked for; looks at the board now and then."""
    with visitor(client, "handwriting", **{"class": code}) as member:
        member.run()
        member.fill("class-name-field", name)
        member.run(pressed="join-button")
        all_there.wait()
        sent, looked = [], time.monotonic()
        for number in range(1, digits + 1):
            start = time.monotonic()
            label = member.told[PAD]["prompts"][0]
            member.send(PAD, {"queue": [{"number": number, "label": label, "strokes": _SEVEN}]})
            assert member.told[PAD]["done"] == number
            lesson.confirmed.append(time.monotonic())
            lesson.answers.append(lesson.confirmed[-1] - start)
            sent.append(label)
            if time.monotonic() > looked + MEMBERS_LOOK:
                looked = time.monotonic()
                member.run(fragment=_board(member))
            time.sleep(max(0.0, start + pace - time.monotonic()))
        lesson.asked[name] = sent


def _watch(teacher: Visitor, lesson: Lesson, total: int, jobs: list[Future[None]]) -> None:
    """Looks at the board until all digits stand there, or a member has failed."""
    count = 0
    while count < total and not any(job.done() and job.exception() for job in jobs):
        start = time.monotonic()
        teacher.run(fragment=_board(teacher))
        (words,) = [text for text in teacher.shown if 'data-testid="class-board"' in text]
        count = int(_COUNT.findall(words)[0])
        lesson.seen.append((time.monotonic(), count))
        time.sleep(max(0.0, start + TEACHERS_LOOK - time.monotonic()))


def _board(visitor: Visitor) -> str:
    """The fragment that is to run again and again."""
    (fragment,) = visitor.repeated
    return fragment


@contextmanager
def classroom(folder: Path, url: str) -> Iterator[httpx.Client]:
    """A dashboard that writes to a folder and to a database."""
    port = free_port()
    environment = inherited_environment(folder, ROOT) | {"DIGITCORE_DATABASE_URL": url}
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py"), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1"]
    with running_server(command, port=port, folder=folder, environment=environment) as client:
        yield client


def main(members: int = 30, digits: int = 10) -> None:
    """Prints what comes of two lessons."""
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/digitcore.sqlite"
        with classroom(Path(name), url) as client:
            for pace, words in ((0.0, "at once"), (QUICK_HAND, f"every {QUICK_HAND} s")):
                lesson = hold_lesson(client, url, members=members, digits=digits, pace=pace)
                print(f"{members} members, {digits} digits each, {words}: {lesson}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
