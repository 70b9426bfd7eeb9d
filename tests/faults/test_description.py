"""The HTTP API against its own description: Schemathesis sends what it allows, and what it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digitcore.serving.api import create_api
from tests.processes import running_api


@pytest.mark.faults
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """With all its checks; other methods, other media types and missing headers are among what it sends."""
    with running_api(create_api()) as client:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{client.base_url}openapi.json"]
        command += ["--checks", "all", "--max-examples", "100", "--seed", "1", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
