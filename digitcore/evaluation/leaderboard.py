"""Leaderboard: checkpoints ranked by their errors on a dataset, with their costs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digitcore.evaluation.evaluation import Summary, find_summaries
from digitcore.evaluation.timing import known_milliseconds
from digitcore.models.checkpoints import CheckpointMetadata
from digitcore.models.library import CheckpointEntry, UsableCheckpoint

__all__ = [
    "ELSEWHERE",
    "Standing",
    "efficient_frontier",
    "errors_by_seed",
    "leaderboard",
    "ordinal",
    "recipe_table",
    "strength",
]

ELSEWHERE = ("pen-digits", "uci-digits")
"""Datasets by other writers, whose accuracy is listed in addition where it is known."""


@dataclass(frozen=True)
class Standing:
    """One checkpoint of a leaderboard."""

    entry: UsableCheckpoint
    summary: Summary | None
    """Figures on the leaderboard's dataset; None where the checkpoint has not been evaluated on it."""
    elsewhere: dict[str, Summary]
    """Figures by dataset of `ELSEWHERE`, where it has been evaluated."""
    milliseconds: float | None
    """For one digit on one core of this machine; None where it has not been measured."""

    @property
    def by_seed(self) -> str:
        """Errors of its recipe over several seeds, in words; empty where it was run once, or that is not known."""
        return errors_by_seed(self.entry.metadata, self.summary.dataset) if self.summary is not None else ""

    @property
    def cautions(self) -> dict[str, str]:
        """For each dataset of its figures that had a part in making the checkpoint: "trained on" or "chosen on"."""
        here = [self.summary.dataset] if self.summary is not None else []
        cautions = {name: self.entry.metadata.caution(name) for name in (*here, *self.elsewhere)}
        return {name: caution for name, caution in cautions.items() if caution}


def leaderboard(entries: Sequence[CheckpointEntry], dataset: str) -> list[Standing]:
    """The usable checkpoints: fewest errors first, then lowest log loss; those not evaluated on the dataset last.

    Only stored evaluations are used, so hundreds of checkpoints take a fraction of a second.
    """
    usable = [entry for entry in entries if isinstance(entry, UsableCheckpoint)]
    digests = [entry.digest for entry in usable]
    here = find_summaries(digests, dataset)
    elsewhere = {name: find_summaries(digests, name) for name in ELSEWHERE}
    standings = [
        Standing(
            entry=entry,
            summary=here.get(digest),
            elsewhere={name: other[digest] for name, other in elsewhere.items() if digest in other},
            milliseconds=known_milliseconds(digest),
        )
        for entry, digest in zip(usable, digests, strict=True)
    ]
    return sorted(standings, key=_rank)


def errors_by_seed(metadata: CheckpointMetadata, dataset: str) -> str:
    """Mean, spread and number of the errors that the checkpoint's recipe makes with several seeds; else empty.

    >>> metadata = CheckpointMetadata("compact", provenance={"errors_by_seed": {"mnist-test": [30, 34, 35]}})
    >>> errors_by_seed(metadata, "mnist-test")
    '33.0 (30 to 35), 3 seeds'
    """
    errors = metadata.errors_by_seed(dataset)
    return f"{np.mean(errors):.1f} ({min(errors)} to {max(errors)}), {len(errors)} seeds" if errors else ""


def recipe_table(standings: Sequence[Standing]) -> pd.DataFrame:
    """One row for each recipe of the checkpoints that have been evaluated, fewest errors first.

    `runs` counts its seeds, `errors` is their mean and `spread` their standard deviation; `least` and `most` are those
    of single runs, `each` lists them all, and `models` the checkpoints. `digits` is what each run answered, and
    `accuracy` is in percent, of all runs together. What the checkpoints of a recipe record of further seeds counts too.
    """
    groups: dict[str, list[Standing]] = {}
    for standing in standings:
        metadata = standing.entry.metadata
        if standing.summary is not None and metadata.recipe.get("name"):
            key = json.dumps([metadata.architecture, metadata.trained_on, metadata.recipe], sort_keys=True)
            groups.setdefault(key, []).append(standing)
    columns = ["recipe", "runs", "errors", "spread", "least", "most", "digits", "accuracy", "each", "models"]
    rows = pd.DataFrame([_recipe_row(group) for group in groups.values()], columns=columns)
    return rows.sort_values(["errors", "recipe"], ignore_index=True)


