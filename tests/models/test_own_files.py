"""Checkpoints that visitors add, rename and remove: names, quotas, and two who do it at the same time."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from digitcore.errors import CheckpointError
from digitcore.models.architectures import build_network
from digitcore.models.conventions import sidecar_path
from digitcore.models.library import CheckpointLibrary, UnusableCheckpoint, UsableCheckpoint
from tests.paths import ROOT

Save = Callable[..., Path]
COUNT = 20  # of names that two want at the same time


@pytest.fixture
def library(weights_folder: Path, save_random: Save) -> CheckpointLibrary:
    """With the shipped checkpoint `compact`, and the added ones `mine` and, damaged, `bad`."""
    data = save_random(weights_folder / "compact.safetensors").read_bytes()
    entry = {"file": "compact.safetensors", "sha256": hashlib.sha256(data).hexdigest()}
    (weights_folder / "manifest.json").write_text(json.dumps({"compact": entry}), encoding="utf-8")
    save_random(weights_folder / "mine.safetensors", seed=1)
    (weights_folder / "bad.pt").write_bytes(b"nothing")
    return CheckpointLibrary(weights_folder)


def _add_all(library: CheckpointLibrary, data: bytes, suffix: str, start: threading.Barrier) -> list[str]:
    outcomes = []
    for number in range(COUNT):
        start.wait(60)
        try:
            library.add(f"{number}{suffix}", data)
        except CheckpointError as error:
            outcomes.append(str(error).split(":")[0])
        else:
            outcomes.append("added")
    return outcomes


@pytest.mark.parametrize("suffixes", [(".pt", ".pt"), (".pt", ".pth")])
def test_of_two_who_add_one_name_one_is_told_that_there_is_one(
    weights_folder: Path, tmp_path: Path, suffixes: tuple[str, str]
) -> None:
    torch.save(build_network("compact").state_dict(), tmp_path / "one.pt")
    data, start = (tmp_path / "one.pt").read_bytes(), threading.Barrier(2)
    libraries = [CheckpointLibrary(weights_folder) for _ in suffixes]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(_add_all, libraries, [data, data], suffixes, [start, start]))
    for number, pair in enumerate(zip(*outcomes, strict=True)):
        assert sorted(pair) == [f"There is a checkpoint '{number}' already", "added"]
    assert len(libraries[0].usable_names()) == COUNT


_ADD = """
import sys
from pathlib import Path
from digitcore.errors import CheckpointError
from digitcore.models.own_files import add_file
print("ready", flush=True)
for number in range(int(sys.stdin.readline())):
    try:
        add_file(Path(sys.argv[1]), f"{number}.{sys.argv[2]}", bytes(1000), beside={})
        print("added")
    except CheckpointError as error:
        print(str(error).split(":")[0])
"""


@pytest.mark.parametrize("suffixes", [("pt", "pt"), pytest.param(("pt", "onnx"), marks=pytest.mark.slow)])
def test_neither_do_two_processes_both_add_it(weights_folder: Path, suffixes: tuple[str, str]) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _ADD, weights_folder, suffix],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for suffix in suffixes
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda process: process.communicate(f"{COUNT}\n", 120)[0].splitlines(), processes)
    for number, pair in enumerate(zip(*answers, strict=True)):
        assert sorted(pair) == [f"There is a checkpoint '{number}' already", "added"]
    assert len(list(weights_folder.iterdir())) == COUNT


def test_what_was_not_shipped_is_own_and_unverified(library: CheckpointLibrary, save_random: Save) -> None:
    assert library.own_files() == ["bad.pt", "mine.safetensors"]

    def verified() -> dict[str, bool]:
        return {entry.name: entry.is_verified for entry in library.entries() if isinstance(entry, UsableCheckpoint)}

    assert verified() == {"compact": True, "mine": False}
    save_random(library.directory / "compact.safetensors", seed=2)
    assert verified() == {"compact": False, "mine": False}
    assert library.own_files() == ["bad.pt", "mine.safetensors"]
    (library.directory / "manifest.json").unlink()
    assert library.own_files() == ["bad.pt", "compact.safetensors", "mine.safetensors"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', '{"a": {}}', '{"a": {"file": ["x"]}}', "[" * 100_000])
def test_where_the_manifest_is_damaged_all_are_own(library: CheckpointLibrary, text: str) -> None:
    (library.directory / "manifest.json").write_text(text, encoding="utf-8")
    assert library.own_files() == ["bad.pt", "compact.safetensors", "mine.safetensors"]
    assert library.usable_names() == ["compact", "mine"]


def test_an_own_checkpoint_is_renamed_and_networks_in_use_go_on(library: CheckpointLibrary) -> None:
    network, digest = library.load("mine").network, library.load("mine").digest
    sidecar_path(library.directory / "mine.safetensors").write_text("{}", encoding="utf-8")
    library.rename("mine.safetensors", "yours")
    assert library.usable_names() == ["compact", "yours"]
    assert library.load("yours").digest == digest
    assert sidecar_path(library.directory / "yours.safetensors").is_file()
    assert network(torch.zeros(1, 1, 28, 28)).shape == (1, 10)
    library.rename("bad.pt", "worse")
    assert library.own_files() == ["worse.pt", "yours.safetensors"]


@pytest.mark.parametrize("name", ["compact", "bad", "mine", "", "../mine", "a/b", ".mine", "a\nb", "x" * 200, "/tmp/x"])
def test_a_name_that_is_taken_or_cannot_be_used(library: CheckpointLibrary, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"already|cannot be the name"):
        library.rename("mine.safetensors", name)
    assert library.own_files() == ["bad.pt", "mine.safetensors"]


def test_an_own_checkpoint_is_removed_and_networks_in_use_go_on(library: CheckpointLibrary) -> None:
    network = library.load("mine").network
    for file in ("mine.safetensors", "bad.pt"):
        library.remove(file)
    assert [entry.name for entry in library.entries()] == ["compact"]
    assert network(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


@pytest.mark.parametrize("file", ["compact.safetensors", "manifest.json", "gone.pt", "../mine.safetensors", "", "."])
def test_what_is_not_own_stays(library: CheckpointLibrary, save_random: Save, file: str) -> None:
    save_random(library.directory.parent / "mine.safetensors")
    before = sorted(library.directory.parent.rglob("*"))
    with pytest.raises(CheckpointError, match="is not an added model"):
        library.remove(file)
    with pytest.raises(CheckpointError, match="is not an added model"):
        library.rename(file, "new")
    assert sorted(library.directory.parent.rglob("*")) == before


def test_no_more_is_added_than_the_quotas_allow(
    library: CheckpointLibrary, save_random: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save_random(tmp_path / "one.safetensors").read_bytes()
    monkeypatch.setenv("DIGITCORE_MAX_ADDED_FILES", "2")
    with pytest.raises(CheckpointError, match="There are 2 added models, and 2 are the most: remove one first"):
        library.add("one.safetensors", data)
    monkeypatch.delenv("DIGITCORE_MAX_ADDED_FILES")
    own = sum((library.directory / name).stat().st_size for name in library.own_files())
    monkeypatch.setenv("DIGITCORE_MAX_ADDED_BYTES", str(own + len(data) - 1))
    with pytest.raises(CheckpointError, match=r"would take 0 MB, and 0 MB are the most: remove one first"):
        library.add("one.safetensors", data)
    assert not any(isinstance(entry, UnusableCheckpoint) and entry.name == "one" for entry in library.entries())
    library.remove("bad.pt")
    assert library.add("one.safetensors", data).name == "one"
