import argparse
import functools
import hashlib
import json
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from digitcore.errors import CheckpointError
from digitcore.formats.endings import REFUSED
from digitcore.imaging.preprocessing import normalize
from digitcore.models.architectures import CLASS_NAMES, DigitNetwork, architecture_names, build_network
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, save_checkpoint, write_atomically
from digitcore.models.conventions import sidecar_path
from digitcore.models.library import CheckpointLibrary, UnusableCheckpoint, UsableCheckpoint, load_checkpoint

Save = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # of torch, about foreign files


def _network(architecture: str = "compact", *, batch_norm: bool = False, seed: int = 0) -> DigitNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(architecture, batch_norm=batch_norm)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # as training would leave them, not 0 and 1
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2)
    return network


def _batch() -> Tensor:
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28), dtype=np.uint8)
    return normalize(images)


def _logits(network: nn.Module) -> Tensor:
    with torch.inference_mode():
        return network.eval()(_batch())


def _parts(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header["__metadata__"], safetensors.torch.load(data)


@pytest.mark.parametrize("architecture", architecture_names())
def test_what_is_saved_is_loaded(tmp_path: Path, architecture: str) -> None:
    network = _network(architecture)
    metadata = CheckpointMetadata(
        architecture=architecture,
        temperature=1.3,
        refusal_threshold=0.6,
        trained_on=("mnist-train",),
        recipe={"name": "quick", "augmentation": {"rotation": 12}},
        seed=7,
        provenance={"torch": torch.__version__, "commit": None},
    )
    path = tmp_path / "new folder" / "one.safetensors"
    save_checkpoint(path, network, metadata)
    checkpoint = load_checkpoint(path)
    assert (checkpoint.name, checkpoint.path, checkpoint.metadata) == ("one", path, metadata)
    assert checkpoint.parameters == sum(p.numel() for p in network.parameters())
    assert torch.equal(_logits(checkpoint.network), _logits(network))
    assert not checkpoint.network.training
    assert not any(parameter.requires_grad for parameter in checkpoint.network.parameters())


def test_batch_normalisation_is_folded_away(tmp_path: Path) -> None:
    network = _network(batch_norm=True)
    save_checkpoint(tmp_path / "one.safetensors", network, CheckpointMetadata("compact"))
    checkpoint = load_checkpoint(tmp_path / "one.safetensors")
    assert checkpoint.parameters == 8_778
    assert torch.allclose(_logits(checkpoint.network), _logits(network), atol=1e-4)


def test_the_digest_covers_all_that_changes_an_answer(tmp_path: Path, save_random: Save) -> None:
    variants: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"temperature": 1.5},
        {"refusal_threshold": 0.5},
        {"architecture": "mlp"},
    ]
    digests = []
    for i, variant in enumerate(variants):
        digests.append(load_checkpoint(save_random(tmp_path / f"{i}.safetensors", **variant)).digest)
    assert len(set(digests)) == len(variants)
    same = save_random(tmp_path / "same.safetensors", trained_on=("mnist-train",), recipe={"name": "quick"})
    assert load_checkpoint(same).digest == digests[0]  # another name and history, the same answers


def test_weights_that_cannot_be_used_are_not_saved(tmp_path: Path) -> None:
    network = _network()
    with pytest.raises(ValueError, match=r"path must end in \.safetensors, got"):
        save_checkpoint(tmp_path / "one.pt", network, CheckpointMetadata("compact"))
    with pytest.raises(CheckpointError, match="do not fit its architecture"):
        save_checkpoint(tmp_path / "one.safetensors", network, CheckpointMetadata("mlp"))
    with torch.no_grad():
        network.head.bias[3] = torch.nan
    with pytest.raises(CheckpointError, match=r"contains NaN or infinity in head\.bias"):
        save_checkpoint(tmp_path / "one.safetensors", network, CheckpointMetadata("compact"))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to(tmp_path: Path, save_random: Save) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"file/one\.safetensors cannot be written"):
        save_random(tmp_path / "file" / "one.safetensors")


