"""Layers files: the architecture of a state dict in a few lines of text, one layer after another as in `nn.Sequential`.

    conv1: Conv2d(1, 32, 3)
    ReLU
    conv2: Conv2d(32, 64, 3)
    ReLU
    MaxPool2d(2)
    Flatten
    fc1: Linear(9216, 128)
    ReLU
    fc2: Linear(128, 10)

A line is a layer of PyTorch with its arguments, after its name in the state dict and a colon; without a name it has its
number, as in `nn.Sequential`. `Input(32, 32)` as the first line gives the size of the pictures, 28 × 28 by default. A
semicolon ends a line too, and `#` begins a comment. The text is data: nothing in it is run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from digitcore.formats.endings import stem_of

__all__ = ["KINDS", "Layer", "Layers", "LayersError", "layers_path", "read_layers"]

Value: TypeAlias = int | float | bool | tuple[int, int]

_MOST_BYTES = 20_000
_MOST_LAYERS = 200
_SIDE, _LARGEST_SIDE = 28, 256  # of a picture
_MOST_SIZE = 100_000  # of a whole number
_LINE = re.compile(
    r"(?:(?P<name>[A-Za-z0-9_][\w.]{0,99})\s*:\s*)?(?P<kind>[A-Za-z]\w{0,30})\s*(?:\((?P<arguments>.*)\))?"
)
_ARGUMENT = re.compile(
    r"\s*(?:(?P<key>[a-z_]{1,20})\s*=\s*)?"
    r"(?P<value>\(\s*\d{1,6}\s*,\s*\d{1,6}\s*\)|-?\d{1,6}(?![\d.e])|\d{0,6}\.?\d{1,20}(?:e-?\d{1,2})?|True|False)\s*(?:,|$)"
)

_POOLING = ("kernel_size", "stride", "padding")
KINDS: dict[str, tuple[str, ...]] = {
    "Input": ("height", "width"),
    "Conv2d": ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"),
    "Linear": ("in_features", "out_features", "bias"),
    "BatchNorm1d": ("num_features", "eps", "momentum", "affine", "track_running_stats"),
    "BatchNorm2d": ("num_features", "eps", "momentum", "affine", "track_running_stats"),
    "MaxPool2d": (*_POOLING, "dilation", "ceil_mode"),
    "AvgPool2d": (*_POOLING, "ceil_mode"),
    "AdaptiveAvgPool2d": ("output_size",),
    "AdaptiveMaxPool2d": ("output_size",),
    "Flatten": ("start_dim",),
    "Dropout": ("p", "inplace"),
    "Dropout2d": ("p", "inplace"),
    "ReLU": ("inplace",),
    "ReLU6": ("inplace",),
    "LeakyReLU": ("negative_slope", "inplace"),
    "ELU": ("alpha", "inplace"),
    "GELU": (),
    "SiLU": ("inplace",),
    "Tanh": (),
    "Sigmoid": (),
    "Softmax": ("dim",),
    "LogSoftmax": ("dim",),
}
"""Kinds of layers, and their arguments in PyTorch's order."""
_NEEDED = {
    "Input": 2, "Conv2d": 3, "Linear": 2, "BatchNorm1d": 1, "BatchNorm2d": 1, "MaxPool2d": 1, "AvgPool2d": 1,
    "AdaptiveAvgPool2d": 1, "AdaptiveMaxPool2d": 1,
}  # fmt: skip
"""How many of its arguments a layer cannot do without."""


class LayersError(Exception):
    """A layers file cannot be used; the message is the predicate of a sentence whose subject is the file."""


@dataclass(frozen=True)
class Layer:
    """A line of a layers file."""

    line: int
    name: str
    """In the state dict."""
    kind: str
    arguments: Mapping[str, Value]

    @property
    def words(self) -> str:
        """The layer as PyTorch would write it."""
        arguments = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.kind}({arguments})"


@dataclass(frozen=True)
class Layers:
    """A network, described."""

    height: int
    width: int
    """Of its pictures."""
    layers: tuple[Layer, ...]


