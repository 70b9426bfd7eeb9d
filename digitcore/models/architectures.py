"""Network architectures, by name.

Every network maps a normalised batch (N, 1, 28, 28) to logits (N, 10) in two steps that can be called on their own:
`forward_features`, whose output is the space in which similar digits lie close, and `forward_head`.

Training may use batch normalisation; `folded()` returns the same function without it, which is what is saved.
"""

import copy
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from digitcore.errors import CheckpointError
from digitcore.formats.answers_file import AnswerTable
from digitcore.formats.layers_file import Layer, Layers, LayersError
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD

__all__ = [
    "ACTIVATIONS",
    "CLASS_NAMES",
    "Compact",
    "CompactWide",
    "Conversion",
    "DigitNetwork",
    "Ensemble",
    "KnownAnswers",
    "Layered",
    "MultilayerPerceptron",
    "Standard",
    "adapted",
    "architecture_names",
    "build_network",
    "count_multiplications",
    "has_batch_norm",
]

CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}  # fmt: skip
"""What can stand between layers, by name; the networks here have the first."""


class DigitNetwork(nn.Module):
    """A network from a normalised batch (N, 1, 28, 28) to logits (N, 10)."""

    features: nn.Sequential
    head: nn.Linear
    picture_size: tuple[int, int] = (28, 28)
    """Height and width of what `features` takes."""

    def forward_features(self, batch: Tensor) -> Tensor:
        """Features (N, F) of a normalised batch (N, 1, 28, 28)."""
        features: Tensor = self.features(batch)
        return features

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, 10) of features (N, F)."""
        logits: Tensor = self.head(features)
        return logits

    def forward(self, batch: Tensor) -> Tensor:
        """Logits (N, 10) of a normalised batch (N, 1, 28, 28)."""
        return self.forward_head(self.forward_features(batch))

    def log_probabilities(self, batch: Tensor) -> Tensor:
        """Natural logarithms (N, 10) of the class probabilities of a normalised batch (N, 1, 28, 28)."""
        return torch.log_softmax(self(batch), dim=1)

    def count_parameters(self) -> int:
        """Number of trainable values; the the running statistics of batch normalisation do not count."""
        return sum(parameter.numel() for parameter in self.parameters())

    def folded(self) -> "DigitNetwork":
        """A copy in evaluation mode with each batch normalisation folded into the convolution before it.

        It computes the same function as `self.eval()`, up to rounding, with fewer parameters.
        """
        folded = copy.deepcopy(self).eval()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer in folded.features.named_children():
            if isinstance(layer, nn.BatchNorm2d):
                previous = next(
                    name for name, candidate in reversed(layers.items()) if isinstance(candidate, nn.Conv2d)
                )
                convolution = layers[previous]
                assert isinstance(convolution, nn.Conv2d)
                if isinstance(layer, PooledNorm):
                    layer.weight.data.abs_()
                layers[previous] = fuse_conv_bn_eval(convolution, layer)
            else:
                layers[name] = layer
        folded.features = nn.Sequential(layers)
        return folded


class KnownAnswers(DigitNetwork):
    """In the place of a network: the answers of a model that is not here to the digits of one set."""

    def __init__(self, table: AnswerTable, *, file: str) -> None:
        """The answers in this table; errors name its file."""
        super().__init__()
        self.table = table
        self._file = file
        arrays = (table.ids, table.labels, table.logits)
        parts = [b"" if values is None else np.ascontiguousarray(values).tobytes() for values in arrays]
        self.digest = hashlib.sha256(b"|".join([repr(table.dataset).encode(), *parts])).hexdigest()
        """SHA-256 over all of it."""

    def forward_features(self, batch: Tensor) -> Tensor:
        """Never returns: there is no network.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(
            f"{self._file} holds answers to {len(self.table):,} digits and no network: pick another model for pictures."
        )

    def forward_head(self, features: Tensor) -> Tensor:
        """The features themselves."""
        return features

    def folded(self) -> DigitNetwork:
        """Never returns, as `forward_features`."""
        self.forward_features(torch.empty(0))
        raise AssertionError("unreachable")


class PooledNorm(nn.BatchNorm2d):
    """Batch normalisation for use after maximum pooling: it scales by the magnitude of its weights.

    A positive scale and a shift commute with the maximum, so it folds into the convolution before the pooling, and it
    has a quarter of the values to normalise there. The convolution can have either sign, so nothing is lost.
    """

    def forward(self, batch: Tensor) -> Tensor:
        """Normalises a batch (N, C, H, W)."""
        return functional.batch_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight.abs(),
            self.bias,
            training=self.training,
            momentum=self.momentum or 0.0,
            eps=self.eps,
        )


