"""Every cache of the pages. Each has `max_entries`, and its arguments change when what it holds would.

Arguments whose names begin with an underscore are not compared: the fingerprint beside them stands for them.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, is_available, load_digits
from digitcore.evaluation import comparison, metrics
from digitcore.evaluation.evaluation import (
    Evaluation,
    Summary,
    evaluation_folders,
    find_evaluation,
    load_or_evaluate,
    summarize,
)
from digitcore.evaluation.leaderboard import Standing, leaderboard
from digitcore.evaluation.manifest import SHIPPED_ON
from digitcore.imaging import shape
from digitcore.imaging.canvas_json import render_object
from digitcore.models import explanation
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import CheckpointEntry, CheckpointLibrary, shared_library
from digitcore.models.timing import known_milliseconds, milliseconds_per_digit, timing_folder
from digitcore.reports import cards, charts
from digitcore.serving.annotations import AnnotationStore
from digitcore.settings import load_settings

_REFERENCE_DIGITS = 10_000


def checkpoint_library() -> CheckpointLibrary:
    """The weights folder, shared by all visitors."""
    return shared_library(load_settings().weights_directory)


def classifier(name: str) -> DigitClassifier:
    """The checkpoint of this name as the file is now; the library keeps the networks."""
    return DigitClassifier(checkpoint_library().load(name))


def annotations() -> AnnotationStore:
    """Stars and notes, shared by all visitors."""
    return _annotations(load_settings().database_url)


@st.cache_resource(max_entries=4, show_spinner=False)
def _annotations(url: str) -> AnnotationStore:
    return AnnotationStore(url)


@st.cache_resource(max_entries=4, show_spinner="Reading the digits ...")
def digits(dataset: str) -> DigitSet:
    """The digits of a set. Nothing may write to them."""
    return load_digits(dataset)


def digits_if_here(dataset: str) -> DigitSet | None:
    """The digits of a set, or None where its files are not on this machine."""
    return digits(dataset) if is_available(dataset) else None


@st.cache_data(max_entries=1, show_spinner=False)
def sample_digits() -> list[NDArray[np.uint8]]:
    """One digit (28, 28) of each class that is always there."""
    validation = digits("mnist-validation")
    return [validation.images[validation.labels == digit][0] for digit in range(10)]


def evaluation(of: DigitClassifier, dataset: str) -> Evaluation:
    """The kept evaluation, or a new one made behind a progress bar.

    Raises:
        DatasetError: there is none, and the digits are missing or damaged.
    """
    known = known_evaluation(of.checkpoint.name, of.checkpoint.digest, dataset)
    if known is not None:
        return known
    bar = st.progress(0.0, f"Evaluating {of.checkpoint.name} on {dataset} ...")
    made = load_or_evaluate(of, dataset, progress=bar.progress)
    bar.empty()
    known_evaluation.clear(of.checkpoint.name, of.checkpoint.digest, dataset)
    return made


@st.cache_resource(max_entries=64, show_spinner=False)
def known_evaluation(name: str, digest: str, dataset: str) -> Evaluation | None:
    """The kept evaluation, or None; nothing is evaluated."""
    checkpoint = checkpoint_library().load(name)
    return find_evaluation(checkpoint, dataset) if checkpoint.digest == digest else None


def summary(name: str, dataset: str) -> Summary | None:
    """Figures of a checkpoint where they are known already."""
    known = known_evaluation(name, classifier(name).checkpoint.digest, dataset)
    return None if known is None else summarized(known.fingerprint, known)


def model_card(name: str) -> str:
    """`cards.model_card` of a checkpoint, with the evaluations that there are."""
    checkpoint = checkpoint_library().load(name)
    known = [known_evaluation(name, checkpoint.digest, dataset) for dataset in SHIPPED_ON]
    return cards.model_card(checkpoint, [each for each in known if each is not None])


def standings(dataset: str) -> list[Standing]:
    """The leaderboard on a set of digits, as the folders are now. Nothing may write to it."""
    entries = checkpoint_library().entries()
    folders = (*evaluation_folders(), timing_folder())
    stamps = tuple(folder.stat().st_mtime_ns if folder.is_dir() else 0 for folder in folders)
    return _standings(dataset, tuple((entry.name, entry.digest) for entry in entries), stamps, entries)


@st.cache_resource(max_entries=8, show_spinner=False)
def _standings(
    dataset: str, known: tuple[object, ...], stamps: tuple[int, ...], _entries: list[CheckpointEntry]
) -> list[Standing]:
    return leaderboard(_entries, dataset)


@st.cache_data(max_entries=200, show_spinner=False)
def summarized(fingerprint: str, _evaluation: Evaluation) -> Summary:
    """Figures of an evaluation."""
    return summarize(_evaluation)


@st.cache_data(max_entries=64, show_spinner=False)
def class_table(fingerprint: str, _evaluation: Evaluation) -> pd.DataFrame:
    """`metrics.class_table` of an evaluation."""
    return metrics.class_table(_evaluation.labels, _evaluation.logits)


@st.cache_resource(max_entries=64, show_spinner=False)
def digit_table(fingerprint: str, _evaluation: Evaluation) -> pd.DataFrame:
    """`metrics.digit_table` of an evaluation. Nothing may write to it."""
    return metrics.digit_table(_evaluation.ids, _evaluation.labels, _evaluation.logits)


@st.cache_resource(max_entries=64, show_spinner=False)
def confusion(fingerprint: str, _evaluation: Evaluation) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """`metrics.confusion_matrix` and `metrics.confused_pairs` of an evaluation. Nothing may write to them."""
    matrix = metrics.confusion_matrix(_evaluation.labels, _evaluation.logits)
    return matrix, metrics.confused_pairs(matrix)


# Charts, as specifications: to build one takes longer than all else on its page. Nothing may write to them.


@st.cache_resource(max_entries=64, show_spinner=False)
def reliability_diagram(fingerprint: str, _evaluation: Evaluation) -> dict[str, Any]:
    """`charts.reliability_diagram` of an evaluation."""
    table = metrics.reliability_table(_evaluation.labels, _evaluation.logits)
    return charts.specification(charts.reliability_diagram(table))


@st.cache_resource(max_entries=64, show_spinner=False)
def confidence_histogram(fingerprint: str, _evaluation: Evaluation) -> dict[str, Any]:
    """`charts.confidence_histogram` of an evaluation."""
    return charts.specification(charts.confidence_histogram(digit_table(fingerprint, _evaluation)))


@st.cache_resource(max_entries=64, show_spinner=False)
def coverage_chart(fingerprint: str, coverage: float, _evaluation: Evaluation) -> dict[str, Any]:
    """`charts.coverage_chart` of an evaluation."""
    return charts.specification(charts.coverage_chart(_coverage_table(fingerprint, _evaluation), coverage=coverage))


@st.cache_resource(max_entries=64, show_spinner=False)
def _coverage_table(fingerprint: str, _evaluation: Evaluation) -> pd.DataFrame:
    return metrics.coverage_table(_evaluation.labels, _evaluation.logits)


@st.cache_resource(max_entries=256, show_spinner=False)
def confusion_heatmap(
    fingerprint: str,
    *,
    by_confusion: bool,
    normalised: str | None,
    logarithmic: bool,
    diagonal: bool,
    selected: tuple[str, str],
    _evaluation: Evaluation,
) -> dict[str, Any]:
    """`charts.confusion_heatmap` of an evaluation, its digits in natural order or by confusion."""
    matrix, _ = confusion(fingerprint, _evaluation)
    chart = charts.confusion_heatmap(
        matrix,
        order=metrics.confusion_order(matrix) if by_confusion else list(range(10)),
        normalised=normalised,
        logarithmic=logarithmic,
        diagonal=diagonal,
        selected=selected,
    )
    return charts.specification(chart)


@st.cache_data(max_entries=64, show_spinner=False)
def time_per_digit(name: str, digest: str) -> float:
    """Milliseconds that a checkpoint takes for one digit on this machine."""
    return known_milliseconds(digest) or milliseconds_per_digit(classifier(name))


def reference_digits() -> DigitSet:
    """Training digits to look for similar ones among; validation digits where there are no others."""
    if not is_available("mnist-train"):
        return digits("mnist-validation")
    return _first_training_digits()


@st.cache_resource(max_entries=1, show_spinner="Reading the training digits ...")
def _first_training_digits() -> DigitSet:
    return load_digits("mnist-train").subset(np.arange(_REFERENCE_DIGITS))


@st.cache_resource(max_entries=8, show_spinner="Looking at the training digits ...")
def reference_features(name: str, digest: str, reference: str) -> NDArray[np.float32]:
    """Features (N, F) of the reference digits. Nothing may write to them."""
    return classifier(name).features(reference_digits().images)


@st.cache_data(max_entries=10, show_spinner=False)
def gauge_reference(digit: int) -> dict[str, NDArray[np.float64]]:
    """`shape.measure` of MNIST's validation digits of one class, which are always there."""
    validation = digits("mnist-validation")
    return shape.measure(validation.images[validation.labels == digit])


