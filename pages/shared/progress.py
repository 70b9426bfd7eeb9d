"""Progress bars for work that reports which share of it is done."""

from collections.abc import Callable

from streamlit.delta_generator import DeltaGenerator

from digitcore.text import plain


def report_on(bar: DeltaGenerator, text: str, *, start: float = 0.0, end: float = 1.0) -> Callable[[float], None]:
    """A function that takes the share done, in [0, 1], and shows it on this part of the bar, with a text beside it."""

    def report(share: float) -> None:
        bar.progress(min(start + (end - start) * share, 1.0), plain(text))

    report(0.0)
    return report
