"""Export of networks for other programs: from a normalised batch (N, 1, 28, 28) to uncalibrated logits (N, 10)."""

import io
import json
import warnings
from pathlib import Path

import torch

from digitcore.errors import CheckpointError
from digitcore.files import write_atomically
from digitcore.formats.endings import ending_of
from digitcore.imaging.preprocessing import INPUT_SIDE
from digitcore.models.architectures import DigitNetwork
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata
from digitcore.models.onnx import DECLARED

__all__ = ["FORMATS", "export_network"]

_SUFFIXES = {"onnx": (".onnx",), "torchscript": (".pt", ".pth", ".torchscript"), "state-dict": (".pt", ".pth")}
FORMATS = tuple(_SUFFIXES)


def export_network(checkpoint: Checkpoint, path: Path, *, file_format: str) -> None:
    """Writes the network to path in one of `FORMATS`, completely or not at all.

    The input is normalised as `preprocessing.normalize` does it. An ONNX file says so in its metadata, which also holds
    what makes it the same checkpoint again, such as the temperature; it needs the package `onnx`.

    Raises:
        ValueError: the format is not one of `FORMATS`.
        CheckpointError: the file cannot be written, its name is that of another kind of checkpoint, a package is
            missing, the checkpoint is an ONNX file itself, or a state dict could not say how it takes its digits.
    """
    if file_format not in FORMATS:
        raise ValueError(f"file_format must be one of {', '.join(FORMATS)}, got {file_format!r}")
    ending = ending_of(path.name)
    if ending and ending not in _SUFFIXES[file_format]:
        endings = " or ".join(_SUFFIXES[file_format])
        raise CheckpointError(f"{path} would not be a {ending} file but {file_format}: let its name end in {endings}.")
    network = checkpoint.network.folded()  # raises an error for an ONNX file
    buffer = io.BytesIO()
    example = (torch.zeros(1, 1, INPUT_SIDE, INPUT_SIDE),)
    if file_format == "state-dict":
        if not checkpoint.metadata.convention.is_ours:
            raise CheckpointError(
                f"A state dict does not say that {checkpoint.name} takes its digits as "
                f"{checkpoint.metadata.convention.words}: export it as onnx."
            )
        torch.save(network.state_dict(), buffer)
    elif file_format == "torchscript":
        torch.jit.save(torch.jit.trace(network, example), buffer)  # type: ignore[no-untyped-call]
    else:
        buffer.write(_onnx_bytes(network, example, checkpoint.metadata))
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error


def _onnx_bytes(network: DigitNetwork, example: tuple[torch.Tensor], metadata: CheckpointMetadata) -> bytes:
    buffer = io.BytesIO()
    try:
        import onnx

        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the successor needs onnxscript
            torch.onnx.export(
                network,
                example,
                buffer,  # type: ignore[arg-type]  # it is written to by this exporter, against its annotation
                input_names=["batch"],
                output_names=["logits"],
                dynamic_axes={"batch": {0: "N"}, "logits": {0: "N"}},
                dynamo=False,
            )
    except (ModuleNotFoundError, torch.onnx.OnnxExporterError) as error:
        raise CheckpointError(f"ONNX needs another package ({error}): pip install -r requirements-onnx.txt") from error
    model = onnx.load_model_from_string(buffer.getvalue())
    declared = {name: json.dumps(getattr(metadata, name)) for name in DECLARED}
    properties = {"scale": "normalised", "ink": "bright"} | declared
    onnx.helper.set_model_props(model, {f"digitcore.{name}": value for name, value in properties.items()})
    data: bytes = model.SerializeToString()
    return data
