"""Checkpoints that are meant to hurt, by name: each a function that writes a file, and a sidecar where it has one."""

import importlib.util
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from digitcore.formats.layers_file import layers_path
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from tests.formats.test_state_dict import HOSTILE, saved, tensor_pickle, torch_archive
from tests.models import test_checkpoints
from tests.models.test_checkpoints import HOSTILE_SAFETENSORS, METADATA, safetensors_file, with_metadata

Write = Callable[[Path], None]


def _bytes(make: Callable[[], bytes]) -> Write:
    return lambda path: _ignore(path.write_bytes(make()))


def _ignore(_: object) -> None:
    pass


def _state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        return {**build_network("compact").state_dict(), **changes}


def _header(entries: dict[str, object]) -> bytes:
    return safetensors_file(json.dumps(entries).encode())


def _compressed(level: int) -> bytes:
    """An archive whose pickle is 400 MB of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        file.writestr("archive/data.pkl", bytes(400_000_000))
    return buffer.getvalue()


def _overlapping() -> bytes:
    """An archive of 5,000 entries that are all the same 80 MB."""
    data = b"PK\x03\x04" + bytes(26) + bytes(8_000_000)
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 8_000_000, 8_000_000, 8, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%08d" % i for i in range(5_000))
    return data + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 5_000, 5_000, len(directory), len(data), 0)


def _memo(count: int) -> bytes:
    return b"\x80\x02}" + b"".join(b"r" + struct.pack("<I", i * 999_983 % (1 << 32)) for i in range(count)) + b"."


def _views(count: int) -> dict[str, torch.Tensor]:
    weight = torch.zeros(100_000)
    return {str(i): weight[i:] for i in range(count)}


PICKLES: dict[str, Callable[[], bytes]] = {
    "8 MB of empty lists": lambda: b"\x80\x02" + b"]" * 8_000_000 + b".",
    "8 MB of marks": lambda: b"\x80\x02" + b"(" * 8_000_000 + b".",
    "90 MB of numbers": lambda: b"\x80\x02(" + b"K\x01" * 45_000_000 + b"t.",
    "8 MB of pops": lambda: b"\x80\x02" + b"K\x010" * 2_600_000 + b".",
    "a tuple twice as long each time": lambda: b"\x80\x02K\x01" + b"2\x86" * 100_000 + b".",
    "a list that holds itself": lambda: b"\x80\x02]q\x00h\x00a.",
    "a dictionary that holds itself": lambda: b"\x80\x02}q\x00K\x01h\x00s.",
    "a memo of 140,000 places": lambda: _memo(140_000),
    "a memo at place 4 billion": lambda: b"\x80\x02}r\xff\xff\xff\xff.",
    "a frame of a terabyte": lambda: b"\x80\x04\x95\0\0\0\0\0\1\0\0}.",
    "bytes of 2^60": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "a number of 2^31 bytes": lambda: b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b".",
    "a number of -1 bytes": lambda: b"\x80\x02\x8b" + struct.pack("<i", -1) + b".",
    "a number of 8 MB": lambda: b"\x80\x02\x8b" + struct.pack("<i", 8_000_000) + b"\x7f" * 8_000_000 + b".",
    "text that is not UTF-8": lambda: b"\x80\x02X\x02\0\0\0\xff\xfe.",
    "a text of 8 MB as a name": lambda: b"\x80\x02}X" + struct.pack("<I", 8_000_000) + b"a" * 8_000_000 + b"K\x01s.",
    "a name of a class of 8 MB": lambda: b"\x80\x02c" + b"a" * 8_000_000 + b"\nb\n.",
    "os.system": lambda: b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.",
    "eval by an attribute": lambda: b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
    "object with a state": lambda: b"\x80\x02cbuiltins\nobject\n)\x81}X\1\0\0\0aK\1sb.",
    "100,000 calls": lambda: b"\x80\x02" + b"cbuiltins\nlist\n)R0" * 9_000 + b".",
    "many dictionaries of one tensor": lambda: b"\x80\x02" + b"}q\0" + b"X\1\0\0\0ah\0s" * 18_000 + b".",
    "protocol 255": lambda: b"\x80\xff}.",
    "floats that are none": lambda: b"\x80\x02}X\1\0\0\0aG\x7f\xf8\0\0\0\0\0\0s.",
    "sets and frozen sets": lambda: b"\x80\x04(K\1K\2\x91\x8f(K\1\x90.",
    "a negative stride": lambda: tensor_pickle(stride=(-1,)),
    "a size of none": lambda: tensor_pickle(shape=None),
    "a tensor of no values a billion times": lambda: tensor_pickle(count=0, shape=(0, 1 << 40), stride=(1, 1)),
    "sizes that are true": lambda: tensor_pickle(shape=(True,), count=1),
}
"""Pickles of state dicts that are none."""

TORCH_FILES: dict[str, Callable[[], bytes]] = {
    **HOSTILE,
    **{f"{name}, in an archive": partial(lambda make: torch_archive(make(), **{"data/0": bytes(16)}), make)
       for name, make in PICKLES.items()},
    **{f"{name}, as it is": make for name, make in PICKLES.items()},
    "an archive of 400 MB of zeros": lambda: _compressed(9),
    "an archive of 40 GB that overlaps": _overlapping,
    "an archive inside an archive": lambda: torch_archive(torch_archive(torch_archive(pickle.dumps({}, protocol=2)))),
    "15,000 views of one storage": lambda: saved(_views(15_000)),
    "15,000 views in the old format": lambda: saved(_views(15_000), archive=False),
    "a network of 90 MB that nobody knows": lambda: saved({"a": torch.zeros(22_000_000)}),
    "the same in the old format": lambda: saved({"a": torch.zeros(22_000_000)}, archive=False),
    "a known network 2,000 times": lambda: saved({f"{i}.{k}": v for i in range(200) for k, v in _state().items()}),
    "weights that are not numbers": lambda: saved(_state(**{"head.bias": torch.full((10,), torch.nan)})),
    "weights of 1e38": lambda: saved({name: value.sign() * 1e38 for name, value in _state().items()}),
    "weights of a tenth of the least number": lambda: saved({name: value * 1e-44 for name, value in _state().items()}),
    "wrapped 100 times": lambda: saved(_wrapped(100)),
    "100 wrappers beside each other": lambda: saved({f"model{i}": _state() for i in range(100)}),
    "complex weights": lambda: saved({name: value + 1j for name, value in _state().items()}),
}  # fmt: skip
"""Files for the suffixes .pt and .pth."""


def _wrapped(depth: int) -> object:
    contents: object = _state()
    for _ in range(depth):
        contents = {"model": contents}
    return contents


def _tensors(count: int, **fields: object) -> dict[str, object]:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} | fields
    return {f"{i:06}": entry for i in range(count)}


SAFETENSORS_FILES: dict[str, Callable[[], bytes]] = {
    **HOSTILE_SAFETENSORS,
    "9,000 tensors of nothing": lambda: _header(_tensors(9_000)),
    "9,000 dimensions": lambda: _header(_tensors(1, shape=[1] * 90_000)),
    "a size that is text": lambda: _header(_tensors(1, shape=["2"])),
    "a size of half": lambda: _header(_tensors(1, shape=[0.5])),
    "places the wrong way round": lambda: _header(_tensors(1, data_offsets=[8, 0])),
    "one place": lambda: _header(_tensors(1, data_offsets=[0])),
    "a kind that is a list": lambda: _header(_tensors(1, dtype=[])),
    "metadata of a megabyte": lambda: _header({"__metadata__": {"a": "b" * 1_000_000}}),
    "50,000 metadata": lambda: _header({"__metadata__": {str(i): "" for i in range(50_000)}}),
    "our metadata, all empty": lambda: _header({"__metadata__": dict.fromkeys(CheckpointMetadata.__annotations__, "")}),
    "our metadata nested": lambda: _header({"__metadata__": {"format_version": "1", "recipe": "[" * 500_000}}),
    "a header of spaces": lambda: safetensors_file(b" " * 1_000_000),
    "a header of NaN": lambda: safetensors_file(b"NaN"),
    "a number of a million digits": lambda: safetensors_file(b'{"a": ' + b"9" * 1_000_000 + b"}"),
    "a network of 90 MB that nobody knows": lambda: safetensors.torch.save({"a": torch.zeros(22_000_000)}),
    "a known network 200 times": lambda: safetensors.torch.save(
        {f"{i}.{name}": value.clone() for i in range(200) for name, value in _state().items()}
    ),
    "data that are missing": lambda: safetensors.torch.save(_state())[:-1000],
    "data that are too many": lambda: safetensors.torch.save(_state()) + bytes(1000),
    "weights of 1e38": lambda: safetensors.torch.save({name: value * 0 + 1e38 for name, value in _state().items()}),
}
"""Files for the suffix .safetensors."""


def _shipped_like(path: Path, **metadata: object) -> None:
    save_checkpoint(path, build_network("compact"), CheckpointMetadata("compact", **metadata))  # type: ignore[arg-type]


def _with_sidecar(make: Callable[[], bytes], text: bytes) -> Write:
    def write(path: Path) -> None:
        path.write_bytes(make())
        path.with_name(f"{path.name}.json").write_bytes(text)

    return write


SIDECARS: dict[str, bytes] = {
    "empty": b"",
    "deep": b"[" * 1_000_000,
    "of 90 MB": b'{"scale": "' + b"x" * 90_000_000 + b'", "ink": "dark"}',
    "of a number": b"9" * 1_000_000,
    "of lists": b'{"scale": [[]], "ink": {}}',
    "of bytes": np.random.default_rng(0).bytes(9000),
    "of half a character": b'{"scale": "\\ud800", "ink": "dark"}',
}
"""What may stand beside an ONNX file."""


LAYERS: dict[str, str] = {
    "20 kB of brackets": "Linear(" * 2_800,
    "20 kB of one name": "a" * 19_990,
    "20 kB of one number": f"Linear({'9' * 19_000}, 10)",
    "20 kB of spaces": f"Flatten{' ' * 19_000}; Linear(784, 10",
    "200 layers that are wide": "Conv2d(1, 128, 1); " + "Tanh; " * 196 + "Flatten; Linear(100352, 10)",
    "pooling that is wide": "Conv2d(1, 8, 1, padding=40); AvgPool2d(99, 1); Flatten; Linear(800, 10)",
    "much padding": "Conv2d(1, 1, 1, padding=99999); Flatten; Linear(9, 10)",
    "much dilation": "Conv2d(1, 1, 99, padding=9999, dilation=9999); Flatten; Linear(9, 10)",
    "much pooling": "AdaptiveAvgPool2d((99999, 99999)); Flatten; Linear(9, 10)",
    "10^10 weights": "Flatten; Linear(784, 99999); Linear(99999, 99999); Linear(99999, 10)",
    "150 convolutions": "Conv2d(1, 16, 3, padding=1); "
    + "Conv2d(16, 16, 3, padding=1); " * 150
    + "Flatten; Linear(12544, 10)",
    "markup": "<script>alert(1)</script>",
    "a formula": "=1+1: Linear(1, 1)",
}
"""What may stand beside a state dict."""


def _with_layers(path: Path, *, text: str) -> None:
    path.write_bytes(saved({"weight": torch.zeros(10, 784)}))
    layers_path(path).write_text(text, encoding="utf-8")


def _onnx_files() -> dict[str, Write]:
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime")):
        return {}
    from tests.faults import hostile_onnx

    files = {f"ONNX, {name}": _bytes(make) for name, make in hostile_onnx.FILES.items()}
    return files | {
        f"ONNX, sidecar {name}": _with_sidecar(hostile_onnx.HONEST, text) for name, text in SIDECARS.items()
    }


def _metadata_files() -> dict[str, Write]:
    def write(path: Path, changes: dict[str, object]) -> None:
        with_metadata(path, **{name: json.dumps(value) for name, value in changes.items()})

    files: dict[str, Write] = {
        f"metadata, {name}": partial(write, changes=changes) for name, changes in METADATA.items()
    }
    files |= {
        f"metadata, {name}": partial(_shipped_like, **{name: value})
        for name, value in {
            "recipe": {"name": "=cmd|' /C calc'!A0"},
            "provenance": {"commit": "<script>alert(1)</script>"},
            "trained_on": ("![](https://example.org/a.png)",),
        }.items()
    }
    return files


def _bad_files() -> dict[str, tuple[str, Write]]:
    return {f"bad, {name}": (suffix, write) for name, (suffix, write, _) in test_checkpoints.BAD_FILES.items()}


CHECKPOINTS: dict[str, tuple[str, Write]] = {
    **{
        f"torch, {name}": (".pt" if i % 2 else ".pth", _bytes(make))
        for i, (name, make) in enumerate(TORCH_FILES.items())
    },
    **{f"safetensors, {name}": (".safetensors", _bytes(make)) for name, make in SAFETENSORS_FILES.items()},
    **{name: (".safetensors", write) for name, write in _metadata_files().items()},
    **{name: (".onnx", write) for name, write in _onnx_files().items()},
    **_bad_files(),
    **{f"layers, {name}": (".pt", partial(_with_layers, text=text)) for name, text in LAYERS.items()},
}
"""Suffix and contents of all hostile checkpoints; some can be used, and are shown."""
