"""What is computed from two evaluations or more, and its charts. Nothing may write to what comes back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from digitcore.evaluation.comparison import (
    Comparison,
    answer_matrix,
    average_evaluations,
    compare,
    compare_pairs,
    compare_per_digit,
    outcomes,
)
from digitcore.evaluation.evaluation import Evaluation
from digitcore.reports import charts
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.evaluations import cached_confusion, cached_digit_table


class Pair(NamedTuple):
    """Two evaluations of the same digits."""

    a: Evaluation
    b: Evaluation


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_comparison(pair: Pair) -> Comparison:
    """`compare` of a pair."""
    return compare(*pair)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_per_digit(pair: Pair) -> pd.DataFrame:
    """`compare_per_digit` of a pair."""
    return compare_per_digit(*pair)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_answers(pair: Pair) -> pd.DataFrame:
    """One row for each digit: `id`, `true`, `a` and `b` (the answers), `outcome`, `apart` (how far the two
    probabilities of the label lie from each other); those furthest apart first.
    """
    a, b = map(cached_digit_table, pair)
    table = pd.DataFrame(
        {
            "id": a["id"],
            "true": a["true"],
            "a": a["predicted"],
            "b": b["predicted"],
            "outcome": outcomes(*pair),
            "apart": (np.exp(-a["loss"]) - np.exp(-b["loss"])).abs(),
        }
    )
    return table.sort_values("apart", ascending=False, kind="stable")


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def answers_specification(pair: Pair, selected: tuple[str, str]) -> dict[str, Any]:
    """A's answers against B's, clickable."""
    titles = (f"answer of {pair.a.checkpoint}", f"answer of {pair.b.checkpoint}")
    chart = charts.confusion_heatmap(answer_matrix(*pair), order=list(range(10)), selected=selected, titles=titles)
    return charts.specification(chart)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def difference_specification(pair: Pair) -> dict[str, Any]:
    """`charts.confusion_difference` of a pair."""
    (a, _), (b, _) = map(cached_confusion, pair)
    return charts.specification(charts.confusion_difference(a, b))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def per_digit_specification(pair: Pair) -> dict[str, Any]:
    """`charts.per_digit_chart` of a pair."""
    return charts.specification(charts.per_digit_chart(cached_per_digit(pair)))


@st.cache_resource(max_entries=16, show_spinner="Comparing all pairs ...", hash_funcs=HASH_FUNCS)
def cached_pairs(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """`compare_pairs`."""
    return compare_pairs(evaluations)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def pairs_specification(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """`charts.pair_matrix` of all pairs, fewest errors first."""
    names = [evaluation.checkpoint for evaluation in sorted(evaluations, key=lambda evaluation: evaluation.errors)]
    return charts.specification(charts.pair_matrix(cached_pairs(evaluations), names))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_average(evaluations: Sequence[Evaluation]) -> Evaluation:
    """`average_evaluations`."""
    return average_evaluations(evaluations, name="their average")


@st.cache_resource(max_entries=64, show_spinner=False)
def cost_specification(table: pd.DataFrame, *, cost: str, title: str, selected: str | None) -> dict[str, Any]:
    """`charts.cost_chart` of a table."""
    return charts.specification(charts.cost_chart(table, cost=cost, title=title, selected=selected))
