"""ONNX files as networks: models of any framework, where the packages onnx and onnxruntime are installed.

A file takes digits in one of six input conventions (scale and ink):

| scale | a pixel is | ink | a digit is |
|---|---|---|---|
| `normalised` | as `preprocessing.normalize` makes it | `bright` | light on black |
| `unit` | 0 to 1 | `dark` | dark on white |
| `bytes` | 0 to 255 | | |

`NAME.onnx.json` beside the file says which, as `{"scale": "unit", "ink": "bright"}`; else the file's own metadata
`digitcore.scale` and `digitcore.ink`; else the one that makes the fewest errors on validation digits is chosen.
"""

import functools
import hashlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.errors import CheckpointError, DatasetError
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD, normalize
from digitcore.models.architectures import DigitNetwork
from digitcore.models.onnx_probe import UnfitModelError, open_session, run_session

__all__ = ["DECLARED", "INKS", "SCALES", "InputConvention", "OnnxNetwork", "load_onnx", "sidecar_path", "sidecar_stamp"]

DECLARED = ("temperature", "refusal_score", "refusal_threshold", "trained_on")
"""Fields of `CheckpointMetadata` that a file may have as JSON in its own metadata, under `digitcore.` and the name."""

SCALES = ("normalised", "unit", "bytes")
INKS = ("bright", "dark")
"""Input conventions: the table above."""

_DIGITS_PER_CLASS = 50  # in a trial
_SECONDS = 20  # for a trial, the start of a process included
_PROBE = Path(__file__).with_name("onnx_probe.py")
_LEAST_PROBABILITY = 1e-30
_SUM_TOLERANCE = 1e-3  # of probabilities


@dataclass(frozen=True)
class InputConvention:
    """How a file takes its digits; see the table at the top of the module."""

    scale: str
    ink: str

    def convert(self, batch: Tensor) -> NDArray[np.float32]:
        """The file's input (N, 1, 28, 28) of a normalised batch (N, 1, 28, 28), its pixels rounded to whole bytes."""
        pixels = ((batch.detach() * INPUT_STD + INPUT_MEAN) * 255).round().clamp(0, 255).byte().squeeze(1).numpy()
        images = pixels if self.ink == "bright" else 255 - pixels
        if self.scale == "normalised":
            return normalize(images).numpy()
        return images[:, np.newaxis].astype(np.float32) / np.float32(255 if self.scale == "unit" else 1)


_CONVENTIONS = {f"{scale} {ink}": InputConvention(scale, ink) for scale in SCALES for ink in INKS}