def test_writing_replaces_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def _foreign(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"module.layer_{i}": value for i, value in enumerate(state.values())}


STATE_DICTS: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model_state_dict": lambda state: {"optimizer": {}, "model_state_dict": state},
    "foreign keys": _foreign,
    "parameters": lambda state: {name: nn.Parameter(value) for name, value in state.items()},
    "model": lambda state: {"epoch": 3, "optimizer": {"state": {0: {"step": 1}}}, "model": state},
    "wrapped twice": lambda state: {"model": {"state_dict": state, "lr": 0.1}, "epoch": 3},
    "any other name": lambda state: {"loss": [0.5], "best": state},
    "compiled": lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    "net": lambda state: {"net": state, "epoch": 3},
    "parts compiled": lambda state: {name.replace(".", "._orig_mod.", 1): value for name, value in state.items()},
    "Lightning": lambda state: {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "callbacks": {"ModelCheckpoint": {"best_model_path": "best.ckpt"}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
        "state_dict": {f"model.{name}": value for name, value in state.items()} | {"loss.weight": torch.ones(10)},
    },
    "other objects beside it": lambda state: {"args": argparse.Namespace(epochs=3), "net": state},
}


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("form", STATE_DICTS)
def test_a_plain_state_dict_is_a_checkpoint(tmp_path: Path, form: str, batch_norm: bool, suffix: str) -> None:
    network = _network(batch_norm=batch_norm)
    state = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    torch.save(STATE_DICTS[form](state), tmp_path / f"one{suffix}")
    checkpoint = load_checkpoint(tmp_path / f"one{suffix}")
    assert checkpoint.metadata == CheckpointMetadata("compact", provenance=checkpoint.metadata.provenance)
    assert list(checkpoint.metadata.provenance) == ["input"]
    assert checkpoint.parameters == 8_778
    assert torch.allclose(_logits(checkpoint.network), _logits(network), atol=1e-4)
    assert not any(parameter.requires_grad for parameter in checkpoint.network.parameters())


@pytest.mark.parametrize(
    ("architecture", "batch_norm"),
    [
        ("compact", False),
        ("compact", True),
        ("compact-wide", False),
        ("compact-wide", True),
        ("standard", False),
        ("standard", True),
        ("standard-x3", False),
        ("mlp", False),
    ],
)
def test_the_readmes_one_line_is_enough(tmp_path: Path, architecture: str, batch_norm: bool) -> None:
    network = _network(architecture, batch_norm=batch_norm)
    torch.save(network.state_dict(), tmp_path / "one.pt")
    checkpoint = load_checkpoint(tmp_path / "one.pt")
    assert checkpoint.metadata.architecture == architecture
    assert torch.allclose(_logits(checkpoint.network), _logits(network), atol=1e-4)


