"""Model A against model B: which is better, and on which digits they differ."""

import pandas as pd
import streamlit as st

from digitcore.data.datasets import DigitSet
from digitcore.evaluation.comparison import LEAST_WRITERS, Comparison
from digitcore.evaluation.intervals import basis
from digitcore.evaluation.slices import slice_columns
from digitcore.models.classifier import DigitClassifier
from digitcore.reports.charts import ALL
from digitcore.text import plain
from pages.parts.compare.comparisons import (
    Pair,
    answers_specification,
    cached_answers,
    cached_comparison,
    cached_per_digit,
    difference_specification,
    per_digit_specification,
)
from pages.parts.compare.slices import slice_by_slice
from pages.shared.corrections import note_labels
from pages.shared.digit_gallery import answers_gallery
from pages.shared.digit_panel import digit_panel
from pages.shared.error_box import error_box
from pages.shared.evaluations import evaluation_of
from pages.shared.metric_row import metric_row
from pages.shared.pickers import picked_dataset, picked_pictures, warn_of_training
from pages.shared.resources import annotations, checkpoint_library, named_classifier
from pages.shared.slices import slice_filter
from pages.shared.state import ANY, CHECKPOINT, DIGIT, EITHER, EXPLORE, NEED_TWO, OUTCOME, SAYS_A, SAYS_B, TRUE, A, B

_DIGITS = [str(digit) for digit in range(10)]
_DIFFER, _ALIKE = "they differ", "wrong alike"
_SHOW = ("only A", "only B", "neither", "both right", _DIFFER, _ALIKE)
_TILES = {
    "both right": "both right",
    "only A": "only {a} right",
    "only B": "only {b} right",
    "neither": "neither right",
    _ALIKE: "wrong alike",
}
_ANSWERS, _ERRORS, _BY_DIGIT, _BY_SLICE = "Answers", "Errors", "Digit by digit", "Slice by slice"
_HEATMAP = "pair-heatmap"


def pair_view() -> None:
    """Two checkpoints on the picked digits."""
    names = checkpoint_library().usable_names()
    if len(names) < 2:
        st.info(NEED_TWO)
        return
    a, b = _pick_two(names)
    if a is None or b is None or a == b:
        st.info("Pick two different models.")
        return
    classifiers = named_classifier(a), named_classifier(b)
    warn_of_training(classifiers)
    pair = Pair(*(evaluation_of(classifier, picked_dataset()) for classifier in classifiers))
    note_labels(pair.a)
    _explore(classifiers, pair, picked_pictures())


def _pick_two(names: list[str]) -> tuple[str | None, str | None]:
    """The two picked names; both are always in the address, so that it means the same pair everywhere.

    The pickers are not bound to the address, since that would leave out what equals a default, and defaults vary.
    """
    addressed = [name for name in (st.query_params.get(A), st.query_params.get(B)) if name is not None]
    unknown = [name for name in addressed if name not in names]
    if unknown:
        st.warning(f"There is no model {plain(', '.join(unknown))}.", icon=":material/warning:")
    for key in (A, B):
        if st.session_state.get(key) not in names:
            st.session_state[key] = st.query_params.get(key) if st.query_params.get(key) in names else None
    if not unknown and None in (st.session_state[A], st.session_state[B]):
        st.session_state[A], st.session_state[B] = _completed(st.session_state[A], st.session_state[B], names)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        a = st.selectbox("A", names, key=A, width=220)
        st.button("", icon=":material/swap_horiz:", help="Swap A and B", on_click=_swap, key="swap")
        b = st.selectbox("B", names, key=B, width=220)
    for key, name in ((A, a), (B, b)):
        if name is not None and st.query_params.get(key) != name:
            st.query_params[key] = name
    return a, b


def _completed(a: str | None, b: str | None, names: list[str]) -> tuple[str, str]:
    """Two different names: what is picked, else the sidebar's for B and another for A."""
    if b is None:
        b = next(name for name in (st.session_state.get(CHECKPOINT), *names) if name in names and name != a)
    return a or next(name for name in names if name != b), b


def _swap() -> None:
    st.session_state[A], st.session_state[B] = st.session_state[B], st.session_state[A]


