"""Several models: which differences are real, which digits all get wrong, and how their average does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from digitcore.evaluation.comparison import cochran_q, compare, frequency
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL, basis
from digitcore.text import plain
from pages.parts.compare.comparisons import cached_average, cached_pairs, pairs_specification
from pages.shared.corrections import note_labels
from pages.shared.csv_button import csv_button
from pages.shared.digit_gallery import answers_gallery
from pages.shared.digit_panel import digit_panel
from pages.shared.evaluations import cached_summary, evaluation_of, standings
from pages.shared.pickers import picked_dataset, picked_pictures, warn_of_training
from pages.shared.resources import named_classifier
from pages.shared.state import CHOSEN, DIGIT, EXPLORE, NEED_TWO, compare_two

_MOST = 20
_START = 5
_COMMON = "common"


def several_view() -> None:
    """Several checkpoints on the picked digits."""
    names = [standing.entry.name for standing in standings(picked_dataset())]
    if len(names) < 2:
        st.info(NEED_TWO)
        return
    unknown = [name for name in st.query_params.get_all(CHOSEN) if name not in names]
    if unknown:
        st.warning(f"There is no model {plain(', '.join(unknown))}.", icon=":material/warning:")
    chosen = st.multiselect(
        "Models", sorted(names), default=sorted(names[:_START]), key=CHOSEN, bind="query-params",
        max_selections=_MOST, placeholder="Pick two or more",
    )  # fmt: skip
    if len(chosen) < 2:
        st.info("Pick two models or more.")
        return
    classifiers = [named_classifier(name) for name in chosen]
    warn_of_training(classifiers)
    evaluations = [evaluation_of(classifier, picked_dataset()) for classifier in classifiers]
    note_labels(evaluations[0])
    left, right = st.columns([11, 10], gap="large")
    with left:
        _pairs(evaluations)
    with right:
        _average(evaluations)
    _common_errors(evaluations)


def _pairs(evaluations: Sequence[Evaluation]) -> None:
    st.header("Which differences are real?", anchor=False)
    overall = cochran_q(evaluations)
    words = "They are not all equally good" if overall.p < SIGNIFICANCE_LEVEL else "They may all be equally good"
    words += f": differences this large happen by chance {frequency(overall.p)}"
    st.markdown(
        f"{words} (Cochran's Q = {overall.statistic:.1f}, {overall.degrees_of_freedom} degrees of freedom, "
        f"{basis(cached_summary(evaluations[0]).writers)})."
    )
    table, summary = cached_pairs(evaluations), cached_summary(evaluations[0])
    st.vega_lite_chart(pairs_specification(evaluations), key="pairs", on_select=_open_pair)
    st.caption(
        f"Filled: a real difference (p below 0.05, {basis(summary.writers)}, after Holm's correction for "
        f"{len(table)} {'pairs' if len(table) > 1 else 'pair'}). Click a cell for the two alone, without correction."
    )
    with st.expander("All pairs", icon=":material/table:"), st.container(key="outside-pairs"):
        percent = {name: 100 * table[name] for name in ("difference", "low", "high")}
        number = st.column_config.NumberColumn
        st.dataframe(
            table.drop(columns="digits").assign(**percent), hide_index=True,
            column_config={
                "difference": number("accuracy, B minus A, %", format="%+.2f"), "low": number("from", format="%+.2f"),
                "high": number("to", format="%+.2f"), "p": number("p", format="%.2g"),
                "mid_p": number("p by digit", format="%.2g", help="As if each digit were of another person (McNemar)."),
                "holm_p": number("p, Holm", format="%.2g"),
            },
        )  # fmt: skip
        csv_button("CSV", lambda: table, "pairs.csv")


def _open_pair() -> None:
    for pair in st.session_state["pairs"]["selection"].get("pair", [])[:1]:
        compare_two(pair["row"], pair["column"])


def _average(evaluations: Sequence[Evaluation]) -> None:
    st.header("Their average as one classifier", anchor=False)
    average = cached_average(evaluations)
    best = min(evaluations, key=lambda evaluation: (evaluation.errors, cached_summary(evaluation).nll))
    st.markdown(f"Against its best member: **{plain(compare(best, average).verdict)}**.")
    rows = []
    for evaluation in (average, *sorted(evaluations, key=lambda evaluation: evaluation.errors)):
        summary = cached_summary(evaluation)
        low, high = summary.interval
        rows.append(
            (
                summary.checkpoint,
                summary.errors,
                f"{summary.accuracy:.2%} ({low:.2%} to {high:.2%})",
                summary.nll,
                100 * summary.ece,
            )
        )
    table = pd.DataFrame(rows, columns=["model", "errors", "accuracy (95%)", "log loss", "calibration error, %"])
    st.container(key="outside-average").dataframe(
        table, hide_index=True,
        column_config={
            "log loss": st.column_config.NumberColumn(format="%.4f"),
            "calibration error, %": st.column_config.NumberColumn(format="%.2f"),
        },
    )  # fmt: skip
    note = "Mean of the members' probabilities."
    if average.dataset == "mnist-test":
        note += " Members picked by these figures flatter them: pick on mnist-validation."
    st.caption(note)


@st.fragment(key=EXPLORE)
def _common_errors(evaluations: Sequence[Evaluation]) -> None:
    st.header("Hard digits", anchor=False)
    right = np.stack([evaluation.predictions == evaluation.labels for evaluation in evaluations])
    count = right.sum(axis=0)
    groups = {
        "all wrong": count == 0,
        "one right": count == 1,
        "one wrong": count == len(evaluations) - 1,
        "some wrong": count < len(evaluations),
    }
    group = st.segmented_control(
        "Digits", list(groups), default="all wrong", required=True, key=_COMMON, bind="query-params",
        label_visibility="collapsed", on_change=_forget_digit,
    )  # fmt: skip
    st.caption(" · ".join(f"{name}: {int(inside.sum()):,}" for name, inside in groups.items()))
    rows = pd.DataFrame({"id": evaluations[0].ids, "true": evaluations[0].labels})
    names = []
    for i, evaluation in enumerate(evaluations, start=1):
        rows[f"answer {i}"] = evaluation.predictions
        names.append(f"answer {i}")
    pictures = picked_pictures()
    left, side = st.columns([11, 10], gap="large")
    with left:
        answers_gallery(rows[groups[group]], names, evaluations[0].dataset, pictures, key="common-gallery")
        st.caption("Answers are in the order of the models above.")
    with side:
        reader = named_classifier(evaluations[0].checkpoint), evaluations[0]
        digit_panel([reader], pictures, rows["id"][groups[group]].tolist())


def _forget_digit() -> None:
    st.session_state[DIGIT] = None
