"""Engines: what computes a network's logits for answers, without gradients.

That is onnxruntime where it is installed, else torch; docs/performance.md says why. Either works on one thread at a
time and on few digits, so that what lies between two layers stays in the processor's cache. Several threads share the
digits of a batch instead of the sums of a layer: they need not wait for each other, and no answer depends on their
number.
"""

import copy
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from digitcore.imaging.preprocessing import INPUT_SIDE
from digitcore.models.architectures import (
    CLASS_NAMES,
    Conversion,
    DigitNetwork,
    GlobalPooling,
    KnownAnswers,
    Layered,
    MixedPooling,
    SideBySide,
)
from digitcore.models.onnx import OnnxNetwork
from digitcore.models.onnx_probe import open_session

__all__ = ["Engine", "engine_for", "onnx_bytes", "torch_engine", "using_threads"]

_Floats: TypeAlias = NDArray[np.float32]

_AT_ONCE = 16  # digits: their layers fit into 2 MB, and a call takes far longer than it takes to start
_FILE_AT_ONCE = 500  # digits of an ONNX file, whose runs are watched, and which has threads of its own
_IR_VERSION, _OPSET = 8, 17  # of ONNX, as of 2022
_FLOAT, _INT, _INTS = 1, 2, 7  # of its TensorProto.DataType and AttributeProto.AttributeType


@dataclass(frozen=True)
class Engine:
    """A network ready to answer. Threads may share it."""

    name: str
    """Of the package that computes."""
    run: Callable[[_Floats], _Floats]
    """From a normalised batch (N, 1, 28, 28) to logits (N, 10), on the calling thread."""
    at_once: int
    """Digits of a batch that are put through the network together."""

    def logits(self, batch: _Floats, *, threads: int) -> _Floats:
        """Logits (N, 10) of a normalised batch (N, 1, 28, 28), computed by so many threads."""
        if len(batch) <= self.at_once:
            return self.run(batch)
        parts = [batch[start : start + self.at_once] for start in range(0, len(batch), self.at_once)]
        helping = min(threads, len(parts)) - 1
        if helping <= 0:
            return np.concatenate([self.run(part) for part in parts])
        logits: list[_Floats] = [batch[:0]] * len(parts)
        turns = iter(range(len(parts)))

        def work() -> None:
            for turn in turns:
                logits[turn] = self.run(parts[turn])

        helpers = [_helpers(helping).submit(work) for _ in range(helping)]
        work()
        for helper in helpers:
            helper.result()
        return np.concatenate(logits)


@lru_cache(maxsize=8)
def _helpers(count: int) -> ThreadPoolExecutor:
    """Threads that stay: new ones for each of thousands of batches would leave memory behind."""
    return ThreadPoolExecutor(count, thread_name_prefix="answers")


def engine_for(network: DigitNetwork) -> Engine:
    """The engine of a network in evaluation mode, which must not change afterwards.

    It is that of torch where onnxruntime is missing, or for a network with layers that `onnx_bytes` does not know.
    """
    if isinstance(network, OnnxNetwork | KnownAnswers | Layered) or importlib.util.find_spec("onnxruntime") is None:
        return torch_engine(network)
    try:
        model = onnx_bytes(network)
    except NotImplementedError:
        return torch_engine(network)
    session = open_session(model, threads=1)

    def run(batch: _Floats) -> _Floats:
        logits: _Floats = session.run(None, {"batch": batch})[0]
        return logits

    return Engine("onnxruntime", run, _AT_ONCE)


def torch_engine(network: DigitNetwork) -> Engine:
    """The engine that calls a network itself, or a copy in the memory layout in which it is fastest."""
    if isinstance(network, OnnxNetwork | KnownAnswers):
        return Engine("torch", _calling(network), _FILE_AT_ONCE)
    layout = {"memory_format": torch.channels_last}
    return Engine("torch", _calling(copy.deepcopy(network).to(**layout)), _AT_ONCE)  # type: ignore[call-overload]


def _calling(network: DigitNetwork) -> Callable[[_Floats], _Floats]:
    def run(batch: _Floats) -> _Floats:
        with using_threads(1), torch.inference_mode():
            logits: _Floats = network(torch.from_numpy(batch)).numpy()
        return logits

    return run


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Computing with count threads of torch. The setting belongs to the calling thread, so others are not disturbed.

    For one digit, more than one thread costs more to wake than it saves.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def onnx_bytes(network: DigitNetwork) -> bytes:
    """A network as an ONNX model, from `batch` (N, 1, 28, 28) to `logits` (N, 10), float32.

    It is written here: the package onnx takes longer to import than this to run, and need not be installed.

    Raises:
        NotImplementedError: for a layer that is not known here.

    Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for the numbers of the fields.
    """
    graph = _Graph([], [])
    features = graph.add_layer(network.features, "batch")
    graph.add_layer(network.head, features, output="logits")
    shapes = {"batch": ("N", 1, INPUT_SIDE, INPUT_SIDE), "logits": ("N", len(CLASS_NAMES))}
    batch, logits = (_value_info(name, shape) for name, shape in shapes.items())
    fields = [*((1, node) for node in graph.nodes), (2, b"digits"), *((5, tensor) for tensor in graph.tensors)]
    return _message((1, _IR_VERSION), (8, _message((2, _OPSET))), (7, _message(*fields, (11, batch), (12, logits))))


