"""Pieces of pages: what was picked, what the network says, what it saw."""

import base64
import html
import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from digitcore.checkpoints import CheckpointEntry
from digitcore.classifier import DigitClassifier, Prediction
from digitcore.errors import DigitcoreError
from digitcore.preprocessing import Preprocessed
from pages.shared import resources

_CHECKPOINT_KEY = "checkpoint"
_STYLE = """<style>
.digit-answer {display: flex; align-items: center; gap: 1.25rem; min-height: 7rem}
.digit-answer b {font-size: 6.5rem; line-height: 7rem; min-width: 4rem; text-align: center}
.digit-answer.refused b {opacity: .35}
.digit-bars {display: grid; grid-template-columns: 1rem 1fr 3.6rem; gap: .3rem .6rem; align-items: center;
  font-variant-numeric: tabular-nums}
.digit-bars .track {height: .85rem; border-radius: .2rem; background: rgba(128, 128, 128, .18)}
.digit-bars .bar {height: 100%; border-radius: .2rem; background: rgba(128, 128, 128, .75); transition: width .12s}
.digit-bars .best {font-weight: 700}
.digit-bars .bar.best {background: #2f7ed8}
.digit-bars span:nth-child(3n) {text-align: right}
.digit-stages {display: flex; flex-wrap: wrap; gap: 1rem}
.digit-stages figure, .digit-input figure {margin: 0}
.digit-stages figcaption, .digit-input figcaption {font-size: .875rem; opacity: .75; margin-top: .35rem}
.digit-stages .frame {width: 112px; height: 112px; display: flex; align-items: center; justify-content: center;
  background: #000}
.digit-stages img, .digit-input img {image-rendering: pixelated; display: block; max-width: none}
</style>"""


@contextmanager
def error_box() -> Iterator[None]:
    """Shows what a user can mend instead of a traceback."""
    try:
        yield
    except DigitcoreError as error:
        st.error(str(error), icon=":material/error:")


def checkpoint_picker() -> None:
    """The sidebar's picker; its choice holds on every page and in the address."""
    entries = resources.library().entries()
    usable = [entry.name for entry in entries if entry.problem is None]
    if usable:
        start = usable.index(resources.library().default_name())
        st.selectbox("Checkpoint", usable, index=start, key=_CHECKPOINT_KEY, bind="query-params")
        _describe(next(entry for entry in entries if entry.name == st.session_state[_CHECKPOINT_KEY]))
    unusable = [entry for entry in entries if entry.problem is not None]
    if unusable:
        with st.expander(f"{len(unusable)} unusable", icon=":material/warning:"):
            for entry in unusable:
                st.caption(f"**{entry.path.name}**: {entry.problem}")


def picked_classifier() -> DigitClassifier:
    """The checkpoint that the sidebar names.

    Raises:
        CheckpointError: none is usable.
    """
    name = st.session_state.get(_CHECKPOINT_KEY) or resources.library().default_name()
    return resources.classifier(name)


def _describe(entry: CheckpointEntry) -> None:
    lines = [f"{entry.parameters:,} parameters"]
    found = resources.summary(entry.name, "mnist-test")
    if found is not None:
        low, high = found.interval
        lines.append(
            f"{found.errors} errors in {found.digits:,} MNIST test digits: {found.accuracy:.2%} right "
            f"(95 % interval {low:.2%} to {high:.2%})"
        )
    st.caption("  \n".join(lines))


def answer_panel(prediction: Prediction) -> None:
    """The digit, large, how sure the network is, and the ten probabilities."""
    refused = "" if prediction.accepted else " refused"
    words = f"{prediction.confidence:.1%} sure"
    if prediction.reason is not None:
        words = f"Not accepted: {prediction.reason}"
    rows = "".join(
        _bar(digit, float(p), best=digit == prediction.digit) for digit, p in enumerate(prediction.probabilities)
    )
    st.html(
        f'{_STYLE}<div class="digit-answer{refused}" role="status"><b data-testid="answer">{prediction.digit}</b>'
        f'<span data-testid="confidence">{html.escape(words)}</span></div>'
        f'<div class="digit-bars" role="img" aria-label="{_in_words(prediction.probabilities)}">{rows}</div>'
    )


def _bar(digit: int, probability: float, *, best: bool) -> str:
    mark = " best" if best else ""
    return (
        f'<span class="{mark.strip()}">{digit}</span><div class="track"><div class="bar{mark}" '
        f'style="width:{probability:.2%}"></div></div><span class="{mark.strip()}">{probability:.1%}</span>'
    )


def _in_words(probabilities: NDArray[np.float32]) -> str:
    return "Probabilities: " + ", ".join(f"{digit}: {p:.1%}" for digit, p in enumerate(probabilities))


def input_panel(preprocessed: Preprocessed) -> None:
    """What the network sees, large, and how the picture came to be."""
    stages = [
        (preprocessed.ink, "ink"),
        (preprocessed.cropped, "cropped"),
        (preprocessed.fitted, "fitted to 20 pixels"),
        (preprocessed.model_input, "centred in 28×28"),
    ]
    figures = "".join(
        f'<figure><div class="frame">{_image(pixels, longest=112, alt=caption)}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
        for pixels, caption in stages
    )
    large = _image(preprocessed.model_input, longest=196, alt="What the network sees: 28 by 28 pixels")
    st.html(f'{_STYLE}<div class="digit-input"><figure data-testid="model-input">{large}</figure></div>')
    st.caption("How it came to be")
    st.html(f'{_STYLE}<div class="digit-stages">{figures}</div>')


def _image(pixels: NDArray[np.uint8], *, longest: int, alt: str) -> str:
    """An <img> of ink (H, W), light on black, its longer side `longest` pixels."""
    scale = longest / max(pixels.shape)
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
