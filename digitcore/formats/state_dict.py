"""State dicts in files of `torch.save`, read without unpickling.

A pickle is a program, and even `torch.load(weights_only=True)` can be made to crash, to run for ever or to fill the
memory. Here a small machine follows the opcodes of a pickle. It knows what state dicts are made of: text, numbers,
lists, tuples, dictionaries and dense tensors. Whatever else a file names becomes an `_Opaque`, which nothing calls.

Source: the formats that `torch.serialization` writes: an archive since PyTorch 1.6, a stream of pickles before.
"""

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, TypeGuard, cast

import torch
from torch import Tensor

__all__ = ["StateDictError", "StateDictFile"]

_MOST_OPCODES = 150_000  # a state dict takes about 25 for a tensor
_MOST_PICKLE_BYTES = 4 << 20
_MOST_AT_ONCE = 1 << 20  # bytes of a read
_MOST_VALUE_BYTES = 16 << 20  # of the tensors of a file together; those of the largest network here have 2.3 million
_MOST_DIMENSIONS = 8
_ALIGNMENT = 16  # bytes of the largest number
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
"""Names under which trainers put a state dict, the first that is there being taken."""
_MOST_WRAPPERS, _MOST_CANDIDATES = 3, 100  # dictionaries around each other, and beside each other