class _ThreeConvolutions(DigitNetwork):
    """Three 3x3 convolutions, each with ReLU and 2x2 max pooling, and one linear layer.

    Pooling stands before ReLU: the two commute, and this order does a quarter of the work.
    """

    def __init__(self, channels: tuple[int, int, int], *, batch_norm: bool) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (inputs, outputs) in enumerate(pairwise((1, *channels)), start=1):
            layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            layers[f"pool{i}"] = nn.MaxPool2d(2)  # 28 -> 14 -> 7 -> 3
            if batch_norm:
                layers[f"norm{i}"] = PooledNorm(outputs)
            layers[f"relu{i}"] = nn.ReLU()
        layers["flatten"] = nn.Flatten()  # (N, C, 3, 3) -> (N, 9 C)
        self.features = nn.Sequential(layers)
        self.head = nn.Linear(channels[-1] * 3 * 3, len(CLASS_NAMES))


class Compact(_ThreeConvolutions):
    """Three convolutions of 8, 16 and 32 channels: 8,778 parameters without batch normalisation."""

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__((8, 16, 32), batch_norm=batch_norm)


class Tiny(_ThreeConvolutions):
    """Three convolutions of 5, 8 and 9 channels: 1,895 parameters without batch normalisation."""

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__((5, 8, 9), batch_norm=batch_norm)


class Conversion(nn.Module):
    """A batch times a factor, plus a shift: a normalised one as the pixels that a network was trained on."""

    def __init__(self, factor: float, shift: float) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def extra_repr(self) -> str:
        """What tells one conversion from another."""
        return f"{self.factor}, {self.shift}"

    def forward(self, batch: Tensor) -> Tensor:
        """The batch converted."""
        return batch * self.factor + self.shift


class PictureSize(nn.Module):
    """Brings a batch (N, 1, 28, 28) to another size."""

    def __init__(self, size: tuple[int, int], fit: str, *, background: float) -> None:
        """fit: `padded` with the background, or `resized`."""
        super().__init__()
        self.size, self.fit, self.background = size, fit, background

    def extra_repr(self) -> str:
        """What tells one from another."""
        return f"{self.size}, {self.fit}, {self.background}"

    def forward(self, batch: Tensor) -> Tensor:
        """The batch (N, 1, H, W)."""
        if self.fit == "resized":
            return functional.interpolate(batch, self.size, mode="bilinear", antialias=True)
        above, left = ((side - 28) // 2 for side in self.size)
        sides = left, self.size[1] - 28 - left, above, self.size[0] - 28 - above
        return functional.pad(batch, sides, value=self.background)


class Layered(DigitNetwork):
    """A network as a layers file describes it, whose weights are another file's."""

    def __init__(self, description: Layers) -> None:
        """A network with random weights.

        Raises:
            LayersError: there is no such network, or it is too large.
        """
        super().__init__()
        *layers, last = _without_softmax(description.layers)
        if last.kind != "Linear" or last.arguments["out_features"] != len(CLASS_NAMES):
            raise LayersError(f"must end in Linear(..., 10), and not in {last.words} in line {last.line}.")
        self.multiplications = _checked_cost(description, (*layers, last))
        """For a digit."""
        self.picture_size = description.height, description.width
        self.features = nn.Sequential(*map(_module, layers))
        head = _module(last)
        assert isinstance(head, nn.Linear)
        self.head = head
        places = [*(f"features.{place}" for place in range(len(layers))), "head"]
        self.names = {f"{place}.": f"{layer.name}." for place, layer in zip(places, (*layers, last), strict=True)}
        """What the file calls a layer, by what it is called here, each with a dot."""

    def folded(self) -> DigitNetwork:
        """A copy in evaluation mode, with all its layers."""
        return copy.deepcopy(self).eval()


_MOST_WEIGHTS = 4_000_000
_MOST_VALUES = 100_000  # between two layers, for a digit
_MOST_MULTIPLICATIONS = 50_000_000  # for a digit
_COST_OF_A_VALUE = 4  # multiplications, of layers that compute each value on its own


def _without_softmax(layers: Sequence[Layer]) -> list[Layer]:
    """Layers that compute something; a softmax at the end adds the same number to all logits."""
    needed = [layer for layer in layers if not layer.kind.startswith("Dropout")]
    if needed and needed[-1].kind in ("Softmax", "LogSoftmax"):
        needed.pop()
    for layer in needed:
        if layer.kind in ("Softmax", "LogSoftmax"):
            raise LayersError(f"has a {layer.kind} in line {layer.line}, which can only stand at the end.")
    if not needed:
        raise LayersError("names no layer with weights.")
    return needed


def _module(layer: Layer) -> nn.Module:
    arguments = {name: value for name, value in layer.arguments.items() if name != "inplace"}
    module: nn.Module = getattr(nn, layer.kind)(**arguments)
    return module


def _checked_cost(description: Layers, layers: Sequence[Layer]) -> int:
    """Multiplications for a digit, without computing anything.

    Raises:
        LayersError: layers do not fit together, or cost too much.
    """
    weights = multiplications = 0
    with torch.device("meta"):
        batch = torch.empty(1, 1, description.height, description.width)
        for layer in layers:
            try:
                module = _module(layer).eval()
                batch = module(batch)
            except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError) as error:
                reason = " ".join(str(error).split())[:200]
                raise LayersError(f"has a {layer.words} in line {layer.line} that does not fit: {reason}.") from error
            weights += sum(parameter.numel() for parameter in module.parameters())
            multiplications += batch.numel() * _multiplications_for_a_value(module)
            if weights > _MOST_WEIGHTS or batch.numel() > _MOST_VALUES or multiplications > _MOST_MULTIPLICATIONS:
                raise LayersError(
                    f"is too large a network, in line {layer.line}: {_MOST_WEIGHTS:,} weights, {_MOST_VALUES:,} values "
                    f"between two layers and {_MOST_MULTIPLICATIONS:,} multiplications for a digit are the most."
                )
    if batch.shape != (1, len(CLASS_NAMES)):
        raise LayersError(f"gives {tuple(batch.shape[1:])} instead of ten numbers for a digit: is a Flatten missing?")
    return multiplications