@st.fragment(key=EXPLORE)
def _explore(
    classifiers: tuple[DigitClassifier, DigitClassifier],
    pair: Pair,
    pictures: DigitSet | None,
) -> None:
    """One fragment: verdict, tiles, charts, the digits behind them."""
    comparison = cached_comparison(pair)
    _headline(comparison)
    _tiles(comparison)
    left, right = st.columns([11, 10], gap="medium")
    with right:
        rows = _filtered(cached_answers(pair), pair.a.dataset)
    with left:
        _charts(pair)
    with right:
        answers_gallery(rows, ["a", "b"], pair.a.dataset, pictures, key="pair-gallery")
        readers = list(zip(classifiers, pair, strict=True))
        digit_panel(readers, pictures, rows["id"].tolist(), over=True)
    _report(classifiers, pair, pictures)


def _headline(comparison: Comparison) -> None:
    st.header(plain(comparison.verdict) + ".", anchor=False)
    (low, high), (plain_low, plain_high) = comparison.interval, comparison.plain_interval
    figures = {
        plain(comparison.a): (f"{comparison.errors_a:,} errors", "Errors of model A."),
        plain(comparison.b): (f"{comparison.errors_b:,} errors", "Errors of model B."),
        "Difference in accuracy": (
            f"{100 * comparison.difference:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f})",
            "How much more often B is right than A, in percentage points, with its 95% interval, "
            f"{basis(comparison.writers)}. As if each digit were of another person it is {100 * plain_low:+.2f} to "
            f"{100 * plain_high:+.2f} (Tango). The test decides; at the edge the interval may say otherwise.",
        ),
        "Chance alone": (f"p = {comparison.p:.2g}", "How often two equally good models would differ this much; below "
                         f"0.05, one is called better. {_test_words(comparison)}"),
        "Same answer": (f"{comparison.agreement:,} of {comparison.digits:,}", "Digits that both answer alike."),
    }  # fmt: skip
    metric_row(figures)
    if comparison.writers is not None and comparison.writers < LEAST_WRITERS:
        st.caption(f":material/info: {comparison.writers} writers are too few for a verdict: it takes {LEAST_WRITERS}.")


def _test_words(comparison: Comparison) -> str:
    by_digit = "Exact McNemar test, two-sided mid-p"
    if comparison.writers is None:
        return f"{by_digit}, {basis(None)}."
    return f"Sign-flip test, {basis(comparison.writers)}. {by_digit}, {basis(None)}: {comparison.mid_p:.2g}."


def _tiles(comparison: Comparison) -> None:
    counts = {
        "both right": comparison.both_right,
        "only A": comparison.only_a,
        "only B": comparison.only_b,
        "neither": comparison.neither,
        _ALIKE: comparison.alike_wrong,
    }
    with st.container(horizontal=True, gap="small"):
        for outcome, words in _TILES.items():
            st.button(
                f"**{counts[outcome]:,}** {words.format(a=plain(comparison.a), b=plain(comparison.b))}",
                key=f"tile-{outcome}", on_click=_show, args=(outcome,),
                type="primary" if st.session_state.get(OUTCOME) == outcome else "secondary",
            )  # fmt: skip


def _show(outcome: str) -> None:
    st.session_state.update({OUTCOME: outcome, TRUE: ANY, SAYS_A: ANY, SAYS_B: ANY, EITHER: ANY, DIGIT: None})


