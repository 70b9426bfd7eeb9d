"""What all visitors share: the checkpoints, the digits, the database. Nothing may write to what comes back."""

import streamlit as st

from digitcore.data.datasets import (
    DigitSet,
    handwriting_digits,
    is_available,
    is_handwriting,
    load_digits,
    load_handwriting,
)
from digitcore.data.own_datasets import own_dataset
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import CheckpointLibrary, shared_library
from digitcore.serving.guard import names_of
from digitcore.settings import load_settings
from digitcore.store.annotations import AnnotationStore
from digitcore.store.classes import ClassStore
from digitcore.store.corrections import CorrectionStore
from digitcore.store.handwriting import HandwritingStore


def checkpoint_library() -> CheckpointLibrary:
    """The weights folder."""
    return shared_library(load_settings().weights_directory)


def named_classifier(name: str) -> DigitClassifier:
    """The checkpoint of this name as the file is now; the library keeps the networks."""
    return DigitClassifier(checkpoint_library().load(name))


def may_add() -> bool:
    """Whether visitors may add checkpoints to the weights folder, and rename and remove what was added."""
    uploads = load_settings().uploads
    return uploads == "on" or (uploads == "local" and bool(names_of(st.get_option("server.address"))))


def annotations() -> AnnotationStore:
    """Stars and notes."""
    return _annotation_store(load_settings().database_url)


def _bytes(text: str) -> bytes:
    """Bytes to know a text by, such as the address of a database in a folder whose name the locale cannot tell."""
    return text.encode(errors="surrogatepass")


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={str: _bytes})
def _annotation_store(url: str) -> AnnotationStore:
    return AnnotationStore(url)


def handwriting_store() -> HandwritingStore:
    """All notebooks."""
    settings = load_settings()
    return _handwriting_store(settings.database_url, settings.max_notebook_digits, settings.max_handwritten_digits)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={str: _bytes})
def _handwriting_store(url: str, most: int, most_together: int) -> HandwritingStore:
    return HandwritingStore(url, most=most, most_together=most_together)


def class_store() -> ClassStore:
    """All classes."""
    settings = load_settings()
    return _class_store(settings.database_url, settings.max_notebook_digits, settings.max_handwritten_digits)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={str: _bytes})
def _class_store(url: str, most: int, most_together: int) -> ClassStore:
    return ClassStore(url, most=most, most_together=most_together)


def correction_store() -> CorrectionStore:
    """Corrected labels of all sets."""
    return _correction_store(load_settings().database_url)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={str: _bytes})
def _correction_store(url: str) -> CorrectionStore:
    return CorrectionStore(url)


def state_of(dataset: str) -> str:
    """A text that tells sets apart which have had the same name one after the other."""
    own = own_dataset(dataset)
    return f"{own.digest} {own.added}" if own else ""


def cached_digits(dataset: str) -> DigitSet:
    """`load_digits` of a set."""
    return _written_digits(dataset) if is_handwriting(dataset) else _loaded_digits(dataset, state_of(dataset))


@st.cache_resource(max_entries=4, show_spinner="Reading the digits ...")
def _loaded_digits(dataset: str, state: str) -> DigitSet:
    return load_digits(dataset)


@st.cache_resource(max_entries=8, show_spinner=False)
def _written_digits(dataset: str) -> DigitSet:
    return handwriting_digits(load_handwriting(dataset))


def digits_if_available(dataset: str) -> DigitSet | None:
    """The digits of a set, or None where its files are not on this machine."""
    return cached_digits(dataset) if is_available(dataset) else None