def _multiplications_for_a_value(module: nn.Module) -> int:
    match module:
        case nn.Conv2d() | nn.Linear():
            return module.weight[0].numel()
        case nn.MaxPool2d() | nn.AvgPool2d():
            side = module.kernel_size
            return side * side if isinstance(side, int) else math.prod(side)
    return _COST_OF_A_VALUE


class MixedPooling(nn.Module):
    """The mean of 2x2 average and 2x2 maximum pooling: (N, C, H, W) -> (N, C, H // 2, W // 2)."""

    def forward(self, batch: Tensor) -> Tensor:
        """Halves height and width of a batch (N, C, H, W)."""
        return (functional.avg_pool2d(batch, 2) + functional.max_pool2d(batch, 2)) / 2


class GlobalPooling(nn.Module):
    """Average and maximum over all positions, concatenated: (N, C, H, W) -> (N, 2C)."""

    def forward(self, batch: Tensor) -> Tensor:
        """Pools height and width of a batch (N, C, H, W)."""
        return torch.cat([batch.mean(dim=(2, 3)), batch.amax(dim=(2, 3))], dim=1)


class CompactWide(DigitNetwork):
    """Six 3x3 convolutions (8, 12 | 16, 24 | 32, 32 channels) with ReLU, maximum pooling, and both kinds at the end.

    23,022 parameters without batch normalisation.
    """

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = [1, 8, 12, 16, 24, 32, 32]
        for i, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            pooled = i in (2, 4)
            if pooled:
                layers[f"pool{i}"] = nn.MaxPool2d(2)  # 28 -> 14 -> 7
            if batch_norm:
                layers[f"norm{i}"] = PooledNorm(outputs) if pooled else nn.BatchNorm2d(outputs)
            layers[f"relu{i}"] = nn.ReLU()
        layers["pool6"] = GlobalPooling()  # (N, 32, 7, 7) -> (N, 64)
        self.features = nn.Sequential(layers)
        self.head = nn.Linear(2 * channels[-1], len(CLASS_NAMES))


class Standard(DigitNetwork):
    """Six 3x3 convolutions (24, 32 | 48, 64 | 96, 96 channels) with ReLU, average and maximum pooling together.

    189,130 parameters without batch normalisation.
    """

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = [1, 24, 32, 48, 64, 96, 96]
        for i, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            layers[f"conv{i}"] = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            if batch_norm:
                layers[f"norm{i}"] = nn.BatchNorm2d(outputs)
            layers[f"relu{i}"] = nn.ReLU()
            if i in (2, 4):
                layers[f"pool{i}"] = MixedPooling()  # 28 -> 14 -> 7
        layers["pool6"] = GlobalPooling()  # (N, 96, 7, 7) -> (N, 192)
        self.features = nn.Sequential(layers)
        self.head = nn.Linear(2 * channels[-1], len(CLASS_NAMES))


