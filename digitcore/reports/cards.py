"""A checkpoint and its evaluations -> a model card in Markdown: what it is for, how good, how limited, and how made.

Everything that a file says of itself may come from anybody: it is escaped, and what a file does not say is said to be
unknown. After M. Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeGuard

from digitcore.errors import CheckpointError
from digitcore.evaluation.evaluation import Evaluation, find_evaluation, summarize
from digitcore.evaluation.manifest import SHIPPED_ON
from digitcore.evaluation.metrics import class_table, confused_pairs, confusion_matrix
from digitcore.files import write_atomically
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata
from digitcore.models.library import CheckpointLibrary, shared_library
from digitcore.text import plain
from digitcore.training.recipes import Recipe, load_recipe, recipe_names

__all__ = ["describe_folder", "model_card", "write_cards"]

_CONFUSIONS = 3
_LONGEST = 200  # characters of what a file says
_SETS = {
    "mnist-train": "MNIST's training digits less the 5,000 of mnist-validation",
    "written": "digits written by a grammar of pen strokes, in the forms people use",
    "pen-train": "pen strokes of twenty people, in Turkey",
    "no-digits": "drawings that are no digit",
    "mnist-test": "MNIST's test digits",
    "mnist-validation": "5,000 digits of MNIST's training file that are held back to choose by",
    "uci-digits": "coarse scans, 8x8 pixels, of other people, in Turkey",
    "pen-digits": "pen strokes of ten other people, in Turkey, drawn with three brushes",
}
_HEAD = """# The checkpoints

Made by `python -m digitcore cards` from the files in this folder; a test holds it current. Intervals are 95 % Wilson
intervals of the share that is right. Nothing was chosen on mnist-test.

