"""`digitcore dashboard`."""

import importlib.util
import os
import subprocess
import sys

import click

from digitcore.errors import DigitcoreError
from digitcore.serving.cli_common import WholeNumber
from digitcore.settings import dashboard_script

__all__ = ["dashboard_command"]


@click.command("dashboard", short_help="open the dashboard")
@click.option("--port", type=WholeNumber(1, 65_535), metavar="N", help="Default: 8501, or the next that is free.")
@click.option("--address", metavar="HOST", help="Answer only requests to this address (default: to any).")
def dashboard_command(port: int | None, address: str | None) -> int:
    """Opens the dashboard, which serves the pages and the HTTP API until it is stopped."""
    script = dashboard_script()
    if not script.is_file():
        raise DigitcoreError(f"The dashboard's pages are not installed ({script} is missing): run it from a checkout.")
    if importlib.util.find_spec("streamlit") is None:
        raise DigitcoreError("The dashboard needs another package: pip install -r requirements.txt")
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += [] if port is None else ["--server.port", str(port)]
    command += [] if address is None else ["--server.address", address]
    return _become(command)


def _become(command: list[str]) -> int:
    """Replaces this process, so that signals reach the command; on Windows, which cannot do so, waits for it."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode
