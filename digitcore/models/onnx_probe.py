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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CPU_SECONDS",
    "Layout",
    "UnfitModelError",
    "fits_of",
    "model_input",
    "open_session",
    "run_session",
    "ten_numbers",
]

CPU_SECONDS = 3
"""Processor time that a trial may take. Networks of 600,000 parameters take half of it, small ones a tenth."""

_Floats: TypeAlias = NDArray[np.float32]
_Session: TypeAlias = Any  # an onnxruntime.InferenceSession; neither package has annotations that mypy could use
_NodeArgument: TypeAlias = Any  # one of its inputs or outputs
_Message: TypeAlias = Any  # a protobuf message
_Conventions: TypeAlias = Mapping[str, Sequence[float]]  # by name, such as "unit dark": a factor and a shift

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
_SIDE = 28  # of a digit
_LARGEST_SIDE, _LARGEST_BATCH = 256, 1024  # that a model may take
_AT_ONCE = 1_000_000  # values of a run
_TYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(uint8)": "uint8",
}  # fmt: skip
"""Numbers that a model may take, as onnxruntime and as NumPy call them."""
_OUTPUTS_APART = 0.1  # of the largest output: a quantised model depends a little on the other digits of a batch


class UnfitModelError(Exception):
    """A model cannot be used; the message is the predicate of a sentence whose subject is the file."""


@dataclass(frozen=True)
class Layout:
    """How a model takes its digits."""

    axes: str
    """`NCHW`, `NHWC`, `NHW`, or `NK` with K = height × width."""
    height: int
    width: int
    dtype: str
    batch: int
    """Digits that it takes at a time; 0: any number."""

    @property
    def fits(self) -> tuple[str, ...]:
        """How digits may have been brought to its size."""
        return fits_of(self.height, self.width)


def fits_of(height: int, width: int) -> tuple[str, ...]:
    """How digits may have been brought to this size; one empty word where they have it.

    >>> fits_of(28, 28), fits_of(32, 32), fits_of(14, 14)
    (('',), ('padded', 'resized'), ('resized',))
    """
    if (height, width) == (_SIDE, _SIDE):
        return ("",)
    return ("padded", "resized") if min(height, width) >= _SIDE else ("resized",)


def model_input(
    pixels: NDArray[np.uint8], layout: Layout, *, factor: float, shift: float, fit: str = ""
) -> NDArray[Any]:
    """What a model takes for digits (N, 28, 28), whose pixels between 0 and 1 go times a factor, plus a shift.

    fit: one of `layout.fits`. Padding is black; resizing is bilinear, and smooth where it makes smaller.
    """
    values: _Floats = pixels.astype(np.float32)
    if fit == "padded":
        above, left = (layout.height - _SIDE) // 2, (layout.width - _SIDE) // 2
        sides = (above, layout.height - _SIDE - above), (left, layout.width - _SIDE - left)
        values = np.pad(values, ((0, 0), *sides))
    elif fit == "resized":
        values = np.matmul(np.matmul(_resizing(layout.height), values), _resizing(layout.width).T)
    values = (values / np.float32(255 / factor) + np.float32(shift)).astype(np.float32)
    shapes = {"NCHW": (1, *values.shape[1:]), "NHWC": (*values.shape[1:], 1), "NHW": values.shape[1:], "NK": (-1,)}
    arranged = values.reshape(len(values), *shapes[layout.axes])
    return arranged.round().clip(0, 255).astype(np.uint8) if layout.dtype == "uint8" else arranged.astype(layout.dtype)


