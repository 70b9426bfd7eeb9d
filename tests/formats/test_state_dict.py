"""State dicts without unpickling: what `torch.load` would give, and hostile files in bounded time and memory."""

import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from digitcore.formats.state_dict import StateDictError, StateDictFile
from tests.paths import ROOT

pytestmark = [
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),  # of torch, about foreign files
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:invalid escape sequence"),  # of pickletools, about mutated files
]

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
DTYPES = (*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool)


def saved(contents: object, *, archive: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer, _use_new_zipfile_serialization=archive)
    return buffer.getvalue()


def read_state_dict(data: bytes) -> dict[str, Tensor]:
    """The tensors in the contents of a file, whose shapes were known before."""
    file = StateDictFile(io.BytesIO(data))
    tensors = file.read()
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == file.shapes
    return tensors


def torch_archive(pickled: bytes, *, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    """A file like those of `torch.save`, with this pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in ({"byteorder": b"little", "version": b"3\n"} | entries).items():
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


@st.composite
def _tensors(draw: st.DrawFn) -> Tensor:
    """A tensor of any kind and shape, of its own or a part of a larger one, in any order of its axes."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    tensor = (torch.arange(1, 1 + int(np.prod(shape))) % 2).to(draw(st.sampled_from(DTYPES))).reshape(shape)
    if shape and draw(st.booleans()):
        tensor = tensor.transpose(0, -1)
    if shape and draw(st.booleans()):
        tensor = tensor[draw(st.integers(0, shape[0])) :]
    return nn.Parameter(tensor) if tensor.is_floating_point() and draw(st.booleans()) else tensor


@given(st.dictionaries(st.text(max_size=12), _tensors(), max_size=6), st.booleans())
def test_it_is_what_torch_loads(state: dict[str, Tensor], archive: bool) -> None:
    data = saved(OrderedDict(state), archive=archive)
    expected = torch.load(io.BytesIO(data), weights_only=True)
    tensors = read_state_dict(data)
    assert list(tensors) == list(expected)
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name])


@pytest.mark.parametrize("archive", [True, False])
def test_tensors_share_memory_as_they_did(archive: bool) -> None:
    weight = torch.arange(6.0)
    tensors = read_state_dict(saved({"tied": weight, "weight": weight, "part": weight[2:4]}, archive=archive))
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors.values()}) == 1
    assert tensors["part"].tolist() == [2, 3]


class _Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.path}'",)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "run"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps({"trap": _Trap(trap)}, protocol=protocol)
        for data in (pickled, torch_archive(pickled)):
            with pytest.raises(StateDictError):
                read_state_dict(data)
    tensors = read_state_dict(saved({"trap": _Trap(trap), "model": {"weight": torch.ones(2)}}))
    assert tensors["weight"].tolist() == [1, 1]
    assert not trap.exists()


def tensor_pickle(*, count: int = 4, offset: int = 0, shape: object = (4,), stride: object = (1,)) -> bytes:
    """A state dict of one tensor with these properties, whatever they are."""

    def binary(value: object) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]

    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + binary(count)
    arguments = b"(" + storage + b"tQ" + binary(offset) + binary(shape) + binary(stride) + b"\x89Nt"
    return b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def _laughs(depth: int) -> bytes:
    """A dictionary whose only key is a pair of pairs of pairs, each pair twice the same."""
    steps = b"".join(b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(depth))
    return b"\x80\x02}K\x01K\x01\x86q\x00" + steps + b"K\x01s."


def _repeated_entries() -> bytes:
    return torch_archive(pickle.dumps({}, protocol=2), **{"data.pk_": b""}).replace(b"data.pk_", b"data.pkl")


def _many_entries() -> bytes:
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%06d" % i for i in range(400_000))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 4, 0)
    return b"PK\x03\x04" + directory + end


