"""A first look at digits that are to become a set: how many of each, which come twice, which are MNIST's."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitcore.data.own_datasets import release

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

__all__ = ["COMPARED", "NEAR", "FirstLook", "look_at", "near_pairs"]

NEAR = 255
"""Distance of two pictures that are nearly the same: as if one pixel changed from black to white.

Of 55,000 digits of mnist-train, eleven pairs are that close, all of them ones; a digit saved as JPEG with quality 75 is
closer to itself as PNG.
"""
COMPARED = ("mnist-train", "mnist-test", "mnist-validation")
"""Sets that a new one should not overlap with."""
_EXAMPLES = 20  # of each digit
_MOST_SHOWN = 10  # near pairs, and pictures that may not be a digit
_MOST_COMPARED = 30_000  # digits with each other
_MOST_CANDIDATES = 2_000_000  # pairs whose distance is computed
_ASKED = 500  # digits from whose neighbours that number is estimated
_MOST_MEASURED = 2_000  # digits whose ink is measured
_BLOCK = 4  # pixels; blocks of that side, of which a picture has whole ones
_DIRECTIONS = 10
_AT_ONCE = 20_000  # pictures or pairs


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
    near: NDArray[np.int64]  # (P, 2), rows of pairs that are nearly the same, those with two labels first
    near_contradicted: int
    """Pairs among them that have two labels."""
    compared: int
    """Different pictures that were compared with each other to find them."""
    refused: dict[str, NDArray[np.int64]]
    """By what they look like: rows of pictures that may not show one digit."""
    measured: int
    """Digits whose ink was measured to find them."""

    def remarks(self) -> Iterator[str]:
        """What whoever adds the set should know, a sentence each."""
        if self.repeated:
            yield f"{self.repeated:,} are the same as an earlier one, {self.contradicted:,} of them as another digit."
        if len(self.near):
            pairs = f"{len(self.near):,} pairs are" if len(self.near) > 1 else "1 pair is"
            two = f"{self.near_contradicted:,} as two digits"
            yield f"{pairs} nearly the same ({two}), of {self.compared:,} different pictures compared."
        if self.refused:
            kinds = ", ".join(f"{kind} {len(rows):,}" for kind, rows in self.refused.items())
            count = sum(map(len, self.refused.values()))
            yield f"{count:,} of {self.measured:,} looked at may not show one digit: {kinds}."
        for name, count in self.known.items():
            yield f"{count:,} are digits of {name} too."
        missing = [str(digit) for digit in range(10) if not self.counts[digit]]
        if missing:
            yield f"None is a {', '.join(missing)}."

    @property
    def odd_rows(self) -> NDArray[np.int64]:
        """Rows of a few pictures that may not show one digit, of each kind in turn."""
        shares = [rows[: _MOST_SHOWN // len(self.refused)] for rows in self.refused.values()]
        return np.concatenate([np.array([], dtype=np.int64), *shares])

    @property
    def near_rows(self) -> NDArray[np.int64]:
        """Rows (P, 2) of a few pairs that are nearly the same."""
        return self.near[:_MOST_SHOWN]


def look_at(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    others: Iterable[tuple[str, NDArray[np.uint8]]] = (),
    oddity: Callable[[NDArray[np.uint8]], str | None] = lambda image: None,
) -> FirstLook:
    """The first look at images (N, 28, 28) and labels (N,), in a bounded time for any number of digits.

    others: name and images of sets that they should not overlap with. oddity: what an image looks like that may not
    show one digit, or None; it is asked about at most 2,000, spread over the set. Equal pictures are found by their
    hashes, of 64 bits; nearly equal ones are looked for among at most 30,000, see `near_pairs`.
    """
    hashes = _hashes(images)
    _, first_rows, place = np.unique(hashes, return_index=True, return_inverse=True)
    first = first_rows[place]
    known = {name: int(np.isin(hashes, _hashes(others)).sum()) for name, others in others}
    near, compared = near_pairs(images, np.sort(first_rows))
    differing = labels[near[:, 0]] != labels[near[:, 1]]
    measured = _spread(np.arange(len(labels)), _MOST_MEASURED)
    return FirstLook(
        counts=np.bincount(labels, minlength=10),
        examples={digit: _spread(np.flatnonzero(labels == digit), _EXAMPLES) for digit in range(10)},
        repeated=len(labels) - len(first_rows),
        contradicted=int((labels[first] != labels).sum()),
        known={name: count for name, count in known.items() if count},
        near=near[np.argsort(~differing, kind="stable")],
        near_contradicted=int(differing.sum()),
        compared=compared,
        refused=_by_kind(images, measured, oddity),
        measured=len(measured),
    )


def near_pairs(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Pairs of `rows` (P, 2) whose images (N, 28, 28) are at most `NEAR` apart, and how many rows were compared.

    The distance is the root of the summed squared differences of the pixels. All pairs are found among the rows that
    are compared: sums over blocks of pixels, and these projected on the ten directions in which they differ most, are
    never farther apart than the pictures. So the distance is computed only of pairs that are near by these numbers.
    Where there are over 30,000 rows, or too many such pairs, fewer are compared, spread over all.
    """
    from scipy.spatial import cKDTree  # no page but the one that adds digits needs it

    rows = _spread(rows, _MOST_COMPARED)
    sums = _block_sums(images, rows)
    tree = cKDTree(_projected(sums))
    while len(rows) > 2 and _estimated_pairs(tree) > _MOST_CANDIDATES:
        half = _spread(np.arange(len(rows)), len(rows) // 2)
        rows, sums = rows[half], sums[half]
        tree = cKDTree(_projected(sums))
    pairs = tree.query_pairs(NEAR, output_type="ndarray").reshape(-1, 2).astype(np.int64)
    pairs = rows[_near(images[rows].astype(np.int32), _near(sums, pairs))]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], len(rows)


