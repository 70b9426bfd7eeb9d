"""The digits of a set, first those that the model gets wrong: filter them, look at one, star it and take notes."""

import io
import zipfile

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.data.written_forms import WRITTEN, forms_of
from digitcore.errors import AnnotationError
from digitcore.evaluation.evaluation import Evaluation
from digitcore.models.classifier import DigitClassifier
from digitcore.store.annotations import Annotation
from pages.shared.corrections import corrections_of
from pages.shared.csv_button import csv_button
from pages.shared.digit_gallery import digit_gallery
from pages.shared.digit_panel import digit_panel
from pages.shared.error_box import show_error
from pages.shared.evaluations import cached_digit_table
from pages.shared.pickers import picked_evaluation, picked_pictures
from pages.shared.resources import annotations
from pages.shared.slices import slice_filter
from pages.shared.state import ANY, EXPLORE, FORM, PREDICTED, TRUE, WRITER

_DIGITS = [str(digit) for digit in range(10)]
_SHOWN = ["errors", "all digits", "starred", "corrected"]
_SORTS = {
    "most confident first": ("confidence", False),
    "least confident first": ("confidence", True),
    "greatest loss first": ("loss", False),
    "least margin first": ("margin", True),
    "by id": ("id", True),
}


@st.fragment(key=EXPLORE)
def explore(classifier: DigitClassifier, evaluation: Evaluation, pictures: DigitSet | None) -> None:
    """One fragment: filters, gallery and the picked digit."""
    rows = _sorted(_filtered(cached_digit_table(evaluation), evaluation))
    left, right = st.columns([4, 3], gap="medium")
    with left:
        digit_gallery(rows, evaluation, pictures, key="errors-gallery")
        _exports(rows, evaluation, pictures)
    with right:
        digit_panel([(classifier, evaluation)], pictures, rows["id"].tolist())


def _filtered(table: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    dataset, writers = evaluation.dataset, evaluation.writers
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        show = st.selectbox("Show", _SHOWN, key="show", bind="query-params", width=130)
        true = st.selectbox("True digit", [ANY, *_DIGITS], key=TRUE, bind="query-params", width=90)
        predicted = st.selectbox("Answer", [ANY, *_DIGITS], key=PREDICTED, bind="query-params", width=90)
        labels = st.selectbox("Disputed", [ANY, "disputed", "undisputed"], key="labels", bind="query-params", width=130)
        forms = _forms(table, dataset)
        form = st.selectbox("Form", [ANY, *forms], key=FORM, bind="query-params", width=170) if forms else ANY
        known = [] if writers is None else [str(writer) for writer in np.unique(writers)]
        writer = st.selectbox("Writer", [ANY, *known], key=WRITER, bind="query-params", width=100) if known else ANY
        in_slice = slice_filter(dataset)
        st.selectbox("Order", list(_SORTS), key="sort", bind="query-params", width=190)
        low, high = st.slider(
            "Confidence", 0.0, 1.0, (0.0, 1.0), 0.0005, format="percent", key="confidence", bind="query-params",
            width=200,
        )  # fmt: skip
    inside = table["confidence"].between(low, high)
    if show == "errors":
        inside &= ~table["right"]
    elif show == "starred":
        inside &= table["id"].isin([digit for digit, annotation in _annotations(dataset).items() if annotation.starred])
    elif show == "corrected":
        inside &= table["id"].isin(list(corrections_of(dataset)))
    if true != ANY:
        inside &= table["true"] == int(true)
    if predicted != ANY:
        inside &= table["predicted"] == int(predicted)
    if labels != ANY:
        inside &= table["id"].isin(list(disputed_ids(dataset))) == (labels == "disputed")
    if form != ANY:
        inside &= pd.Series(forms_of(table["id"].to_numpy()), index=table.index) == form
    if writer != ANY:
        inside &= writers == int(writer)
    if in_slice is not None:
        inside &= in_slice
    return table[inside]


def _forms(table: pd.DataFrame, dataset: str) -> list[str]:
    """The forms of the set's digits, where they are known."""
    return list(dict.fromkeys(forms_of(table["id"].to_numpy()))) if dataset == WRITTEN else []


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    order = st.session_state.get("sort", "most confident first")
    column, ascending = _SORTS[order]
    return rows.sort_values(column, ascending=ascending, kind="stable")


def _annotations(dataset: str) -> dict[int, Annotation]:
    try:
        return annotations().load(dataset)
    except AnnotationError as error:
        show_error(error)
        return {}


def _exports(rows: pd.DataFrame, evaluation: Evaluation, pictures: DigitSet | None) -> None:
    name = f"{evaluation.checkpoint}-{evaluation.dataset}"
    with st.container(horizontal=True, gap="small"):
        csv_button("CSV", lambda: _with_annotations(rows, evaluation.dataset), f"{name}.csv", disabled=rows.empty)
        if pictures is not None:
            st.download_button(
                "PNGs (zip)", lambda: _zip(rows, pictures), f"{name}.zip", icon=":material/download:",
                disabled=rows.empty,
            )  # fmt: skip


def _with_annotations(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    known = _annotations(dataset)
    row_annotations = [known.get(digit, Annotation()) for digit in rows["id"]]
    return rows.assign(
        disputed=rows["id"].isin(list(disputed_ids(dataset))),
        starred=[annotation.starred for annotation in row_annotations],
        note=[annotation.note for annotation in row_annotations],
    )


def _zip(rows: pd.DataFrame, pictures: DigitSet) -> bytes:
    buffer = io.BytesIO()
    positions, answers = rows.index.to_numpy(), rows[["id", "true", "predicted"]].to_numpy()
    with zipfile.ZipFile(buffer, "w") as archive:
        for position, (digit, true, predicted) in zip(positions, answers, strict=True):
            png = io.BytesIO()
            Image.fromarray(pictures.images[position]).save(png, format="PNG")
            archive.writestr(f"{digit:05d}-true-{true}-answer-{predicted}.png", png.getvalue())
    return buffer.getvalue()


st.title("Browse digits", anchor=False)
st.caption("The errors of the picked model first. Click a digit to see why, to star it or to take notes.")
explore(*picked_evaluation(), picked_pictures())