def _resizing(side: int) -> _Floats:
    """The matrix (side, 28) of a bilinear filter, which is as wide as an output pixel where that is larger."""
    scale = _SIDE / side
    centres = (np.arange(side) + 0.5) * scale - 0.5
    distances = np.abs(np.arange(_SIDE) - centres[:, np.newaxis]) / max(scale, 1)
    weights = (1 - distances).clip(0)
    matrix: _Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def ten_numbers(output: object, *, digits: int) -> _Floats | None:
    """An output as float32 (N, 10), where it holds ten floating-point numbers for each of N digits; else None."""
    if not isinstance(output, np.ndarray) or output.dtype.kind != "f" or output.shape[:1] != (digits,):
        return None
    sizes = [size for size in output.shape[1:] if size != 1]
    return output.reshape(digits, 10).astype(np.float32) if sizes == [10] else None


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
    session: _Session, inputs: NDArray[Any], outputs: list[str] | None, *, batch: int, is_trial: bool = False
) -> list[Any]:
    """The outputs of these names, or all, for inputs (N, ...), of which the model takes `batch` at a time; 0: any.

    is_trial: whether something else limits the time; on a busy machine the trial may have to wait.

    Raises:
        UnfitModelError: onnxruntime cannot run the model, or takes too long.
    """
    import onnxruntime

    name = session.get_inputs()[0].name
    options = onnxruntime.RunOptions()
    seconds = threading.TIMEOUT_MAX if is_trial else _START_SECONDS + _DIGIT_SECONDS * len(inputs)
    alarm = threading.Timer(seconds, setattr, (options, "terminate", True))
    alarm.daemon = True
    alarm.start()
    try:
        runs = [session.run(outputs, {name: part}, options) for part in _parts(inputs, batch)]
        return [_joined(values, len(inputs)) for values in zip(*runs, strict=True)]
    except _runtime_errors() as error:
        if options.terminate:
            raise UnfitModelError(f"was stopped after {seconds:.0f} s: use a smaller network.") from error
        raise UnfitModelError(_cannot_run(error)) from error
    finally:
        alarm.cancel()


