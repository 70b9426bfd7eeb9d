"""A first look at digits that are to become a set: how many of each, twice the same, known from MNIST."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FirstLook", "look_at"]

_EXAMPLES = 20  # of each digit


@dataclass(frozen=True, eq=False)
class FirstLook:
    """What stands out in a set of digits before anything has read it."""

    counts: NDArray[np.int64]  # (10,), of each digit
    examples: dict[int, NDArray[np.int64]]
    """Rows of up to twenty of each digit, spread over the set."""
    repeated: int
    """Digits whose picture equals an earlier one's."""
    contradicted: int
    """Digits among them that have another label than the earlier one."""
    known: dict[str, int]
    """By name of another set: digits whose picture is in it too."""


def look_at(
    images: NDArray[np.uint8], labels: NDArray[np.int64], *, others: Iterable[tuple[str, NDArray[np.uint8]]] = ()
) -> FirstLook:
    """The first look at images (N, 28, 28) and labels (N,).

    others: name and images of sets that they should not overlap with. Pictures are compared pixel by pixel, by their
    hashes: 16 bytes of memory for each digit.
    """
    hashes = _hashes(images)
    first_rows: dict[bytes, int] = {}
    repeated = contradicted = 0
    for row, digest in enumerate(hashes):
        first = first_rows.setdefault(digest, row)
        repeated += first != row
        contradicted += bool(labels[first] != labels[row])
    known = {name: sum(map(set(hashes).intersection(_hashes(others)).__contains__, hashes)) for name, others in others}
    return FirstLook(
        counts=np.bincount(labels, minlength=10),
        examples={digit: _spread(np.flatnonzero(labels == digit)) for digit in range(10)},
        repeated=repeated,
        contradicted=contradicted,
        known={name: count for name, count in known.items() if count},
    )


def _hashes(images: NDArray[np.uint8]) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images]


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows[np.linspace(0, len(rows) - 1, min(_EXAMPLES, len(rows))).astype(np.int64)]
