import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import digitcore.serving.cli_dashboard
from digitcore.serving.cli import main
from digitcore.settings import dashboard_script
from tests.processes import free_port


def _wait_for(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            if answers():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"the dashboard does not answer: {log.read_text(encoding='utf-8')}")


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_the_dashboard_runs_from_any_folder_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """A real server: pages and API answer on the port and address in question, and SIGTERM reaches it."""
    folder = tmp_path / "ein Ordner für Ziffern"
    folder.mkdir()
    port, log = free_port(), folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "digitcore", "dashboard", "--port", str(port), "--address", "127.0.0.1"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(dashboard_script().parent),
                "STREAMLIT_SERVER_HEADLESS": "true",
                "DIGITCORE_DATABASE_URL": f"sqlite:///{folder / 'annotations.sqlite'}",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            _wait_for(lambda: client.get("/_stcore/health").text == "ok", process, log)
            assert client.get("/").status_code == 200
            assert "world" in {entry["name"] for entry in client.get("/checkpoints").json()}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_without_the_pages_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(digitcore.serving.cli_dashboard, "dashboard_script", lambda: tmp_path / "dashboard.py")
    assert main(["dashboard"]) == 1
    assert capsys.readouterr().err.startswith("error: The dashboard's pages are not installed")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_is_a_number_in_range(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["dashboard", "--port", port])
    assert "must be" in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused_with_one_that_is_free(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["dashboard", "--port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    (free,) = set(re.findall(r"make run PORT=(\d+)|dashboard --port (\d+)", line)[0]) - {""}
    assert f"Port {port} of 127.0.0.1 cannot be used" in line
    assert int(free) > port
    socket.create_server(("127.0.0.1", int(free))).close()


def test_an_address_of_another_machine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "--port", str(free_port()), "--address", "192.0.2.1"]) == 1
    assert "192.0.2.1 cannot be used" in capsys.readouterr().err
