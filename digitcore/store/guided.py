"""Guided collecting: which digit somebody is asked to write next."""

import hashlib
from collections.abc import Sequence

import numpy as np

__all__ = ["PER_DIGIT", "remaining_prompts", "rounds_written"]

PER_DIGIT = 10
"""How often each digit is asked for in one round."""


def rounds_written(counts: Sequence[int]) -> int:
    """How many whole rounds these counts (10,) of the digits hold.

    >>> rounds_written([20, 10, 10, 10, 10, 10, 10, 10, 10, 19])
    1
    """
    return min(counts) // PER_DIGIT


def remaining_prompts(key: str, counts: Sequence[int], *, finished: int) -> list[int]:
    """The digits that are still to be written in the round after so many finished ones, in their order.

    The order is shuffled, and the same for the same key: who comes back goes on where they were. counts (10,): how
    often each digit has been written so far; a digit written more often than asked for is not asked for again.

    >>> remaining_prompts("somebody", [10, 10, 10, 9, 10, 10, 10, 10, 10, 11], finished=0)
    [3]
    """
    seed = int.from_bytes(hashlib.sha256(f"{key} {finished}".encode()).digest()[:8], "big")
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), PER_DIGIT)).tolist()
    written = [count - finished * PER_DIGIT for count in counts]
    remaining = []
    for digit in order:
        if written[digit] > 0:
            written[digit] -= 1
        else:
            remaining.append(digit)
    return remaining
