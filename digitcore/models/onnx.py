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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitcore.errors import CheckpointError, DatasetError
from digitcore.files import temporary_folder
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD
from digitcore.models.architectures import DigitNetwork
from digitcore.models.conventions import (
    Convention,
    Finding,
    Findings,
    best_convention,
    declared_convention,
    input_conventions,
    probe_digits,
    read_sidecar,
)
from digitcore.models.onnx_probe import (
    CPU_SECONDS,
    Layout,
    UnfitModelError,
    model_input,
    open_session,
    run_session,
    ten_numbers,
)
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
_SUM_TOLERANCE = 5e-3  # of probabilities, which may have 16 bits each


@dataclass(frozen=True)
class _Trial:
    """What a trial of a file has found."""

    input: Mapping[str, Any]
    """How the file takes its digits: a record of `models.conventions`."""
    probabilities: bool
    """Whether the output is probabilities, not logits."""
    output: str
    """Name of the output that is taken."""
    layout: Mapping[str, Any]
    """The fields of a `Layout`."""
    parameters: int
    metadata: Mapping[str, str]
    """What the file has in its own metadata under `digitcore.`, by names without that."""

    @property
    def convention(self) -> Convention:
        """How the file takes its digits."""
        return Convention(self.input["scale"], self.input["ink"], fit=self.input.get("fit", ""))


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
        self._trial, self._layout = trial, Layout(**trial.layout)
        self._file = file
        self.digest = hashlib.sha256(f"{checksum} {trial.convention} {trial.probabilities}".encode()).hexdigest()
        """SHA-256 over everything that determines the logits."""

    def forward_features(self, batch: Tensor) -> Tensor:
        """The logits (N, 10) of a normalised batch (N, 1, 28, 28).

        Raises:
            CheckpointError: onnxruntime cannot run the file on this batch, or takes too long.
        """
        pixels = ((batch.detach() * INPUT_STD + INPUT_MEAN) * 255).round().clamp(0, 255).byte().squeeze(1).numpy()
        (factor, shift), fit = self._trial.convention.affine, self._trial.convention.fit
        inputs = model_input(pixels, self._layout, factor=factor, shift=shift, fit=fit)
        try:
            (output,) = run_session(self._session, inputs, [self._trial.output], batch=self._layout.batch)
        except UnfitModelError as error:
            raise CheckpointError(f"{self._file} {error}") from error
        numbers = ten_numbers(output, digits=len(batch))
        if numbers is None:
            raise CheckpointError(f"{self._file} gives no longer ten numbers for a digit: export it again.")
        return torch.from_numpy(_logits(numbers, probabilities=self._trial.probabilities))

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
            remembered = _TRIALS.get(key)
            trial = _Trial(**remembered) if remembered else _try_out(copy, sidecar, file=file)
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
    tried = [Convention(sidecar.scale, sidecar.ink)] if sidecar else input_conventions()
    findings = _probe(model, digits.images, tried, file=file)
    metadata = {key.removeprefix("digitcore."): value for key, value in findings["metadata"].items()}
    outputs = {name: np.array(values, dtype=np.float32) for name, values in findings["outputs"].items()}
    declared = {name: metadata[name] for name in ("scale", "ink") if name in metadata}
    if declared and sidecar is None:
        declared_convention(declared, file=file)
    finding = _found(outputs, digits.labels, file=file)
    source = "sidecar" if sidecar else "declared" if declared else ""
    return _Trial(
        input=finding.convention.record(source) if source else finding.record(),
        probabilities=_are_probabilities(outputs[_name(finding.convention)]),
        output=findings["output"],
        layout=findings["layout"],
        parameters=findings["parameters"],
        metadata=metadata,
    )


def _name(convention: Convention) -> str:
    """What the program that tries a file out calls a convention."""
    return f"{convention.scale} {convention.ink} {convention.fit}".rstrip()


def _found(outputs: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64], *, file: str) -> Finding:
    """The convention that suits a file best, by its outputs (N, 10) for the first of these digits."""
    logits = {}
    for name, values in outputs.items():
        scale, ink, *fit = name.split()
        logits[Convention(scale, ink, fit="".join(fit))] = _logits(values, probabilities=_are_probabilities(values))
    try:
        return best_convention(logits, labels[: len(next(iter(logits.values())))])
    except ValueError as error:
        raise CheckpointError(
            f"{file} gives NaN or infinity for validation digits: train or export it again."
        ) from error


def _probe(model: Path, pixels: NDArray[np.uint8], conventions: Sequence[Convention], *, file: str) -> dict[str, Any]:
    """The findings of `onnx_probe` about a model; errors name it `file`."""
    try:
        with _AT_ONCE, tempfile.TemporaryFile() as arrays:
            np.savez(arrays, allow_pickle=False, pixels=pixels)
            arrays.seek(0)
            table = json.dumps({_name(convention): convention.affine for convention in conventions})
            process = subprocess.run(
                [sys.executable, "-P", str(_PROBE), str(model), table],
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
