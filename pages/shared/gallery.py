"""A gallery of many digits: click one, or move with the arrow keys, which go on however long the page takes."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2.types import ComponentRenderer

from digitcore.imaging.png import digit_sheet

_HERE = Path(__file__).parent
_COLUMNS = 25  # of the sheet that the tiles are cut from; the page wraps as it likes
_SIDE = 56  # pixels, 2 to each of the 28

MOST_TILES = 500
"""What one gallery shows at a time."""


@dataclass(frozen=True)
class Tile:
    """One digit of a gallery."""

    id: int
    caption: str
    alt: str
    marked: bool = False


def tile_sheet(images: NDArray[np.uint8]) -> str:
    """Images (N, S, S), one a tile, as `gallery` takes them; encoding them takes longer than all else about it."""
    return digit_sheet(images, columns=_COLUMNS)


def gallery(
    tiles: list[Tile],
    sheet: str,
    *,
    picked: int | None,
    picks: str,
    key: str,
    follow: bool = True,
    fragment: str | None = None,
    label: str = "Digits",
) -> None:
    """Shows the pictures of `tile_sheet`, one a tile; a click puts the tile's id under `picks` in the session state.

    With `follow`, moving with the arrow keys picks a tile as well; without, only a click, Enter or the space bar does.
    A pick reruns the fragment with the key `fragment`, where that is given, instead of the one that the gallery is in.
    `label` is what a screen reader calls the gallery.
    """
    _component()(
        key=key,
        data={
            "key": key,
            "label": label,
            "sheet": sheet,
            "columns": _COLUMNS,
            "side": _SIDE,
            "tiles": [asdict(tile) for tile in tiles],
            "picked": picked,
            "revision": _revision(key, picked),
            "follow": follow,
        },
        default={"picked": None},
        on_picked_change=lambda: _pick(key, picks, fragment),
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    return st.components.v2.component(
        "digit_gallery",
        html='<div class="gallery" role="group"></div>',
        css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
        js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
    )


def _pick(key: str, picks: str, fragment: str | None) -> None:
    picked = st.session_state[key]["picked"]["id"]
    st.session_state[picks] = picked
    _, revision = st.session_state.get(_known(key), (None, 0))
    st.session_state[_known(key)] = picked, revision
    if fragment is not None:
        st.rerun(fragment)


def _revision(key: str, picked: int | None) -> int:
    """Grows where something else than the gallery has picked; the gallery itself may be ahead of this run."""
    known, revision = st.session_state.get(_known(key), (None, 0))
    if picked != known:
        revision += 1
        st.session_state[_known(key)] = picked, revision
    return int(revision)


def _known(key: str) -> str:
    """Where the session state has what the gallery shows as picked, and the revision."""
    return f"{key}-known"