def layers_path(path: Path) -> Path:
    """The layers file of the state dict in the file at path, which need not be there."""
    return path.with_name(f"{stem_of(path.name)}.layers.txt")


def read_layers(stream: BinaryIO) -> Layers:
    """The layers in an open file.

    Raises:
        LayersError: it is too long, or a line means nothing.
    """
    data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise LayersError(f"has more than {_MOST_BYTES:,} bytes: it is not a list of layers.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LayersError("is not text: save it as UTF-8.") from error
    lines = [
        (number, part.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        for part in line.partition("#")[0].split(";")
        if part.strip()
    ]
    if len(lines) > _MOST_LAYERS:
        raise LayersError(f"has {len(lines):,} layers; {_MOST_LAYERS} are the most.")
    height, width = _SIDE, _SIDE
    if lines and lines[0][1].startswith("Input"):
        height, width = _picture_size(_parse_line(lines[0][1], lines[0][0], place=0))
        del lines[0]
    layers = tuple(_parse_line(line, number, place=place) for place, (number, line) in enumerate(lines))
    repeated = [layer for layer in layers if layer.kind == "Input"]
    if not layers or repeated:
        raise LayersError(f"has Input in line {repeated[0].line}: it comes first." if repeated else "names no layer.")
    return Layers(height, width, layers)


def _picture_size(layer: Layer) -> tuple[int, int]:
    sizes = [layer.arguments[name] for name in ("height", "width")]
    if not all(type(size) is int and 1 <= size <= _LARGEST_SIDE for size in sizes):
        raise LayersError(
            f"has in line {layer.line} an Input that is not from (1, 1) to ({_LARGEST_SIDE}, {_LARGEST_SIDE})."
        )
    height, width = (int(size) for size in sizes if isinstance(size, int))
    return height, width


def _parse_line(line: str, number: int, *, place: int) -> Layer:
    match = _LINE.fullmatch(line)
    if match is None:
        raise LayersError(f"has in line {number} what is not a layer, {line[:60]!r}: write `name: Kind(arguments)`.")
    kind = match["kind"]
    if kind not in KINDS:
        raise LayersError(f"has an unknown layer in line {number}, {kind!r}: known are {', '.join(KINDS)}.")
    arguments = _parse_arguments(match["arguments"] or "", kind, number)
    return Layer(number, match["name"] or str(place), kind, arguments)


def _parse_arguments(text: str, kind: str, number: int) -> dict[str, Value]:
    arguments: dict[str, Value] = {}
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _ARGUMENT.match(text, position)
        if match is None:
            raise LayersError(
                f"has in line {number} an argument that is not a number, a pair of whole numbers, True or False: "
                f"{text[position : position + 40].strip()!r}."
            )
        place = len(arguments)
        key = match["key"] or (KINDS[kind][place] if place < len(KINDS[kind]) else "")
        if key not in KINDS[kind] or key in arguments:
            allowed = ", ".join(KINDS[kind]) or "none"
            raise LayersError(
                f"has in line {number} an argument that {kind} does not take, or twice: it takes {allowed}."
            )
        arguments[key] = _value(match["value"], number)
        position = match.end()
    missing = [name for name in KINDS[kind][: _NEEDED.get(kind, 0)] if name not in arguments]
    if missing:
        raise LayersError(f"has in line {number} a {kind} without {', '.join(missing)}.")
    return arguments


def _value(text: str, number: int) -> Value:
    if text in ("True", "False"):
        return text == "True"
    if text.startswith("("):
        first, second = (int(part) for part in text.strip("()").split(","))
        sizes: tuple[int, ...] = first, second
        value: Value = (first, second)
    else:
        value = int(text) if text.isdecimal() else float(text)
        sizes = (int(value),)
    if max(sizes) > _MOST_SIZE:
        raise LayersError(f"has a size over {_MOST_SIZE:,} in line {number}.")
    return value