class SideBySide(nn.Module):
    """The features of several networks for the same batch, concatenated."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, batch: Tensor) -> Tensor:
        """Features (N, K * F) of a batch (N, 1, 28, 28), of K networks with F features each."""
        return torch.cat([member(batch) for member in self.members], dim=1)


class Ensemble(DigitNetwork):
    """Several networks of one architecture that answer together: the mean of their logits."""

    def __init__(self, members: Sequence[DigitNetwork], *, temperatures: Sequence[float] | None = None) -> None:
        """Copies the members, which have no batch normalisation; their logits are divided by the temperatures."""
        super().__init__()
        members = [copy.deepcopy(member) for member in members]
        self.features = nn.Sequential(OrderedDict(members=SideBySide([member.features for member in members])))
        self.head = nn.Linear(sum(member.head.in_features for member in members), len(CLASS_NAMES))
        shares = [1 / (temperature * len(members)) for temperature in temperatures or [1.0] * len(members)]
        with torch.no_grad():
            weights = [member.head.weight * share for member, share in zip(members, shares, strict=True)]
            biases = [member.head.bias * share for member, share in zip(members, shares, strict=True)]
            self.head.weight.copy_(torch.cat(weights, dim=1))
            self.head.bias.copy_(torch.stack(biases).sum(dim=0))


def _three_standards(*, batch_norm: bool = False) -> DigitNetwork:
    """567,370 parameters."""
    _refuse_batch_norm(batch_norm)
    return Ensemble([Standard() for _ in range(3)])


def _refuse_batch_norm(batch_norm: bool) -> None:
    if batch_norm:
        raise ValueError("batch_norm must be False for this network, got True")


class MultilayerPerceptron(DigitNetwork):
    """One hidden layer of 128 units with ReLU: 101,770 parameters. No convolution: a baseline to compare against."""

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        _refuse_batch_norm(batch_norm)
        self.features = nn.Sequential(OrderedDict(flatten=nn.Flatten(), hidden=nn.Linear(28 * 28, 128), relu=nn.ReLU()))
        self.head = nn.Linear(128, len(CLASS_NAMES))


_ARCHITECTURES: dict[str, Callable[..., DigitNetwork]] = {
    "tiny": Tiny,
    "compact": Compact,
    "compact-wide": CompactWide,
    "standard": Standard,
    "standard-x3": _three_standards,
    "mlp": MultilayerPerceptron,
}
_WITHOUT_BATCH_NORM = ("standard-x3", "mlp")


def architecture_names() -> list[str]:
    """The names that `build_network` takes."""
    return list(_ARCHITECTURES)


def has_batch_norm(name: str) -> bool:
    """Whether the network of this name has a form with batch normalisation."""
    return name not in _WITHOUT_BATCH_NORM


def build_network(name: str, *, batch_norm: bool = False) -> DigitNetwork:
    """A new network with random weights, in training mode.

    Raises:
        ValueError: no network has this name, or it has no form with batch normalisation.
    """
    if name not in _ARCHITECTURES:
        raise ValueError(f"name must be one of {', '.join(_ARCHITECTURES)}, got {name!r}")
    return _ARCHITECTURES[name](batch_norm=batch_norm)


def adapted(
    network: DigitNetwork, conversion: Conversion, *, activation: str | None = None, fit: str = ""
) -> DigitNetwork:
    """A copy whose input is converted first, and whose ReLUs are this activation; None: they stay as they are.

    fit: how digits are brought to the network's size where that is another one, as `PictureSize` does it.
    """
    copied = copy.deepcopy(network)
    first: OrderedDict[str, nn.Module] = OrderedDict(conversion=conversion)
    if fit:
        black = conversion(torch.tensor(-INPUT_MEAN / INPUT_STD)).item()
        first["size"] = PictureSize(network.picture_size, fit, background=black)
    copied.features = nn.Sequential(first | OrderedDict(copied.features.named_children()))
    if activation is not None:
        _replace_relu(copied, ACTIVATIONS[activation])
    return copied


def _replace_relu(module: nn.Module, activation: Callable[[], nn.Module]) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, activation())
        else:
            _replace_relu(child, activation)


def count_multiplications(network: DigitNetwork) -> int:
    """How many multiplications of its convolutions and linear layers a network needs for one digit."""
    if isinstance(network, Layered):
        return network.multiplications
    counts: list[int] = []

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        counts.append(output.numel() * layer.weight[0].numel())

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        network(torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return sum(counts)
