"""Where a drawing lies among the digits of the data: the most similar ones, and the confusion cell it falls into."""

import streamlit as st

from digitcore.models.classifier import DigitClassifier
from pages.parts.draw.read import ReadDigit
from pages.shared.background import placeholder, result_if_ready
from pages.shared.evaluations import cached_confusion, known_evaluation
from pages.shared.pickers import picked_classifier, picked_dataset
from pages.shared.similar import LOOKING, reference_dataset, reference_job, show_similar
from pages.shared.state import show_cell
from pages.shared.words import dataset_label, percent

_MOST = 12


def similar_panel(digit: ReadDigit) -> None:
    """The digits most like the network's input, and the cell that a drawing meant as another digit falls into."""
    classifier = picked_classifier()
    reference = result_if_ready("similar", reference_job, classifier, reference_dataset())
    if reference is None:
        placeholder(LOOKING)
    else:
        show_similar(classifier, digit.prediction.model_input, reference, count=_MOST)
    meant = st.pills("I drew a", range(10), key="meant", persist_state="session")
    if meant is not None:
        _cell(classifier, meant, digit.prediction.digit)


def _cell(classifier: DigitClassifier, true: int, predicted: int) -> None:
    dataset = picked_dataset()
    evaluation = known_evaluation(classifier.checkpoint, dataset)
    words = f"True digit {true}, answer {predicted}"
    if evaluation is not None:
        matrix, _ = cached_confusion(evaluation)
        count, total = int(matrix[true, predicted]), int(matrix[true].sum())
        words += f": {count:,} of the {total:,} in {dataset_label(dataset)} ({percent(count / total)})" if total else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{words}.", width="content")
        if st.button("See them", icon=":material/grid_on:", key="to-cell"):
            show_cell(true, predicted)
