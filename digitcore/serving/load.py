"""Load: requests that wait for their turn, and time limits for those that are slow to arrive."""

import asyncio
import ctypes
import functools
import gc
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter, from_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitcore.serving.guard import refusal

__all__ = ["ArrivalLimit", "BusyServer", "Turns", "avoid_pauses", "check_presence", "give_back_memory"]

_LOGGER = logging.getLogger(__name__)
_BUSY = "The server is busy: try again in a moment."
_RETRY = {"Retry-After": "2"}
_BYTES_PER_SECOND = 50_000  # what a client has to send, after the first seconds
_M_MMAP_THRESHOLD = -3  # of malloc.h
_LARGE = 4_000_000  # bytes of an array
_STATE = "digitcore_head_seconds"


class Turns:
    """So many requests at work at once, in the order of their arrival, and so many that wait for a turn."""

    def __init__(self, *, at_work: int, waiting: int) -> None:
        self._limiter, self._waiting = CapacityLimiter(at_work), waiting

    def are_taken(self) -> bool:
        """Whether no further request may wait."""
        return self._limiter.statistics().tasks_waiting >= self._waiting

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[None]:
        """Waits for the turn of a request, on no thread.

        Raises:
            HTTPException: with 503, where too many wait already; with 499, where the client has gone in the meantime.
        """
        if self.are_taken():
            raise HTTPException(503, _BUSY, headers=_RETRY)
        async with self._limiter:
            await _check_presence(request)
            yield


def check_presence(request: Request) -> None:
    """Ends work in a thread for a request whose client no longer waits.

    Raises:
        HTTPException: with 499, where it has gone.
    """
    from_thread.run(_check_presence, request)


async def _check_presence(request: Request) -> None:
    if await request.is_disconnected():
        raise HTTPException(499, "The client has gone.")


class BusyServer:
    """Refuses pictures before they are read while no more of them may wait, or too many are arriving."""

    def __init__(self, app: ASGIApp, *, turns: Turns, most: int) -> None:
        self._app, self._turns, self._most, self._inside = app, turns, most, 0
        self._door = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is refused, and hands any other to the application."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        async with self._door:
            await asyncio.sleep(0)
        if self._turns.are_taken() or self._inside >= self._most:
            await refusal(scope, 503, _BUSY, headers=_RETRY)(scope, receive, send)
        else:
            self._inside += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._inside -= 1


class ArrivalLimit:
    """Ends requests that are slow to arrive: the head after so many seconds, the body after as many and its share."""

    def __init__(self, app: ASGIApp, *, seconds: int) -> None:
        self._app, self._seconds = app, seconds
        _watch_heads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on."""
        if scope["type"] == "lifespan":
            scope.get("state", {})[_STATE] = self._seconds
        await self._app(scope, self._limited(receive) if scope["type"] == "http" else receive, send)

    def _limited(self, receive: Receive) -> Receive:
        deadline = asyncio.get_running_loop().time() + self._seconds
        arriving = True

        async def limited_receive() -> Message:
            nonlocal deadline, arriving
            try:
                async with asyncio.timeout_at(deadline if arriving else None):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(
                    408, "The request was too slow to arrive.", headers={"Connection": "close"}
                ) from error
            deadline += len(message.get("body", b"")) / _BYTES_PER_SECOND
            arriving = message.get("more_body", False)
            return message

        return limited_receive


def give_back_memory() -> None:
    """Has memory of large pictures given back to the system as soon as they have been read.

    The C library of Linux would learn from the first ones to keep as much for the next. It still does for small arrays.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def avoid_pauses() -> None:
    """Has the garbage collector pass over what has been loaded by now.

    It would look at all modules of the libraries from time to time, for half a second in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


@functools.cache
def _watch_heads() -> None:
    """Has uvicorn end connections whose requests are slow to begin, and send answers without delay.

    It has no setting for that, and Streamlit, which starts it, leaves no place for a protocol of ours. The seconds come
    with the state of the application's lifespan.
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    protocol: Any = AutoHTTPProtocol
    made, received = protocol.connection_made, protocol.data_received

    def connection_made(connection: Any, transport: asyncio.Transport) -> None:  # noqa: ANN401
        made(connection, transport)
        _send_at_once(transport)
        _watch(connection)

    def data_received(connection: Any, data: bytes) -> None:  # noqa: ANN401
        received(connection, data)
        _watch(connection)

    protocol.connection_made, protocol.data_received = connection_made, data_received


def _send_at_once(transport: asyncio.Transport) -> None:
    """Has the system send the body of an answer before its head has been acknowledged, which takes 40 ms.

    asyncio does so only for sockets that name their protocol. Those of Streamlit and of `uvicorn --workers` do not.
    """
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in {socket.AF_INET, socket.AF_INET6}:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _watch(connection: Any) -> None:  # noqa: ANN401
    """Starts the clock where a connection has not said what it wants, and stops it where it has."""
    timer: asyncio.TimerHandle | None = getattr(connection, "head_timer", None)
    seconds = connection.app_state.get(_STATE)
    if timer is None and seconds and _is_unheard(connection):
        connection.head_timer = connection.loop.call_later(seconds, _end, connection)
    elif timer is not None and not _is_unheard(connection):
        timer.cancel()
        connection.head_timer = None


def _is_unheard(connection: Any) -> bool:  # noqa: ANN401
    """Whether no request is being answered; a web socket is a connection no longer."""
    return connection in connection.connections and (connection.cycle is None or connection.cycle.response_complete)


def _end(connection: Any) -> None:  # noqa: ANN401
    connection.head_timer = None
    if _is_unheard(connection):
        _LOGGER.warning(
            "ended %s", json.dumps({"why": "no request has arrived", "from": (connection.client or ())[:1]})
        )
        connection.transport.abort()
