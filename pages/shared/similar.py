"""Where a drawing lies among the digits of the data: the most similar ones, and the confusion cell it falls into."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.models.classifier import DigitClassifier
from digitcore.models.explanation import nearest_rows
from pages.parts.draw.read import ReadDigit
from pages.shared import resources
from pages.shared.panels import percent, picked_classifier, picked_dataset, pictures_row
from pages.shared.state import show_cell

_MOST = 12


def similar_panel(digit: ReadDigit) -> None:
    """The digits most like the network's input, and the cell that a drawing meant as another digit falls into."""
    classifier = picked_classifier()
    similar_row(classifier, digit.prediction.model_input, count=_MOST)
    meant = st.pills("I drew a", range(10), key="meant", persist_state="session")
    if meant is not None:
        _cell(classifier, meant, digit.prediction.digit)


def similar_row(
    classifier: DigitClassifier, image: NDArray[np.uint8], *, count: int, but: tuple[str, int] | None = None
) -> None:
    """The training digits that look most like a model input (28, 28) to a network, with their labels.

    `but` is the set and the id of the digit that the picture is, which is most like itself.
    """
    reference = resources.reference_digits()
    features = resources.reference_features(classifier.checkpoint.name, classifier.checkpoint.digest, reference.name)
    rows, _ = nearest_rows(classifier, image, reference_features=features, count=count + 1)
    if but is not None and but[0] == reference.name:
        rows = rows[reference.ids[rows] != but[1]]
    st.caption(f"To this network most similar, among {len(reference):,} digits of {reference.name}, with their labels")
    pictures_row((reference.images[near], str(reference.labels[near])) for near in rows[:count])


def _cell(classifier: DigitClassifier, meant: int, read: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name, dataset = classifier.checkpoint.name, picked_dataset()
        known = resources.known_evaluation(name, classifier.checkpoint.digest, dataset)
        words = f"A {meant} read as {read}"
        if known is not None:
            matrix, _ = resources.confusion(known.fingerprint, known)
            count, total = int(matrix[meant, read]), int(matrix[meant].sum())
            words += f": {count:,} of the {total:,} in {dataset} ({percent(count / total)})" if total else ""
        st.markdown(f"{words}.", width="content")
        if st.button("See them", icon=":material/grid_on:", key="to-cell"):
            show_cell(meant, read)
