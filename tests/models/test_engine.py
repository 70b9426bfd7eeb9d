"""What computes the logits: the same as the network itself, whatever the package, the threads and the batch."""

import copy
import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD, normalize
from digitcore.models.architectures import DigitNetwork, architecture_names, build_network
from digitcore.models.engine import Engine, engine_for, onnx_bytes, torch_engine

ENGINES = {"torch": torch_engine, "default": engine_for}


class Odd(DigitNetwork):
    """A network with a layer that has no counterpart in `onnx_bytes`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Hardtanh())
        self.head = nn.Linear(28 * 28, 10)


def _network(name: str) -> DigitNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build_network(name).eval().requires_grad_(False)


def _images(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def _batch(count: int) -> NDArray[np.float32]:
    return normalize(_images(count)).numpy()


def _error(engine: Engine, network: nn.Module, batch: NDArray[np.float32]) -> float:
    """Largest difference from the network in double precision, as a share of the largest logit."""
    expected = copy.deepcopy(network).double()(torch.from_numpy(batch).double()).numpy()
    return float(np.abs(engine.logits(batch, threads=2) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", architecture_names())
def test_logits_are_those_of_the_network(name: str, engine: str) -> None:
    network = _network(name)
    for count in (1, 16, 37):
        assert _error(ENGINES[engine](network), network, _batch(count)) < 2e-6


@pytest.mark.parametrize("engine", ENGINES)
def test_no_answer_depends_on_threads_or_on_the_other_digits(engine: str) -> None:
    computing, batch = ENGINES[engine](_network("standard")), _batch(50)
    logits = computing.logits(batch, threads=1)
    assert (logits.dtype, logits.shape) == (np.float32, (50, 10))
    assert np.array_equal(computing.logits(batch, threads=3), logits)
    for i in (0, 17, 49):
        assert np.abs(computing.logits(batch[i : i + 1], threads=1) - logits[i]).max() < 1e-6


@pytest.mark.parametrize("engine", ENGINES)
def test_many_threads_may_ask_at_once(engine: str) -> None:
    computing, batch = ENGINES[engine](_network("compact")), _batch(40)
    expected = computing.logits(batch, threads=1)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: computing.logits(batch, threads=2), range(64)))
    assert all(np.array_equal(answer, expected) for answer in answers)
    assert torch.get_num_threads() == before


def test_every_architecture_is_computed_by_onnxruntime_where_it_is_installed() -> None:
    pytest.importorskip("onnxruntime")
    assert {name: engine_for(_network(name)).name for name in architecture_names()} == dict.fromkeys(
        architecture_names(), "onnxruntime"
    )


def test_torch_computes_where_onnxruntime_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert engine_for(_network("compact")).name == "torch"


def test_torch_computes_layers_that_are_not_known() -> None:
    network = Odd().eval().requires_grad_(False)
    with pytest.raises(NotImplementedError, match="Hardtanh is not among the layers"):
        onnx_bytes(network)
    engine = engine_for(network)
    assert engine.name == "torch"
    assert _error(engine, network, _batch(20)) < 2e-6


@pytest.mark.parametrize("name", architecture_names())
def test_models_are_what_onnx_says_they_are(name: str) -> None:
    """Read by the package itself, with every shape that it infers."""
    onnx = pytest.importorskip("onnx")
    network = _network(name)
    model = onnx.load_model_from_string(onnx_bytes(network))
    onnx.checker.check_model(model, full_check=True)
    sizes = [int(np.prod(tensor.dims)) for tensor in model.graph.initializer if len(tensor.dims)]
    assert sum(sizes) == network.count_parameters()


def test_normalising_is_exact_for_every_level() -> None:
    images = np.resize(np.arange(256, dtype=np.uint8), (1, 28, 28))
    expected = (torch.from_numpy(images).float().unsqueeze(1) / 255 - INPUT_MEAN) / INPUT_STD
    assert torch.equal(normalize(images), expected)
