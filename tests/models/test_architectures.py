import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate2d
from torch import nn

from digitcore.imaging.preprocessing import normalize
from digitcore.models.architectures import Ensemble, architecture_names, build_network, has_batch_norm
from digitcore.models.library import load_checkpoint

Arrays = dict[str, NDArray[np.float64]]


def _network(name: str, *, batch_norm: bool = False, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(name, batch_norm=batch_norm)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # as training would leave them, not 0 and 1
                nn.init.uniform_(module.weight, -2, 2)
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.1, 3)
    return network


def _batch(count: int = 4) -> torch.Tensor:
    return normalize(np.random.default_rng(1).integers(0, 256, (count, 28, 28), dtype=np.uint8))


def _three_convolutions_logits(weights: Arrays, picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """The compact and the tiny network in SciPy: ReLU before pooling, as in the textbooks."""
    maps = picture[np.newaxis]
    for i in (1, 2, 3):
        maps = _windows(_rectified_convolution(weights, i, maps)).max(axis=(2, 4))
    return weights["head.weight"] @ maps.ravel() + weights["head.bias"]


def _rectified_convolution(weights: Arrays, i: int, maps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(_convolution(weights, i, maps), 0)


def _convolution(weights: Arrays, i: int, maps: NDArray[np.float64]) -> NDArray[np.float64]:
    kernels, bias = weights[f"features.conv{i}.weight"], weights[f"features.conv{i}.bias"]
    convolved = [
        sum(correlate2d(map_, kernel, mode="same") for map_, kernel in zip(maps, per_input, strict=True)) + offset
        for per_input, offset in zip(kernels, bias, strict=True)
    ]
    return np.array(convolved)


def _windows(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """2x2 windows: (C, H // 2, 2, W // 2, 2)."""
    side = maps.shape[1] // 2
    return maps[:, : side * 2, : side * 2].reshape(len(maps), side, 2, side, 2)


def _compact_wide_logits(weights: Arrays, picture: NDArray[np.float64]) -> NDArray[np.float64]:
    maps = picture[np.newaxis]
    for i in range(1, 7):
        maps = _rectified_convolution(weights, i, maps)
        if i in (2, 4):
            maps = _windows(maps).max(axis=(2, 4))
    features = np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))])
    return weights["head.weight"] @ features + weights["head.bias"]


def _standard_logits(weights: Arrays, picture: NDArray[np.float64]) -> NDArray[np.float64]:
    maps = picture[np.newaxis]
    for i in range(1, 7):
        maps = _rectified_convolution(weights, i, maps)
        if i in (2, 4):
            windows = _windows(maps)
            maps = 0.5 * windows.mean(axis=(2, 4)) + 0.5 * windows.max(axis=(2, 4))
    features = np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))])
    return weights["head.weight"] @ features + weights["head.bias"]


def _three_standards_logits(weights: Arrays, picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each member by itself, with its part of the head; the shared bias once."""
    total = weights["head.bias"]
    for member in range(3):
        prefix = f"features.members.members.{member}."
        own = {f"features.{key.removeprefix(prefix)}": value for key, value in weights.items() if prefix in key}
        own["head.weight"] = weights["head.weight"][:, 192 * member : 192 * (member + 1)]
        total = total + _standard_logits(own | {"head.bias": np.zeros(10)}, picture)
    return total


def _mlp_logits(weights: Arrays, picture: NDArray[np.float64]) -> NDArray[np.float64]:
    hidden = weights["features.hidden.weight"] @ picture.ravel() + weights["features.hidden.bias"]
    return weights["head.weight"] @ np.maximum(hidden, 0) + weights["head.bias"]


ORACLES = {
    "tiny": _three_convolutions_logits,
    "compact": _three_convolutions_logits,
    "compact-wide": _compact_wide_logits,
    "standard": _standard_logits,
    "standard-x3": _three_standards_logits,
    "mlp": _mlp_logits,
}
FORMS = [
    (name, batch_norm) for name in ORACLES for batch_norm in (False, True) if has_batch_norm(name) or not batch_norm
]


def test_every_architecture_has_an_oracle() -> None:
    assert sorted(architecture_names()) == sorted(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
def test_an_independent_implementation_gives_the_same_logits(name: str) -> None:
    network, batch = _network(name).eval(), _batch()
    with torch.inference_mode():
        logits = network(batch).numpy()
    weights = {key: value.double().numpy() for key, value in network.state_dict().items()}
    expected = [ORACLES[name](weights, picture[0]) for picture in batch.double().numpy()]
    assert np.abs(logits - expected).max() < 1e-4


def test_the_shipped_weights_through_the_independent_implementation() -> None:
    network, batch = load_checkpoint("compact").network, _batch(2)
    weights = {key: value.double().numpy() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        logits = network(batch).numpy()
    expected = np.array([_three_convolutions_logits(weights, picture[0]) for picture in batch.double().numpy()])
    assert np.abs(logits - expected).max() < 1e-4 * max(1, np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "batch_norm", "parameters"),
    [
        ("compact", False, 8_778),
        ("compact", True, 8_778 + 2 * (8 + 16 + 32)),
        ("compact-wide", False, 23_022),
        ("standard", False, 189_130),
        ("standard-x3", False, 567_370),
        ("mlp", False, 101_770),
        ("tiny", False, 1_895),
    ],
)
def test_number_of_parameters(name: str, batch_norm: bool, parameters: int) -> None:
    assert build_network(name, batch_norm=batch_norm).count_parameters() == parameters


@pytest.mark.parametrize(("name", "batch_norm"), FORMS)
def test_folding_changes_nothing(name: str, batch_norm: bool) -> None:
    network, batch = _network(name, batch_norm=batch_norm), _batch()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = network.folded()
    assert network.training
    assert not folded.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert list(folded.state_dict()) == list(build_network(name).state_dict())
    with torch.inference_mode():
        assert torch.allclose(folded(batch), network.eval()(batch), atol=1e-4)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
    for value in folded.state_dict().values():  # a copy, not a view
        value.zero_()
    assert torch.equal(network.head.weight, before["head.weight"])


@pytest.mark.parametrize("name", ORACLES)
def test_features_then_head_then_probabilities(name: str) -> None:
    network, batch = _network(name).eval(), _batch()
    with torch.inference_mode():
        features = network.forward_features(batch)
        assert features.shape == (4, network.head.in_features)
        assert torch.equal(network.forward_head(features), network(batch))
        probabilities = network.log_probabilities(batch).double().exp()
    assert probabilities.shape == (4, 10)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(4, dtype=torch.float64), atol=1e-6)


def test_unknown_names_and_forms() -> None:
    with pytest.raises(
        ValueError, match="name must be one of tiny, compact, compact-wide, standard, standard-x3, mlp, got 'resnet'"
    ):
        build_network("resnet")
    for name in architecture_names():
        if not has_batch_norm(name):
            with pytest.raises(ValueError, match="batch_norm must be False"):
                build_network(name, batch_norm=True)


def test_an_ensemble_answers_with_the_mean_of_calibrated_logits() -> None:
    members, temperatures, batch = (
        [_network("standard", seed=seed).eval() for seed in range(3)],
        [0.5, 1.0, 2.0],
        _batch(),
    )
    with torch.inference_mode():
        logits = Ensemble(members, temperatures=temperatures)(batch)
        expected = sum(member(batch) / by for member, by in zip(members, temperatures, strict=True)) / 3
    assert torch.allclose(logits, expected, atol=1e-5)
    with torch.no_grad():
        members[0].head.weight.zero_()  # the ensemble has copies
        assert torch.equal(Ensemble(members, temperatures=temperatures)(batch), logits) is False
