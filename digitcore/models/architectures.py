"""Network architectures, by name.

Every network maps a normalised batch (N, 1, 28, 28) to logits (N, 10) in two steps that can be called on their own:
`forward_features`, whose output is the space in which similar digits lie close, and `forward_head`.

Training may use batch normalisation; `folded()` returns the same function without it, which is what is saved.
"""

import copy
import hashlib
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

__all__ = [
    "ACTIVATIONS",
    "CLASS_NAMES",
    "Compact",
    "CompactWide",
    "Conversion",
    "DigitNetwork",
    "Ensemble",
    "KnownAnswers",
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


def adapted(network: DigitNetwork, conversion: Conversion, *, activation: str | None) -> DigitNetwork:
    """A copy whose input is converted first, and whose ReLUs are this activation; None: they stay as they are."""
    copied = copy.deepcopy(network)
    copied.features = nn.Sequential(OrderedDict(conversion=conversion, **dict(copied.features.named_children())))
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
