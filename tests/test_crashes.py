"""Processes that are killed while they write, a full disk, and two processes at once: nothing is lost, nothing half."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from digitcore.files import (
    load_arrays,
    remove_leftovers,
    remove_temporary_folders,
    temporary_folder,
    write_atomically,
)
from digitcore.models.library import CheckpointLibrary, load_checkpoint
from digitcore.store.annotations import Annotation, AnnotationStore
from digitcore.store.handwriting import HandwritingStore, new_key
from tests.crash_victims import EPOCHS, LARGEST, contents, written_digit
from tests.databases import postgresql
from tests.paths import ROOT
from tests.processes import as_user, readable_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")
MANY = pytest.mark.faults


class Victims:
    """Processes that write, one after the other; a context."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_victims"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def __enter__(self) -> "Victims":
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()

    def run(self, *arguments: str | Path, times: int = 1, heard: int = 0, kill_after: float | None = None) -> list[str]:
        """What a function of `crash_victims` says until it ends, or is killed so many seconds after so many lines.

        It may run several times at once; all are killed.
        """
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(shlex.join(map(str, (times, *arguments))) + "\n")
        self._parent.stdin.flush()
        processes = map(int, self._parent.stdout.readline().split())
        said = [self._parent.stdout.readline() for _ in range(heard)]
        if kill_after is not None:
            time.sleep(kill_after)
            for process in processes:
                os.kill(process, signal.SIGKILL)
        return [line.strip() for line in (*said, *iter(self._parent.stdout.readline, "ended\n"))]


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as victims:
        yield victims


def delays(count: int, *, longest: float) -> Iterator[float]:
    generator = random.Random(17)
    return (generator.uniform(0, longest) for _ in range(count))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=MANY)])
def test_killed_while_saving(victims: Victims, tmp_path: Path, kills: int) -> None:
    path, left, written = tmp_path / "file", 0, 0
    write_atomically(path, contents(0))
    for delay in delays(kills, longest=0.05):
        written += len(victims.run("save", path, kill_after=delay))
        assert path.read_bytes() == contents(path.read_bytes()[-1])
        left += len(files(tmp_path)) - 1
    write_atomically(tmp_path / "other", b"")
    assert files(tmp_path) == ["file", "other"]
    print(f"\n{kills} kills in {written} writes: {left} files left by then, none after the next write")


def test_what_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(write_atomically, tmp_path / str(i % 5), contents(i % 5)) for i in range(100)]
        for job in jobs:
            remove_leftovers(tmp_path)
            job.result()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {str(i): contents(i) for i in range(5)}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=MANY)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'annotations.sqlite'}"
    else:
        with postgresql() as address:
            yield address


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=MANY)])
def test_killed_while_taking_notes(victims: Victims, url: str, tmp_path: Path, kills: int) -> None:
    stored: list[int] = []
    start = 0
    for delay in delays(kills, longest=0.2):
        stored += map(int, victims.run("notes", url, str(start), heard=1, kill_after=delay))
        with closing(AnnotationStore(url)) as store:
            known = store.load("mnist-test")
        assert set(stored) <= known.keys()
        start = 1 + max(known, default=-1)
    assert known == {digit: Annotation(starred=True, note=f"note {digit} " * 50) for digit in range(start)}
    assert len(known) <= len(stored) + kills  # each time at most one was stored and not said yet
    with closing(AnnotationStore(url)) as store:
        store.save("uci-digits", 1, Annotation(starred=True))
    assert set(files(tmp_path)) <= {"annotations.sqlite"}
    print(f"\n{kills} kills: {len(known)} notes, {len(stored)} of them acknowledged, none lost")