def _recipe_row(runs: Sequence[Standing]) -> dict[str, object]:
    summaries = [standing.summary for standing in runs if standing.summary is not None]
    by_seed = {
        (
            standing.entry.digest if standing.entry.metadata.seed is None else standing.entry.metadata.seed
        ): summary.errors
        for standing, summary in zip(reversed(runs), reversed(summaries), strict=True)
    }
    recorded = max((run.entry.metadata.errors_by_seed(summaries[0].dataset) for run in runs), key=len)
    errors = sorted(recorded if len(recorded) >= len(by_seed) else by_seed.values())
    return {
        "recipe": str(runs[0].entry.metadata.recipe["name"]),
        "runs": len(errors),
        "errors": round(float(np.mean(errors)), 1),
        "spread": round(float(np.std(errors, ddof=1)), 1) if len(errors) > 1 else np.nan,
        "least": errors[0],
        "most": errors[-1],
        "digits": summaries[0].digits,
        "accuracy": round(100 * (1 - float(np.mean(errors)) / summaries[0].digits), 3),
        "each": ", ".join(map(str, errors)),
        "models": ", ".join(sorted(standing.entry.name for standing in runs)),
    }


def efficient_frontier(costs: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask (N,) of the Pareto-optimal checkpoints: no other has lower cost or errors without being worse in the other.

    >>> efficient_frontier(np.array([1.0, 2.0, 3.0]), np.array([30.0, 20.0, 20.0])).tolist()
    [True, True, False]
    """
    no_worse = (costs <= costs[:, np.newaxis]) & (errors <= errors[:, np.newaxis])
    better = (costs < costs[:, np.newaxis]) | (errors < errors[:, np.newaxis])
    dominated: NDArray[np.bool_] = np.any(no_worse & better, axis=1)
    return ~dominated


def strength(name: str, *, drawn: Sequence[Standing], scanned: Sequence[Standing]) -> str:
    """What a checkpoint is good for, in a few words; empty where there are no figures to compare.

    drawn, scanned: the leaderboards on digits drawn on a screen and on scanned ones.
    """
    names, scanned_names = ([standing.entry.name for standing in _evaluated(board)] for board in (drawn, scanned))
    if name not in names or len(names) < 2:
        return ""
    place = names.index(name) + 1
    if place == 1:
        return "best on real drawings"
    if scanned_names[:1] == [name]:
        return "best on scanned digits"
    for standings, digits in ((drawn, "real drawings"), (scanned, "scanned digits")):
        if name in _best_for_their_size(standings):
            return f"best on {digits} for its size"
    if place == len(names):
        return "easily fooled: most errors on real drawings"
    return f"{ordinal(place)} of {len(names)} on real drawings"


def ordinal(number: int) -> str:
    """A place in an order.

    >>> [ordinal(number) for number in (1, 2, 3, 4, 11, 21, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '21st', '112th']
    """
    suffix = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _evaluated(standings: Sequence[Standing]) -> list[Standing]:
    """Those with figures and a network: only they can be picked to read something."""
    return [standing for standing in standings if standing.summary is not None and standing.entry.metadata.has_network]


def _best_for_their_size(standings: Sequence[Standing]) -> set[str]:
    """Names of those that none with as few parameters beats."""
    figures = {
        standing.entry.name: (standing.entry.parameters, standing.summary.errors)
        for standing in standings
        if standing.summary is not None
    }
    parameters, errors = np.array([*figures.values()], dtype=np.float64).reshape(-1, 2).T
    best = efficient_frontier(parameters, errors)
    return {name for name, is_best in zip(figures, best, strict=True) if is_best}


def _rank(standing: Standing) -> tuple[float, float, str]:
    if standing.summary is None:
        return (np.inf, np.inf, standing.entry.name)
    return (standing.summary.errors, standing.summary.nll, standing.entry.name)
