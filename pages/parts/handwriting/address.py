"""The address at which phones reach this server."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from digitcore.serving.guard import names_of

_ANYWHERE = ("192.0.2.1", 9)  # an address that nobody has (RFC 5737); nothing is sent there


@dataclass(frozen=True)
class PageAddress:
    """Where the page is."""

    address: str
    """Without parameters."""
    is_reachable: bool
    """Whether other machines get there."""


def page_address() -> PageAddress:
    """The page as the browser sees it, or where that is "localhost", as other machines of the network do."""
    url = (st.context.url or "http://localhost:8501/handwriting").split("?")[0]
    if not names_of(urlsplit(url).hostname):
        return PageAddress(url, is_reachable=True)
    here_alone = bool(names_of(st.get_option("server.address")))
    host = None if here_alone else _network_address()
    return PageAddress(url if host is None else with_host(url, host), is_reachable=host is not None)


def with_host(url: str, host: str) -> str:
    """An address on another host.

    >>> with_host("http://localhost:8501/handwriting", "192.168.1.5")
    'http://192.168.1.5:8501/handwriting'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))


def _network_address() -> str | None:
    """The address of this machine in its network; None where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        try:
            connection.connect(_ANYWHERE)
        except OSError:  # no way out of the network: what the machine's own name stands for
            return _named_address()
        host: str = connection.getsockname()[0]
        return host


def _named_address() -> str | None:
    with suppress(OSError):
        host = socket.gethostbyname(socket.gethostname())
        return None if names_of(host) else host
    return None
