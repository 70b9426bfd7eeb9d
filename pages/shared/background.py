"""Slow computations beside the page: no run of a page waits for them, so a stroke or a click acts at once.

A job is a function under `st.cache_resource` that returns a `Future` of `in_background`: whoever asks for the same
again, in this visit or another, gets the same computation. What runs in the background calls nothing of Streamlit.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, ParamSpec, Protocol, TypeVar

import streamlit as st

P = ParamSpec("P")
T = TypeVar("T")

_WORKERS = 2
_MOMENT = 0.02  # seconds that a run waits, so that quick results come without a placeholder
_STEP = 0.1  # seconds between two looks at how far a computation is
_POLITENESS = 10  # as of `nice`: strokes of all visitors come first
_SLOTS = "background-slots"
_PENDING = "background-pending"


class Job(Protocol[P, T]):
    """A function under `st.cache_resource` that starts a computation."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The computation with these arguments, a new one or one that was started before."""

    def clear(self, *args: object, **kwargs: object) -> None:
        """Forgets that computation."""


def in_background(compute: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Starts a computation in a thread of its own, as soon as one is free."""
    return _pool().submit(compute, *args, **kwargs)


def result_if_ready(slot: str, job: Job[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The result of a job, or None while it is being computed: `is_pending` then says that the page is to run again.

    A job whose result may be None wraps it in something.

    slot: what on the page the result is for. A visitor needs one result in each: what was asked for there before is
    given up, unless it is being computed already.

    Raises:
        Whatever the computation raised; the next call starts it again.
    """
    future = job(*args, **kwargs)
    if future.cancelled():  # by a visitor who no longer needed it
        job.clear(*args, **kwargs)
        future = job(*args, **kwargs)
    _give_up_others(slot, future)
    with contextlib.suppress(TimeoutError):
        future.exception(timeout=_MOMENT)
    if not future.done():
        st.session_state[_PENDING] = True
        return None
    if future.exception() is not None:
        job.clear(*args, **kwargs)
    return future.result()


def placeholder(words: str) -> None:
    """What stands where a result will come."""
    st.caption(f":material/hourglass_empty: {words}")


def wait_for(words: str, slot: str, job: Job[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a job, for pages that have no pen to keep up with; another click there ends the wait."""
    with st.spinner(words):
        while (result := result_if_ready(slot, job, *args, **kwargs)) is None:
            pass  # each look at the session state is a place where Streamlit may begin to run the page anew
    return result


def with_progress(compute: Callable[[Callable[[float], None]], T], report: Callable[[float], None]) -> T:
    """What `compute` returns, for pages that have no pen to keep up with; meanwhile `report` shows the share done.

    `compute` gets a function to call with the share done, in (0, 1]; that ends it where the visitor has gone on.
    """
    share, is_wanted = 0.0, True

    def note(done: float) -> None:
        nonlocal share
        if not is_wanted:
            raise CancelledError
        share = done

    pool = ThreadPoolExecutor(1, thread_name_prefix="background", initializer=_be_polite)
    future = pool.submit(compute, note)
    pool.shutdown(wait=False)
    try:
        while not future.done():
            report(share)
            wait([future], timeout=_STEP)
        return future.result()
    finally:
        is_wanted = False


def nothing_pending() -> None:
    """Forgets what was pending; before results are asked for."""
    st.session_state[_PENDING] = False


def is_pending() -> bool:
    """Whether a result that was asked for since `nothing_pending` is still being computed."""
    pending: bool = st.session_state.get(_PENDING, False)
    return pending


def _give_up_others(slot: str, future: Future[Any]) -> None:
    slots = st.session_state.setdefault(_SLOTS, {})
    before = slots.get(slot)
    slots[slot] = future
    if before is not None and before is not future:
        before.cancel()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="background", initializer=_be_polite)


def _be_polite() -> None:
    """Lets the system prefer the threads that answer strokes. Only Linux counts this by thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _POLITENESS)