def test_the_old_format_of_torch_save_is_read(tmp_path: Path) -> None:
    network = _network()
    torch.save(network.state_dict(), tmp_path / "one.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(_logits(load_checkpoint(tmp_path / "one.pt").network), _logits(network))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_of_16_bits_are_widened(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in _network().state_dict().items()}
    torch.save(state, tmp_path / "one.pt")
    safetensors.torch.save_file(state, tmp_path / "two.safetensors")
    network = _network()
    network.load_state_dict({name: value.float() for name, value in state.items()})
    for file in ("one.pt", "two.safetensors"):
        assert torch.equal(_logits(load_checkpoint(tmp_path / file).network), _logits(network))


def test_what_all_names_begin_with_is_left_out_where_the_order_is_lost(tmp_path: Path) -> None:
    state = {f"_orig_mod.module.{name}": value for name, value in _network().state_dict().items()}
    safetensors.torch.save_file(state, tmp_path / "one.safetensors")
    assert torch.equal(_logits(load_checkpoint(tmp_path / "one.safetensors").network), _logits(_network()))


TORCH_ENDINGS = (".pt", ".pth", ".ckpt", ".pth.tar", ".bin", ".pkl", ".PT")
RENAMED: dict[str, Callable[[list[str]], list[str]]] = {
    "as they are": lambda names: names,
    "module.": lambda names: [f"module.{name}" for name in names],
    "_orig_mod.": lambda names: [f"_orig_mod.{name}" for name in names],
    "_orig_mod.module.": lambda names: [f"_orig_mod.module.{name}" for name in names],
    "module._orig_mod.": lambda names: [f"module._orig_mod.{name}" for name in names],
    "model.": lambda names: [f"model.{name}" for name in names],
    "in the middle": lambda names: [name.replace(".", "._orig_mod.", 1) for name in names],
    "numbered": lambda names: [f"layer_{i}" for i in range(len(names))],
    "layers numbered": lambda names: [f"a{9 + i // 2}.{name.split('.')[-1]}" for i, name in enumerate(names)],
}
WRAPPED: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "": lambda state: state,
    **{
        key: functools.partial(lambda key, state: {key: state, "epoch": 3}, key)
        for key in ("model_state_dict", "state_dict", "model_state", "model", "net", "weights")
    },
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("naming", RENAMED)
@pytest.mark.parametrize("architecture", ["compact", "compact-wide"])
def test_any_wrapper_names_numbers_and_ending_make_the_same_network(
    tmp_path: Path, architecture: str, naming: str, dtype: torch.dtype
) -> None:
    """`safetensors` orders by name, a bias before its weight; two layers of `compact-wide` are alike."""
    network = _network(architecture)
    state = {name: value.to(dtype) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    renamed = dict(zip(RENAMED[naming](list(state)), state.values(), strict=True))
    safetensors.torch.save_file(renamed, tmp_path / "one.safetensors")
    files = [tmp_path / "one.safetensors"]
    for (key, wrap), ending in zip(WRAPPED.items(), TORCH_ENDINGS, strict=True):
        files.append(tmp_path / f"{key}-one{ending}")
        torch.save(wrap(renamed), files[-1])
    checkpoints = [load_checkpoint(path) for path in files]
    assert len({checkpoint.digest for checkpoint in checkpoints}) == 1
    assert torch.equal(_logits(checkpoints[0].network), _logits(network))


@pytest.mark.parametrize("ending", [*REFUSED, ".H5"])
def test_files_that_cannot_be_read_are_listed_with_what_helps(
    weights_folder: Path, save_random: Save, ending: str
) -> None:
    path = weights_folder / f"other{ending}"
    path.write_bytes(pickle.dumps(_MaliciousShell(weights_folder / "executed")))
    save_random(weights_folder / "one.safetensors")
    one, other = CheckpointLibrary(weights_folder).entries()
    assert isinstance(one, UsableCheckpoint)
    assert isinstance(other, UnusableCheckpoint)
    assert (other.name, other.path) == ("other", path)
    assert other.problem == f"{path} {REFUSED[ending.lower()]}"
    assert re.search("use|export", REFUSED[ending.lower()])
    assert not (weights_folder / "executed").exists()


@pytest.mark.parametrize("ending", TORCH_ENDINGS)
def test_files_of_torch_are_listed_under_any_of_their_endings(weights_folder: Path, ending: str) -> None:
    torch.save(_network().state_dict(), weights_folder / f"one.v2{ending}")
    library = CheckpointLibrary(weights_folder)
    assert library.usable_names() == ["one.v2"]
    assert library.load("one.v2").parameters == 8_778
    library.rename(f"one.v2{ending}", "two")
    assert [entry.path.name for entry in library.entries()] == [f"two{ending}"]
    with pytest.raises(CheckpointError, match="There is a checkpoint 'two' already"):
        library.add("two.pt", b"")


def test_weights_too_large_for_an_answer_are_named(tmp_path: Path) -> None:
    state = {name: value.sign() * 1e38 for name, value in _network().state_dict().items()}
    torch.save(state, tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match=r"one\.pt gives infinite answers"):
        load_checkpoint(tmp_path / "one.pt")


def safetensors_file(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def _one_tensor(**fields: object) -> bytes:
    return json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | fields}).encode()


HOSTILE_SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "a header of 90 MB": lambda: safetensors_file(b'{"__metadata__": {"a": "' + b" " * 90_000_000 + b'"}}'),
    "a header that says it has 2^62 bytes": lambda: (1 << 62).to_bytes(8, "little") + b"{}",
    "a header nested 100,000 deep": lambda: safetensors_file(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a header that is a list": lambda: safetensors_file(b"[]"),
    "20,000 tensors": lambda: safetensors_file(
        json.dumps({str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_000)}).encode()
    ),
    "a key twice": lambda: safetensors_file(_one_tensor()[:-1] + b"," + _one_tensor()[1:], bytes(8)),
    "metadata that are a list": lambda: safetensors_file(b'{"__metadata__": [1]}'),
    "metadata that are a number": lambda: safetensors_file(b'{"__metadata__": {"a": 1}}'),
    "a size of 2^62": lambda: safetensors_file(_one_tensor(shape=[1 << 62]), bytes(8)),
    "a negative size": lambda: safetensors_file(_one_tensor(shape=[-2]), bytes(8)),
    "a tensor beyond the file": lambda: safetensors_file(_one_tensor(data_offsets=[0, 800]), bytes(8)),
    "tensors that overlap": lambda: safetensors_file(
        _one_tensor()[:-1] + b',"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}', bytes(12)
    ),
    "an unknown kind of number": lambda: safetensors_file(_one_tensor(dtype="F128"), bytes(8)),
    "half a character": lambda: safetensors_file(
        b'{"\\ud800": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', bytes(8)
    ),
    "a name of a megabyte": lambda: safetensors_file(
        b'{"' + b"x" * 1_000_000 + b'": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', bytes(8)
    ),
    "bytes that are not text": lambda: safetensors_file(b'{"\xff": 1}'),
}


