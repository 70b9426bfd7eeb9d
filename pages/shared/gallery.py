"""A gallery of many digits: click one, or move with the arrow keys."""

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


def gallery(tiles: list[Tile], sheet: str, *, picked: int | None, picks: str, key: str) -> None:
    """Shows the pictures of `tile_sheet`, one a tile; a click puts the tile's id under `picks` in the session state."""
    _component()(
        key=key,
        data={
            "sheet": sheet,
            "columns": _COLUMNS,
            "side": _SIDE,
            "tiles": [asdict(tile) for tile in tiles],
            "picked": picked,
        },
        default={"picked": picked},
        on_picked_change=lambda: _pick(key, picks),
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    return st.components.v2.component(
        "digit_gallery",
        html='<div class="gallery" role="group" aria-label="Digits"></div>',
        css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
        js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
    )


def _pick(key: str, picks: str) -> None:
    st.session_state[picks] = st.session_state[key]["picked"]