def _parts(inputs: NDArray[Any], batch: int) -> list[NDArray[Any]]:
    """Inputs in parts of as many as a model takes, the last one filled up with zeros."""
    size = batch or max(1, _AT_ONCE // math.prod(inputs.shape[1:]))
    missing = -len(inputs) % batch if batch else 0
    filled = np.concatenate([inputs, np.zeros((missing, *inputs.shape[1:]), inputs.dtype)]) if missing else inputs
    return [filled[start : start + size] for start in range(0, len(filled), size)]


def _joined(values: Sequence[Any], count: int) -> Any:  # noqa: ANN401
    """The outputs of all parts for so many inputs; those that are not arrays as they are for the first part."""
    if not all(isinstance(value, np.ndarray) and value.ndim for value in values):
        return values[0]
    return values[0][:count] if len(values) == 1 else np.concatenate(values)[:count]


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
    """Tries a model file on digits (npz) from standard input, and ends standard output with its findings (JSON)."""
    if sys.platform != "win32":
        os.nice(_POLITENESS)
    with np.load(sys.stdin.buffer) as arrays:
        pixels = arrays["pixels"]
    try:
        findings = _probe(Path(sys.argv[1]), pixels, json.loads(sys.argv[2]))
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


def _probe(path: Path, pixels: NDArray[np.uint8], conventions: _Conventions) -> dict[str, Any]:
    """As `_findings`; raises an error also for a name that cannot be decoded, which onnxruntime finds out late."""
    try:
        return _findings(path, pixels, conventions)
    except UnicodeDecodeError as error:
        raise UnfitModelError("has names that are not text: export it again.") from error


def _findings(path: Path, pixels: NDArray[np.uint8], conventions: _Conventions) -> dict[str, Any]:
    """Facts about the model in a file, and its outputs for the first of the digits (N, 28, 28) in each convention.

    Where the model declares one of the conventions, only that one is used.
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
    layout = _find_layout(session)
    declared = f"{metadata.get('digitcore.scale')} {metadata.get('digitcore.ink')}"
    chosen = {declared: conventions[declared]} if declared in conventions else conventions
    number, outputs = _try_conventions(session, pixels, layout, chosen)
    return {
        "output": session.get_outputs()[number].name,
        "layout": asdict(layout),
        "parameters": parameters,
        "metadata": metadata,
        "outputs": {name: values.tolist() for name, values in outputs.items()},
    }


def _try_conventions(
    session: _Session, pixels: NDArray[np.uint8], layout: Layout, conventions: _Conventions
) -> tuple[int, dict[str, _Floats]]:
    """Position of the output that holds ten numbers for a digit, and these (N, 10) by convention and fit."""
    options = {
        f"{name} {fit}".rstrip(): {"factor": factor, "shift": shift, "fit": fit}
        for name, (factor, shift) in conventions.items()
        for fit in layout.fits
        if layout.dtype != "uint8" or len(conventions) == 1 or name.startswith("bytes")
    }

    def run(option: Mapping[str, Any], count: int) -> list[Any]:
        inputs = model_input(pixels[:count], layout, **option)
        return run_session(session, inputs, None, batch=layout.batch, is_trial=True)

    first = next(iter(options.values()))
    alone = run(first, 1)
    number = _find_output(session, alone, digits=1)
    seconds = _seconds_per_digit(lambda: run(first, _LEAST_DIGITS))
    count = min(len(pixels), max(_LEAST_DIGITS, int(_PICKING_SECONDS / seconds / len(options))))
    outputs = {}
    for name, option in options.items():
        values = run(option, count)
        number = _find_output(session, values, digits=count)
        outputs[name] = _numbers(values[number], digits=count)
    together = next(iter(outputs.values()))
    if np.abs(_numbers(alone[number], digits=1) - together[:1]).max() > _OUTPUTS_APART * np.abs(together).max():
        raise UnfitModelError("gives a digit alone other answers than in a batch: export it in evaluation mode.")
    return number, outputs


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


def _seconds_per_digit(run: Callable[[], object]) -> float:
    """Processor time for one of the `_LEAST_DIGITS` of a run; raises an error if it is too long."""
    start = time.process_time()
    run()
    seconds = max((time.process_time() - start) / _LEAST_DIGITS, 1e-6)
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


def _find_layout(session: _Session) -> Layout:
    """How the model takes digits; raises an error where that is not one of the ways that are known here."""
    inputs = session.get_inputs()
    if len(inputs) == 1 and inputs[0].type in _TYPES:
        sizes = [size if isinstance(size, int) else 0 for size in inputs[0].shape]  # 0: any
        placed = _place_axes(sizes)
        if placed is not None and 0 <= sizes[0] <= _LARGEST_BATCH:
            axes, height, width = placed
            layout = Layout(axes, height or _SIDE, width or _SIDE, _TYPES[inputs[0].type], sizes[0])
            if 1 <= layout.height <= _LARGEST_SIDE and 1 <= layout.width <= _LARGEST_SIDE:
                return layout
    raise UnfitModelError(
        f"takes {_describe(inputs) or 'no input'}: export it with one input of grey pictures, such as float32 of shape "
        f"(N, 1, 28, 28), (N, 28, 28, 1), (N, 28, 28) or (N, 784), with sides of {_LARGEST_SIDE} at most."
    )


def _place_axes(sizes: list[int]) -> tuple[str, int, int] | None:
    """Axes, height and width of an input with these sizes, of which 0 is any; None where it takes no grey pictures."""
    match sizes:
        case [_, 0 | 1, height, width]:
            return ("NHWC", sizes[1], height) if sizes[1] == 0 and width == 1 else ("NCHW", height, width)
        case [_, height, width, 1]:
            return "NHWC", height, width
        case [_, height, width]:
            return "NHW", height, width
        case [_, count] if math.isqrt(count) ** 2 == count:
            return "NK", math.isqrt(count), math.isqrt(count)
    return None


def _find_output(session: _Session, values: list[Any], *, digits: int) -> int:
    """Position of the first output that holds ten numbers per digit."""
    for number, value in enumerate(values):
        if ten_numbers(value, digits=digits) is not None:
            return number
    mapped = any(isinstance(value, list) for value in values)
    raise UnfitModelError(
        f"gives {_describe(session.get_outputs())}: export it with a float32 output of shape (N, 10)"
        f"{', from scikit-learn with `zipmap` switched off' if mapped else ''}."
    )


def _numbers(output: object, *, digits: int) -> _Floats:
    numbers = ten_numbers(output, digits=digits)
    assert numbers is not None
    return numbers


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
