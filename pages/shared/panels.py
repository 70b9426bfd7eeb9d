"""Pieces of pages: what was picked, what the network says, what it saw."""

import html
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.data.datasets import DigitSet, download_mnist
from digitcore.errors import DigitcoreError
from digitcore.evaluation.evaluation import Evaluation
from digitcore.imaging.png import png_address
from digitcore.imaging.preprocessing import Preprocessed
from digitcore.models.architectures import CLASS_NAMES
from digitcore.models.checkpoints import CheckpointMetadata
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.library import CheckpointEntry
from digitcore.models.numbers import FoundDigit, NumberReading
from digitcore.text import plain
from pages.shared import resources
from pages.shared.state import CHECKPOINT, DATASET, forget_digit

_DATASETS = ("mnist-test", "mnist-validation", "uci-digits", "pen-digits")
_STYLE = """<style>
.digit-answer {display: flex; align-items: center; justify-content: space-between; gap: 1rem; min-height: 200px}
.digit-answer p {margin: 0; text-align: center; min-width: 7.5rem}
.digit-answer b {display: block; font-size: 8rem; line-height: 8.5rem}
.digit-answer.empty b {opacity: .3}
.digit-number b {font-size: min(8rem, 19rem / var(--digits))}
.digit-answer.digit-number.refused b {font-size: min(4.5rem, 19rem / var(--digits))}
.digit-number .picture {position: relative; width: 168px}
.digit-number .picture i {position: absolute; outline: 2px solid #5b9ae6}
.found-digits {display: flex; flex-wrap: wrap; gap: 1rem; margin-top: .75rem; min-height: 228px; align-content: start;
  font-variant-numeric: tabular-nums; text-align: center}
.found-digits b {display: block; font-size: 1.5rem; line-height: 2rem}
.found-digits figure {margin: 0; width: 72px}
.found-digits .refused b {opacity: .4}
.found-digits img {image-rendering: pixelated; outline: 1px solid rgba(128, 128, 128, .5)}
.digit-answer strong {display: block; font-size: 1.25rem}
.digit-answer.refused b {opacity: .4; font-size: 4.5rem; line-height: 5rem}
.digit-bars {display: grid; grid-template-columns: 1rem 1fr 3.6rem; gap: .2rem .6rem; align-items: center;
  font-variant-numeric: tabular-nums; margin-top: .75rem}
.digit-bars .track {height: .8rem; border-radius: .2rem; background: rgba(128, 128, 128, .18)}
.digit-bars .bar {height: 100%; border-radius: .2rem; background: rgba(128, 128, 128, .8); transition: width .12s}
.digit-bars .best {font-weight: 700}
.digit-bars .bar.best {background: #2f74c8}
.digit-bars span:nth-child(3n) {text-align: right}
.digit-stages {display: flex; flex-wrap: wrap; gap: 1rem}
.digit-stages.small {gap: .5rem}
.digit-stages figure, .digit-answer figure {margin: 0}
figure figcaption {font-size: .8rem; opacity: .8; margin-top: .3rem; white-space: pre-line}
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
    entries = resources.checkpoint_library().entries()
    usable = [entry.name for entry in entries if entry.problem is None]
    if usable:
        start = usable.index(resources.checkpoint_library().default_name())
        st.selectbox("Checkpoint", usable, index=start, key=CHECKPOINT, bind="query-params")
        _describe(next(entry for entry in entries if entry.name == st.session_state[CHECKPOINT]))
    else:
        st.warning(f"No usable checkpoint in {resources.checkpoint_library().directory}.", icon=":material/warning:")
    unusable = [entry for entry in entries if entry.problem is not None]
    if unusable:
        with st.expander(f"{len(unusable)} unusable", icon=":material/warning:"):
            for entry in unusable:
                st.caption(f"**{plain(entry.path.name)}**: {plain(str(entry.problem))}")


def dataset_picker() -> None:
    """The sidebar's second picker."""
    st.selectbox("Digits", _DATASETS, key=DATASET, bind="query-params", on_change=forget_digit)


def picked_dataset() -> str:
    """The set of digits that the sidebar names."""
    dataset: str = st.session_state[DATASET]
    return dataset


def picked_evaluation() -> tuple[DigitClassifier, Evaluation]:
    """The picked checkpoint on the picked digits; says so where it has seen them in training.

    Raises:
        DigitcoreError: no checkpoint is usable, or the digits are missing and have never been evaluated.
    """
    classifier = picked_classifier()
    warn_of_training([classifier])
    return classifier, resources.evaluation(classifier, picked_dataset())


