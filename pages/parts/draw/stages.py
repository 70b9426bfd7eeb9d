"""The X-ray: how the picture came to be the network's input, what each stage is worth, and how it lies in MNIST."""

import html

import streamlit as st

from digitcore.imaging.preprocessing import Preprocessed
from digitcore.imaging.shape import Reading, hint, placement, read_gauges
from digitcore.models.ablation import variants
from digitcore.models.classifier import Prediction
from pages.parts.draw.read import ReadDigit
from pages.shared import resources
from pages.shared.panels import picked_classifier, pictures_row, said, stages_panel

_STYLE = """<style>
.gauges {display: grid; grid-template-columns: max-content minmax(4rem, 20rem) auto; gap: .35rem .8rem;
  align-items: center; font-variant-numeric: tabular-nums; max-width: 760px}
.gauges .track {position: relative; height: .8rem; border-radius: .2rem; background: rgba(128, 128, 128, .18)}
.gauges .track::before {content: ""; position: absolute; left: 50%; height: 100%; border-left: 1px solid;
  opacity: .3}
.gauges .mark {position: absolute; top: -.15rem; width: .35rem; height: 1.1rem; margin-left: -.175rem;
  border-radius: .1rem; background: #2f74c8}
.gauges .mark.extreme {background: #d9822b}
.gauges small {opacity: .8; font-size: .85rem; display: inline-block}
</style>"""


def xray_panel(digit: ReadDigit) -> None:
    """The stages, the answers without them, and the gauges with at most one hint."""
    prediction = digit.prediction
    stages_panel(prediction.preprocessed)
    st.caption("With a stage left out")
    pictures_row(
        (
            (variant.model_input, f"{variant.name}\n{said(variant.digit, variant.confidence, prediction)}")
            for variant in variants(picked_classifier(), digit.image, prediction.preprocessed)
        ),
        longest=84,
        name="variants",
    )
    _gauges(prediction)
    if digit.found is None:
        st.caption(_placed(prediction.preprocessed))


def _gauges(prediction: Prediction) -> None:
    called = f"MNIST's {prediction.digit}s"
    reference = resources.gauge_reference(prediction.digit)
    readings = read_gauges(prediction.model_input, reference)
    st.caption(f"Compared with {len(reference['ink'])} of {called}, whose median is in the middle")
    rows = "".join(_row(reading) for reading in readings)
    st.html(f'{_STYLE}<div class="gauges" data-testid="gauges">{rows}</div>')
    found = hint(readings, called=called)
    if found is not None:
        st.markdown(f":material/lightbulb: {found}")


def _row(reading: Reading) -> str:
    extreme = "extreme" if reading.is_extreme else ""
    mark = f'<div class="mark {extreme}" style="left: {reading.percentile:.1f}%"></div>'
    value = html.escape(reading.gauge.show.format(reading.value))
    return (
        f'<span>{reading.gauge.name}</span><div class="track">{mark}</div>'
        f"<span>{value} <small>{reading.comparison}</small></span>"
    )


def _placed(preprocessed: Preprocessed) -> str:
    found = placement(preprocessed)
    return (
        f"Size and place no longer count: on the picture it took {found.size:.0%} of the longer side, "
        f"its middle {found.across:.0%} from the left and {found.down:.0%} from the top."
    )