@pytest.mark.parametrize(
    ("kills", "writers"), [pytest.param(3, 3, id="briefly"), pytest.param(40, 8, marks=MANY, id="long")]
)
def test_killed_while_writing_digits(victims: Victims, url: str, kills: int, writers: int) -> None:
    """Several write into one notebook, and all are killed at once."""
    notebook, said = new_key(), set()
    for delay in delays(kills, longest=0.3):
        said |= set(map(int, victims.run("handwriting", url, notebook, times=writers, heard=1, kill_after=delay)))
        with closing(HandwritingStore(url)) as store:
            assert said <= set(store.load(notebook).ids.tolist())
    with closing(HandwritingStore(url)) as store:
        stored = store.load(notebook)
        assert store.size(notebook) == len(stored) <= len(said) + kills * writers  # not said yet
        for one in store.read(notebook, stored.ids.tolist()):
            expected = written_digit(int(one.digit.session))
            assert np.array_equal(one.digit.picture, expected.picture)
            assert (one.digit.ink, one.digit.label) == (expected.ink, expected.label)
    print(f"\n{kills} kills of {writers} writers: {len(stored)} digits, {len(said)} of them confirmed, none lost")


def test_killed_while_a_file_is_tried_out(victims: Victims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy that is tried is removed by the next server, or the next trial; that of a trial under way is not."""
    pytest.importorskip("onnxruntime")
    from tests.models.test_onnx import linear_model

    path, temporary = tmp_path / "a.onnx", tmp_path / "temporary"
    path.write_bytes(linear_model())
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for remove in (remove_temporary_folders, lambda: load_checkpoint(path)):
        victims.run("try_out", temporary, path, heard=1, kill_after=1)
        assert files(temporary) != []
        remove()
        assert list(temporary.iterdir()) == []
    with temporary_folder() as folder:
        remove_temporary_folders()
        assert list(temporary.iterdir()) == [folder]
    assert list(temporary.iterdir()) == []


@MANY
def test_killed_while_evaluating(victims: Victims, tmp_path: Path) -> None:
    whole = 0
    for delay in delays(20, longest=0.5):
        whole += len(victims.run("evaluate", tmp_path, heard=1, kill_after=delay))
        for path in tmp_path.glob("*.npz"):
            assert load_arrays(path)["logits"].shape == (5_000, 10)
    remove_leftovers(tmp_path)
    assert len(files(tmp_path)) == 3
    assert all(name.startswith("mlp--mnist-validation--") for name in files(tmp_path))
    print(f"\n20 kills in {whole} evaluations: none half, no file left")


@MANY
def test_killed_while_training(victims: Victims, tmp_path: Path) -> None:
    """The run is resumed each time, and ends in the same weights as one that was never killed."""
    whole, output, state = tmp_path / "whole.safetensors", tmp_path / "run.safetensors", tmp_path / "state" / "run.pt"
    reached = 0
    victims.run("train", whole, tmp_path / "state" / "whole.pt")
    for delay in delays(20, longest=0.1):
        epochs = list(map(int, victims.run("train", output, state, heard=1, kill_after=delay)))
        assert not output.exists()
        assert epochs[0] in {reached + 1, reached + 2}  # written, and not said yet
        reached = epochs[-1]
    (first, *_, last) = map(int, victims.run("train", output, state))
    assert first in range(reached + 1, reached + 3)
    assert last == EPOCHS
    weights = [load_checkpoint(path).network.state_dict() for path in (whole, output)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert [name for name in files(tmp_path) if "events" not in name] == [
        "run.safetensors", "state/run.csv", "state/whole.csv", "whole.safetensors",
    ]  # fmt: skip
    print(f"\n20 kills in {reached} epochs: none lost, the same weights")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("save", "File too large"),
        pytest.param("train", "make room, then go on with the same command and --resume", marks=MANY),
        pytest.param("evaluate", "File too large", marks=MANY),
        pytest.param("notes", "Stars and notes cannot be stored", marks=MANY),
    ],
)
def test_a_full_disk_leaves_what_was_there(victims: Victims, tmp_path: Path, name: str, sentence: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    database = f"sqlite:///{folder / 'annotations.sqlite'}"
    arguments = {
        "save": [folder / "file"],
        "train": [tmp_path / "run.safetensors", folder / "run.pt"],
        "evaluate": [folder],
        "notes": [database, "0"],
    }[name]
    write_atomically(folder / "file", b"old")
    said = victims.run("on_a_full_disk", name, *arguments)
    assert said[-1].startswith("error: ")
    assert sentence in said[-1]
    assert (folder / "file").read_bytes() == b"old"
    assert not list(folder.glob(".*"))
    assert all(path.stat().st_size <= LARGEST for path in folder.iterdir())
    if name == "notes":
        with closing(AnnotationStore(database)) as store:
            assert store.load("mnist-test").keys() == {int(line) for line in said if line.isdecimal()}


@MANY
def test_two_processes_in_the_same_folders(url: str, tmp_path: Path) -> None:
    """Notes, evaluations and checkpoints of both are there; of the same file one of the two, whole."""
    folder = tmp_path / "folder"
    folder.mkdir()
    script = (
        "import sys; from tests.crash_victims import *; "
        "from digitcore.models.library import CheckpointLibrary; "
        "me, url, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]); "
        "store = AnnotationStore(url); library = CheckpointLibrary(folder); "
        "data = Path('weights/mlp.safetensors').read_bytes(); "
        "digits = digitcore.load_digits('mnist-validation').subset(np.arange(50)); "
        "evaluation = digitcore.evaluate(digitcore.load_classifier('mlp'), digits); "
        "say('ready'); sys.stdin.readline()\n"
        "for i in range(50):\n"
        "    store.save('mnist-test', 2 * i + me, Annotation(note=str(me)), version=0)\n"
        "    store.save('uci-digits', i, Annotation(note=str(me)))\n"
        "    save_evaluation(replace(evaluation, fingerprint=f'{2 * i + me:016}'), folder / 'evaluations')\n"
        "    save_evaluation(replace(evaluation, fingerprint='same'), folder / 'evaluations')\n"
        "    if i < 5: library.add(f'mine-{me}-{i}.safetensors', data)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(me), url, folder],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )
        for me in (0, 1)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with closing(AnnotationStore(url)) as store:
        assert store.load("mnist-test") == {digit: Annotation(note=str(digit % 2)) for digit in range(100)}
        assert store.load("uci-digits").keys() == set(range(50))
    evaluations = sorted((folder / "evaluations").iterdir())
    assert len(evaluations) == 101
    assert all(load_arrays(path)["logits"].shape == (50, 10) for path in evaluations)
    assert CheckpointLibrary(folder).usable_names() == sorted(f"mine-{me}-{i}" for me in (0, 1) for i in range(5))
    assert not list(folder.glob(".*"))


@MANY
def test_folders_that_cannot_be_written_to(save_random: Callable[..., Path]) -> None:
    """Figures are given all the same; what cannot be stored is a sentence that names the setting."""
    with readable_folder() as folder:
        user = as_user(65534)
        environment = {
            "PATH": os.environ["PATH"],
            "DIGITCORE_CACHE": str(folder / "cache"),
            "DIGITCORE_DATABASE_URL": f"sqlite:///{folder / 'state' / 'annotations.sqlite'}",
        }
        save_random(folder / "one.safetensors", architecture="mlp")
        digitcore = [*user, sys.executable, "-m", "digitcore"]
        options = ["--dataset", "mnist-validation"]
        evaluated, compared, exported = (
            subprocess.run([*digitcore, *words], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8")
            for words in (
                ["evaluate", folder / "one.safetensors", *options],
                ["compare", "mlp", folder / "one.safetensors", *options, "--report", folder / "report.html"],
                ["export", "mlp", "--format", "state-dict", "--output", folder / "out.pt"],
            )
        )
        assert files(folder) == ["one.safetensors"]
    assert evaluated.returncode == 0
    assert "5,000" in evaluated.stdout
    assert "The evaluation cannot be stored in" in evaluated.stderr
    assert "DIGITCORE_CACHE" in evaluated.stderr
    assert compared.returncode == 1
    assert "DIGITCORE_DATABASE_URL" in compared.stderr
    assert "report.html cannot be written (Permission denied): choose another place" in compared.stderr
    assert exported.returncode == 1
    assert "out.pt cannot be written (Permission denied): choose another place" in exported.stderr
    assert "Traceback" not in evaluated.stderr + compared.stderr + exported.stderr