# Why a network answers as it does: kept, since a page runs again without a new drawing too.


@st.cache_resource(max_entries=256, show_spinner=False)
def drawn_layers(described: str, *, side: int, pieces: int) -> NDArray[np.uint8]:
    """`drawing.render_object` of an object given as JSON. Nothing may write to it."""
    return render_object(json.loads(described), side=side, pieces=pieces)


@st.cache_data(max_entries=64, show_spinner="Looking where the network looked ...")
def attributions(name: str, digest: str, image: NDArray[np.uint8], digit: int) -> dict[str, NDArray[np.float32]]:
    """Maps (28, 28) of what speaks for a digit, by what they mean; of an ONNX file there is one only."""
    of = classifier(name)
    covered = {"occlusion:\nwhat is lost\nwithout that ink": explanation.occlusion(of, image, digit=digit)}
    if not explanation.has_gradients(of):
        return covered
    return {
        "integrated\ngradients: what\nits ink adds": explanation.integrated_gradients(of, image, digit=digit),
        **covered,
        "saliency: where\na little ink\nchanges most": explanation.saliency(of, image, digit=digit),
    }


@st.cache_data(max_entries=64, show_spinner="Looking for a small change ...")
def smallest_change(name: str, digest: str, image: NDArray[np.uint8], towards: int) -> explanation.Change | None:
    """`explanation.smallest_change`."""
    return explanation.smallest_change(classifier(name), image, towards=towards)


