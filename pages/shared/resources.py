"""Every cache of the pages. Each has `max_entries`, and its arguments change when what it holds would."""

from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.checkpoints import CheckpointLibrary
from digitcore.classifier import DigitClassifier
from digitcore.datasets import DigitSet, load_digits
from digitcore.evaluation import Summary, find_evaluation, summarize
from digitcore.settings import load_settings


def library() -> CheckpointLibrary:
    """The weights folder, shared by all visitors."""
    return _library(str(load_settings().weights_directory))


@st.cache_resource(max_entries=4, show_spinner=False)
def _library(directory: str) -> CheckpointLibrary:
    return CheckpointLibrary(Path(directory))


def classifier(name: str) -> DigitClassifier:
    """The checkpoint of this name as the file is now; the library keeps the networks."""
    return DigitClassifier(library().load(name))


def summary(name: str, dataset: str) -> Summary | None:
    """Figures of a checkpoint where they are known already."""
    return _summary(name, classifier(name).checkpoint.digest, dataset)


@st.cache_data(max_entries=500, show_spinner=False)
def _summary(name: str, digest: str, dataset: str) -> Summary | None:  # digest: for the cache
    evaluation = find_evaluation(library().load(name), dataset)
    return None if evaluation is None else summarize(evaluation)


@st.cache_resource(max_entries=4, show_spinner="Reading the digits ...")
def digits(dataset: str) -> DigitSet:
    """The digits of a set. Nothing may write to them."""
    return load_digits(dataset)


@st.cache_data(max_entries=1, show_spinner=False)
def sample_digits() -> list[NDArray[np.uint8]]:
    """One digit (28, 28) of each class that is always there."""
    validation = digits("mnist-validation")
    return [validation.images[validation.labels == digit][0] for digit in range(10)]
