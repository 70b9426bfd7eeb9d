"""ONNX files as networks: models of any framework, where the packages onnx and onnxruntime are installed.

How a file takes its digits is declared or found, as `models.conventions` says.
"""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitcore.errors import CheckpointError, DatasetError
from digitcore.files import temporary_folder
from digitcore.imaging.preprocessing import normalize
from digitcore.models.architectures import DigitNetwork
from digitcore.models.conventions import (
    Convention,
    Findings,
    best_convention,
    declared_convention,
    input_conventions,
    probe_digits,
    read_sidecar,
)
from digitcore.models.onnx_probe import CPU_SECONDS, UnfitModelError, open_session, run_session
from digitcore.text import printable

__all__ = ["DECLARED", "OnnxNetwork", "load_onnx"]

DECLARED = ("temperature", "refusal_score", "refusal_threshold", "trained_on")
"""Fields of `CheckpointMetadata` that a file may have as JSON in its own metadata, under `digitcore.` and the name."""

_SECONDS = 60  # for a trial on a busy machine, the start of a process included
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))  # trials
_MOST_PROBLEM = 600  # characters
_COPIED_AT_ONCE = 1 << 20  # bytes
_PROBE = Path(__file__).with_name("onnx_probe.py")
_LEAST_PROBABILITY = 1e-30
_SUM_TOLERANCE = 1e-3  # of probabilities


@dataclass(frozen=True)
class _Trial:
    """What a trial of a file has found."""

    input: Mapping[str, Any]
    """How the file takes its digits: a record of `models.conventions`."""
    probabilities: bool
    """Whether the output is probabilities, not logits."""
    output: str
    """Name of the output that is taken."""
    one_by_one: bool
    """Whether the file takes one digit at a time."""
    parameters: int
    metadata: Mapping[str, str]
    """What the file has in its own metadata under `digitcore.`, by names without that."""

    @property
    def convention(self) -> Convention:
        """How the file takes its digits."""
        return Convention(self.input["scale"], self.input["ink"])


_TRIALS = Findings()  # by contents, sidecar and the program that would run it


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
    import onnxruntime

    sidecar = read_sidecar(path)
    try:
        with temporary_folder() as folder:
            copy = folder / "model.onnx"
            checksum = _copy(stream, copy)
            key = f"{checksum} {sidecar} {onnxruntime.__version__}"
            found = _TRIALS.get(key)
            trial = _Trial(**found) if found else _try_out(copy, sidecar, file=file)
            network = OnnxNetwork(copy, trial, checksum=checksum, file=file)
    except UnfitModelError as error:
        raise CheckpointError(f"{file} {error}") from error
    except OSError as error:
        raise CheckpointError(f"{file} cannot be tried out ({error.strerror or error}): try again later.") from error
    _TRIALS.put(key, asdict(trial))
    provenance = {"input": dict(trial.input), "output": "probabilities" if trial.probabilities else "logits"}
    return network, provenance, {name: trial.metadata[name] for name in DECLARED if name in trial.metadata}


def _copy(stream: BinaryIO, path: Path) -> str:
    """Copies the rest of a stream to a new file; its SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as copy:
        while chunk := stream.read(_COPIED_AT_ONCE):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _try_out(model: Path, sidecar: Convention | None, *, file: str) -> _Trial:
    try:
        digits = probe_digits()
    except DatasetError as error:
        raise CheckpointError(f"{file} cannot be tried out. {error}") from error
    batch = normalize(digits.images)
    tried = [sidecar] if sidecar else input_conventions()
    findings = _probe(model, {_name(convention): convention.convert(batch) for convention in tried}, file=file)
    metadata = {key.removeprefix("digitcore."): value for key, value in findings["metadata"].items()}
    outputs = {name: np.array(values, dtype=np.float32) for name, values in findings["outputs"].items()}
    declared = {name: metadata[name] for name in ("scale", "ink") if name in metadata}
    if sidecar is not None:
        record = sidecar.record("sidecar")
    elif declared:
        record = declared_convention(declared, file=file).record("declared")
    else:
        record = _found(outputs, digits.labels, file=file)
    return _Trial(
        input=record,
        probabilities=_are_probabilities(outputs[f"{record['scale']} {record['ink']}"]),
        output=findings["output"],
        one_by_one=findings["one_by_one"],
        parameters=findings["parameters"],
        metadata=metadata,
    )


def _name(convention: Convention) -> str:
    """What the program that tries a file out calls a convention."""
    return f"{convention.scale} {convention.ink}"


def _found(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64], *, file: str) -> dict[str, Any]:
    """The record of the convention that suits a file best, by its outputs (N, 10) for the first of these digits."""
    logits = {
        convention: _logits(outputs[_name(convention)], probabilities=_are_probabilities(outputs[_name(convention)]))
        for convention in input_conventions()
    }
    try:
        return best_convention(logits, labels[: len(next(iter(logits.values())))]).record()
    except ValueError as error:
        raise CheckpointError(
            f"{file} gives NaN or infinity for validation digits: train or export it again."
        ) from error


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


def _are_probabilities(outputs: NDArray[np.float32]) -> bool:
    return bool(outputs.min() >= 0 and np.abs(outputs.sum(axis=1) - 1).max() < _SUM_TOLERANCE)


def _logits(outputs: NDArray[np.float32], *, probabilities: bool) -> NDArray[np.float32]:
    return np.log(outputs.clip(_LEAST_PROBABILITY, None)) if probabilities else outputs