_DTYPES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
    "Untyped": torch.uint8,
}
_PARSER_ERRORS = (  # of zipfile and pickletools, for which both are documented only in part
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,  # a place before the start of the file
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


class StateDictError(Exception):
    """A file holds no state dict that could be read; the message is the reason."""


@dataclass(frozen=True)
class _Global:
    """A function or class that a pickle names. It is never imported."""

    name: str


@dataclass(frozen=True)
class _Opaque:
    """An object that is not built."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """Where the values of tensors lie in a file."""

    key: str
    dtype: torch.dtype
    count: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class _TensorRecord:
    """A tensor before its values are read."""

    storage: _Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def part(self) -> range:
        """The bytes of its storage that it takes, its first and its last one, and those between them."""
        if 0 in self.shape:
            return range(0)
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return range(self.offset * self.dtype.itemsize, (last + 1) * self.dtype.itemsize)


class StateDictFile:
    """The state dict in a file that `torch.save` has written: names and shapes at once, values when they are asked for.

    A state dict inside a dictionary, as trainers save it beside an optimizer and an epoch, is found there. The memory
    that this takes does not depend on the size of the file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """The state dict in an open file, which must stay open.

        Raises:
            StateDictError: it cannot be read, or holds something else.
        """
        try:
            kind = _Archive if stream.read(2) == b"PK" else _Legacy
            stream.seek(0)
            self._storages: _Archive | _Legacy = kind(stream)
            self._records = _find_tensors(self._storages.contents)
        except _PARSER_ERRORS as error:
            raise _explained(error) from error

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors by name, in their order."""
        return {name: record.shape for name, record in self._records.items()}

    def read(self) -> dict[str, Tensor]:
        """The tensors by name, in their order. They share memory as they did when they were saved.

        Raises:
            StateDictError: values are missing or damaged, or take too much memory.
        """
        try:
            parts = _needed_parts(self._records.values())
            if sum(part.stop - part.start for part in parts.values()) > _MOST_VALUE_BYTES:
                raise StateDictError(f"its tensors take more than {_MOST_VALUE_BYTES / 1e6:.0f} MB")
            values = {storage: self._storages.read(storage, part) for storage, part in parts.items()}
            return {name: _tensor(record, parts, values) for name, record in self._records.items()}
        except _PARSER_ERRORS as error:
            raise _explained(error) from error


def _explained(error: Exception) -> StateDictError:
    return StateDictError(f"{type(error).__name__}: {error}"[:200])


class _Archive:
    """A zip archive of a pickle and of storages."""

    def __init__(self, stream: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(cast(IO[bytes], _ShortReads(stream)))
        entries = {entry.filename: entry for entry in self._archive.infolist()}
        if any(name.endswith("/constants.pkl") for name in entries):
            raise StateDictError("it is a TorchScript program")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise StateDictError("it is compressed, as torch.save never does")
        size = sum(entry.file_size for entry in entries.values())
        if len(entries) != len(self._archive.infolist()) or size > stream.seek(0, io.SEEK_END):
            raise StateDictError("its entries overlap")
        folder = next((name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")), None)
        if folder is None:
            raise StateDictError("it is an archive without a data.pkl")
        if f"{folder}byteorder" in entries and self._small_entry(f"{folder}byteorder") != b"little":
            raise StateDictError("it was saved on a machine with the other byte order")
        self._folder = f"{folder}data/"
        self.contents = _Machine(io.BytesIO(self._small_entry(f"{folder}data.pkl"))).run()

    def _small_entry(self, name: str) -> bytes:
        if self._archive.getinfo(name).file_size > _MOST_PICKLE_BYTES:
            raise StateDictError("it describes more than a state dict")
        return self._archive.read(name)

    def read(self, storage: _Storage, part: range) -> bytearray:
        """Some bytes of a storage."""
        entry = self._archive.getinfo(self._folder + storage.key)
        if entry.file_size != storage.size:
            raise StateDictError("values are missing")
        with self._archive.open(entry) as stream:
            return _read_part(stream, entry.file_size, part)


class _ShortReads:
    """A stream for `zipfile`, which would read as much at once as a file says that its directory has."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _MOST_AT_ONCE:
            raise StateDictError("it is an archive of too many entries")
        return self._stream.read(size if size >= 0 else _MOST_AT_ONCE)


class _Legacy:
    """A stream of pickles: a magic number, a version, the machine's integer sizes, the contents, keys of storages.

    The storages follow, each after the number of its values.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        pickles = io.BytesIO(stream.read(_MOST_PICKLE_BYTES))
        if _Machine(pickles).run() != _LEGACY_MAGIC:
            raise StateDictError("torch.save did not write it")
        for _ in ("version", "machine"):
            _Machine(pickles).run()
        machine = _Machine(pickles)
        self.contents, keys = machine.run(), _Machine(pickles).run()
        self._places: dict[_Storage, int] = {}  # their first bytes
        end = pickles.tell()
        for key in keys if isinstance(keys, list) else []:
            storage = machine.storages[key]
            stream.seek(end)
            (count,) = struct.unpack("<q", stream.read(8))
            if count != storage.count:
                raise StateDictError("a storage has another size than its tensors were told")
            self._places[storage] = end + 8
            end += 8 + storage.size

    def read(self, storage: _Storage, part: range) -> bytearray:
        """Some bytes of a storage."""
        self._stream.seek(self._places[storage])
        return _read_part(self._stream, storage.size, part)


def _read_part(stream: IO[bytes], size: int, part: range) -> bytearray:
    """Some of the next `size` bytes of a stream, all of which are read, so that their checksum is compared."""
    data, place = bytearray(), 0
    while chunk := stream.read(min(_MOST_AT_ONCE, size - place)):
        data += chunk[max(part.start - place, 0) : max(part.stop - place, 0)]
        place += len(chunk)
    if len(data) != len(part):
        raise StateDictError("values are missing")
    return data


class _Machine:
    """Follows the opcodes of one pickle."""

    def __init__(self, source: io.BytesIO) -> None:
        """The machine for the next pickle of a stream."""
        self._source = source
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self) -> object:
        """What the pickle describes."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._source)):
            if count > _MOST_OPCODES:
                raise StateDictError("it describes more than a state dict")
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[opcode.name](argument))
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            else:
                raise StateDictError(f"it holds {opcode.name}, which no state dict needs")
        raise StateDictError("it ends too early")

    def _mark(self, _: object) -> None:
        self._marks.append(len(self._stack))

    def _to_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise StateDictError("it is damaged")
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _put(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _tuple(self, count: int | None) -> None:
        self._stack.append(tuple(self._to_mark() if count is None else self._last(count)))

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)

    def _set_items(self, values: list[Any]) -> None:
        """Puts pairs into the dictionary on top; names and numbers are keys, so that nothing nested is ever hashed."""
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update(
                (key, value)
                for key, value in zip(values[::2], values[1::2], strict=True)
                if isinstance(key, str | int | float)
            )

    def _stack_global(self, _: object) -> None:
        module, name = self._last(2)
        self._stack.append(_Global(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else ""))

    def _reduce(self, _: object) -> None:
        function, arguments = self._last(2)
        name = function.name if isinstance(function, _Global) else ""
        self._stack.append(_call(name, arguments if isinstance(arguments, tuple) else ()))

    def _build(self, _: object) -> None:
        """Drops an object's state: of a state dict it is the versions of its modules."""
        self._last(1)

    def _new_object(self, _: object) -> None:
        kind, _ = self._last(2)
        self._stack.append(_Opaque(kind.name if isinstance(kind, _Global) else ""))

    def _persistent(self, _: object) -> None:
        """A storage: ("storage", its class, its key, its device, how many values)."""
        (identity,) = self._last(1)
        match identity:
            case ("storage", _Global(name), str(key), str(_), int(count), *rest) if not any(rest):
                dtype = _DTYPES.get(name.split(" ")[-1].removesuffix("Storage"))
                if dtype is None or count < 0:
                    raise StateDictError(f"it holds values of an unknown kind ({name[:80]})")
                self.storages[key] = _Storage(key, dtype, count)
                self._stack.append(self.storages[key])
            case _:
                raise StateDictError("it refers to something outside itself")