def _filtered(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        show = st.selectbox("Show", _SHOW, index=_SHOW.index(_DIFFER), key=OUTCOME, bind="query-params", width=125)
        pickers = {TRUE: "True digit", SAYS_A: "Answer of A", SAYS_B: "Answer of B", EITHER: "Of either"}
        answers = {
            key: st.selectbox(label, [ANY, *_DIGITS], key=key, bind="query-params", width=88)
            for key, label in pickers.items()
        }
        in_slice = slice_filter(dataset)
    if show == _DIFFER:
        inside = table["a"] != table["b"]
    elif show == _ALIKE:
        inside = (table["a"] == table["b"]) & (table["outcome"] == "neither")
    else:
        inside = table["outcome"] == show
    for key, column in ((TRUE, "true"), (SAYS_A, "a"), (SAYS_B, "b")):
        if answers[key] != ANY:
            inside &= table[column] == int(answers[key])
    if answers[EITHER] != ANY:
        inside &= (table["a"] == int(answers[EITHER])) | (table["b"] == int(answers[EITHER]))
    if in_slice is not None:
        inside &= in_slice[table.index]
    return table[inside]


def _charts(pair: Pair) -> None:
    charts = [_ANSWERS, _ERRORS, _BY_DIGIT, *([_BY_SLICE] if slice_columns(pair.a.dataset) else [])]
    chart = st.segmented_control(
        "Chart", charts, default=_ANSWERS, required=True, key="chart", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if chart == _ANSWERS:
        says_a, says_b = (
            ALL if st.session_state[key] == ANY else str(st.session_state[key]) for key in (SAYS_A, SAYS_B)
        )
        st.vega_lite_chart(
            answers_specification(pair, (says_a, says_b)), key=f"{_HEATMAP}-answers", on_select=_take_answers
        )  # fmt: skip
    elif chart == _ERRORS:
        st.vega_lite_chart(
            difference_specification(pair), key=f"{_HEATMAP}-errors", on_select=_take_errors
        )  # fmt: skip
        st.caption("Errors that B makes more often (+, orange) or less often (-, blue) than A.")
    elif chart == _BY_SLICE:
        slice_by_slice(pair)
    else:
        st.vega_lite_chart(per_digit_specification(pair))
        st.caption("Diamond: a real difference on this digit (p below 0.05, after Holm's correction for ten digits).")
        _per_digit_table(cached_per_digit(pair))


def _per_digit_table(table: pd.DataFrame) -> None:
    percent = {name: 100 * table[name] for name in ("difference", "low", "high")}
    rows = table[["digit", "digits", "errors_a", "errors_b", "difference", "low", "high", "holm_p"]].assign(**percent)
    number = st.column_config.NumberColumn
    st.dataframe(
        rows, hide_index=True, on_select=_take_digit, selection_mode="single-row", key="pair-digits",
        column_config={
            "digit": number("true digit"), "errors_a": number("errors of A"), "errors_b": number("errors of B"),
            "difference": number("recall, B minus A, %", format="%+.2f"), "low": number("from", format="%+.2f"),
            "high": number("to", format="%+.2f"),
            "holm_p": number("p", format="%.2g", help="How often chance alone makes such a gap, after Holm's "
                             "correction for ten digits."),
        },
    )  # fmt: skip


def _take_answers() -> None:
    """A click in the answers sets the pickers."""
    for cell in st.session_state[f"{_HEATMAP}-answers"]["selection"].get("cell", [])[:1]:
        a, b = (ANY if cell[name] == ALL else cell[name] for name in ("true", "predicted"))
        st.session_state.update(
            {SAYS_A: a, SAYS_B: b, TRUE: ANY, EITHER: ANY, DIGIT: None, OUTCOME: _DIFFER if a != b else "both right"}
        )


def _take_errors() -> None:
    for cell in st.session_state[f"{_HEATMAP}-errors"]["selection"].get("cell", [])[:1]:
        st.session_state.update(
            {TRUE: cell["true"], EITHER: cell["predicted"], SAYS_A: ANY, SAYS_B: ANY, DIGIT: None, OUTCOME: _DIFFER}
        )


def _take_digit() -> None:
    for row in st.session_state["pair-digits"]["selection"]["rows"]:
        st.session_state.update({TRUE: str(row), EITHER: ANY, SAYS_A: ANY, SAYS_B: ANY, DIGIT: None, OUTCOME: _DIFFER})


def _report(
    classifiers: tuple[DigitClassifier, DigitClassifier],
    pair: Pair,
    pictures: DigitSet | None,
) -> None:
    a, b = (classifier.checkpoint for classifier in classifiers)

    def report() -> str:
        from digitcore.reports.report import comparison_report  # here: it takes a second to import

        known = annotations().load(pair.a.dataset)
        return comparison_report(
            a,
            b,
            *pair,
            pictures=pictures,
            starred=[digit for digit, annotation in known.items() if annotation.starred],
            notes={digit: annotation.note for digit, annotation in known.items()},
        )

    with error_box():
        st.download_button(
            "Report (HTML)", report,
            f"{a.name}-against-{b.name}-{pair.a.dataset}.html", "text/html", icon=":material/description:",
            help="One file to keep or to send, with all figures, charts and galleries, stars and notes.",
        )  # fmt: skip
