"""Files that would take their decoder far longer than others of their size, told before they are opened."""

import re
import struct
from collections.abc import Callable, Iterator

__all__ = ["costly_trait"]

_MOST_SCANS = 100  # of a progressive JPEG, each of which goes over the whole picture; encoders write about 10
_FILLING, _MOST_FILLING = b"\xff" * 64, 5_000  # bytes that are skipped one by one in a JPEG; how often
_MOST_RUN_LENGTHS = 2_000_000  # bytes of a BMP of run lengths, which Pillow reads two by two in Python
_MOST_VALUES = 100_000  # of one tag of a TIFF, as offsets of strips
_LONGEST_HEADER = 10_000  # bytes of a PNM header, which Pillow reads one by one
_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+[\d.+-]+"
_PNM_HEADER = re.compile(rb"(?:P[14](?:%b){2}|P\w+(?:%b){3})\s" % (_NUMBER, _NUMBER))
_BYTES = (1, 2, 6, 7)  # kinds of TIFF values that are taken as they are


def costly_trait(data: bytes) -> str | None:
    """What is the matter with such a file, as "a JPEG of more than 100 scans"; None for any other."""
    examine = next((examine for start, examine in _EXAMINE.items() if data.startswith(start)), None)
    return None if examine is None else examine(data)


def _jpeg(data: bytes) -> str | None:
    if data.count(b"\xff\xda") > _MOST_SCANS:
        return f"a JPEG of more than {_MOST_SCANS} scans"
    return "a JPEG with too much filling" if data.count(_FILLING) > _MOST_FILLING else None


def _bmp(data: bytes) -> str | None:
    is_run_lengths = data[30:34] in (b"\1\0\0\0", b"\2\0\0\0")
    return "a BMP of too many run lengths" if is_run_lengths and len(data) > _MOST_RUN_LENGTHS else None


def _tiff(data: bytes) -> str | None:
    try:
        is_costly = any(count > _MOST_VALUES for kind, count in _tiff_tags(data) if kind not in _BYTES)
    except (struct.error, OverflowError):  # cut off, which the decoder reports
        return None
    return f"a TIFF in more than {_MOST_VALUES:,} strips" if is_costly else None


def _tiff_tags(data: bytes) -> Iterator[tuple[int, int]]:
    """Kind and number of the values of each tag in the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = 43 in data[2:4]
    (place,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
    (tags,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, place)
    entry = struct.Struct(f"{order}2xH{'Q8x' if is_big else 'I4x'}")
    for i in range(min(tags, _MOST_VALUES)):
        yield entry.unpack_from(data, place + (8 if is_big else 2) + i * entry.size)


def _pnm(data: bytes) -> str | None:
    is_short = len(data) <= _LONGEST_HEADER or _PNM_HEADER.match(data[:_LONGEST_HEADER]) is not None
    return None if is_short else f"a PNM with a header of over {_LONGEST_HEADER:,} bytes"


_EXAMINE: dict[bytes, Callable[[bytes], str | None]] = {
    b"\xff\xd8": _jpeg,
    b"BM": _bmp,
    b"II": _tiff,
    b"MM": _tiff,
    **{f"P{kind}".encode(): _pnm for kind in "0123456fy"},
}  # fmt: skip