@pytest.mark.parametrize("kind", HOSTILE_SAFETENSORS)
def test_hostile_safetensors_files_are_listed_with_a_short_reason(
    weights_folder: Path, save_random: Save, kind: str
) -> None:
    (weights_folder / "bad.safetensors").write_bytes(HOSTILE_SAFETENSORS[kind]())
    save_random(weights_folder / "good.safetensors")
    bad, good = CheckpointLibrary(weights_folder).entries()
    assert isinstance(bad, UnusableCheckpoint)
    assert isinstance(good, UsableCheckpoint)
    assert bad.problem.isprintable()
    assert len(bad.problem) < 700 + len(str(weights_folder))


METADATA: dict[str, dict[str, object]] = {
    "name with half a character": {"recipe": {"name": "\ud800"}},
    "name with a line break": {"recipe": {"name": "a\nb"}},
    "name of a megabyte": {"provenance": {"commit": "x" * 1_000_000}},
    "threshold that is text": {"refusal_threshold": "0.5"},
    "threshold that is true": {"refusal_threshold": True},
    "temperature that is infinite": {"temperature": float("inf")},
    "seed of a thousand digits": {"seed": 10**1000},
    "seed that is text": {"seed": "0"},
    "a million datasets": {"trained_on": ["a"] * 100_001},
    "a dataset that is a number": {"trained_on": [1]},
    "datasets that are text": {"trained_on": "mnist-train"},
    "a dataset with half a character": {"trained_on": ["\udfff"]},
    "classes that are numbers": {"class_names": list(range(10))},
    "architecture that is a list": {"architecture": ["compact"]},
    "recipe nested 900 deep": {"recipe": functools.reduce(lambda inner, _: {"a": inner}, range(900), {})},
    "recipe with NaN": {"recipe": {"epochs": float("nan")}},
}


@pytest.mark.parametrize("kind", METADATA)
def test_metadata_are_of_the_right_kind_short_and_can_be_shown(tmp_path: Path, save_random: Save, kind: str) -> None:
    """Or refused, whatever checksum they bring."""
    path = save_random(tmp_path / "one.safetensors")
    with_metadata(path, **{name: json.dumps(value) for name, value in METADATA[kind].items()})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000 + len(str(path))


