"""ONNX models in onnxruntime, and a program that tries one of them out in a process of its own.

`models.onnx` starts this file as that program, so that a model that crashes, never ends or asks for too much memory
does not take the server down. Nothing of digitcore or torch is imported, and onnx and onnxruntime only where used.
"""

import contextlib
import ctypes
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["CPU_SECONDS", "UnfitModelError", "open_session", "run_session"]

CPU_SECONDS = 3
"""Processor time that a trial may take. Networks of 600,000 parameters take half of it, small ones a tenth."""

_Floats: TypeAlias = NDArray[np.float32]
_Session: TypeAlias = Any  # an onnxruntime.InferenceSession; neither package has annotations that mypy could use
_NodeArgument: TypeAlias = Any  # one of its inputs or outputs
_Message: TypeAlias = Any  # a protobuf message

_MEMORY_LIMIT = 512 << 20  # bytes of address space, beside the program itself and ...
_COPIES = 4  # ... of the model
_POLITENESS = 10  # as of `nice`: visitors come first
_OPENING_SECONDS = 0.5  # of processor time
_OPENING_MEMORY, _OPENING_COPIES = 50 << 20, 2  # bytes, and the size of the file so often
_MOST_SECONDS = 0.01  # of processor time for a digit
_PICKING_SECONDS = 1.0  # of processor time for the digits that tell the input conventions apart
_LEAST_DIGITS = 10  # that tell them apart
_MOST_METADATA = 100_000  # characters
_START_SECONDS, _DIGIT_SECONDS = 10, 0.1  # after which a run is stopped: for all, and for each digit
_OUTPUTS_APART = 0.1  # of the largest output: a quantised model depends a little on the other digits of a batch


class UnfitModelError(Exception):
    """A model cannot be used; the message is the predicate of a sentence whose subject is the file."""


def open_session(model: Path | bytes, *, threads: int) -> _Session:
    """An `onnxruntime.InferenceSession` on the CPU, with this many threads, which sleep between runs.

    model: a file, which is not needed any longer afterwards, or what would stand in it.

    Raises:
        UnfitModelError: onnxruntime cannot use the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it never gives back the memory of the largest batch
    options.log_severity_level = 4  # errors are raised
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _runtime_errors() as error:
        raise UnfitModelError(_cannot_run(error, model)) from error


def run_session(
    session: _Session, batch: _Floats, outputs: list[str] | None, *, one_by_one: bool, is_trial: bool = False
) -> list[Any]:
    """The outputs of these names, or all, for a batch (N, 1, 28, 28); with `one_by_one`, one digit at a time.

    is_trial: whether something else limits the time; on a busy machine the trial may have to wait.

    Raises:
        UnfitModelError: onnxruntime cannot run the model, or takes too long.
    """
    import onnxruntime

    name = session.get_inputs()[0].name
    parts = np.split(batch, len(batch)) if one_by_one else [batch]
    options = onnxruntime.RunOptions()
    seconds = threading.TIMEOUT_MAX if is_trial else _START_SECONDS + _DIGIT_SECONDS * len(batch)
    alarm = threading.Timer(seconds, setattr, (options, "terminate", True))
    alarm.daemon = True
    alarm.start()
    try:
        runs = [session.run(outputs, {name: part}, options) for part in parts]
        return [np.concatenate(values) for values in zip(*runs, strict=True)] if one_by_one else runs[0]
    except _runtime_errors() as error:
        if options.terminate:
            raise UnfitModelError(f"was stopped after {seconds:.0f} s: use a smaller network.") from error
        raise UnfitModelError(_cannot_run(error)) from error
    finally:
        alarm.cancel()


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its errors have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (state.Fail, state.EPFail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf)
    return (*own, state.NoSuchFile, state.NotImplemented, state.RuntimeException, MemoryError, RuntimeError, ValueError)


def _cannot_run(error: Exception, model: Path | bytes = b"") -> str:
    """The reason, which leaves out the path of the copy that was opened."""
    words = str(error) if isinstance(model, bytes) else str(error).replace(f"Load model from {model} failed:", "")
    reason = " ".join(words.split())[:300] or type(error).__name__
    return f"cannot be run by onnxruntime ({reason}): export it again."


def _main() -> None:
    """Tries a model file on batches (npz) from standard input, and ends standard output with its findings (JSON)."""
    if sys.platform != "win32":
        os.nice(_POLITENESS)
    with np.load(sys.stdin.buffer) as arrays:
        batches = {name: arrays[name] for name in arrays.files}
    try:
        findings = _probe(Path(sys.argv[1]), batches)
    except UnfitModelError as error:
        findings = {"problem": str(error)}
    print(json.dumps(findings))


def _limit_resources(*, model_bytes: int) -> None:
    """Limits what this process may take from here on; memory only where the system can (Linux)."""
    if sys.platform == "win32":
        return
    import resource

    limits = {resource.RLIMIT_CPU: CPU_SECONDS, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # the first to go
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + _MEMORY_LIMIT + _COPIES * model_bytes
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _probe(path: Path, batches: Mapping[str, _Floats]) -> dict[str, Any]:
    """As `_findings`; raises an error also for a name that cannot be decoded, which onnxruntime finds out late."""
    try:
        return _findings(path, batches)
    except UnicodeDecodeError as error:
        raise UnfitModelError("has names that are not text: export it again.") from error


def _findings(path: Path, batches: Mapping[str, _Floats]) -> dict[str, Any]:
    """Facts about the model in a file, and its outputs for the first digits of each batch.

    Batches are named by their input convention. Where the model declares that of one of them, only that one is used.
    """
    import onnx
    import onnxruntime  # noqa: F401 - so that its own memory does not count
    from google.protobuf.message import DecodeError

    _limit_resources(model_bytes=path.stat().st_size)
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise UnfitModelError(f"cannot be read as an ONNX file ({error}): copy or export it again.") from error
    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in _tensors(model)):
        raise UnfitModelError("keeps weights in another file: export it with all weights inside.")
    metadata, parameters = _declared_metadata(model), _count_parameters(model)
    del model
    session = _open_within_limits(path)
    one_by_one = _check_inputs(session)
    declared = f"{metadata.get('digitcore.scale')} {metadata.get('digitcore.ink')}"
    candidates = {declared: batches[declared]} if declared in batches else batches
    first, batch = next(iter(candidates.items()))
    alone = run_session(session, batch[:1], None, one_by_one=one_by_one, is_trial=True)
    number = _find_output(session, alone, digits=1)
    seconds = _seconds_per_digit(session, batch[:_LEAST_DIGITS], one_by_one=one_by_one)
    digits = max(_LEAST_DIGITS, int(_PICKING_SECONDS / seconds / len(candidates)))
    outputs = {
        name: run_session(session, batch[:digits], None, one_by_one=one_by_one, is_trial=True)
        for name, batch in candidates.items()
    }
    number = _find_output(session, outputs[first], digits=len(batch[:digits]))
    logits = {name: values[number] for name, values in outputs.items()}
    if np.abs(alone[number] - logits[first][:1]).max() > _OUTPUTS_APART * np.abs(logits[first]).max():
        raise UnfitModelError("gives a digit alone other answers than in a batch: export it in evaluation mode.")
    return {
        "output": session.get_outputs()[number].name,
        "one_by_one": one_by_one,
        "parameters": parameters,
        "metadata": metadata,
        "outputs": {name: values.tolist() for name, values in logits.items()},
    }


def _open_within_limits(path: Path) -> _Session:
    """The session; raises an error if opening it, as the server will, takes too much time or memory."""
    before, start = _forget_peak(), time.process_time()
    session = open_session(path, threads=1)
    seconds, memory = time.process_time() - start, _memory("VmHWM") - before
    limit = _OPENING_MEMORY + _OPENING_COPIES * path.stat().st_size
    if seconds > _OPENING_SECONDS or memory > limit:
        raise UnfitModelError(
            f"takes {seconds:.1f} s of processor time and {memory / 1e6:.0f} MB to be opened; {_OPENING_SECONDS} s and "
            f"{limit / 1e6:.0f} MB are the most: use a smaller network."
        )
    return session


def _forget_peak() -> int:
    """Bytes that this process has in memory, which `VmHWM` starts from again; 0 where the system is not Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    if sys.platform != "linux":
        return 0
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _declared_metadata(model: _Message) -> dict[str, str]:
    metadata = {entry.key: entry.value for entry in model.metadata_props if entry.key.startswith("digitcore.")}
    if sum(map(len, [*metadata, *metadata.values()])) > _MOST_METADATA:
        raise UnfitModelError(f"has metadata of over {_MOST_METADATA:,} characters: export it again.")
    return metadata