# Two checkpoints and more; nothing may write to what comes back. Names belong to the keys, since they are shown.

Keys = tuple[tuple[str, str], ...]


def keys(*evaluations: Evaluation) -> Keys:
    """What stands for evaluations where they are not compared: their names and fingerprints."""
    return tuple((evaluation.checkpoint, evaluation.fingerprint) for evaluation in evaluations)


@st.cache_resource(max_entries=64, show_spinner=False)
def compared(keys: Keys, _a: Evaluation, _b: Evaluation) -> tuple[comparison.Comparison, pd.DataFrame]:
    """`comparison.compare` and `comparison.compare_per_digit`."""
    return comparison.compare(_a, _b), comparison.compare_per_digit(_a, _b)


@st.cache_resource(max_entries=64, show_spinner=False)
def pair_table(keys: Keys, _a: Evaluation, _b: Evaluation) -> pd.DataFrame:
    """One row a digit: `id`, `true`, `a` and `b` (the answers), `outcome`, `apart` (how far the two probabilities of
    the label lie from each other); those furthest apart first.
    """
    of_a, of_b = digit_table(_a.fingerprint, _a), digit_table(_b.fingerprint, _b)
    table = pd.DataFrame(
        {
            "id": of_a["id"],
            "true": of_a["true"],
            "a": of_a["predicted"],
            "b": of_b["predicted"],
            "outcome": comparison.outcomes(_a, _b),
            "apart": (np.exp(-of_a["loss"]) - np.exp(-of_b["loss"])).abs(),
        }
    )
    return table.sort_values("apart", ascending=False, kind="stable")


@st.cache_resource(max_entries=64, show_spinner=False)
def answer_heatmap(keys: Keys, selected: tuple[str, str], _a: Evaluation, _b: Evaluation) -> dict[str, Any]:
    """A's answers against B's, clickable."""
    matrix = comparison.answer_matrix(_a, _b)
    titles = (f"{_a.checkpoint} says", f"{_b.checkpoint} says")
    return charts.specification(
        charts.confusion_heatmap(matrix, order=list(range(10)), selected=selected, titles=titles)
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def difference_heatmap(keys: Keys, _a: Evaluation, _b: Evaluation) -> dict[str, Any]:
    """`charts.confusion_difference` of two evaluations."""
    matrices = [confusion(each.fingerprint, each)[0] for each in (_a, _b)]
    return charts.specification(charts.confusion_difference(*matrices))


@st.cache_resource(max_entries=64, show_spinner=False)
def per_digit_chart(keys: Keys, _a: Evaluation, _b: Evaluation) -> dict[str, Any]:
    """`charts.per_digit_chart` of two evaluations."""
    return charts.specification(charts.per_digit_chart(compared(keys, _a, _b)[1]))


@st.cache_resource(max_entries=16, show_spinner="Comparing all pairs ...")
def pairs(keys: Keys, _evaluations: list[Evaluation]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """`comparison.compare_pairs` and its chart, fewest errors first."""
    table = comparison.compare_pairs(_evaluations)
    names = [each.checkpoint for each in sorted(_evaluations, key=lambda each: each.errors)]
    return table, charts.specification(charts.pair_matrix(table, names))


@st.cache_resource(max_entries=16, show_spinner=False)
def average(keys: Keys, _evaluations: list[Evaluation]) -> Evaluation:
    """`comparison.average_evaluations`."""
    return comparison.average_evaluations(_evaluations, name="their average")


@st.cache_resource(max_entries=64, show_spinner=False)
def cost_chart(table: pd.DataFrame, *, cost: str, title: str, selected: str | None) -> dict[str, Any]:
    """`charts.cost_chart`."""
    return charts.specification(charts.cost_chart(table, cost=cost, title=title, selected=selected))
