"""ASGI middleware that refuses requests before they are read, and errors as JSON."""

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitcore.settings import Settings

__all__ = ["Guard", "error_response"]

_MULTIPART_OVERHEAD = 100_000  # bytes that a request may be larger than the picture in it


class Guard:
    """Refuses requests for other hosts, from pages of other sites, and with bodies over the limit."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._limit = settings.max_image_bytes + _MULTIPART_OVERHEAD

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is refused, and hands any other to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        """The body of a request, which may lack a length or state a wrong one."""
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, self._too_large())
            return message

        return limited_receive

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if self._settings.allowed_hosts and _without_port(host) not in self._settings.allowed_hosts:
            return error_response(
                400, f"This server does not answer for the host {host!r}: see DIGITCORE_ALLOWED_HOSTS."
            )
        origin = headers.get("origin")
        if origin and origin.split("://")[-1] != host and origin not in self._settings.allowed_origins:
            return error_response(403, f"Pages of {origin} may not call this server: see DIGITCORE_ALLOWED_ORIGINS.")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limit:
            return error_response(413, self._too_large())
        return None

    def _too_large(self) -> str:
        return f"The picture is larger than {self._settings.max_image_bytes / 1e6:g} MB: make it smaller and try again."


def error_response(status: int, detail: str) -> JSONResponse:
    """An error as the API answers it: `{"detail": "..."}`."""
    return JSONResponse({"detail": detail}, status_code=status)


def _without_port(host: str) -> str:
    """The name in a Host header, which may be "[::1]:8501"."""
    return (host if host.endswith("]") else host.rsplit(":", 1)[0]).strip("[]")
