from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitcore.data.datasets import DigitSet
from digitcore.evaluation.evaluation import (
    Summary,
    find_evaluation,
    find_summaries,
    load_or_evaluate,
    save_evaluation,
    shipped_evaluations,
    summarize,
)
from digitcore.evaluation.leaderboard import (
    Standing,
    efficient_frontier,
    errors_by_seed,
    leaderboard,
    recipe_table,
    strength,
)
from digitcore.evaluation.timing import milliseconds_per_digit
from digitcore.models.checkpoints import CheckpointMetadata
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint
from digitcore.settings import load_settings


@pytest.fixture
def library(weights_folder: Path, save_random: Callable[..., Path]) -> CheckpointLibrary:
    """Four checkpoints, two of which have been evaluated, and a broken one."""
    for seed, name in enumerate("dcba"):
        save_random(weights_folder / f"{name}.safetensors", seed=seed, trained_on=("mnist-train", "mnist-validation"))
    (weights_folder / "broken.safetensors").write_bytes(b"nothing")
    library = CheckpointLibrary(weights_folder)
    for name in "bc":
        load_or_evaluate(DigitClassifier(library.load(name)), "mnist-validation")
    load_or_evaluate(DigitClassifier(library.load("d")), "uci-digits")
    milliseconds_per_digit(DigitClassifier(library.load("d")))
    return library


def test_the_order_is_by_errors_and_those_never_evaluated_come_last(library: CheckpointLibrary) -> None:
    standings = leaderboard(library.entries(), "mnist-validation")
    evaluated = {
        name: summarize(load_or_evaluate(DigitClassifier(library.load(name)), "mnist-validation")) for name in "bc"
    }
    best_first = sorted(evaluated, key=lambda name: evaluated[name].errors)
    assert [standing.entry.name for standing in standings] == [*best_first, "a", "d"]
    assert [standing.summary for standing in standings] == [*(evaluated[name] for name in best_first), None, None]
    assert [standing.cautions for standing in standings] == [{"mnist-validation": "trained on"}] * 2 + [{}] * 2
    last = standings[-1]
    uci = summarize(load_or_evaluate(DigitClassifier(library.load("d")), "uci-digits"))
    assert last.elsewhere == {"uci-digits": uci}
    assert last.milliseconds is not None
    assert standings[0].elsewhere == {}
    assert standings[0].milliseconds is None


def test_summaries_are_found_without_reading_the_logits(library: CheckpointLibrary, cache_folder: Path) -> None:
    """They are those computed anew; where they are missing or damaged they are computed; a damaged file has none."""
    digest = library.load("b").digest
    stored_path = next((cache_folder / "evaluations").glob("b--mnist-validation--*.npz"))
    evaluation = load_or_evaluate(DigitClassifier(library.load("b")), "mnist-validation")
    expected = {digest: summarize(evaluation)}
    assert find_summaries([digest], "mnist-validation") == expected
    arrays = dict(np.load(stored_path))
    for summary in (None, "{}", "[]", "no json"):
        changed = {name: value for name, value in arrays.items() if name != "summary"}
        np.savez(stored_path, **changed | ({} if summary is None else {"summary": np.array(summary)}))
        assert find_summaries([digest], "mnist-validation") == expected
    stored_path.write_bytes(b"no array file")
    assert find_summaries([digest], "mnist-validation") == {}
    save_evaluation(evaluation, shipped_evaluations())
    assert find_summaries([digest, "0" * 64], "mnist-validation") == expected


def test_a_folder_without_checkpoints(weights_folder: Path) -> None:
    assert leaderboard(CheckpointLibrary(weights_folder).entries(), "mnist-validation") == []
    assert leaderboard(CheckpointLibrary(weights_folder / "nosuch").entries(), "mnist-validation") == []


FIGURES = {  # parameters, errors on drawings, on scans
    "large": (900, 10, 30),
    "middle": (500, 20, 25),
    "small": (100, 30, 50),
    "neat": (100, 40, 40),
    "heavy": (950, 50, 60),
    "weak": (800, 90, 95),
}


def board(column: int) -> list[Standing]:
    """A leaderboard of `FIGURES`, with one at its end that was not evaluated."""
    standings = [
        Standing(entry_of(name, figures[0]), summary_of(figures[column]), {}, None)
        for name, figures in sorted(FIGURES.items(), key=lambda item: item[1][column])
    ]
    return [*standings, Standing(entry_of("new", 7), None, {}, None)]


