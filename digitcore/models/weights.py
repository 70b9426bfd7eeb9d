"""Tensors of a file as the weights of a network: matched by names or by shapes, checked, and hashed."""

import functools
import hashlib
import itertools
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from digitcore.errors import CheckpointError
from digitcore.models.architectures import DigitNetwork, Layered, architecture_names, build_network, has_batch_norm
from digitcore.text import printable

__all__ = [
    "Shapes",
    "candidates",
    "check_shapes",
    "check_tensors",
    "digest_tensors",
    "draft_layers",
    "expected_tensors",
    "layered_names",
    "matching_names",
    "new_network",
    "shapes_in_file",
    "shapes_of",
    "summary",
    "widened",
    "without_counters",
]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Shapes of tensors by name."""

_COUNTER = "num_batches_tracked"  # of batch normalisation, which no answer depends on
_WRAPPERS = ("module", "_orig_mod")  # parts of names that DistributedDataParallel and torch.compile put in
_NETWORKS = ("model", "net", "network", "backbone", "classifier")  # first parts of names beside those of losses
_MOST_GUESSED, _MOST_LINES, _MOST_NAME = 4, 20, 60  # convolutions, layers and characters of a draft
_PARTS = ("weight", "bias", "running_mean", "running_var")  # of a layer, in the order of a state dict


@functools.cache
def candidates() -> list[tuple[str, bool, Shapes]]:
    """The known networks by name, each with and without batch normalisation, and the shapes of their tensors."""
    networks = []
    for architecture in architecture_names():
        for batch_norm in (False, True) if has_batch_norm(architecture) else (False,):
            with torch.device("meta"):  # which takes neither time nor memory
                network = new_network(architecture, batch_norm=batch_norm)
            networks.append((architecture, batch_norm, shapes_of(expected_tensors(network))))
    return networks


def new_network(architecture: str, *, batch_norm: bool = False) -> DigitNetwork:
    """A network to load weights into, built without changing the state of the random number generator."""
    with torch.random.fork_rng(devices=[]):
        return build_network(architecture, batch_norm=batch_norm)


def without_counters(shapes: Shapes) -> Shapes:
    """Those that are weights."""
    return {name: shape for name, shape in shapes.items() if not name.endswith(_COUNTER)}


def expected_tensors(network: torch.nn.Module) -> dict[str, Tensor]:
    """The tensors of a network that a file must have."""
    return {name: value for name, value in network.state_dict().items() if not name.endswith(_COUNTER)}


def matching_names(shapes: Shapes, expected: Shapes) -> dict[str, str] | None:
    """A file's name for each of a network's tensors; None where they do not fit.

    They fit by names and shapes, what wrappers have put into the names being left out, else by the order of their
    shapes, in the file or by name, else layer by layer. Where a file has more than one network, it is that under the
    first of the names that trainers use.
    """
    for part in ({name: shapes[name] for name in chosen} for chosen in _parts(shapes)):
        names = _same_names(part, expected) or _same_order(part, expected) or _same_layers(part, expected)
        if names is not None:
            return names
    return None


def _parts(shapes: Shapes) -> Iterator[list[str]]:
    """All names, and then those under each of `_NETWORKS`."""
    yield list(shapes)
    for network in _NETWORKS:
        if names := [name for name in shapes if name.startswith(f"{network}.")]:
            yield names


def _same_names(shapes: Shapes, expected: Shapes) -> dict[str, str] | None:
    unwrapped = {_unwrapped(name): name for name in shapes}
    prefix = _common_prefix(unwrapped)
    for dropped in ("", prefix):
        names = {name.removeprefix(dropped): name_in_file for name, name_in_file in unwrapped.items()}
        if {name: shapes[name_in_file] for name, name_in_file in names.items()} == expected:
            return names
    return None


def _unwrapped(name: str) -> str:
    """A name without what wrappers have put in.

    >>> _unwrapped("_orig_mod.module.features._orig_mod.conv1.weight")
    'features.conv1.weight'
    """
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _common_prefix(names: Collection[str]) -> str:
    """The part up to a dot that all names begin with.

    >>> _common_prefix(["student.net.head.weight", "student.net.features.bias"])
    'student.net.'
    """
    prefix = os.path.commonprefix(list(names))  # noqa: RUF071 - by character, and then back to the last dot
    return prefix[: prefix.rfind(".") + 1]


def _same_order(shapes: Shapes, expected: Shapes) -> dict[str, str] | None:
    for names in (list(shapes), sorted(shapes, key=_natural)):
        if [shapes[name] for name in names] == list(expected.values()):
            return dict(zip(expected, names, strict=True))
    return None


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which `layer_2` stands before `layer_10`, and a weight before its bias."""
    layer, _, part = name.rpartition(".")
    rank = _PARTS.index(part) if part in _PARTS else len(_PARTS)
    pieces = re.findall(r"\d+|\D+", layer) if layer else re.findall(r"\d+|\D+", name)
    return [*((int(piece[:18]), "") if piece.isdecimal() else (-1, piece) for piece in pieces), (rank, part)]


