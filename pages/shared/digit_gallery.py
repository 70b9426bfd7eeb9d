"""The gallery of rows of `metrics.digit_table`, shared by the pages that show digits of an evaluation."""

import pandas as pd
import streamlit as st

from digitcore.datasets import DigitSet, disputed_ids
from digitcore.evaluation import Evaluation
from pages.shared.gallery import MOST_TILES, Tile, gallery
from pages.shared.panels import percent
from pages.shared.state import DIGIT


def digit_gallery(rows: pd.DataFrame, evaluation: Evaluation, pictures: DigitSet | None, *, key: str) -> None:
    """At most `MOST_TILES` of these rows, in their order; a click picks the digit. Without pictures, a table."""
    st.caption(_count(rows, pictures))
    if rows.empty:
        return
    shown = rows.iloc[:MOST_TILES]
    if pictures is None:
        st.dataframe(shown[["id", "true", "predicted", "confidence"]], hide_index=True, height=260)
        return
    disputed = disputed_ids(evaluation.dataset)
    tiles = [_tile(row, disputed=int(row.id) in disputed) for row in shown.itertuples()]
    gallery(tiles, pictures.images[shown.index.to_numpy()], picked=st.session_state.get(DIGIT), picks=DIGIT, key=key)


def _count(rows: pd.DataFrame, pictures: DigitSet | None) -> str:
    if rows.empty:
        return "No digits here."
    words = f"{len(rows):,} digits" if len(rows) > 1 else "1 digit"
    if len(rows) > MOST_TILES:
        words += f", the first {MOST_TILES} shown"
    return words + ("." if pictures is None else ". Arrow keys walk from one to the next; a dashed frame: disputed.")


def _tile(row, *, disputed: bool) -> Tile:  # noqa: ANN001  # itertuples' rows have no type
    confidence = percent(row.confidence)
    caption = str(row.true) if row.right else f"{row.true}→{row.predicted}"
    alt = f"digit {row.id}: {row.true} read as {row.predicted}, {confidence} sure"
    shown = f"{caption}  {int(100 * row.confidence)}%"  # rounded down: none is certain
    return Tile(int(row.id), shown, alt + (", label disputed" if disputed else ""), disputed)
