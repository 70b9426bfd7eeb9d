"""`digitcore dashboard`."""

import importlib.util
import os
import socket
import subprocess
import sys

import click

from digitcore.errors import DigitcoreError
from digitcore.serving.cli_common import WholeNumber
from digitcore.settings import dashboard_script

__all__ = ["dashboard_command"]


@click.command("dashboard", short_help="open the dashboard")
@click.option("--port", type=WholeNumber(1, 65_535), metavar="N", help="Default: 8501, or the next that is free.")
@click.option(
    "--address",
    metavar="HOST",
    envvar="STREAMLIT_SERVER_ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Answer requests to this address of this machine; 0.0.0.0: to any.",
)
def dashboard_command(port: int | None, address: str) -> int:
    """Opens the dashboard, which serves the pages and the HTTP API until it is stopped."""
    script = dashboard_script()
    if not script.is_file():
        raise DigitcoreError(f"The dashboard's pages are not installed ({script} is missing): run it from a checkout.")
    if importlib.util.find_spec("streamlit") is None:
        raise DigitcoreError("The dashboard needs another package: pip install -r requirements.txt")
    if port is not None:
        _check(port, address)
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.address", address]
    command += [] if port is None else ["--server.port", str(port)]
    return _become(command)


def _check(port: int, address: str) -> None:
    """Refuses a port that cannot be listened on, and names one that can."""
    reason = _problem(port, address)
    if reason is not None:
        higher = range(port + 1, min(port + 100, 65_536))
        free = next((other for other in higher if _problem(other, address) is None), None)
        commands = f"`make run PORT={free}` or `digitcore dashboard --port {free}`"
        advice = commands if free else "give --port or --address another value"
        raise DigitcoreError(f"Port {port} of {address} cannot be used ({reason}): {advice}.")


def _problem(port: int, address: str) -> str | None:
    try:
        with socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
            return None
    except OSError as error:
        return os.strerror(error.errno) if isinstance(error.errno, int) and error.errno > 0 else str(error)


def _become(command: list[str]) -> int:
    """Replaces this process, so that signals reach the command; on Windows, which cannot do so, waits for it."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode
