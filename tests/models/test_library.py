import concurrent.futures
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from digitcore.errors import CheckpointError
from digitcore.files import write_atomically
from digitcore.imaging.preprocessing import normalize
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import Checkpoint, read_checkpoint
from digitcore.models.conventions import sidecar_path
from digitcore.models.export import export_network
from digitcore.models.library import CheckpointLibrary, UnusableCheckpoint, UsableCheckpoint, load_checkpoint
from tests.paths import WEIGHTS

Save = Callable[..., Path]


def test_a_string_is_a_name_or_a_path(weights_folder: Path, save_random: Save) -> None:
    path = save_random(weights_folder / "one.safetensors")
    digests = {load_checkpoint(name_or_path).digest for name_or_path in ("one", str(path), path)}
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["", "two", "../one", "./one", "/one", "one.pt", "one/", "..", "*", "x" * 300])
def test_other_names_are_a_checkpoint_error(weights_folder: Path, save_random: Save, name: str) -> None:
    save_random(weights_folder / "one.safetensors")
    save_random(weights_folder.parent / "one.safetensors")
    with pytest.raises(CheckpointError):
        load_checkpoint(name)


def test_the_folder_is_listed_by_name(weights_folder: Path, save_random: Save) -> None:
    for name in ("b", "a", "c"):
        save_random(weights_folder / f"{name}.safetensors", architecture="mlp" if name == "b" else "compact")
    for other in ("manifest.json", "notes.txt", ".hidden.safetensors", ".a.safetensors-x1y2"):
        (weights_folder / other).write_bytes(b"no checkpoint")
    (weights_folder / "folder.pt").mkdir()
    (weights_folder / "dangling.pt").symlink_to(weights_folder / "gone.pt")
    entries = CheckpointLibrary(weights_folder).entries()
    assert [(entry.name, entry.parameters) for entry in entries] == [("a", 8_778), ("b", 101_770), ("c", 8_778)]
    assert all(isinstance(entry, UsableCheckpoint) for entry in entries)


def test_an_empty_or_missing_folder(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        library = CheckpointLibrary(folder)
        assert library.entries() == []
        with pytest.raises(CheckpointError, match=r"no usable checkpoint.*train compact"):
            library.default_name()
        with pytest.raises(CheckpointError, match=r"no checkpoint 'one' in .*There are: none"):
            library.load("one")


def test_the_default_is_world_or_compact_where_they_can_be_used(weights_folder: Path, save_random: Save) -> None:
    library = CheckpointLibrary(weights_folder)
    save_random(weights_folder / "aaa.safetensors")
    assert library.default_name() == "aaa"
    save_random(weights_folder / "compact.safetensors")
    assert library.default_name() == "compact"
    save_random(weights_folder / "world.safetensors", architecture="standard")
    assert library.default_name() == "world"
    (weights_folder / "world.safetensors").unlink()
    (weights_folder / "compact.safetensors").write_bytes(b"broken")
    assert library.default_name() == "aaa"


def test_new_changed_and_deleted_files_are_noticed(weights_folder: Path, save_random: Save) -> None:
    library = CheckpointLibrary(weights_folder)
    path = save_random(weights_folder / "one.safetensors")
    first = library.load("one")
    assert library.load("one") is first  # not read again
    save_random(path, seed=1)
    second = library.load("one")
    assert second.digest != first.digest
    assert library.entries()[0].digest == second.digest
    batch = normalize(torch.zeros(1, 28, 28, dtype=torch.uint8).numpy())
    assert not torch.equal(second.network(batch), first.network(batch))
    path.write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"one\.safetensors"):
        library.load("one")
    save_random(path)
    assert library.load("one").digest == first.digest
    save_random(weights_folder / "two.safetensors", seed=2)
    assert [entry.name for entry in library.entries()] == ["one", "two"]
    path.unlink()
    assert [entry.name for entry in library.entries()] == ["two"]
    with pytest.raises(CheckpointError, match="There are: two"):
        library.load("one")


