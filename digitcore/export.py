"""A network for programs without digitcore: from a normalised batch (N, 1, 28, 28) to uncalibrated logits (N, 10)."""

import io
from pathlib import Path

import torch

from digitcore.checkpoints import Checkpoint, write_atomically
from digitcore.errors import CheckpointError
from digitcore.preprocessing import INPUT_SIDE

__all__ = ["FORMATS", "export_network"]

FORMATS = ("onnx", "torchscript", "state-dict")


def export_network(checkpoint: Checkpoint, path: Path, *, file_format: str) -> None:
    """Writes the network to path in one of `FORMATS`; all of it or nothing.

    The input is normalised as `preprocessing.normalize` does it. ONNX needs the package `onnx`.

    Raises:
        ValueError: the format is not one of `FORMATS`.
        CheckpointError: the file cannot be written, or a package is missing.
    """
    if file_format not in FORMATS:
        raise ValueError(f"file_format must be one of {', '.join(FORMATS)}, got {file_format!r}")
    buffer = io.BytesIO()
    example = (torch.zeros(1, 1, INPUT_SIDE, INPUT_SIDE),)
    if file_format == "state-dict":
        torch.save(checkpoint.network.state_dict(), buffer)
    elif file_format == "torchscript":
        torch.jit.save(torch.jit.trace(checkpoint.network, example), buffer)  # type: ignore[no-untyped-call]
    else:
        try:
            torch.onnx.export(
                checkpoint.network,
                example,
                buffer,  # type: ignore[arg-type]  # it is written to by this exporter, against its annotation
                input_names=["batch"],
                output_names=["logits"],
                dynamic_axes={"batch": {0: "N"}, "logits": {0: "N"}},
                dynamo=False,
            )
        except (ModuleNotFoundError, torch.onnx.OnnxExporterError) as error:
            raise CheckpointError(f"ONNX needs another package ({error}): pip install onnx") from error
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error