def test_links_out_of_the_folder_and_names_that_cannot_be_shown_are_listed(
    weights_folder: Path, save_random: Save
) -> None:
    outside = save_random(weights_folder.parent / "outside.safetensors")
    save_random(weights_folder / "inside.safetensors")
    (weights_folder / "linked.safetensors").symlink_to(outside)
    (weights_folder / "also.safetensors").symlink_to("inside.safetensors")
    unnamed = os.fsencode(weights_folder) + b"/\xff\xfe.safetensors"
    Path(os.fsdecode(unnamed)).write_bytes(outside.read_bytes())
    entries = {entry.name: entry for entry in CheckpointLibrary(weights_folder).entries()}
    usable = {name for name, entry in entries.items() if isinstance(entry, UsableCheckpoint)}
    assert usable == {"inside", "also"}
    problems = {name: entry.problem for name, entry in entries.items() if isinstance(entry, UnusableCheckpoint)}
    assert problems.keys() == {"linked", "\N{REPLACEMENT CHARACTER}" * 2}
    assert "is a link out of its folder" in problems.pop("linked")
    assert "rename it" in problems.popitem()[1]


def test_a_safetensors_file_without_metadata_is_a_checkpoint(tmp_path: Path) -> None:
    network = _network("mlp")
    safetensors.torch.save_file(network.state_dict(), tmp_path / "one.safetensors")
    checkpoint = load_checkpoint(tmp_path / "one.safetensors")
    assert checkpoint.metadata == CheckpointMetadata("mlp", provenance=checkpoint.metadata.provenance)
    assert torch.equal(_logits(checkpoint.network), _logits(network))


def test_every_flipped_bit_is_noticed_or_changes_no_answer(tmp_path: Path, save_random: Save) -> None:
    path = save_random(tmp_path / "one.safetensors", temperature=1.25, refusal_threshold=0.5)
    data, expected = path.read_bytes(), load_checkpoint(path).digest
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    positions = np.concatenate([np.arange(header), rng.integers(header, len(data), 150)])
    unnoticed = []
    for position, bit in zip(positions, rng.integers(0, 8, len(positions)), strict=True):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(bit)
        path.write_bytes(damaged)
        try:
            digest = load_checkpoint(path).digest
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            unnoticed.append(position)
            assert digest == expected, (
                f"bit {bit} of byte {position}: {bytes(damaged[position - 20 : position + 20])!r}"
            )
    assert all(position < header for position in unnoticed)  # of the history, never of the weights


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", "old.pt"])
def test_a_cut_or_overwritten_file_is_a_checkpoint_error(tmp_path: Path, save_random: Save, suffix: str) -> None:
    path = tmp_path / f"one{suffix}"
    if suffix == ".safetensors":
        save_random(path)
    else:
        torch.save(_network().state_dict(), path, _use_new_zipfile_serialization=suffix == ".pt")
    sidecar_path(path).write_text('{"scale": "normalised", "ink": "bright"}', encoding="utf-8")  # nothing is tried out
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in np.linspace(0, len(data) - 1, 60).astype(int):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="one"):
            load_checkpoint(path)
    for _ in range(150):  # the head and the tail hold what is parsed
        damaged = bytearray(data)
        for position in rng.choice([-1, 1]) * rng.integers(0, 1500, size=3):
            damaged[position] = int(rng.integers(0, 256))
        path.write_bytes(damaged)
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017