MANY_TENSORS = {str(i): torch.zeros(1) for i in range(20_000)}
HOSTILE: dict[str, Callable[[], bytes]] = {
    "nested 200,000 deep": lambda: torch_archive(b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s."),
    "lists nested 100,000 deep": lambda: torch_archive(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "dictionaries nested 50,000 deep": lambda: torch_archive(
        b"\x80\x02" + b"}K\x01" * 50_000 + b"}" + b"s" * 50_000 + b"."
    ),
    "compressed": lambda: torch_archive(b"\x80\x02}" + b"\x85" * 9_000_000, compression=zipfile.ZIP_DEFLATED),
    "bytearray of a terabyte": lambda: torch_archive(b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\0\0\0\0\0\x01\x85R."),
    "bytearray of 6 GB": lambda: torch_archive(b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\x80\x01\x85R."),
    "a text that says it is 4 GB": lambda: torch_archive(b"\x80\x02X\xff\xff\xff\xff."),
    "a number of a million digits": lambda: torch_archive(b"\x80\x02L" + b"9" * 1_000_000 + b"L\n."),
    "nested tensor": lambda: saved({"a": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}),
    "sparse tensor": lambda: saved({"a": torch.eye(3).to_sparse()}),
    "meta tensor": lambda: saved({"a": torch.ones(3, device="meta")}),
    "quantised tensor": lambda: saved({"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}),
    "tensor beyond its values": lambda: torch_archive(tensor_pickle(offset=1), **{"data/0": bytes(16)}),
    "tensor before its values": lambda: torch_archive(tensor_pickle(offset=-1), **{"data/0": bytes(16)}),
    "tensor of a million times the same value": lambda: torch_archive(
        tensor_pickle(shape=(1000, 1000), stride=(0, 0)), **{"data/0": bytes(16)}
    ),
    "negative size": lambda: torch_archive(tensor_pickle(shape=(-4,)), **{"data/0": bytes(16)}),
    "size of 2^70": lambda: torch_archive(tensor_pickle(shape=(1 << 70,)), **{"data/0": bytes(16)}),
    "stride of 2^70": lambda: torch_archive(tensor_pickle(stride=(1 << 70,)), **{"data/0": bytes(16)}),
    "a thousand dimensions": lambda: torch_archive(tensor_pickle(shape=(1,) * 1000, stride=(1,) * 1000)),
    "sizes that are text": lambda: torch_archive(tensor_pickle(shape=("4",)), **{"data/0": bytes(16)}),
    "storage that says it is larger": lambda: torch_archive(tensor_pickle(count=1 << 40), **{"data/0": bytes(16)}),
    "storage of a negative size": lambda: torch_archive(tensor_pickle(count=-4), **{"data/0": bytes(16)}),
    "storage that is missing": lambda: torch_archive(tensor_pickle()),
    "20,000 tensors": lambda: saved(MANY_TENSORS),
    "20,000 tensors in the old format": lambda: saved(MANY_TENSORS, archive=False),
    "400,000 entries": _many_entries,
    "two entries of one name": _repeated_entries,
    "TorchScript": lambda: torch_archive(pickle.dumps({}, protocol=2), **{"constants.pkl": b""}),
    "other byte order": lambda: torch_archive(tensor_pickle(), **{"byteorder": b"big", "data/0": bytes(16)}),
    "archive of something else": lambda: torch_archive(b"")[:40],
    "protocol 0": lambda: torch_archive(b"(dp0\n."),
    "extension": lambda: torch_archive(b"\x80\x02\x82\x01."),
    "buffer outside": lambda: torch_archive(b"\x80\x05\x97."),
    "no stop": lambda: torch_archive(b"\x80\x02}"),
    "empty stack": lambda: torch_archive(b"\x80\x02."),
    "mark that was never set": lambda: torch_archive(b"\x80\x02t."),
    "memo that was never set": lambda: torch_archive(b"\x80\x02h\x07."),
    "persistent identity of something else": lambda: torch_archive(b"\x80\x02X\x01\x00\x00\x00aQ."),
    "whole model": lambda: saved(nn.Linear(2, 2)),
    "list": lambda: saved([torch.ones(2)]),
    "text": lambda: saved("weights"),
    "nothing": lambda: b"",
    "zeros": lambda: bytes(100_000),
    "NumPy arrays": lambda: torch_archive(pickle.dumps({"a": np.ones(3)}, protocol=2)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(kind: str) -> None:
    data = HOSTILE[kind]()
    with pytest.raises(StateDictError) as caught:
        read_state_dict(data)
    assert 0 < len(str(caught.value)) <= 200


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_torchscript_program_is_called_that(compression: int) -> None:
    data = torch_archive(pickle.dumps({}, protocol=2), compression=compression, **{"constants.pkl": b""})
    with pytest.raises(StateDictError, match="it is a TorchScript program"):
        read_state_dict(data)


@pytest.mark.parametrize("key", [b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.", _laughs(60)], ids=["deep", "wide"])
def test_keys_that_are_neither_text_nor_numbers_are_left_out(key: bytes) -> None:
    """Their hash could take for ever, or end the process."""
    assert read_state_dict(torch_archive(key)) == {}


def test_a_thousand_views_of_one_storage_take_its_memory_once() -> None:
    weight = torch.zeros(500_000)
    data = saved({str(i): weight[i:] for i in range(1_000)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tensors = read_state_dict(data)
    assert len(tensors) == 1_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB; copies would take 2,000,000


_LIMITED = """
import resource, sys, time
from pathlib import Path
from digitcore.formats.state_dict import StateDictError, StateDictFile
size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (50 << 20), size + (50 << 20)))
seconds = 2 + int(time.process_time())
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
try:
    with open(sys.argv[1], "rb") as stream:
        StateDictFile(stream).read()
except StateDictError:
    print("refused")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_take_50_megabytes_and_a_second_at_most(kind: str, tmp_path: Path) -> None:
    """Of processor time, beside what it takes to start."""
    path = tmp_path / "hostile.pt"
    path.write_bytes(HOSTILE[kind]())
    command = [sys.executable, "-c", _LIMITED, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.faults)])
@pytest.mark.parametrize("archive", [True, False])
def test_a_mutated_file_is_read_or_refused(count: int, archive: bool) -> None:
    state = OrderedDict(weight=torch.ones(3, 4), bias=nn.Parameter(torch.ones(3)))
    data = saved({"model": state, "epoch": 3, "args": [None]}, archive=archive)
    generator = np.random.default_rng(0)
    for _ in range(count):
        mutated = bytearray(data)
        for position in generator.integers(0, len(data), generator.integers(1, 8)):
            mutated[position] = generator.integers(256)
        if generator.random() < 0.3:
            del mutated[generator.integers(len(mutated)) :]
        try:
            tensors = read_state_dict(bytes(mutated))
        except StateDictError as error:
            tensors = {}
            assert str(error)  # noqa: PT017
        assert sum(tensor.numel() for tensor in tensors.values()) <= 2 * len(data)
