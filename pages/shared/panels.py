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

from digitcore.architectures import CLASS_NAMES
from digitcore.checkpoints import CheckpointEntry
from digitcore.classifier import DigitClassifier, Prediction
from digitcore.errors import DigitcoreError
from digitcore.preprocessing import Preprocessed
from pages.shared import resources

_CHECKPOINT_KEY = "checkpoint"
_STYLE = """<style>
.digit-answer {display: flex; align-items: center; justify-content: space-between; gap: 1rem; min-height: 200px}
.digit-answer p {margin: 0; text-align: center; min-width: 7.5rem}
.digit-answer b {display: block; font-size: 8rem; line-height: 8.5rem}
.digit-answer.refused b {opacity: .3}
.digit-bars {display: grid; grid-template-columns: 1rem 1fr 3.6rem; gap: .2rem .6rem; align-items: center;
  font-variant-numeric: tabular-nums; margin-top: .75rem}
.digit-bars .track {height: .8rem; border-radius: .2rem; background: rgba(128, 128, 128, .18)}
.digit-bars .bar {height: 100%; border-radius: .2rem; background: rgba(128, 128, 128, .8); transition: width .12s}
.digit-bars .best {font-weight: 700}
.digit-bars .bar.best {background: #2f74c8}
.digit-bars span:nth-child(3n) {text-align: right}
.digit-stages {display: flex; flex-wrap: wrap; gap: 1rem}
.digit-stages figure, .digit-answer figure {margin: 0}
figure figcaption {font-size: .8rem; opacity: .8; margin-top: .3rem}
.digit-stages .frame {width: 140px; height: 140px; display: flex; align-items: center; justify-content: center;
  background: #000}
.digit-stages img, .digit-answer img {image-rendering: pixelated; display: block; max-width: none;
  outline: 1px solid rgba(128, 128, 128, .5)}
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
    """The digit, large, how sure the network is, what it saw, and the ten probabilities."""
    refused = "" if prediction.accepted else " refused"
    words = f"{_percent(prediction.confidence)} sure" if prediction.reason is None else prediction.reason
    seen = _image(prediction.model_input, longest=168, alt="What the network sees: 28 by 28 pixels")
    rows = "".join(
        _bar(digit, float(p), best=digit == prediction.digit) for digit, p in enumerate(prediction.probabilities)
    )
    spoken = html.escape(_in_words(prediction.probabilities))
    st.html(
        f'{_STYLE}<div class="digit-answer{refused}"><p role="status"><b data-testid="answer">{prediction.digit}</b>'
        f'<span data-testid="confidence">{html.escape(words)}</span></p>'
        f'<figure data-testid="model-input">{seen}<figcaption>what the network sees</figcaption></figure></div>'
        f'<div class="digit-bars" role="img" aria-label="{spoken}">{rows}</div>'
    )


def nothing_yet_panel(words: str) -> None:
    """Takes the room of `answer_panel`, so that nothing jumps when the answer comes."""
    rows = "".join(f'<span>{name}</span><div class="track"></div><span></span>' for name in CLASS_NAMES)
    st.html(
        f'{_STYLE}<div class="digit-answer refused"><p><b>?</b><span data-testid="nothing-yet">{html.escape(words)}'
        f'</span></p></div><div class="digit-bars" aria-hidden="true">{rows}</div>'
    )


def _percent(share: float) -> str:
    """A share as per cent; never "100 %" or "0 %" of something that is not certain."""
    if share >= 0.9995:
        return ">99.9%"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


def _bar(digit: int, probability: float, *, best: bool) -> str:
    mark = "best" if best else ""
    bar = f'<div class="bar {mark}" style="width:{probability:.2%}"></div>'
    return (
        f'<span class="{mark}">{digit}</span><div class="track" title="{probability:.9f}">{bar}</div>'
        f'<span class="{mark}">{_percent(probability)}</span>'
    )


def _in_words(probabilities: NDArray[np.float32]) -> str:
    return "Probabilities: " + ", ".join(f"{digit}: {_percent(float(p))}" for digit, p in enumerate(probabilities))


def stages_panel(preprocessed: Preprocessed) -> None:
    """How the picture came to be the network's input, stage by stage."""
    stages = [
        (preprocessed.ink, "1. the ink"),
        (preprocessed.cropped, "2. cropped"),
        (preprocessed.fitted, "3. fitted to 20 pixels"),
        (preprocessed.model_input, "4. its mass centred"),
    ]
    figures = "".join(
        f'<figure><div class="frame">{_image(pixels, longest=140, alt=caption)}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
        for pixels, caption in stages
    )
    st.html(f'{_STYLE}<div class="digit-stages">{figures}</div>')


def _image(pixels: NDArray[np.uint8], *, longest: int, alt: str) -> str:
    """An <img> of ink (H, W), light on black, its longer side `longest` pixels."""
    scale = longest / max(pixels.shape)
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