class _MaliciousShell:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pth.tar", ".PT", ".safetensors"])
def test_pickled_code_is_never_run(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "executed"
    path = tmp_path / f"one{suffix}"
    writers = [torch.save, lambda thing, to: to.write_bytes(pickle.dumps(thing))]
    for write in writers:
        for thing in (_MaliciousShell(target), {"state_dict": _MaliciousShell(target)}):
            write(thing, path)
            with pytest.raises(CheckpointError, match="one"):
                load_checkpoint(path)
            assert not target.exists()
            assert isinstance(CheckpointLibrary(tmp_path).entries()[0], UnusableCheckpoint)
            assert not target.exists()


def with_metadata(path: Path, **changed: object) -> None:
    """Writes a good file with other metadata; None leaves a field out, a string is written as it is."""
    save_checkpoint(path, _network(), CheckpointMetadata("compact"))
    metadata, tensors = _parts(path)
    for name, value in changed.items():
        if value is None:
            del metadata[name]
        else:
            metadata[name] = value if isinstance(value, str) else json.dumps(value)
    if "metadata_sha256" not in changed:  # so that each file has only the one fault that it is to be refused for
        covered = sorted((name, value) for name, value in metadata.items() if name != "metadata_sha256")
        metadata["metadata_sha256"] = hashlib.sha256(json.dumps(covered).encode()).hexdigest()
    safetensors.torch.save_file(tensors, path, metadata=metadata)


def _with_tensors(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = dict(_network().state_dict())
    change(state)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)


def _replace(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], None]:
    def replace(state: dict[str, Tensor]) -> None:
        state[name] = change(state[name])

    return replace


def _filled(value: float) -> Callable[[dict[str, Tensor]], None]:
    return lambda state: state["features.conv2.weight"].view(-1)[5].fill_(value)


def _negative_variance(path: Path) -> None:
    state = _network(batch_norm=True).state_dict()
    state["features.norm2.running_var"].fill_(-1)
    torch.save(state, path)


