"""The gallery of rows of `metrics.digit_table`, shared by the pages that show digits of an evaluation."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.evaluation.evaluation import Evaluation
from pages.shared.gallery import MOST_TILES, Tile, gallery, tile_sheet
from pages.shared.state import DIGIT, SHEET, picked_digit
from pages.shared.words import percent

_HEADS = {"true": "true digit", "predicted": "answer", "a": "answer of A", "b": "answer of B"}
"""Of the columns of the table."""


def digit_gallery(rows: pd.DataFrame, evaluation: Evaluation, pictures: DigitSet | None, *, key: str) -> None:
    """At most `MOST_TILES` of these rows, in their order; a click picks the digit. Without pictures, a table."""
    st.caption(_count(rows, pictures))
    columns = ["id", "true", "predicted", "confidence"]
    _tiles_or_table(rows, columns, _tile, evaluation.dataset, pictures, key=key)


def answers_gallery(
    rows: pd.DataFrame, answers: list[str], dataset: str, pictures: DigitSet | None, *, key: str
) -> None:
    """The same for rows with `id`, `true` and several answers, in these columns."""
    st.caption(_count(rows, pictures) + ("" if rows.empty else " Below each: true digit → answers."))
    _tiles_or_table(rows, ["id", "true", *answers], _answers_tile, dataset, pictures, key=key)


def _tiles_or_table(
    rows: pd.DataFrame,
    columns: list[str],
    tile: Callable[..., Tile],
    dataset: str,
    pictures: DigitSet | None,
    *,
    key: str,
) -> None:
    """The first rows as a gallery, `tile` being given the values of these columns; without pictures, as a table."""
    if rows.empty:
        return
    first = rows.iloc[:MOST_TILES]
    if pictures is None:
        with st.container(key=f"{key}-table"):  # laid out as the gallery is
            st.dataframe(first[columns], hide_index=True, height=260, column_config=_HEADS)
        return
    disputed = disputed_ids(dataset)
    values = zip(*(first[column].tolist() for column in columns), strict=True)
    tiles = [tile(digit, *answers, disputed=digit in disputed) for digit, *answers in values]
    sheet = tile_sheet(pictures.images[first.index.to_numpy()])
    gallery(tiles, sheet, picked=picked_digit(), picks=DIGIT, key=key, fragment=SHEET)


def _count(rows: pd.DataFrame, pictures: DigitSet | None) -> str:
    if rows.empty:
        return "No digits here."
    words = f"{len(rows):,} digits" if len(rows) > 1 else "1 digit"
    if len(rows) > MOST_TILES:
        words += f", the first {MOST_TILES} shown"
    return words + (
        "." if pictures is None else ". Arrow keys move from one to the next; dashed frame: disputed digit."
    )


def _tile(digit: int, true: int, predicted: int, confidence: float, *, disputed: bool) -> Tile:
    answer = str(true) if true == predicted else f"{true}→{predicted}"
    alt = f"digit {digit}: true digit {true}, answer {predicted}, {percent(confidence)} sure"
    caption = f"{answer} {int(100 * confidence)}%"  # rounded down: none is certain
    return Tile(digit, caption, alt + (", disputed" if disputed else ""), disputed)


def _answers_tile(digit: int, true: int, *answers: int, disputed: bool) -> Tile:
    words = [str(answer) for answer in answers]
    caption = f"{true}→{'|'.join(words) if len(set(words)) > 1 else words[0]}"
    alt = f"digit {digit}: true digit {true}, answers {', '.join(words)}" + (", disputed" if disputed else "")
    return Tile(digit, caption, alt, disputed)
