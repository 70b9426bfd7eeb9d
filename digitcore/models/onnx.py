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
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.errors import CheckpointError, DatasetError
from digitcore.files import temporary_folder
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD, normalize
from digitcore.models.architectures import DigitNetwork
from digitcore.models.onnx_probe import CPU_SECONDS, UnfitModelError, open_session, run_session
from digitcore.text import printable

__all__ = ["DECLARED", "INKS", "SCALES", "InputConvention", "OnnxNetwork", "load_onnx", "sidecar_path", "sidecar_stamp"]

DECLARED = ("temperature", "refusal_score", "refusal_threshold", "trained_on")
"""Fields of `CheckpointMetadata` that a file may have as JSON in its own metadata, under `digitcore.` and the name."""

SCALES = ("normalised", "unit", "bytes")
INKS = ("bright", "dark")
"""Input conventions: the table above."""

_DIGITS_PER_CLASS = 50  # in a trial, at most
_SECONDS = 60  # for a trial on a busy machine, the start of a process included
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))  # trials
_TRIALS_KEPT = 200
_MOST_PROBLEM = 600  # characters
_MOST_SIDECAR_BYTES = 10_000
_COPIED_AT_ONCE = 1 << 20  # bytes
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


@dataclass(frozen=True)
class _Trial:
    """What a trial of a file has found."""

    convention: InputConvention
    source: str
    """How the convention is known."""
    probabilities: bool
    """Whether the output is probabilities, not logits."""
    output: str
    """Name of the output that is taken."""
    one_by_one: bool
    """Whether the file takes one digit at a time."""
    parameters: int
    metadata: Mapping[str, str]
    """What the file has in its own metadata under `digitcore.`, by names without that."""


_trials: OrderedDict[str, _Trial] = OrderedDict()  # by contents and sidecar, so that each file is tried once
_trials_lock = threading.Lock()