def warn_of_training(classifiers: Iterable[DigitClassifier]) -> None:
    """Says which of these checkpoints have seen the picked digits in training, and which do not say."""
    metadata = {each.checkpoint.name: each.checkpoint.metadata for each in classifiers}
    seen = [name for name, said in metadata.items() if picked_dataset() in said.trained_on]
    silent = [name for name, said in metadata.items() if not said.trained_on]
    if seen:
        st.warning(f"Trained on these digits: {plain(', '.join(seen))}. Figures on them say little.")
    if silent:
        st.caption(f":material/info: What it was trained on is not said by: {plain(', '.join(silent))}.")


def picked_pictures() -> DigitSet | None:
    """The pictures of the picked digits, or None and a way to get them."""
    found = resources.digits_if_here(picked_dataset())
    if found is None and not picked_dataset().startswith("mnist"):
        st.info("The pictures of these digits are not on this machine.", icon=":material/image_not_supported:")
    elif found is None:
        st.info(
            "The pictures of MNIST are not on this machine; every figure is there all the same. "
            "The download takes 12 MB and is verified.",
            icon=":material/image_not_supported:",
        )
        if st.button("Download MNIST", icon=":material/download:", key="download-mnist"):
            bar = st.progress(0.0, "Downloading MNIST ...")
            for done in download_mnist():
                bar.progress(done, "Downloading MNIST ...")
            st.rerun()
    return found


def picked_classifier() -> DigitClassifier:
    """The checkpoint that the sidebar names.

    Raises:
        CheckpointError: none is usable.
    """
    name = st.session_state.get(CHECKPOINT) or resources.checkpoint_library().default_name()
    return resources.classifier(name)


def _describe(entry: CheckpointEntry) -> None:
    lines = [f"{entry.parameters:,} parameters"]
    if entry.metadata is not None and input_of(entry.metadata):
        lines.append(f"input: {input_of(entry.metadata)}")
    found = resources.summary(entry.name, "mnist-test")
    if found is not None:
        low, high = found.interval
        lines.append(
            f"{found.errors} errors in {found.digits:,} MNIST test digits: {found.accuracy:.2%} right "
            f"(95 % interval {low:.2%} to {high:.2%})"
        )
    st.caption("  \n".join(lines))


def figures_row(figures: Mapping[str, tuple[str, str]]) -> None:
    """Figures beside each other, by name: each as it is shown, and what it means."""
    st.html("<style>[data-testid=stMetricValue] {font-size: 1.5rem}</style>")  # no theme option does it for both themes
    with st.container(horizontal=True, gap="medium"):
        for name, (value, meaning) in figures.items():
            st.metric(name, value, help=meaning, width="content")


def input_of(metadata: CheckpointMetadata) -> str:
    """How an ONNX file takes its digits, and how that is known; nothing for checkpoints of our own networks."""
    taken = metadata.provenance.get("input")
    return (
        f"{taken['scale']}, {taken['ink']} ink, {taken['source']}" if metadata.architecture == "onnx" and taken else ""
    )


def answer_panel(prediction: Prediction) -> None:
    """The digit, large, how sure the network is, what it saw, and the ten probabilities.

    Where the answer is refused the reason comes first, and the digit stands back.
    """
    refusal = prediction.refusal
    _answer(
        prediction.probabilities,
        words=f"{percent(prediction.confidence)} sure" if refusal is None else refusal.advice,
        headline="" if refusal is None else refusal.kind.capitalize(),
        seen=prediction.model_input,
        caption="what the network sees",
    )


def evaluated_panel(probabilities: NDArray[np.float32], *, label: int, image: NDArray[np.uint8] | None) -> None:
    """The same for a digit whose label is known, with its picture (28, 28) where that is here."""
    predicted = int(probabilities.argmax())
    words = "right" if predicted == label else f"wrong: it is a {label}"
    words = f"{words}, {percent(float(probabilities[predicted]))} sure"
    _answer(probabilities, words=words, headline="", seen=image, caption=f"labelled {label}")


def _answer(
    probabilities: NDArray[np.float32], *, words: str, headline: str, seen: NDArray[np.uint8] | None, caption: str
) -> None:
    best = int(probabilities.argmax())
    figure = ""
    if seen is not None:
        picture = _image(seen, longest=168, alt=f"28 by 28 pixels, {caption}")
        figure = f'<figure data-testid="model-input">{picture}<figcaption>{caption}</figcaption></figure>'
    rows = "".join(_bar(digit, float(p), best=digit == best) for digit, p in enumerate(probabilities))
    spoken = html.escape(_in_words(probabilities))
    st.html(
        f'{_STYLE}<div class="digit-answer{" refused" if headline else ""}"><p role="status">'
        f'<strong data-testid="refusal">{html.escape(headline)}</strong>'
        f'<b data-testid="answer">{best}</b><span data-testid="confidence">{html.escape(words)}</span></p>'
        f"{figure}</div>"
        f'<div class="digit-bars" role="img" aria-label="{spoken}">{rows}</div>'
    )