def _call(function: str, arguments: tuple[Any, ...]) -> object:
    """What the few functions that make up a state dict return; anything else is not called."""
    match function.removeprefix("torch._utils "), arguments:
        case "collections OrderedDict", ():
            return {}
        case "_rebuild_parameter" | "_rebuild_parameter_with_state", (_TensorRecord() as tensor, *_):
            return tensor
        case "_rebuild_tensor" | "_rebuild_tensor_v2", (_Storage() as storage, int(offset), shape, stride, *_):
            return _record(storage, storage.dtype, offset, shape, stride)
        case "_rebuild_tensor_v3", (_Storage() as storage, int(offset), shape, stride, _, _, _Global(dtype), *_):
            values = getattr(torch, dtype.removeprefix("torch "), None)
            if isinstance(values, torch.dtype):
                return _record(storage, values, offset, shape, stride)
    return _Opaque(function)


def _record(storage: _Storage, dtype: torch.dtype, offset: int, shape: object, stride: object) -> _TensorRecord:
    """A tensor that lies inside its storage, no value being used twice.

    Raises:
        StateDictError: it does not.
    """
    if not (_are_sizes(shape) and _are_sizes(stride) and len(shape) == len(stride)):
        raise StateDictError("a tensor has an impossible shape")
    record = _TensorRecord(storage, dtype, offset, shape, stride)
    if offset < 0 or math.prod(shape) * dtype.itemsize > storage.size or record.part.stop > storage.size:
        raise StateDictError("a tensor reaches beyond its values")
    return record


def _are_sizes(value: object) -> TypeGuard[tuple[int, ...]]:
    return (
        isinstance(value, tuple)
        and len(value) <= _MOST_DIMENSIONS
        and all(isinstance(size, int) and 0 <= size < 1 << 40 for size in value)
    )


def _find_tensors(contents: object) -> dict[str, _TensorRecord]:
    """The state dict that the contents of a file are, or hold under one of their names."""
    if not isinstance(contents, dict):
        raise StateDictError(_other_contents(contents))
    candidates: list[dict[Any, Any]] = [contents]
    for _ in range(_MOST_WRAPPERS):
        for candidate in candidates:
            if all(isinstance(value, _TensorRecord) for value in candidate.values()):
                return {str(name): record for name, record in candidate.items()}
        inner = {id(value): value for candidate in candidates for value in _wrapped(candidate)}  # each once
        candidates = list(inner.values())[:_MOST_CANDIDATES]
    raise StateDictError(_other_contents(next(v for v in contents.values() if not isinstance(v, _TensorRecord))))


def _wrapped(contents: dict[Any, Any]) -> list[dict[Any, Any]]:
    """The dictionaries in a dictionary that are not empty, those first whose names trainers use."""
    named = [contents.get(name) for name in _WRAPPERS]
    return [value for value in (*named, *contents.values()) if isinstance(value, dict) and value]


def _other_contents(value: object) -> str:
    if isinstance(value, _Opaque):
        return f"it holds a {value.name.split(' ')[-1][:80]}"
    return f"it holds a {'tensor' if isinstance(value, _TensorRecord) else type(value).__name__}"


def _needed_parts(records: Iterable[_TensorRecord]) -> dict[_Storage, range]:
    """For each storage the bytes from the first to the last that a tensor takes."""
    parts: dict[_Storage, range] = {}
    for record in records:
        if part := record.part:
            known = parts.get(record.storage, part)
            start = min(known.start, part.start) // _ALIGNMENT * _ALIGNMENT
            parts[record.storage] = range(start, max(known.stop, part.stop))
    return parts


def _tensor(record: _TensorRecord, parts: Mapping[_Storage, range], values: Mapping[_Storage, bytearray]) -> Tensor:
    if not record.part:
        return torch.empty(record.shape, dtype=record.dtype)
    data, size = values[record.storage], record.dtype.itemsize
    numbers = torch.frombuffer(data, dtype=record.dtype, count=len(data) // size)
    return numbers.as_strided(record.shape, record.stride, record.offset - parts[record.storage].start // size)


def _same(argument: object) -> object:
    return argument


_CONSTANTS: dict[str, Callable[[Any], object]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_SET": lambda _: [],
    "GLOBAL": lambda name: _Global(name),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"), _same),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"), _same),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _same),
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Machine._mark,
    "MEMOIZE": _Machine._put,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "APPEND": lambda machine, _: machine._extend(machine._last(1)),
    "APPENDS": lambda machine, _: machine._extend(machine._to_mark()),
    "ADDITEMS": lambda machine, _: machine._extend(machine._to_mark()),
    "FROZENSET": _Machine._tuple,
    "SETITEM": lambda machine, _: machine._set_items(machine._last(2)),
    "SETITEMS": lambda machine, _: machine._set_items(machine._to_mark()),
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._new_object,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}
