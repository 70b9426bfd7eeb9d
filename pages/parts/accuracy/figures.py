"""Tables and charts of one evaluation that the accuracy page alone shows. Nothing may write to what comes back."""

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.metrics import class_table, coverage_table, reliability_table
from digitcore.evaluation.timing import known_milliseconds, milliseconds_per_digit
from digitcore.models.classifier import DigitClassifier
from digitcore.reports import charts
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.evaluations import cached_digit_table


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_class_table(evaluation: Evaluation) -> pd.DataFrame:
    """`class_table` of an evaluation."""
    return class_table(evaluation.labels, evaluation.logits, writers=evaluation.writers)


def class_columns() -> dict[str, ColumnConfig]:
    """How the columns of `cached_class_table` are headed and explained, in percent."""
    helps = {
        "precision": (
            "precision",
            "How far its answer can be trusted: of the digits answered so, the share that is so.",
        ),
        "recall": ("recall", "How much of it is recognised: of these true digits, the share that is answered right."),
        "f1": ("F1", "Precision and recall in one figure: their harmonic mean."),
    }
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    columns: dict[str, ColumnConfig] = {"digit": number("true digit"), "support": number("digits")}
    columns |= {name: number(label, format="%.2f", help=meaning) for name, (label, meaning) in helps.items()}
    return columns | {
        f"{name} interval": text("95%", help="95% interval, which allows for writers where they are known.")
        for name in helps
    }


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def reliability_specification(evaluation: Evaluation) -> dict[str, Any]:
    """`charts.reliability_diagram` of an evaluation."""
    table = reliability_table(evaluation.labels, evaluation.logits, writers=evaluation.writers)
    return charts.specification(charts.reliability_diagram(table))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def confidence_specification(evaluation: Evaluation) -> dict[str, Any]:
    """`charts.confidence_histogram` of an evaluation."""
    return charts.specification(charts.confidence_histogram(cached_digit_table(evaluation)))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def coverage_specification(evaluation: Evaluation, coverage: float) -> dict[str, Any]:
    """`charts.coverage_chart` of an evaluation, with a mark at this coverage."""
    return charts.specification(charts.coverage_chart(_cached_coverage_table(evaluation), coverage=coverage))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def _cached_coverage_table(evaluation: Evaluation) -> pd.DataFrame:
    return coverage_table(evaluation.labels, evaluation.logits, writers=evaluation.writers)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def cached_milliseconds(classifier: DigitClassifier) -> float:
    """Milliseconds that a checkpoint takes for one digit on this machine."""
    return known_milliseconds(classifier.checkpoint.digest) or milliseconds_per_digit(classifier)