@dataclass(frozen=True)
class _Graph:
    """The nodes and tensors of an ONNX graph, as messages."""

    nodes: list[bytes]
    tensors: list[bytes]

    def add_layer(self, layer: nn.Module, value: str, *, output: str | None = None) -> str:
        """Adds what a layer computes from a value; the name of its result."""
        match layer:
            case nn.Sequential():
                for part in layer:
                    value = self.add_layer(part, value)
                return value
            case SideBySide():
                return self._add("Concat", [self.add_layer(member, value) for member in layer.members], axis=1)
            case nn.Conv2d():
                sides = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": 2 * _pair(layer.padding)}
                return self._add("Conv", [value, *self._add_weights(layer)], None, **sides)
            case nn.Linear():
                return self._add("Gemm", [value, *self._add_weights(layer)], output, transB=1)
            case nn.ReLU():
                return self._add("Relu", [value])
            case nn.Tanh():
                return self._add("Tanh", [value])
            case nn.Sigmoid():
                return self._add("Sigmoid", [value])
            case Conversion():
                factor, shift = (self._add_tensor(np.array(each, np.float32)) for each in (layer.factor, layer.shift))
                return self._add("Add", [self._add("Mul", [value, factor]), shift])
            case nn.Flatten():
                return self._add("Flatten", [value], axis=1)
            case nn.MaxPool2d():
                return self._add_pooling("MaxPool", value, side=layer.kernel_size)
            case MixedPooling():
                both = [self._add_pooling(kind, value, side=2) for kind in ("AveragePool", "MaxPool")]
                half = self._add_tensor(np.array(0.5, np.float32))
                return self._add("Mul", [self._add("Add", both), half])
            case GlobalPooling():
                both = [self._add(kind, [value]) for kind in ("GlobalAveragePool", "GlobalMaxPool")]
                return self._add("Flatten", [self._add("Concat", both, axis=1)], axis=1)
        raise NotImplementedError(f"{type(layer).__name__} is not among the layers that are known here.")

    def _add_pooling(self, kind: str, value: str, *, side: int | tuple[int, int]) -> str:
        sides = _pair(side)
        return self._add(kind, [value], kernel_shape=sides, strides=sides)

    def _add_weights(self, layer: nn.Conv2d | nn.Linear) -> list[str]:
        tensors = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        return [self._add_tensor(tensor.detach().numpy()) for tensor in tensors]

    def _add_tensor(self, values: _Floats) -> str:
        name = f"tensor{len(self.tensors)}"
        sizes = ((1, size) for size in values.shape)
        data = np.ascontiguousarray(values).astype("<f4").tobytes()
        self.tensors.append(_message(*sizes, (2, _FLOAT), (8, name.encode()), (9, data)))
        return name

    def _add(
        self, kind: str, inputs: Sequence[str], output: str | None = None, /, **attributes: int | Sequence[int]
    ) -> str:
        """Adds a node of this kind; the name of its output, by default a new one."""
        name = output or f"value{len(self.nodes)}"
        values = [*((1, value.encode()) for value in inputs), (2, name.encode()), (4, kind.encode())]
        self.nodes.append(_message(*values, *((5, _attribute(*item)) for item in attributes.items())))
        return name


def _pair(size: str | int | tuple[int, ...]) -> tuple[int, int]:
    match size:
        case int():
            return size, size
        case (int(rows), int(columns)):
            return rows, columns
    raise NotImplementedError(f"A size of {size!r} is not known here.")


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _message((1, name.encode()), (3, value), (20, _INT))
    return _message((1, name.encode()), *((8, part) for part in value), (20, _INTS))


def _value_info(name: str, shape: Sequence[int | str]) -> bytes:
    """An input or output: float32, of a shape whose sizes may be names."""
    sizes = [(1, size) if isinstance(size, int) else (2, size.encode()) for size in shape]
    tensor = _message((1, _FLOAT), (2, _message(*((1, _message(size)) for size in sizes))))
    return _message((1, name.encode()), (2, _message((1, tensor))))


def _message(*fields: tuple[int, int | bytes]) -> bytes:
    """A message of protobuf: fields by number, each a whole number from 0 on, or bytes.

    >>> _message((1, 300), (2, b"ab")).hex(" ")
    '08 ac 02 12 02 61 62'
    """
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(_varint(number << 3) + _varint(value))
        else:
            parts.append(_varint(number << 3 | 2) + _varint(len(value)) + value)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    """A whole number in groups of 7 bits, the lowest first."""
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
