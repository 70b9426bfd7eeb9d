"""Processes as a user starts them: commands, commands of another user, and a running dashboard."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI


def run_command(command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], umask: int = -1) -> str:
    """What a command prints on standard output; an AssertionError with its errors where it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", umask=umask, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_user(number: int) -> list[str]:
    """What a command starts with that another user is to run; skips the test where this user may not do so."""
    if sys.platform != "linux" or os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can run a command as another user, and needs setpriv")
    prefix = ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups"]
    if subprocess.run([*prefix, sys.executable, "-c", "import json"], capture_output=True).returncode != 0:
        pytest.skip(f"another user cannot run {sys.executable}")
    return prefix


@contextmanager
def readable_folder() -> Iterator[Path]:
    """A temporary folder that every user can read, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="digitcore-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def running_dashboard(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], umask: int = -1
) -> Iterator[httpx.Client]:
    """A client of the dashboard that `command`, completed by a free port, starts in a folder; healthy when entered."""
    port = free_port()
    started = [*command, "dashboard", "--port", str(port), "--address", "127.0.0.1"]
    with running_server(started, port=port, folder=folder, environment=environment, umask=umask) as client:
        yield client


@contextmanager
def running_server(
    command: Sequence[str], *, port: int, folder: Path, environment: Mapping[str, str], path: str = "", umask: int = -1
) -> Iterator[httpx.Client]:
    """A client of the server that `command` starts in a folder, for what is below a path; healthy when entered.

    What it prints is in `dashboard.log`, where no traceback may stand in the end.
    """
    log = folder / "dashboard.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "STREAMLIT_SERVER_HEADLESS": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=umask,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}{path}", timeout=60, trust_env=False) as client:
            _wait_until_healthy(client, process, log)
            yield client
    finally:
        process.terminate()
        process.wait(60)
    assert "Traceback" not in log.read_text(encoding="utf-8", errors="replace"), log.read_text(
        errors="replace", encoding="utf-8"
    )


@contextmanager
def running_api(api: FastAPI) -> Iterator[httpx.Client]:
    """A client of an HTTP API that runs in a thread."""
    server = uvicorn.Server(uvicorn.Config(api, log_level="warning", lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            yield client
        server.should_exit = True
        thread.join(timeout=10)


def _wait_until_healthy(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text(errors="replace", encoding="utf-8")
        try:
            if client.get("/_stcore/health").text == "ok":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the dashboard does not answer: {log.read_text(errors='replace', encoding='utf-8')}")


def inherited_environment(folder: Path, checkout: Path) -> dict[str, str]:
    """The environment of a server of a checkout that writes stars and notes to a folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    database = f"sqlite:///{folder / 'annotations.sqlite'}"
    return inherited | {"PYTHONPATH": str(checkout), "DIGITCORE_DATABASE_URL": database}


def resident_megabytes(port: int | None) -> int:
    """What the server with this port in its command line has in memory now."""
    options = (b"--server.port", str(port).encode())
    (process,) = [
        path.parent
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if options in pairwise(path.read_bytes().split(b"\0"))
    ]
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    return int(kilobytes) // 1024


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
