"""All checkpoints of a folder in the order of their errors on one set of digits, with what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.evaluation.evaluation import Summary, find_summaries
from digitcore.models.library import CheckpointEntry, UsableCheckpoint
from digitcore.models.timing import known_milliseconds

__all__ = ["ELSEWHERE", "Standing", "efficient_frontier", "leaderboard"]

ELSEWHERE = ("pen-digits", "uci-digits")
"""Sets of other people's digits, whose accuracy stands beside that on the set in question where it is known."""


@dataclass(frozen=True)
class Standing:
    """One checkpoint of a leaderboard."""

    entry: UsableCheckpoint
    summary: Summary | None
    """Figures on the set in question; None where it has not been evaluated."""
    elsewhere: dict[str, float]
    """Accuracy by set of `ELSEWHERE`, where it has been evaluated."""
    milliseconds: float | None
    """For one digit on one core of this machine, where that has been measured."""

    @property
    def seen(self) -> bool:
        """Whether the checkpoint was trained on the set in question."""
        return self.summary is not None and self.summary.dataset in self.entry.metadata.trained_on


def leaderboard(entries: Sequence[CheckpointEntry], dataset: str) -> list[Standing]:
    """The usable ones of these checkpoints: fewest errors first, those never evaluated on this set last.

    Of equal errors the least log loss first. Nothing is evaluated, so hundreds take a fraction of a second.
    """
    usable = [entry for entry in entries if isinstance(entry, UsableCheckpoint)]
    digests = [entry.digest for entry in usable]
    here = find_summaries(digests, dataset)
    elsewhere = {name: find_summaries(digests, name) for name in ELSEWHERE}
    standings = [
        Standing(
            entry=entry,
            summary=here.get(digest),
            elsewhere={name: found[digest].accuracy for name, found in elsewhere.items() if digest in found},
            milliseconds=known_milliseconds(digest),
        )
        for entry, digest in zip(usable, digests, strict=True)
    ]
    return sorted(standings, key=_rank)


def efficient_frontier(costs: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of these (N,) checkpoints no other beats, by being better in one of the two and no worse in the other."""
    no_worse = (costs <= costs[:, np.newaxis]) & (errors <= errors[:, np.newaxis])
    better = (costs < costs[:, np.newaxis]) | (errors < errors[:, np.newaxis])
    beaten: NDArray[np.bool_] = np.any(no_worse & better, axis=1)
    return ~beaten


def _rank(standing: Standing) -> tuple[float, float, str]:
    if standing.summary is None:
        return (np.inf, np.inf, standing.entry.name)
    return (standing.summary.errors, standing.summary.nll, standing.entry.name)
