"""The dashboard on a table of answers, from a notebook or any other Python program."""

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from digitcore.errors import CheckpointError, DigitcoreError
from digitcore.files import temporary_folder, write_atomically
from digitcore.models.checkpoints import read_checkpoint
from digitcore.settings import dashboard_script, load_settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["show"]

_PATIENCE = 120  # seconds for the server to start


def show(answers: "pd.DataFrame", *, name: str = "answers", dataset: str, open_browser: bool = True) -> str:
    """Opens the dashboard on the answers of any model to a set of digits, and returns its address.

    answers: columns as in `digitcore.formats.answers_file`, such as `p0` to `p9`, or `prediction`. The server runs
    until this program ends, with a copy of the weights folder. Another call adds to it; of one name the last counts.

    Raises:
        CheckpointError: a column is missing, a value cannot be used, or a shipped checkpoint has this name.
        DigitcoreError: the dashboard is not installed, or does not start.
    """
    with temporary_folder() as folder:
        candidate = folder / f"{Path(name).name}.csv"
        answers.assign(set=dataset).to_csv(candidate, index=False)
        try:
            read_checkpoint(candidate)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(f"{folder}{os.sep}", "")) from error
        contents = candidate.read_bytes()
    if list(load_settings().weights_directory.glob(f"{candidate.stem}.*")):
        raise CheckpointError(f"There is a checkpoint {candidate.stem} already: give another name.")
    address, weights = _running_dashboard()
    write_atomically(weights / candidate.name, contents)
    page = f"{address}/accuracy?{urlencode({'checkpoint': candidate.stem, 'dataset': dataset})}"
    if open_browser:
        webbrowser.open(page)
    return page


@functools.cache
def _running_dashboard() -> tuple[str, Path]:
    """The address of this program's dashboard, started now, and its weights folder."""
    script = dashboard_script()
    if not script.is_file():
        raise DigitcoreError(f"The dashboard's pages are not installed ({script} is missing): run it from a checkout.")
    stack = ExitStack()
    atexit.register(stack.close)
    weights = stack.enter_context(temporary_folder()) / "weights"
    shutil.copytree(load_settings().weights_directory, weights)
    port = _free_port()
    options = {"server.address": "127.0.0.1", "server.port": str(port), "server.headless": "true"}
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    server = subprocess.Popen(
        [*command, *(word for name, value in options.items() for word in (f"--{name}", value))],
        env=os.environ | {"DIGITCORE_WEIGHTS": str(weights)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(server.wait)
    stack.callback(server.terminate)
    address = f"http://127.0.0.1:{port}"
    for _ in range(10 * _PATIENCE):
        if server.poll() is None and _answers(address):
            return address, weights
        time.sleep(0.1)
    raise DigitcoreError("The dashboard does not start: `digitcore dashboard` says why.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, TimeoutError, ConnectionError):
        return False