class OnnxNetwork(DigitNetwork):
    """An ONNX file as a network. Threads may share it. It has no gradients and no visible layers.

    What lies between input and logits is not known, so the ten logits themselves stand for the features.
    """

    def __init__(
        self, data: bytes, findings: Mapping[str, Any], *, file: str, convention: InputConvention, probabilities: bool
    ) -> None:
        """`findings` are those of the probe; with `probabilities`, the file gives these, not logits.

        Raises:
            UnfitModelError: onnxruntime cannot use the data.
        """
        super().__init__()
        self._session = open_session(data, threads=torch.get_num_threads())
        self._findings = findings
        self._file = file
        self._convention = convention
        self._probabilities = probabilities
        self.digest = hashlib.sha256(
            f"{hashlib.sha256(data).hexdigest()} {convention} {probabilities}".encode()
        ).hexdigest()
        """SHA-256 over everything that determines the logits."""

    def forward_features(self, batch: Tensor) -> Tensor:
        """The logits (N, 10) of a normalised batch (N, 1, 28, 28).

        Raises:
            CheckpointError: onnxruntime cannot run the file on this batch.
        """
        inputs, names = self._convention.convert(batch), [self._findings["output"]]
        try:
            (outputs,) = run_session(self._session, inputs, names, one_by_one=self._findings["one_by_one"])
        except UnfitModelError as error:
            raise CheckpointError(f"{self._file} {error}") from error
        return torch.from_numpy(_logits(outputs, probabilities=self._probabilities))

    def forward_head(self, features: Tensor) -> Tensor:
        """The features themselves: they are the logits."""
        return features

    def count_parameters(self) -> int:
        """Number of floating-point values among the file's initializers; running statistics are counted too."""
        return int(self._findings["parameters"])

    def folded(self) -> DigitNetwork:
        """Never returns: the file can only be used as it is.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(f"{self._file} is an ONNX file already and cannot be converted: copy it as it is.")


def load_onnx(data: bytes, path: Path) -> tuple[OnnxNetwork, dict[str, Any], dict[str, str]]:
    """The network in `data`, the contents of the ONNX file at `path`, after a trial in a process of its own.

    Also how input and output are taken, for the provenance of a checkpoint, and those fields of `DECLARED` that the
    file has in its metadata.

    Raises:
        CheckpointError: a package is missing, or the file or its sidecar cannot be used.
    """
    file = str(path)
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime")):
        raise CheckpointError(f"{file} needs onnxruntime and onnx: pip install -r requirements-onnx.txt")
    sidecar = _read_sidecar(path)
    try:
        digits = _probe_digits()
    except DatasetError as error:
        raise CheckpointError(f"{file} cannot be tried out. {error}") from error
    batch = normalize(digits.images)
    batches = {
        name: convention.convert(batch) for name, convention in _CONVENTIONS.items() if sidecar in (None, convention)
    }
    findings = _probe(data, batches, file=file)
    metadata = {key.removeprefix("digitcore."): value for key, value in findings["metadata"].items()}
    declared = {name: metadata[name] for name in ("scale", "ink") if name in metadata}
    if declared and sidecar is None:
        _parse_convention(declared, file=file)
    outputs = {name: np.array(values, dtype=np.float32) for name, values in findings["outputs"].items()}
    name = _pick(outputs, digits.labels, file=file)
    convention, probabilities = _CONVENTIONS[name], _are_probabilities(outputs[name])
    try:
        network = OnnxNetwork(data, findings, file=file, convention=convention, probabilities=probabilities)
    except UnfitModelError as error:
        raise CheckpointError(f"{file} {error}") from error
    source = "sidecar" if sidecar else "declared" if declared else f"picked on {len(digits)} validation digits"
    provenance = {
        "input": {"scale": convention.scale, "ink": convention.ink, "source": source},
        "output": "probabilities" if probabilities else "logits",
    }
    return network, provenance, {name: metadata[name] for name in DECLARED if name in metadata}


def sidecar_stamp(path: Path) -> tuple[int, int]:
    """Modification time (ns) and size (bytes) of the sidecar of the ONNX file at path; zeros where it has none."""
    try:
        status = sidecar_path(path).stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def sidecar_path(path: Path) -> Path:
    """The sidecar of the ONNX file at path."""
    return path.with_name(f"{path.name}.json")


def _read_sidecar(path: Path) -> InputConvention | None:
    sidecar = sidecar_path(path)
    try:
        convention = json.loads(sidecar.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{sidecar} cannot be read as JSON ({error}): write it again, or delete it.") from error
    return _parse_convention(convention, file=str(sidecar))


def _parse_convention(words: object, *, file: str) -> InputConvention:
    if isinstance(words, dict) and words.get("scale") in SCALES and words.get("ink") in INKS:
        return InputConvention(words["scale"], words["ink"])
    raise CheckpointError(
        f"{file} declares its input as {str(words)[:100]}: "
        f"scale must be one of {', '.join(SCALES)}, and ink one of {', '.join(INKS)}."
    )


@functools.cache
def _probe_digits() -> DigitSet:
    """The first digits of each class of the validation set."""
    digits = load_digits("mnist-validation")
    rows = [np.flatnonzero(digits.labels == label)[:_DIGITS_PER_CLASS] for label in range(10)]
    return digits.subset(np.concatenate(rows))


def _probe(data: bytes, batches: Mapping[str, NDArray[np.float32]], *, file: str) -> dict[str, Any]:
    """The findings of `onnx_probe` about the data of a file."""
    arrays = io.BytesIO()
    np.savez(arrays, allow_pickle=False, model=np.frombuffer(data, dtype=np.uint8), **batches)
    try:
        process = subprocess.run(
            [sys.executable, "-P", str(_PROBE)],
            input=arrays.getvalue(),
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each of its threads takes address space
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(
            f"{file} took longer than {_SECONDS} s in a trial: it never ends or is too slow, use a smaller network."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{file} cannot be tried out ({error.strerror or error}): try again later.") from error
    if process.returncode != 0:
        raise CheckpointError(
            f"{file} made onnxruntime crash in a trial ({_last_words(process)}): "
            "it is damaged or needs too much memory, export it again or use a smaller network."
        )
    findings: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    if "problem" in findings:
        raise CheckpointError(f"{file} {findings['problem']}")
    return findings


def _last_words(process: subprocess.CompletedProcess[bytes]) -> str:
    """The signal that ended a process, or the last line of its standard error."""
    if process.returncode < 0:
        return signal.Signals(-process.returncode).name
    lines = process.stderr.decode(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), f"exit status {process.returncode}")


def _pick(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64], *, file: str) -> str:
    """The convention whose outputs (N, 10) have the fewest errors, in a tie the least log loss."""
    finite = {name: values for name, values in outputs.items() if np.isfinite(values).all()}
    if not finite:
        raise CheckpointError(f"{file} gives NaN or infinity for validation digits: train or export it again.")

    def score(name: str) -> tuple[int, float]:
        logits = _logits(finite[name], probabilities=_are_probabilities(finite[name])).astype(np.float64)
        losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
        return int(np.count_nonzero(logits.argmax(axis=1) != labels)), float(losses.mean())

    return min(finite, key=score)


def _are_probabilities(outputs: NDArray[np.float32]) -> bool:
    return bool(outputs.min() >= 0 and np.abs(outputs.sum(axis=1) - 1).max() < _SUM_TOLERANCE)


def _logits(outputs: NDArray[np.float32], *, probabilities: bool) -> NDArray[np.float32]:
    return np.log(outputs.clip(_LEAST_PROBABILITY, None)) if probabilities else outputs