def number_panel(reading: NumberReading) -> None:
    """Several digits, large, where they stand in the picture, and each of them; as high as `answer_panel`."""
    height, width = reading.ink.shape
    boxes = "".join(
        f'<i style="left: {left / width:.2%}; top: {top / height:.2%}; width: {(right - left) / width:.2%}; '
        f'height: {(bottom - top) / height:.2%}"></i>'
        for left, top, right, bottom in (digit.box for digit in reading.digits)
    )
    picture = _image(reading.ink, longest=168, alt=f"the picture with {len(reading.digits)} digits framed")
    words = f"{percent(reading.confidence)} sure of all" if reading.reason is None else reading.reason
    st.html(
        f'{_STYLE}<div class="digit-answer digit-number{"" if reading.accepted else " refused"}" '
        f'style="--digits: {len(reading.number)}"><p role="status">'
        f'<b data-testid="answer">{reading.number}</b><span data-testid="confidence">{html.escape(words)}</span></p>'
        f'<figure><div class="picture" data-testid="found">{picture}{boxes}</div>'
        f"<figcaption>each read on its own</figcaption></figure></div>"
        f'<div class="found-digits">{"".join(map(_found, reading.digits))}</div>'
    )


def _found(digit: FoundDigit) -> str:
    said = digit.prediction
    picture = _image(said.model_input, longest=72, alt=f"28 by 28 pixels, read as {said.digit}")
    words = percent(said.confidence) if said.refusal is None else said.refusal.kind
    return (
        f'<figure class="{"" if said.accepted else "refused"}">{picture}<b>{said.digit}</b>'
        f"<figcaption>{html.escape(words)}</figcaption></figure>"
    )


def pictures_row(
    pictures: Iterable[tuple[NDArray[np.uint8], str]], *, longest: int = 50, name: str = "pictures"
) -> None:
    """Small pictures of ink, or coloured ones (H, W, 3), beside each other, each with its caption of one or more lines.

    `longest` is the longer side in pixels, `name` what tests find the row by.
    """
    figures = "".join(
        f"<figure>{_image(pixels, longest=longest, alt=words)}<figcaption>{html.escape(words)}</figcaption></figure>"
        for pixels, words in pictures
    )
    st.html(f'{_STYLE}<div class="digit-stages small" data-testid="{name}">{figures}</div>')


def nothing_yet_panel(words: str) -> None:
    """Takes the room of `answer_panel`, so that nothing jumps when the answer comes."""
    rows = "".join(f'<span>{name}</span><div class="track"></div><span></span>' for name in CLASS_NAMES)
    st.html(
        f'{_STYLE}<div class="digit-answer empty"><p><b>?</b><span data-testid="nothing-yet">{html.escape(words)}'
        f'</span></p></div><div class="digit-bars" aria-hidden="true">{rows}</div>'
    )


def percent(share: float) -> str:
    """Share as per cent; never "100 %" or "0 %" of something that is not certain."""
    if share >= 0.9995:
        return ">99.9%"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


def said(digit: int, confidence: float, prediction: Prediction) -> str:
    """Another answer beside the one that was given: "7, 98.0%", or "1 instead, 61.0%"."""
    return f"{digit}{'' if digit == prediction.digit else ' instead'}, {percent(confidence)}"


def _bar(digit: int, probability: float, *, best: bool) -> str:
    mark = "best" if best else ""
    bar = f'<div class="bar {mark}" style="width:{probability:.2%}"></div>'
    return (
        f'<span class="{mark}">{digit}</span><div class="track" title="{probability:.9f}">{bar}</div>'
        f'<span class="{mark}">{percent(probability)}</span>'
    )


def _in_words(probabilities: NDArray[np.float32]) -> str:
    return "Probabilities: " + ", ".join(f"{digit}: {percent(float(p))}" for digit, p in enumerate(probabilities))


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
    """An <img> of ink (H, W), light on black, or of colours (H, W, 3), its longer side `longest` pixels."""
    scale = longest / max(pixels.shape)
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return f'<img alt="{html.escape(alt)}" width="{width}" height="{height}" src="{png_address(pixels)}">'