def _seconds_per_digit(session: _Session, batch: _Floats, *, one_by_one: bool) -> float:
    """Processor time for one digit of a batch; raises an error if it is too long."""
    start = time.process_time()
    run_session(session, batch, None, one_by_one=one_by_one, is_trial=True)
    seconds = max((time.process_time() - start) / len(batch), 1e-6)
    if seconds > _MOST_SECONDS:
        raise UnfitModelError(
            f"takes {1000 * seconds:.0f} ms of processor time for a digit; {1000 * _MOST_SECONDS:.0f} are the most: "
            "use a smaller network."
        )
    return seconds


def _tensors(message: _Message) -> Iterator[_Message]:
    """Every tensor in a protobuf message, in nested graphs and functions too."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                yield from _tensors(part)


def _check_inputs(session: _Session) -> bool:
    """Whether the model takes one digit at a time; raises an error if its input is not float32 (N, 1, 28, 28)."""
    inputs = session.get_inputs()
    if len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(inputs[0].shape) == 4:
        count, *picture = inputs[0].shape
        fits = all(
            isinstance(side, str | None) or side == expected
            for side, expected in zip(picture, (1, 28, 28), strict=True)
        )
        if fits and (count == 1 or isinstance(count, str | None)):
            return bool(count == 1)
    raise UnfitModelError(
        f"takes {_describe(inputs) or 'no input'}: "
        "export it with one input, float32 of shape (N, 1, 28, 28), N being free or 1."
    )


def _find_output(session: _Session, values: list[Any], *, digits: int) -> int:
    """Position of the first output that holds ten numbers per digit."""
    for number, value in enumerate(values):
        if isinstance(value, np.ndarray) and value.dtype == np.float32 and value.shape == (digits, 10):
            return number
    raise UnfitModelError(
        f"gives {_describe(session.get_outputs())}: export it with a float32 output of shape (N, 10)."
    )


def _describe(places: list[_NodeArgument]) -> str:
    """Name, type and shape of inputs or outputs, in 300 characters at most."""
    return ", ".join(
        f"{place.name}, {place.type} of shape ({', '.join(str(side or '?') for side in place.shape)})"
        for place in places
    )[:300]


def _count_parameters(model: _Message) -> int:
    """Number of floating-point values among the initializers."""
    import onnx

    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    return sum(math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type in floats)


if __name__ == "__main__":
    _main()