class OnnxNetwork(DigitNetwork):
    """An ONNX file as a network. Threads may share it. It has no gradients and no visible layers.

    What lies between input and logits is not known, so the ten logits themselves stand for the features.
    """

    def __init__(self, path: Path, trial: _Trial, *, checksum: str, file: str) -> None:
        """The network in the file at path, whose checksum is this, as its trial has found it.

        Errors name it `file`.

        Raises:
            UnfitModelError: onnxruntime cannot use it.
        """
        super().__init__()
        self._session = open_session(path, threads=torch.get_num_threads())
        self._trial = trial
        self._file = file
        self.digest = hashlib.sha256(f"{checksum} {trial.convention} {trial.probabilities}".encode()).hexdigest()
        """SHA-256 over everything that determines the logits."""

    def forward_features(self, batch: Tensor) -> Tensor:
        """The logits (N, 10) of a normalised batch (N, 1, 28, 28).

        Raises:
            CheckpointError: onnxruntime cannot run the file on this batch, or takes too long.
        """
        inputs = self._trial.convention.convert(batch)
        try:
            (outputs,) = run_session(self._session, inputs, [self._trial.output], one_by_one=self._trial.one_by_one)
        except UnfitModelError as error:
            raise CheckpointError(f"{self._file} {error}") from error
        return torch.from_numpy(_logits(outputs, probabilities=self._trial.probabilities))

    def forward_head(self, features: Tensor) -> Tensor:
        """The features themselves: they are the logits."""
        return features

    def count_parameters(self) -> int:
        """Number of floating-point values among the file's initializers; running statistics are counted too."""
        return self._trial.parameters

    def folded(self) -> DigitNetwork:
        """Never returns: the file can only be used as it is.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(f"{self._file} is an ONNX file already and cannot be converted: copy it as it is.")


def load_onnx(stream: BinaryIO, path: Path) -> tuple[OnnxNetwork, dict[str, Any], dict[str, str]]:
    """The network in the open ONNX file at `path`, after a trial in a process of its own.

    Also how input and output are taken, for the provenance of a checkpoint, and those fields of `DECLARED` that the
    file has in its metadata. Contents that were tried before are not tried again. What is tried, and opened then, is a
    copy, which nobody changes in the meantime.

    Raises:
        CheckpointError: a package is missing, or the file or its sidecar cannot be used.
    """
    file = str(path)
    if not all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime")):
        raise CheckpointError(f"{file} needs onnxruntime and onnx: pip install -r requirements-onnx.txt")
    sidecar = _read_sidecar(path)
    try:
        with temporary_folder() as folder:
            copy = folder / "model.onnx"
            checksum = _copy(stream, copy)
            key = f"{checksum} {sidecar}"
            with _trials_lock:
                known = _trials.get(key)
            trial = known or _try_out(copy, sidecar, file=file)
            network = OnnxNetwork(copy, trial, checksum=checksum, file=file)
    except UnfitModelError as error:
        raise CheckpointError(f"{file} {error}") from error
    except OSError as error:
        raise CheckpointError(f"{file} cannot be tried out ({error.strerror or error}): try again later.") from error
    with _trials_lock:
        _trials[key] = trial
        while len(_trials) > _TRIALS_KEPT:
            _trials.popitem(last=False)
    provenance = {
        "input": {"scale": trial.convention.scale, "ink": trial.convention.ink, "source": trial.source},
        "output": "probabilities" if trial.probabilities else "logits",
    }
    return network, provenance, {name: trial.metadata[name] for name in DECLARED if name in trial.metadata}


def _copy(stream: BinaryIO, path: Path) -> str:
    """Copies the rest of a stream to a new file; its SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as copy:
        while chunk := stream.read(_COPIED_AT_ONCE):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _try_out(model: Path, sidecar: InputConvention | None, *, file: str) -> _Trial:
    try:
        digits = _probe_digits()
    except DatasetError as error:
        raise CheckpointError(f"{file} cannot be tried out. {error}") from error
    batch = normalize(digits.images)
    batches = {
        name: convention.convert(batch) for name, convention in _CONVENTIONS.items() if sidecar in (None, convention)
    }
    findings = _probe(model, batches, file=file)
    metadata = {key.removeprefix("digitcore."): value for key, value in findings["metadata"].items()}
    declared = {name: metadata[name] for name in ("scale", "ink") if name in metadata}
    if declared and sidecar is None:
        _parse_convention(declared, file=file)
    outputs = {name: np.array(values, dtype=np.float32) for name, values in findings["outputs"].items()}
    count = len(next(iter(outputs.values())))
    name = _pick(outputs, digits.labels[:count], file=file)
    return _Trial(
        convention=_CONVENTIONS[name],
        source="sidecar" if sidecar else "declared" if declared else f"picked on {count} validation digits",
        probabilities=_are_probabilities(outputs[name]),
        output=findings["output"],
        one_by_one=findings["one_by_one"],
        parameters=findings["parameters"],
        metadata=metadata,
    )


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
        with sidecar.open("rb") as stream:
            text = stream.read(_MOST_SIDECAR_BYTES + 1)
        if len(text) > _MOST_SIDECAR_BYTES:
            raise ValueError(f"it is longer than {_MOST_SIDECAR_BYTES:,} bytes")
        convention = json.loads(text)
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
    """The first digits of each class of the validation set, the classes taking turns."""
    digits = load_digits("mnist-validation")
    rows = [np.flatnonzero(digits.labels == label)[:_DIGITS_PER_CLASS] for label in range(10)]
    return digits.subset(np.stack(rows, axis=1).ravel())


def _probe(model: Path, batches: Mapping[str, NDArray[np.float32]], *, file: str) -> dict[str, Any]:
    """The findings of `onnx_probe` about a model; errors name it `file`."""
    try:
        with _AT_ONCE, tempfile.TemporaryFile() as arrays:
            np.savez(arrays, allow_pickle=False, **batches)
            arrays.seek(0)
            process = subprocess.run(
                [sys.executable, "-P", str(_PROBE), str(model)],
                stdin=arrays,
                capture_output=True,
                timeout=_SECONDS,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each of its threads takes address space
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(
            f"{file} took longer than {_SECONDS} s in a trial: it is too slow, or the machine too busy."
        ) from error
    if sys.platform != "win32" and process.returncode == -signal.SIGXCPU:
        raise CheckpointError(
            f"{file} took longer than {CPU_SECONDS} s of processor time in a trial: "
            "it never ends or is too slow, use a smaller network."
        )
    if process.returncode != 0:
        raise CheckpointError(
            f"{file} made onnxruntime crash in a trial ({_last_words(process)}): "
            "it is damaged or needs too much memory, export it again or use a smaller network."
        )
    findings: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    if "problem" in findings:
        raise CheckpointError(f"{file} {printable(findings['problem'])[:_MOST_PROBLEM]}")
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