def _same_layers(shapes: Shapes, expected: Shapes) -> dict[str, str] | None:
    """Layers with the same parts and shapes belong together; of several alike, in the order of their names."""
    of_file, of_network = _layers(shapes), _layers(expected)
    if {content: len(layers) for content, layers in of_file.items()} != {
        content: len(layers) for content, layers in of_network.items()
    }:
        return None
    names: dict[str, str] = {}
    for content, layers in of_network.items():
        for layer, layer_in_file in zip(layers, sorted(of_file[content], key=_natural), strict=True):
            names |= {f"{layer}.{part}": f"{layer_in_file}.{part}" for part, _ in content}
    return names


def _layers(shapes: Shapes) -> dict[frozenset[tuple[str, tuple[int, ...]]], list[str]]:
    """Names of layers by what they consist of."""
    contents: dict[str, set[tuple[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        layer, _, part = name.rpartition(".")
        contents.setdefault(layer, set()).add((part, shape))
    layers: dict[frozenset[tuple[str, tuple[int, ...]]], list[str]] = {}
    for layer, content in contents.items():
        layers.setdefault(frozenset(content), []).append(layer)
    return layers


def shapes_in_file(network: Layered) -> Shapes:
    """Shapes of a network's tensors, by the names that its layers file gives them."""
    shapes = {}
    for name, value in expected_tensors(network).items():
        layer, _, part = name.rpartition(".")
        shapes[f"{network.names[f'{layer}.']}{part}"] = tuple(value.shape)
    return shapes


def layered_names(shapes: Shapes, network: Layered) -> dict[str, str] | None:
    """As `matching_names`, for a network that a layers file describes."""
    expected = shapes_in_file(network)
    names = matching_names(shapes, expected)
    if names is None:
        return None
    return {name: names[name_in_file] for name, name_in_file in zip(expected_tensors(network), expected, strict=True)}


def draft_layers(shapes: Shapes) -> str:
    """A layers file to begin with, from names and shapes: activations, padding and pooling are a guess that fits them.

    >>> draft_layers({"fc.weight": (10, 784), "fc.bias": (10,)})
    'Flatten; fc: Linear(784, 10)'
    """
    layers = [(name.removesuffix(".weight"), shape) for name, shape in shapes.items() if name.endswith(".weight")]
    convolutions = [shape for _, shape in layers if len(shape) == 4][:_MOST_GUESSED]
    features = next((shape[1] for _, shape in layers if len(shape) == 2), 0)
    options = itertools.product((False, True), repeat=2 * len(convolutions))
    guess = next((option for option in options if _features_after(convolutions, option) == features), ())
    padded, pooled = itertools.cycle(guess[::2] or [False]), itertools.cycle(guess[1::2] or [False])
    lines: list[str] = []
    for layer, shape in layers:
        name = printable(layer)[:_MOST_NAME]
        if len(shape) == 4:
            padding = f", padding={shape[2] // 2}" if next(padded) else ""
            lines += [f"{name}: Conv2d({shape[1]}, {shape[0]}, {shape[2]}{padding})", "ReLU"]
            lines += ["MaxPool2d(2)"] if next(pooled) else []
        elif len(shape) == 2:
            lines += ["Flatten"] if "Flatten" not in lines else []
            lines += [f"{name}: Linear({shape[1]}, {shape[0]})", "ReLU"]
        elif f"{layer}.running_mean" in shapes:
            lines.append(f"{name}: BatchNorm2d({shape[0]})")
    return "; ".join(lines[:_MOST_LINES]).removesuffix("; ReLU") or "Flatten; 1: Linear(784, 10)"


def _features_after(convolutions: Sequence[tuple[int, ...]], option: Sequence[bool]) -> int:
    """How many numbers 28 × 28 pixels become; for each convolution, whether it is padded, and whether it is pooled."""
    side = 28
    for shape, padded, pooled in zip(convolutions, option[::2], option[1::2], strict=True):
        side += (shape[2] // 2 * 2 if padded else 0) - shape[2] + 1
        side = side // 2 if pooled else side
    return (convolutions[-1][0] if convolutions else 1) * side**2


def widened(tensor: Tensor) -> Tensor:
    """Numbers of 16 bits as float32, without loss; others as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """Their shapes by name."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def summary(shapes: Shapes) -> str:
    """The first names and shapes, in words."""
    listed = [f"{printable(name)[:80]} {str(shape)[:80]}" for name, shape in list(shapes.items())[:3]]
    return ", ".join(listed) + (", ..." if len(shapes) > 3 else "") if shapes else "none at all"


def check_shapes(shapes: Shapes, expected: Shapes, *, file: str) -> None:
    """Raises a CheckpointError for other names or shapes than these."""
    if shapes != expected:
        raise CheckpointError(f"{file} has weights that do not fit its architecture: {summary(shapes)}.")


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, file: str) -> None:
    """Raises a CheckpointError for other names, shapes or kinds of numbers, and for NaN and infinity."""
    check_shapes(shapes_of(tensors), shapes_of(expected), file=file)
    for name, value in tensors.items():
        if value.dtype != torch.float32:
            raise CheckpointError(f"{file} has {value.dtype} values in {name}: save it as float32.")
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{file} contains NaN or infinity in {name}: train it again.")


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