@pytest.mark.parametrize("name", ["../one", "./one", "one.safetensors", "", ".", "one\0", "ONE", "*", "x" * 300])
def test_names_are_never_paths(weights_folder: Path, save_random: Save, name: str) -> None:
    save_random(weights_folder.parent / "one.safetensors")
    save_random(weights_folder / "one.safetensors")
    library = CheckpointLibrary(weights_folder)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        library.load(name)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        library.load(str(weights_folder / "one"))


def test_of_two_files_with_one_name_the_first_usable_counts(weights_folder: Path, save_random: Save) -> None:
    safetensors_file, pt = save_random(weights_folder / "one.safetensors"), weights_folder / "one.pt"
    torch.save(build_network("compact").state_dict(), pt)
    library = CheckpointLibrary(weights_folder)
    first, second = library.entries()
    assert isinstance(first, UsableCheckpoint)
    assert first.path == safetensors_file
    assert isinstance(second, UnusableCheckpoint)
    assert second.path == pt
    assert second.problem == f"{pt} is hidden by one.safetensors: rename one of them."
    assert library.load("one").path == safetensors_file
    safetensors_file.write_bytes(b"broken")
    first, second = library.entries()
    assert isinstance(first, UnusableCheckpoint)
    assert isinstance(second, UsableCheckpoint)
    assert library.load("one").path == pt


def test_many_checkpoints_are_all_usable(weights_folder: Path, save_random: Save) -> None:
    for seed in range(20):  # more than a library keeps in memory
        save_random(weights_folder / f"{seed}.safetensors", seed=seed)
    library = CheckpointLibrary(weights_folder)
    digests = {entry.name: entry.digest for entry in library.entries()}
    for name, digest in digests.items():
        assert library.load(name).digest == digest


def test_threads_may_share_a_library_while_files_change(weights_folder: Path, save_random: Save) -> None:
    path = save_random(weights_folder / "one.safetensors", seed=0)
    other = save_random(weights_folder / "two.safetensors", seed=1)
    contents = [path.read_bytes(), other.read_bytes()]
    library = CheckpointLibrary(weights_folder)
    expected = {load_checkpoint(path).digest, load_checkpoint(other).digest}
    seen: set[str] = set()
    problems: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                seen.update({library.load("one").digest, library.load("two").digest})
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(30):
        write_atomically(path, contents[i % 2])
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert seen == expected


def test_an_added_checkpoint_is_used_at_once(weights_folder: Path, save_random: Save, tmp_path: Path) -> None:
    library = CheckpointLibrary(weights_folder)
    data = save_random(tmp_path / "one.safetensors").read_bytes()
    entry = library.add("mine-2.safetensors", data)
    assert isinstance(entry, UsableCheckpoint)
    assert entry.name == "mine-2"
    assert (weights_folder / "mine-2.safetensors").read_bytes() == data
    assert library.load("mine-2").digest == entry.digest


