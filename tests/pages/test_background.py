"""Computations beside the page."""

import threading
import time
from collections.abc import Callable

import pytest

from pages.shared.background import with_progress


def test_a_result_is_waited_for_while_its_progress_is_shown() -> None:
    reports: list[float] = []

    def compute(progress: Callable[[float], None]) -> str:
        progress(0.5)
        while 0.5 not in reports:
            time.sleep(0.01)
        return threading.current_thread().name

    assert with_progress(compute, reports.append) != threading.current_thread().name
    assert {0.5} <= {*reports} <= {0.0, 0.5}


def test_what_it_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        with_progress(lambda _: 1 / 0, lambda _: None)


def test_it_ends_where_the_visitor_has_gone_on() -> None:
    """Streamlit tells a run of a page so by an exception where it shows something."""
    begun, ended = threading.Event(), threading.Event()

    def compute(progress: Callable[[float], None]) -> None:
        try:
            while True:
                progress(0.1)
                begun.set()
        finally:
            ended.set()

    def report(share: float) -> None:
        if begun.is_set():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        with_progress(compute, report)
    assert ended.wait(60)
