"""The HTTP API against its own description: Schemathesis sends what it allows, and what it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from digitcore.serving.api import create_api
from tests.processes import running_api

_CONFIGURATION = """
# Bytes that are no picture are as the description asks, and refused all the same.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]
"""


@pytest.mark.faults
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """With all its checks; other methods, other media types and missing fields are among what it sends."""
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(_CONFIGURATION, encoding="utf-8")
    with running_api(create_api()) as client:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)]
        command += ["run", f"{client.base_url}/openapi.json", "--checks", "all", "--seed", "1", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
