"""A pad that asks for one digit after the other and sends each when the pen rests, without waiting for the server.

What it has sent comes again with each message until the server says that it is done, so nothing is lost on the way.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.imaging.strokes import Stroke

SIDE = 336
"""Of the pad, in the pixels of its strokes, however large it is shown."""
PAD = "pad"
"""Its key."""
_HERE = Path(__file__).parent
_MOST_STROKES, _MOST_POINTS = 60, 6_000
_LEAST, _GREATEST = -SIDE, 2 * SIDE  # of a coordinate: a pen may leave the pad and come back


@dataclass(frozen=True)
class PadState:
    """What the pad is told."""

    prompts: list[int]
    """The digits to be written next."""
    written: int
    """How many of `total` are written."""
    total: int
    done: int
    """The number of the last event that the server has dealt with."""
    problem: str
    """Why the last drawing was not counted; empty where it was."""


@dataclass(frozen=True, eq=False)
class PadEvent:
    """A digit that was written on the pad; without strokes, the wish to take the last one back."""

    number: int
    label: int
    strokes: list[Stroke]


def pad(state: PadState) -> None:
    """Shows the pad, whose events rerun the fragment that calls this."""
    _component()(key=PAD, data=asdict(state) | {"side": SIDE}, default={"queue": None}, on_queue_change=lambda: None)


def pad_events(*, after: int) -> list[PadEvent]:
    """What has happened on the pad since the event with this number; what no pad sends is left out."""
    queue = (st.session_state.get(PAD) or {}).get("queue") or []
    events = [_event(item) for item in queue[:200]] if isinstance(queue, list) else []
    return [event for event in events if event is not None and event.number > after]


def _event(item: object) -> PadEvent | None:
    if not isinstance(item, dict):
        return None
    number, label, strokes = item.get("number"), item.get("label"), item.get("strokes")
    if not isinstance(number, int) or not isinstance(label, int) or label not in range(10):
        return None
    if not isinstance(strokes, list):
        return None
    if len(strokes) > _MOST_STROKES or not all(map(_is_stroke, strokes)) or sum(map(len, strokes)) > _MOST_POINTS:
        return None
    return PadEvent(number, label, [np.array(stroke, dtype=np.float32) for stroke in strokes])


def _is_stroke(stroke: object) -> bool:
    return isinstance(stroke, list) and bool(stroke) and all(map(_is_point, stroke))


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(value, int | float) and math.isfinite(value) for value in point)
        and all(_LEAST <= value <= _GREATEST for value in point)
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    return st.components.v2.component(
        "digit_pad",
        html=(_HERE / "pad.html").read_text(encoding="utf-8"),
        css=(_HERE / "pad.css").read_text(encoding="utf-8"),
        js=(_HERE / "pad.js").read_text(encoding="utf-8"),
    )
