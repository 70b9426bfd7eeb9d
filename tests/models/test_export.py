import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from digitcore.errors import CheckpointError
from digitcore.imaging.preprocessing import normalize
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.export import FORMATS, export_network
from digitcore.models.library import load_checkpoint


@pytest.fixture(params=["compact", "mlp"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path, save_random: Callable[..., Path]) -> Checkpoint:
    return load_checkpoint(save_random(tmp_path / "one.safetensors", architecture=request.param, temperature=2.0))


@pytest.fixture
def batch() -> torch.Tensor:
    return normalize(np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8))


def _logits(network: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(batch)


def test_state_dict(checkpoint: Checkpoint, batch: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "one.pt"
    export_network(checkpoint, path, file_format="state-dict")
    network = build_network(checkpoint.metadata.architecture).eval()
    network.load_state_dict(torch.load(path, weights_only=True))
    expected = _logits(checkpoint.network, batch)
    assert torch.equal(_logits(network, batch), expected)
    assert torch.equal(_logits(load_checkpoint(path).network, batch), expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # TorchScript itself is deprecated
def test_torchscript(checkpoint: Checkpoint, batch: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "one.torchscript"
    export_network(checkpoint, path, file_format="torchscript")
    network = torch.jit.load(path)
    for count in (1, 5):  # traced with one digit, used with any number
        assert torch.allclose(_logits(network, batch[:count]), _logits(checkpoint.network, batch[:count]), atol=1e-5)


def test_onnx(checkpoint: Checkpoint, batch: torch.Tensor, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="ONNX needs its package: pip install -r requirements-onnx.txt")
    reference = pytest.importorskip("onnx.reference")
    path = tmp_path / "one.onnx"
    export_network(checkpoint, path, file_format="onnx")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    for count in (1, 5):
        (logits,) = reference.ReferenceEvaluator(str(path)).run(None, {"batch": batch[:count].numpy()})
        assert np.abs(logits - _logits(checkpoint.network, batch[:count]).numpy()).max() < 1e-4


def test_onnx_without_its_package_says_what_to_install(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    with pytest.raises(CheckpointError, match=r"pip install -r requirements-onnx\.txt"):
        export_network(checkpoint, tmp_path / "one.onnx", file_format="onnx")
    assert not (tmp_path / "one.onnx").exists()


def test_unknown_formats_and_bad_places(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"file_format must be one of {', '.join(FORMATS)}, got 'tflite'"):
        export_network(checkpoint, tmp_path / "x", file_format="tflite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="folder cannot be written"):
        export_network(checkpoint, tmp_path / "folder", file_format="state-dict")
    assert not list(tmp_path.glob(".folder*"))


@pytest.mark.parametrize(
    ("file_format", "name"), [("state-dict", "x.safetensors"), ("torchscript", "x.onnx"), ("onnx", "x.pt")]
)
def test_a_checkpoint_of_another_format_is_not_overwritten(
    checkpoint: Checkpoint, tmp_path: Path, file_format: str, name: str
) -> None:
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=f"{name} would not be a .* but {file_format}: let its name end in"):
        export_network(checkpoint, tmp_path / name, file_format=file_format)
    assert (tmp_path / name).read_bytes() == b"weights"
