"""Preprocessing: its stages, what each contributes, and how the result compares with MNIST."""

import streamlit as st

from digitcore.imaging.preprocessing import Preprocessed
from digitcore.imaging.shape import hint, placement, rank_shape
from digitcore.models.ablation import variants
from digitcore.models.classifier import Prediction
from pages.parts.draw.answer import other_answer
from pages.parts.draw.explanations import reference_shapes
from pages.parts.draw.read import ReadDigit
from pages.shared.pickers import picked_classifier
from pages.shared.pictures import inline_picture, pictures_row
from pages.shared.templates import show_template

_STAGE_SIDE = 140  # pixels


def preprocessing_panel(digit: ReadDigit) -> None:
    """The stages, the answers without each of them, and measures of the digit with at most one hint."""
    prediction = digit.prediction
    _stages(prediction.preprocessed)
    st.caption("What if a step were skipped?")
    pictures_row(
        (
            (variant.model_input, f"{variant.name}\n{other_answer(variant.digit, variant.confidence, prediction)}")
            for variant in variants(picked_classifier(), digit.image, prediction.preprocessed)
        ),
        longest=84,
        name="variants",
    )
    _shape_comparison(prediction)
    if digit.found is None:
        st.caption(_placed(prediction.preprocessed))


def _stages(preprocessed: Preprocessed) -> None:
    """How the picture came to be the network's input, stage by stage."""
    stages = {
        "1. Ink": preprocessed.ink,
        "2. Cropped": preprocessed.cropped,
        "3. Fitted to 20 pixels": preprocessed.fitted,
        "4. Centred": preprocessed.model_input,
    }
    pictures = [inline_picture(pixels, longest=_STAGE_SIDE, caption=caption) for caption, pixels in stages.items()]
    show_template("stages.html", stages=pictures)


def _shape_comparison(prediction: Prediction) -> None:
    digits = f"MNIST's {prediction.digit}s"
    reference = reference_shapes(prediction.digit)
    values = rank_shape(prediction.model_input, reference)
    st.caption(f"How this digit is drawn, beside {len(reference['ink'])} of {digits}, whose median is in the middle")
    show_template("gauges.html", values=values)
    advice = hint(values, group=digits)
    if advice is not None:
        st.markdown(f":material/lightbulb: {advice}")


def _placed(preprocessed: Preprocessed) -> str:
    place = placement(preprocessed)
    return (
        f"Size and position no longer matter: in the picture, the digit took up {place.size:.0%} of the longer side, "
        f"with its middle {place.across:.0%} from the left and {place.down:.0%} from the top."
    )