def summary_of(errors: int) -> Summary:
    intervals = {"interval": (0.4, 0.6), "plain_interval": (0.45, 0.55), "writers": 10}
    sure = {"ece_interval": (0.0, 0.2), "sure": 20, "sure_right": 20, "sure_interval": (0.9, 1.0)}
    return Summary("", "", digits=100, errors=errors, accuracy=0.5, nll=0.1, ece=0.1, **intervals, **sure)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recorded", "words"),
    [({"a": [1, 4]}, "2.5 (1 to 4), 2 seeds"), ({"a": [1]}, ""), ({"a": "12"}, ""), ({"a": ["1", 2]}, ""), ([1, 2], ""),
     (None, "")],
)  # fmt: skip
def test_errors_by_seed_come_from_the_file_if_they_are_numbers(recorded: object, words: str) -> None:
    metadata = CheckpointMetadata("compact", provenance={"errors_by_seed": recorded})
    assert errors_by_seed(metadata, "a") == words
    assert errors_by_seed(metadata, "b") == ""


def entry_of(name: str, parameters: int) -> UsableCheckpoint:
    return UsableCheckpoint(
        name, Path(f"{name}.pt"), 1, CheckpointMetadata("compact"), parameters, digest=name, is_verified=True
    )


def test_what_a_checkpoint_is_good_for_follows_from_its_figures() -> None:
    drawn, scanned = board(1), board(2)
    expected = {
        "large": "best on real drawings",
        "middle": "best on scanned digits",
        "small": "best on real drawings for its size",
        "neat": "best on scanned digits for its size",
        "heavy": "5th of 6 on real drawings",
        "weak": "easily fooled: most errors on real drawings",
        "new": "",
        "nosuch": "",
    }
    assert {name: strength(name, drawn=drawn, scanned=scanned) for name in expected} == expected
    alone = [standing for standing in drawn if standing.entry.name in ("large", "new")]
    assert strength("large", drawn=alone, scanned=alone) == ""


def run_of(name: str, errors: int, **fields: object) -> Standing:
    entry = UsableCheckpoint(
        name,
        Path(f"{name}.pt"),
        1,
        CheckpointMetadata("compact", **fields),
        7,
        digest=name,
        is_verified=True,  # type: ignore[arg-type]
    )
    return Standing(entry, replace(summary_of(errors), dataset="a"), {}, None)


def test_runs_of_one_recipe_are_one_row() -> None:
    """Whatever their order; the same seed twice counts once, and another length of training is another recipe."""
    short, long = ({"name": "quick", "epochs": epochs} for epochs in (1, 2))
    runs = [
        run_of("one", 30, recipe=short, seed=0),
        run_of("copy", 30, recipe=short, seed=0),
        run_of("two", 36, recipe=dict(reversed(short.items())), seed=1),
        run_of("three", 45, recipe=short, seed=2),
        run_of("longer", 20, recipe=long, seed=0),
        run_of("foreign", 1),
        Standing(entry_of("new", 7), None, {}, None),
    ]
    for order in (runs, runs[::-1]):
        longer, quick = recipe_table(order).to_dict("records")
        assert quick == {
            "recipe": "quick", "runs": 3, "errors": 37.0, "spread": 7.5, "least": 30, "most": 45, "digits": 100,
            "accuracy": 63.0, "each": "30, 36, 45", "models": "copy, one, three, two",
        }  # fmt: skip
        assert (longer["models"], longer["runs"], longer["errors"]) == ("longer", 1, 20.0)
        assert np.isnan(longer["spread"])
    assert recipe_table(runs[-2:]).empty


def test_the_headline_of_a_recipe_is_its_mean_and_not_the_seed_that_was_kept() -> None:
    provenance = {"errors_by_seed": {"a": [30, 40, 50], "b": [1, 2]}}
    (row,) = recipe_table([run_of("best", 30, recipe={"name": "quick"}, seed=7, provenance=provenance)]).to_dict(
        "records"
    )
    assert (row["errors"], row["spread"], row["runs"], row["each"]) == (40.0, 10.0, 3, "30, 40, 50")


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(points=POINTS)
def test_the_frontier_holds_all_that_nobody_beats_and_nobody_else(points: list[tuple[int, int]]) -> None:
    costs, errors = np.array(points, dtype=np.float64).T
    efficient = efficient_frontier(costs, errors)
    for i, one in enumerate(points):
        beaten = any(other[0] <= one[0] and other[1] <= one[1] and other != one for other in points)
        assert efficient[i] == (not beaten)


def test_the_figures_agree_with_the_answers(validation_digits: DigitSet) -> None:
    """Of the shipped checkpoints: counted here, from answers that `test_manifest` holds to be those of the networks."""
    library = CheckpointLibrary(load_settings().weights_directory)
    for standing in leaderboard(library.entries(), "mnist-validation"):
        answers = find_evaluation(library.load(standing.entry.name), "mnist-validation")
        assert answers is not None
        assert standing.summary is not None
        assert standing.summary.errors == (answers.logits.argmax(axis=1) != validation_digits.labels).sum()