def _block_sums(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over blocks of the images at these rows (R,), scaled so that the images are at least as far apart."""
    side = images.shape[1] // _BLOCK
    blocks = [
        images[rows[start : start + _AT_ONCE]].reshape(-1, side, _BLOCK, side, _BLOCK).sum(axis=(2, 4), dtype=np.int64)
        for start in range(0, len(rows), _AT_ONCE)
    ]
    sums: NDArray[np.float64] = np.concatenate(blocks).reshape(-1, side**2) / _BLOCK
    return sums


def _projected(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (R, B) as few numbers each (R, D), no farther apart, whatever is lost to rounding."""
    centred = sums - sums.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    projected: NDArray[np.float64] = (centred @ directions[:, -_DIRECTIONS:]) * (1 - 1e-9)
    return projected


def _estimated_pairs(tree: "cKDTree") -> float:
    """About how many pairs of points are near, from the neighbours of some points."""
    points = tree.data[_spread(np.arange(tree.n), _ASKED)]
    return float(tree.query_ball_point(points, NEAR, return_length=True).mean() - 1) * tree.n / 2


def _near(points: NDArray[np.float64] | NDArray[np.int32], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the pairs (P, 2) of points whose squared differences sum up to the square of `NEAR` at most."""
    inside = [np.array([], dtype=np.bool_)]
    for start in range(0, len(pairs), _AT_ONCE):
        one, other = pairs[start : start + _AT_ONCE].T
        differences = (points[one] - points[other]).reshape(len(one), -1)
        inside.append((differences**2).sum(axis=1) <= NEAR**2)
    near: NDArray[np.int64] = pairs[np.concatenate(inside)]
    return near


def _by_kind(
    images: NDArray[np.uint8], rows: NDArray[np.int64], oddity: Callable[[NDArray[np.uint8]], str | None]
) -> dict[str, NDArray[np.int64]]:
    """The rows of which `oddity` has something to say, by what it says, most frequent first."""
    kinds = {int(row): oddity(np.asarray(images[row])) for row in rows}
    return {
        kind: np.array([row for row, said in kinds.items() if said == kind])
        for kind, _ in Counter(kind for kind in kinds.values() if kind is not None).most_common()
    }


def _hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A hash (N,) of each picture."""
    hashes = np.empty(len(images), dtype=np.uint64)
    for start in range(0, len(images), _AT_ONCE):
        block = np.ascontiguousarray(images[start : start + _AT_ONCE])
        digests = b"".join(hashlib.blake2b(image.data, digest_size=8).digest() for image in block)
        hashes[start : start + _AT_ONCE] = np.frombuffer(digests, dtype=np.uint64)
        release(images)
    return hashes


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most so many of the rows, spread over them."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)]