"""


def write_cards(directory: Path) -> Path:
    """Brings README.md in this folder up to what the folder holds, and returns its path."""
    path = directory / "README.md"
    write_atomically(path, describe_folder(directory).encode())
    return path


def describe_folder(directory: Path) -> str:
    """A table of the usable checkpoints of a folder, fewest parameters first, and a card each."""
    library = CheckpointLibrary(directory)
    checkpoints = sorted((library.load(name) for name in library.usable_names()), key=lambda each: each.parameters)
    judged = {each.name: _evaluations(each) for each in checkpoints}
    lines = [_row("checkpoint", "parameters", *SHIPPED_ON), _row(*["---"] * (2 + len(SHIPPED_ON)))]
    for each in checkpoints:
        found = {evaluation.dataset: _errors(evaluation) for evaluation in judged[each.name]}
        figures = [found.get(dataset, "not evaluated") for dataset in SHIPPED_ON]
        lines.append(_row(plain(each.name), f"{each.parameters:,}", *figures))
    cards = [f"\n## {plain(each.name)}\n\n{model_card(each, judged[each.name])}" for each in checkpoints]
    return _HEAD + "\n".join(lines) + "\n\nErrors of so many digits.\n" + "".join(cards)


def model_card(checkpoint: Checkpoint, evaluations: Sequence[Evaluation]) -> str:
    """The card of a checkpoint with these evaluations of it, each on another set."""
    weaknesses = "**What it is bad at**\n\n" + _bullets(_weaknesses(evaluations))
    parts = [
        _intended(checkpoint),
        _figures(checkpoint, evaluations) if evaluations else "It has not been evaluated yet.",
        weaknesses if evaluations else "",
        "**Limits**\n\n" + _bullets(_limits(checkpoint, evaluations)),
        "**How it was made**\n\n" + _bullets(_origin(checkpoint)),
        _again(checkpoint),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _evaluations(checkpoint: Checkpoint) -> list[Evaluation]:
    found = (find_evaluation(checkpoint, dataset) for dataset in SHIPPED_ON)
    return [evaluation for evaluation in found if evaluation is not None]


def _intended(checkpoint: Checkpoint) -> str:
    metadata = checkpoint.metadata
    file = checkpoint.path.name if checkpoint.path else "no file"
    return (
        f"{plain(file)}: {checkpoint.parameters:,} parameters, architecture {plain(metadata.architecture)}. It reads "
        f"one handwritten digit, 0 to 9, from a drawing, scan or photograph brought to 28x28 pixels by the "
        f"preprocessing {plain(metadata.preprocessing)}. Made to learn and compare with, not to decide about people."
    )


def _figures(checkpoint: Checkpoint, evaluations: Sequence[Evaluation]) -> str:
    lines = [_row("digits", "errors", "right (95 % interval)", "log loss", "calibration error"), _row(*["---"] * 5)]
    for evaluation in evaluations:
        summary = summarize(evaluation)
        low, high = summary.interval
        seen = " (seen in training)" if evaluation.dataset in checkpoint.metadata.trained_on else ""
        lines.append(
            _row(
                evaluation.dataset + seen,
                _errors(evaluation),
                f"{summary.accuracy:.2%} ({low:.2%} to {high:.2%})",
                f"{summary.nll:.4f}",
                f"{summary.ece:.2%}",
            )
        )
    return "\n".join(lines)


def _errors(evaluation: Evaluation) -> str:
    return f"{evaluation.errors:,} of {len(evaluation):,}"


def _weaknesses(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    for evaluation in evaluations:
        table = class_table(evaluation.labels, evaluation.logits)
        worst = next(table.nsmallest(1, "recall").itertuples())
        pairs = confused_pairs(confusion_matrix(evaluation.labels, evaluation.logits)).head(_CONFUSIONS)
        confusions = [f"{row.true} read as {row.predicted} ({row.count:,})" for row in pairs.itertuples()]
        if confusions:
            yield (
                f"{evaluation.dataset}: worst with the {worst.digit} ({worst.errors:,} of {worst.support:,} wrong); "
                f"most often {', '.join(confusions)}."
            )
        else:
            yield f"{evaluation.dataset}: no error."


def _limits(checkpoint: Checkpoint, evaluations: Sequence[Evaluation]) -> Iterator[str]:
    metadata = checkpoint.metadata
    if metadata.trained_on == ("mnist-train",):
        yield "It has only seen MNIST: digits of American census clerks and school students, scanned about 1990."
    elif not metadata.trained_on:
        yield "What it was trained on is not said: it may have seen the digits that it is judged on."
    by_set = {evaluation.dataset: summarize(evaluation) for evaluation in evaluations}
    elsewhere = [
        f"{summary.accuracy:.2%} of {dataset} ({_SETS[dataset]})"
        for dataset, summary in by_set.items()
        if dataset in _SETS and not dataset.startswith("mnist") and dataset not in metadata.trained_on
    ]
    if elsewhere and "mnist-test" in by_set:
        yield (
            f"Other hands cost it: it is right on {by_set['mnist-test'].accuracy:.2%} of mnist-test, but on "
            f"{' and '.join(elsewhere)}."
        )
    if "mnist-validation" in by_set and metadata.provenance.get("chosen_on") == "mnist-validation":
        yield (
            "Its temperature and its threshold were fitted on mnist-validation: calibration there looks a little "
            "better than it is."
        )
    if "pen-train" in metadata.trained_on:
        yield "It has learned from pen strokes of the same tablets as pen-digits, but not of the same people."
    threshold = float(metadata.refusal_threshold)
    if metadata.refusal_score != "confidence":
        yield f"Answers with a refusal score ({metadata.refusal_score}) below {threshold:.3g} are marked as unsure."
    elif threshold > 0:
        yield f"Answers less sure than {threshold:.1%} are marked as unsure."
    else:
        yield "It has no threshold: no answer is marked as unsure."
    yield "It knows only ten classes: a letter or a scribble may still get a confident answer."


def _origin(checkpoint: Checkpoint) -> Iterator[str]:
    """What the file says of its making, a sentence each."""
    metadata = checkpoint.metadata
    recipe, made = metadata.recipe, metadata.provenance
    if metadata.trained_on:
        sets = [f"{name} ({_SETS[name]})" if name in _SETS else plain(name) for name in metadata.trained_on]
        yield f"Trained on {', '.join(sets)}{_given(', chosen on {}', made.get('chosen_on'))}."
    if recipe:
        yield (
            f"Recipe {_said(recipe.get('name'))}, seed {_said(metadata.seed)}: {_said(recipe.get('summary'))}; "
            f"{_said(recipe.get('epochs'))} epochs in batches of {_said(recipe.get('batch_size'))}"
            f"{_given(', starting from {}', recipe.get('starts_from'))}."
        )
    elif made.get("members"):
        yield "Joined from its members: the mean of their calibrated logits."
    else:
        yield "The file does not say by what recipe, with what seed and on what machine."
    for role in ("members", "teachers"):
        sources = made.get(role)
        if isinstance(sources, Mapping) and sources:
            names = [f"{plain(str(name))} ({plain(str(digest)[:12])})" for name, digest in sources.items()]
            taught = recipe.get("taught") if role == "teachers" else None
            asked = _given(", asked about {} alone", ", ".join(taught) if _are_words(taught) else taught)
            yield f"{role.capitalize()}: {', '.join(names)}{asked}."
    if recipe or made.get("members"):
        yield (
            f"On {_said(made.get('device'))} ({_said(made.get('processor'))}), "
            f"threads: {_said(made.get('threads'))}{_given(', processes: {}', made.get('processes'))}"
            f"{_given(', seconds: {}', made.get('seconds'))}; finished {_moment(made.get('finished'))}."
        )
        yield (
            f"With Python {_said(made.get('python'))}, torch {_said(made.get('torch'))}"
            f"{_given(', numpy {}', made.get('numpy'))}; commit {_said(made.get('commit'))}."
        )
    taken = made.get("input")
    if isinstance(taken, Mapping):
        yield (
            f"Its input is taken as {_said(taken.get('scale'))}, {_said(taken.get('ink'))} ink "
            f"({_said(taken.get('source'))}), its output as {_said(made.get('output'))}."
        )
    yield f"Temperature {float(metadata.temperature):.3f}; SHA-256 of weights and answers {checkpoint.digest[:16]}…"


def _again(checkpoint: Checkpoint) -> str:
    """The command that makes it again, where its recipe is known here."""
    metadata = checkpoint.metadata
    name = metadata.recipe.get("name")
    if name not in recipe_names():
        return ""
    processes = metadata.provenance.get("processes", 1)
    command = ["python"] if processes == 1 else ["torchrun", "--nproc-per-node", str(processes)]
    command += ["-m", "digitcore", "train", name]
    if metadata.seed is not None:
        command += ["--seed", str(metadata.seed)]
    if checkpoint.name != name:
        command += ["--output", f"weights/{_on_one_line(checkpoint.name)}.safetensors"]
    words = "To make it again, bit for bit on a like machine with as many threads"
    words += f", from the commit {_said(metadata.provenance.get('commit'))}"  # any later one may round otherwise
    changes = [] if _is_current(metadata.recipe) else ["the recipe has changed"]
    changes += [f"{_said(name)} is no longer the same" for name in _changed_sources(checkpoint)]
    if changes:
        words += f", since {' and '.join(changes)}"
    return f"{words}:\n\n```sh\n{shlex.join(command)}\n```"


def _sources(metadata: CheckpointMetadata) -> Iterator[tuple[str, str]]:
    """Name and digest of each checkpoint that it started from or learned from."""
    start, teachers = metadata.provenance.get("start"), metadata.provenance.get("teachers")
    if start:
        yield str(metadata.recipe.get("starts_from")), str(start)
    if isinstance(teachers, Mapping):
        yield from ((str(name), str(digest)) for name, digest in teachers.items())


def _changed_sources(checkpoint: Checkpoint) -> Iterator[str]:
    """The names of those that are not, or not as they were, in the folder of its file."""
    if checkpoint.path is None:
        return
    library = shared_library(checkpoint.path.parent)
    for name, digest in _sources(checkpoint.metadata):
        try:
            current = library.load(name).digest
        except CheckpointError:
            current = None
        if current != digest:
            yield name


def _is_current(written: Mapping[str, Any]) -> bool:
    """Whether the recipe in a file is the one of its name here.

    What it does not say was at its default; an option that is gone counts where it was used.
    """
    current = json.loads(json.dumps(asdict(load_recipe(written["name"]))))
    silent = {
        field.name: json.loads(json.dumps(field.default))
        for field in fields(Recipe)
        if field.name not in written and field.default is not MISSING
    }
    used = {name: value for name, value in written.items() if name in current or value is not None}
    return {**silent, **used, "summary": ""} == {**current, "summary": ""}


def _said(value: object) -> str:
    text = str(value)
    return "unknown" if value is None else plain(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _given(words: str, value: object) -> str:
    """The words with the value in them; nothing where it is not known."""
    return "" if value is None else words.format(_said(value))


def _are_words(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _on_one_line(name: str) -> str:
    """A file's name for the code block, which a line break would end."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)


def _moment(written: object) -> str:
    """The day of an ISO time; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(str(written)):%Y-%m-%d}"
    except ValueError:
        return _said(written)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _bullets(sentences: Iterator[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
