"""ASGI middleware that refuses requests before they are read; refusals as JSON, each with a line in the log."""

import ipaddress
import json
import logging
from collections.abc import Mapping

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnected

__all__ = ["BodyLimit", "Guard", "LeavingVisitors", "names_of", "refusal"]

_LOGGER = logging.getLogger(__name__)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEALTH = "/_stcore/health"
_MULTIPART_OVERHEAD = 100_000  # bytes that a request may be larger than the picture in it


def names_of(address: str | None) -> tuple[str, ...]:
    """Host names of a server that listens on this address; empty, which is any, where other machines can reach it.

    A browser that asks a loopback address by another name was led there by somebody else's name server.

    >>> names_of("127.0.0.1")
    ('localhost', '127.0.0.1', '::1')
    >>> names_of("0.0.0.0"), names_of("192.168.1.5"), names_of(None)
    ((), (), ())
    """
    return _LOOPBACK if address == "localhost" or (address and _is_loopback(address)) else ()


def refusal(scope: Scope, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as the API answers it, `{"detail": "..."}`; what was refused and why goes to the log.

    The log has one line for each, as JSON, so that no text from outside can look like another line.
    """
    asked, client = Headers(scope=scope), scope.get("client")
    line = {
        "status": status,
        "request": f"{scope.get('method', scope['type'])} {scope['path']}"[:200],
        "why": detail[:500],
        "bytes": asked.get("content-length"),
        "host": asked.get("host", "")[:100],
        "from": client[0] if client else None,
    }
    _LOGGER.warning("refused %s", json.dumps(line))
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)


class Guard:
    """Refuses requests for other hosts and from pages of other sites, web sockets included.

    Whether the server is healthy is told under any name: who asks that often knows only its address.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        self._app, self._origins = app, origins
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is refused, and hands any other to the application."""
        response = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if response is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # for a violated policy; HTTP status 403
        else:
            await (response or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own(host) and not scope["path"].endswith(_HEALTH):
            return refusal(
                scope, 400, f"This server does not answer for the host {host!r}: see DIGITCORE_ALLOWED_HOSTS."
            )
        if origin and origin.split("://")[-1] != host and origin not in self._origins:
            return refusal(scope, 403, f"Pages of {origin} may not call this server: see DIGITCORE_ALLOWED_ORIGINS.")
        return None

    def _is_own(self, host: str) -> bool:
        return not self._hosts or "*" in self._hosts or _without_port(host).lower().rstrip(".") in self._hosts


class LeavingVisitors:
    """Ends a web socket without a traceback where its visitor has left, or sends what no browser sends.

    Streamlit takes the first for the second, and lets either end as an error of the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands every request to the application."""
        try:
            await self._app(scope, receive, send)
        except (WebSocketDisconnected, KeyError, TypeError) as error:
            if scope["type"] != "websocket":
                raise
            if not isinstance(error, WebSocketDisconnected):
                refusal(scope, 1003, "the web socket carried something that no page sends")


class BodyLimit:
    """Refuses requests whose bodies are larger than that of one with the largest picture."""

    def __init__(self, app: ASGIApp, *, picture_bytes: int) -> None:
        self._app = app
        self._limit = picture_bytes + _MULTIPART_OVERHEAD
        self._reason = f"The picture is larger than {picture_bytes / 1e6:g} MB: make it smaller and try again."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that states too large a body; one that says nothing, or lies, is ended at the limit."""
        length = Headers(scope=scope).get("content-length", "0") if scope["type"] == "http" else "0"
        if length.isdecimal() and int(length) > self._limit:
            await refusal(scope, 413, self._reason)(scope, receive, send)
        else:
            await self._app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, self._reason)
            return message

        return limited_receive


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return False


def _without_port(host: str) -> str:
    """The name in a Host header, which may be "[::1]:8501"."""
    return (host if host.endswith("]") else host.rsplit(":", 1)[0]).strip("[]")
