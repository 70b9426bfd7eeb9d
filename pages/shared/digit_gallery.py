"""The gallery of rows of `metrics.digit_table`, shared by the pages that show digits of an evaluation."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.evaluation.evaluation import Evaluation
from pages.shared.gallery import MOST_TILES, Tile, gallery, tile_sheet
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
    sheet = tile_sheet(pictures.images[shown.index.to_numpy()])
    gallery(tiles, sheet, picked=st.session_state.get(DIGIT), picks=DIGIT, key=key)


def _count(rows: pd.DataFrame, pictures: DigitSet | None) -> str:
    if rows.empty:
        return "No digits here."
    words = f"{len(rows):,} digits" if len(rows) > 1 else "1 digit"
    if len(rows) > MOST_TILES:
        words += f", the first {MOST_TILES} shown"
    return words + ("." if pictures is None else ". Arrow keys walk from one to the next; a dashed frame: disputed.")


def answers_gallery(
    rows: pd.DataFrame, answers: list[str], dataset: str, pictures: DigitSet | None, *, key: str
) -> None:
    """The same for rows with `id`, `true` and several answers, in these columns."""
    st.caption(_count(rows, pictures) + ("" if rows.empty else " Under each: its label → the answers."))
    if rows.empty:
        return
    shown = rows.iloc[:MOST_TILES]
    if pictures is None:
        st.dataframe(shown[["id", "true", *answers]], hide_index=True, height=260)
        return
    disputed = disputed_ids(dataset)
    given = shown[answers].astype(str).to_numpy()
    tiles = [
        _answers_tile(int(row.id), int(row.true), said, disputed=int(row.id) in disputed)
        for row, said in zip(shown.itertuples(), given, strict=True)
    ]
    sheet = tile_sheet(pictures.images[shown.index.to_numpy()])
    gallery(tiles, sheet, picked=st.session_state.get(DIGIT), picks=DIGIT, key=key)


def _answers_tile(digit: int, true: int, said: Sequence[str], *, disputed: bool) -> Tile:
    caption = f"{true}→{'|'.join(said) if len(set(said)) > 1 else said[0]}"
    alt = f"digit {digit}: {true} read as {', '.join(said)}" + (", label disputed" if disputed else "")
    return Tile(digit, caption, alt, disputed)


def _tile(row, *, disputed: bool) -> Tile:  # noqa: ANN001  # itertuples' rows have no type
    confidence = percent(row.confidence)
    caption = str(row.true) if row.right else f"{row.true}→{row.predicted}"
    alt = f"digit {row.id}: {row.true} read as {row.predicted}, {confidence} sure"
    shown = f"{caption}  {int(100 * row.confidence)}%"  # rounded down: none is certain
    return Tile(int(row.id), shown, alt + (", label disputed" if disputed else ""), disputed)