@pytest.mark.parametrize(
    "name",
    ["../one.safetensors", "one.txt", ".one.safetensors", "a/b.pt", "", ".pt", "a\nb.pt", "x" * 120 + ".pt", "-one.pt"],
)
def test_names_that_cannot_be_used_are_refused(
    weights_folder: Path, save_random: Save, tmp_path: Path, name: str
) -> None:
    data = save_random(tmp_path / "one.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="cannot be the name of a checkpoint"):
        CheckpointLibrary(weights_folder).add(name, data)
    assert not list(weights_folder.iterdir())


def test_a_name_that_the_file_system_cannot_hold_is_refused(weights_folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^七+\.pt cannot be written \(.+\): try a shorter name"):
        CheckpointLibrary(weights_folder).add("七" * 100 + ".pt", b"weights")  # 300 bytes
    assert not list(weights_folder.iterdir())


def test_names_with_spaces_and_umlauts_can_be_used(weights_folder: Path, save_random: Save, tmp_path: Path) -> None:
    data = save_random(tmp_path / "one.safetensors").read_bytes()
    library = CheckpointLibrary(weights_folder)
    digest = library.add("Übung für 七.safetensors", data).digest
    assert library.usable_names() == ["Übung für 七"]
    assert library.load("Übung für 七").digest == load_checkpoint("Übung für 七").digest == digest


def test_nothing_is_written_over_and_nothing_broken_is_added(
    weights_folder: Path, save_random: Save, tmp_path: Path
) -> None:
    contents = save_random(weights_folder / "one.safetensors").read_bytes()
    other = save_random(tmp_path / "other.safetensors", seed=1).read_bytes()
    library = CheckpointLibrary(weights_folder)
    for file_name in ("one.safetensors", "one.pt"):
        with pytest.raises(CheckpointError, match=r"There is a checkpoint 'one' already|as a state dict"):
            library.add(file_name, other)
    with pytest.raises(CheckpointError, match=r"^two\.safetensors is damaged"):
        library.add("two.safetensors", other[:-1] + bytes([other[-1] ^ 1]))
    assert [path.name for path in weights_folder.iterdir()] == ["one.safetensors"]
    assert (weights_folder / "one.safetensors").read_bytes() == contents


def test_a_changed_sidecar_is_noticed(weights_folder: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = weights_folder / "one.onnx"
    export_network(load_checkpoint(WEIGHTS / "compact.safetensors"), path, file_format="onnx")
    library = CheckpointLibrary(weights_folder)
    (before,) = library.entries()
    sidecar_path(path).write_text('{"scale": "unit", "ink": "dark"}', encoding="utf-8")
    (after,) = library.entries()
    assert isinstance(before, UsableCheckpoint)
    assert isinstance(after, UsableCheckpoint)
    assert before.digest != after.digest
    sidecar_path(path).write_text("no json", encoding="utf-8")
    (entry,) = library.entries()
    assert isinstance(entry, UnusableCheckpoint)
    assert "cannot be read as JSON" in entry.problem
    other = library.add("two.onnx", path.read_bytes(), convention={"scale": "bytes", "ink": "bright"})
    assert other.metadata.provenance["input"] == {"scale": "bytes", "ink": "bright", "source": "sidecar"}


class HeldReader:
    """Reads files as `read_checkpoint` does, but goes on with `slow.safetensors` only when it is let go."""

    def __init__(self) -> None:
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.reads: Counter[str] = Counter()
        self.failure: BaseException | None = None
        """What the next reading of the slow file raises in the end."""

    def __call__(self, path: Path) -> Checkpoint:
        self.reads[path.stem] += 1
        if path.stem == "slow":
            failure, self.failure = self.failure, None
            self.has_begun.set()
            assert self.may_go_on.wait(60)
            if failure is not None:
                raise failure
        return read_checkpoint(path)


@pytest.fixture
def reader() -> Iterator[HeldReader]:
    reader = HeldReader()
    yield reader
    reader.may_go_on.set()


@pytest.fixture
def pool(reader: HeldReader) -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    pool = concurrent.futures.ThreadPoolExecutor(4)
    yield pool
    reader.may_go_on.set()
    pool.shutdown()


@pytest.fixture
def library(weights_folder: Path, save_random: Save, reader: HeldReader) -> CheckpointLibrary:
    """With the checkpoints `compact`, `slow` and, damaged, `broken`."""
    save_random(weights_folder / "compact.safetensors")
    save_random(weights_folder / "slow.safetensors", seed=1)
    (weights_folder / "broken.safetensors").write_bytes(b"broken")
    return CheckpointLibrary(weights_folder, read=reader)


def test_nobody_waits_for_a_file_that_somebody_else_reads(
    library: CheckpointLibrary, reader: HeldReader, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    loaded = library.load("compact")
    slow = pool.submit(library.load, "slow")
    assert reader.has_begun.wait(60)
    assert pool.submit(library.load, "compact").result(60) is loaded
    assert pool.submit(library.default_name).result(60) == "compact"
    with pytest.raises(CheckpointError, match=r"broken\.safetensors"):  # read for the first time
        pool.submit(library.load, "broken").result(60)
    assert not slow.done()
    reader.may_go_on.set()
    assert slow.result(60).name == "slow"


def test_a_file_added_meanwhile_can_be_used(
    library: CheckpointLibrary,
    reader: HeldReader,
    pool: concurrent.futures.ThreadPoolExecutor,
    save_random: Save,
    tmp_path: Path,
) -> None:
    slow = pool.submit(library.load, "slow")
    assert reader.has_begun.wait(60)
    data = save_random(tmp_path / "new.safetensors", seed=2).read_bytes()
    entry = pool.submit(library.add, "new.safetensors", data).result(60)
    assert pool.submit(library.load, "new").result(60).digest == entry.digest
    assert not slow.done()


def test_a_file_is_read_once_however_many_want_it(
    library: CheckpointLibrary, reader: HeldReader, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    waiting = [pool.submit(library.load, "slow") for _ in range(3)]
    listing = pool.submit(library.entries)
    assert reader.has_begun.wait(60)
    reader.may_go_on.set()
    checkpoints = [future.result(60) for future in waiting]
    assert checkpoints[0] is checkpoints[1] is checkpoints[2]
    assert [entry.name for entry in listing.result(60)] == ["broken", "compact", "slow"]
    assert reader.reads == {"broken": 1, "compact": 1, "slow": 1}


def test_all_who_want_a_damaged_file_are_told_and_nobody_else(
    library: CheckpointLibrary, reader: HeldReader, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    reader.failure = CheckpointError("slow.safetensors is damaged")
    waiting = [pool.submit(library.load, "slow") for _ in range(2)]
    assert reader.has_begun.wait(60)
    other = pool.submit(library.load, "compact")
    reader.may_go_on.set()
    for future in waiting:
        with pytest.raises(CheckpointError, match=r"slow\.safetensors is damaged"):
            future.result(60)
    assert other.result(60).name == "compact"
    assert reader.reads["slow"] == 1


def test_in_the_background_an_onnx_file_is_pending_until_it_has_been_read(
    weights_folder: Path, save_random: Save, reader: HeldReader
) -> None:
    save_random(weights_folder / "compact.safetensors")
    for name in ("slow", "second"):
        (weights_folder / f"{name}.onnx").write_bytes(b"no model")
    library = CheckpointLibrary(weights_folder, read=reader, background=True)
    entries = library.entries()
    assert [(entry.name, isinstance(entry, UsableCheckpoint)) for entry in entries] == [
        ("compact", True), ("second", False), ("slow", False),
    ]  # fmt: skip
    assert reader.has_begun.wait(60)
    assert [entry.is_pending for entry in library.entries()[1:]][-1]
    reader.may_go_on.set()
    while any(entry.is_pending for entry in library.entries() if isinstance(entry, UnusableCheckpoint)):
        time.sleep(0.01)
    with pytest.raises(CheckpointError, match=r"slow\.onnx (cannot be run|cannot be read|needs)"):
        library.load("slow")
    assert reader.reads == {"compact": 1, "slow": 1, "second": 1}


def test_whoever_waits_for_a_reader_that_is_interrupted_reads_the_file_itself(
    library: CheckpointLibrary, reader: HeldReader, pool: concurrent.futures.ThreadPoolExecutor
) -> None:
    reader.failure = MemoryError()
    first = pool.submit(library.load, "slow")
    assert reader.has_begun.wait(60)
    second = pool.submit(library.load, "slow")
    reader.may_go_on.set()
    with pytest.raises(MemoryError):
        first.result(60)
    assert second.result(60).name == "slow"


def test_networks_not_used_for_long_are_forgotten_and_read_again(weights_folder: Path, save_random: Save) -> None:
    for number in range(17):  # one more than a library keeps in memory
        save_random(weights_folder / f"{number}.safetensors", seed=number)
    reader = HeldReader()
    library = CheckpointLibrary(weights_folder, read=reader)
    for number in range(16):
        library.load(str(number))
    library.load("0")
    library.load("16")
    library.load("0")
    assert set(reader.reads.values()) == {1}
    library.load("1")
    assert reader.reads["1"] == 2