def _wrong_storage_key(path: Path) -> None:
    """A file of torch's old format, with its list of storages naming another one."""
    torch.save(_network().state_dict(), path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    key = str(re.findall(rb"\d{8,}", data)[-1], "ascii")  # the list stands last, before the numbers themselves
    head, _, tail = data.rpartition(key.encode())
    path.write_bytes(head + b"7" * len(key) + tail)


BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": (".safetensors", lambda path: path.write_bytes(b""), "cannot be read as a safetensors"),
    "empty pt": (".pt", lambda path: path.write_bytes(b""), "cannot be read as a state dict"),
    "text": (
        ".safetensors",
        lambda path: path.write_text("weights", encoding="utf-8"),
        "cannot be read as a safetensors",
    ),
    "text pt": (".pt", lambda path: path.write_text("weights", encoding="utf-8"), "cannot be read as a state dict"),
    "garbage": (".safetensors", lambda path: path.write_bytes(np.random.default_rng(0).bytes(9000)), "safetensors"),
    "garbage pt": (
        ".pt",
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(9000)),
        "cannot be read as a state dict",
    ),
    "pickle": (".pt", lambda path: path.write_bytes(pickle.dumps({"a": 1})), "state dict"),
    "whole model": (".pt", lambda path: torch.save(_network(), path), "not the whole model"),
    "list": (".pt", lambda path: torch.save([1, 2], path), "cannot be read as a state dict"),
    "number": (".pt", lambda path: torch.save(3, path), "cannot be read as a state dict"),
    "tensor": (".pt", lambda path: torch.save(torch.zeros(3), path), "cannot be read as a state dict"),
    "other values": (".pt", lambda path: torch.save({"a": "b"}, path), "cannot be read as a state dict"),
    "no tensors": (".pt", lambda path: torch.save({}, path), "none at all"),
    "NaN": (
        ".safetensors",
        lambda path: _with_tensors(path, _filled(float("nan"))),
        r"NaN or infinity in .*conv2\.weight",
    ),
    "NaN pt": (".pt", lambda path: _with_tensors(path, _filled(float("nan"))), r"NaN or infinity in .*conv2\.weight"),
    "infinite": (".pt", lambda path: _with_tensors(path, _filled(float("inf"))), r"NaN or infinity in .*conv2\.weight"),
    "double in a state dict": (
        ".pt",
        lambda path: _with_tensors(path, _replace("head.bias", Tensor.double)),
        "save it as float32",
    ),
    "double": (".safetensors", lambda path: _with_tensors(path, _replace("head.bias", Tensor.double)), "float32"),
    "complex": (".pt", lambda path: _with_tensors(path, _replace("head.bias", lambda v: v + 1j)), "float32"),
    "shape": (".pt", lambda path: _with_tensors(path, _replace("head.weight", lambda v: v[:9])), "fits none"),
    "transposed": (".pt", lambda path: _with_tensors(path, _replace("head.weight", Tensor.t)), "fits none"),
    "one missing": (".pt", lambda path: _with_tensors(path, lambda s: s.pop("head.bias")), "7 tensors"),
    "one more": (".pt", lambda path: _with_tensors(path, lambda s: s.update(x=torch.zeros(1))), "9 tensors"),
    "sparse": (".pt", lambda path: _with_tensors(path, _replace("head.weight", Tensor.to_sparse)), "bad"),
    "meta": (".pt", lambda path: _with_tensors(path, _replace("head.weight", lambda v: v.to("meta"))), "bad"),
    "negative variance": (".pt", _negative_variance, "bad"),
    "storage key": (".pt", _wrong_storage_key, "cannot be read as a state dict"),
    "other network": (".pt", lambda path: torch.save(nn.Linear(3, 4).state_dict(), path), r"weight \(4, 3\)"),
    "architecture": (".safetensors", lambda path: with_metadata(path, architecture="resnet"), "metadata"),
    "unknown architecture": (".safetensors", lambda path: with_metadata(path, architecture=["resnet"]), "resnet"),
    "unknown name": (
        ".safetensors",
        lambda path: with_metadata(path, architecture='"resnet"'),
        "tiny, compact, compact-wide, standard, standard-x3, mlp",
    ),
    "recipe": (
        ".safetensors",
        lambda path: with_metadata(path, recipe="[1]"),
        "recipe is not what it should be",
    ),
    "provenance": (
        ".safetensors",
        lambda path: with_metadata(path, provenance='"x"'),
        "provenance is not",
    ),
    "trained on": (
        ".safetensors",
        lambda path: with_metadata(path, trained_on="[1]"),
        "trained_on is not",
    ),
    "wrong architecture": (".safetensors", lambda path: with_metadata(path, architecture='"mlp"'), "do not fit"),
    "newer version": (".safetensors", lambda path: with_metadata(path, format_version="2"), "update the program"),
    "no version": (".safetensors", lambda path: with_metadata(path, format_version=None), "version None"),
    "preprocessing": (".safetensors", lambda path: with_metadata(path, preprocessing='"mnist-2"'), "mnist-2"),
    "classes": (".safetensors", lambda path: with_metadata(path, class_names=list("abcdefghij")), "needs what"),
    "no checksum": (".safetensors", lambda path: with_metadata(path, weights_sha256=None), "checksum"),
    "metadata checksum": (".safetensors", lambda path: with_metadata(path, metadata_sha256="0" * 64), "checksum"),
    "checksum": (".safetensors", lambda path: with_metadata(path, weights_sha256="0" * 64), "checksum"),
    "field missing": (
        ".safetensors",
        lambda path: with_metadata(path, temperature=None),
        "metadata that cannot be read",
    ),
    "temperature 0": (".safetensors", lambda path: with_metadata(path, temperature=0), "temperature 0"),
    "temperature NaN": (
        ".safetensors",
        lambda path: with_metadata(path, temperature="NaN"),
        "temperature is not",
    ),
    "temperature text": (".safetensors", lambda path: with_metadata(path, temperature='"warm"'), "metadata"),
    "temperature tiny": (".safetensors", lambda path: with_metadata(path, temperature=1e-50), "temperature"),
    "temperature huge": (
        ".safetensors",
        lambda path: with_metadata(path, temperature=10**400),
        "temperature|metadata",
    ),
    "threshold": (".safetensors", lambda path: with_metadata(path, refusal_threshold=1.5), "threshold 1.5"),
    "deep": (".safetensors", lambda path: with_metadata(path, recipe="[" * 100_000), "metadata"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_listed_with_the_reason_and_the_rest_goes_on(
    weights_folder: Path, save_random: Save, kind: str
) -> None:
    suffix, write, reason = BAD_FILES[kind]
    bad = weights_folder / f"bad{suffix}"
    write(bad)
    save_random(weights_folder / "good.safetensors")
    library = CheckpointLibrary(weights_folder)
    entry, good = library.entries()
    assert (entry.name, entry.path, entry.size) == ("bad", bad, bad.stat().st_size)
    assert isinstance(entry, UnusableCheckpoint)
    assert str(bad) in entry.problem
    with pytest.raises(CheckpointError, match=reason) as caught:
        library.load("bad")
    assert str(caught.value) == entry.problem
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(bad)
    assert isinstance(good, UsableCheckpoint)
    assert library.default_name() == "good"
    assert library.load("good").parameters == 8_778


def test_files_over_the_limit_are_not_read(
    weights_folder: Path, save_random: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_random(weights_folder / "one.safetensors")
    monkeypatch.setenv("DIGITCORE_MAX_CHECKPOINT_BYTES", str(path.stat().st_size))
    assert load_checkpoint(path).parameters == 8_778
    monkeypatch.setenv("DIGITCORE_MAX_CHECKPOINT_BYTES", str(path.stat().st_size - 1))
    with pytest.raises(CheckpointError, match=r"one\.safetensors is larger than"):
        load_checkpoint(path)
    (entry,) = CheckpointLibrary(weights_folder).entries()
    assert isinstance(entry, UnusableCheckpoint)
    assert "larger than" in entry.problem


def test_missing_files_and_other_suffixes(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.safetensors cannot be opened: No such file"):
        load_checkpoint(tmp_path / "gone.safetensors")
    (tmp_path / "one.txt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"one\.txt does not end in"):
        load_checkpoint(tmp_path / "one.txt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(CheckpointError, match=r"folder\.pt cannot be opened: Is a directory"):
        load_checkpoint(tmp_path / "folder.pt")


def test_the_shipped_checkpoint_says_what_it_was_trained_on() -> None:
    checkpoint: Checkpoint = load_checkpoint("compact")
    assert checkpoint.metadata.class_names == CLASS_NAMES
    assert checkpoint.metadata.trained_on == ("mnist-train",)
    assert checkpoint.metadata.recipe["name"] == "compact"
    assert 0.2 < checkpoint.metadata.temperature < 5


def test_the_checkpoints_of_drawings_say_which_writers_chose_them() -> None:
    """All ten the one that was made first, five the other."""
    compact, world = (load_checkpoint(name).metadata for name in ("world-compact", "world"))
    assert [compact.caution(name) for name in ("pen-validation", "pen-digits")] == ["chosen on", "chosen on"]
    assert [world.caution(name) for name in ("pen-validation", "pen-digits")] == ["chosen on", ""]
    assert load_checkpoint("standard").metadata.caution("pen-digits") == ""


@pytest.mark.parametrize(
    ("recorded", "chosen_on"), [("a", ("a",)), (["a", "b"], ("a", "b")), (None, ()), ({"a": 1}, ()), ([1], ())]
)
def test_what_a_checkpoint_was_chosen_on(recorded: object, chosen_on: tuple[str, ...]) -> None:
    metadata = CheckpointMetadata("compact", trained_on=("b",), provenance={"chosen_on": recorded})
    assert metadata.chosen_on == chosen_on
    assert [metadata.caution(name) for name in "bc"] == ["trained on", ""]
    assert metadata.caution("a") == ("chosen on" if "a" in chosen_on else "")


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path, save_random: Save) -> None:
    path = save_random(tmp_path / "one.safetensors")
    before = torch.random.get_rng_state()
    load_checkpoint(path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_metadata_survives_in_order(tmp_path: Path, save_random: Save) -> None:
    recipe = OrderedDict(z=1, a=[1.5, None, "ü"])
    checkpoint = load_checkpoint(save_random(tmp_path / "one.safetensors", recipe=recipe))
    assert list(checkpoint.metadata.recipe.items()) == [("z", 1), ("a", [1.5, None, "ü"])]
