"""Dockerfile and compose.yaml, parsed: no daemon is needed."""

import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import PurePosixPath
from threading import Thread

import click
import pytest
import yaml
from dockerfile_parse import DockerfileParser
from sqlalchemy import make_url

from digitcore.serving.cli import commands
from digitcore.settings import Settings
from tests.paths import ROOT

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
DASHBOARD, DATABASE = COMPOSE["services"]["dashboard"], COMPOSE["services"]["database"]
_PORT = "8501"


def _instructions() -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=io.BytesIO((ROOT / "Dockerfile").read_bytes()))
    return [(entry["instruction"], entry["value"]) for entry in parser.structure]


def _final_stage() -> list[tuple[str, str]]:
    instructions = _instructions()
    start = max(i for i, (instruction, _) in enumerate(instructions) if instruction == "FROM")
    return instructions[start:]


def _value(instruction: str) -> str:
    """The value of an instruction that stands once in the final stage."""
    (value,) = [value for name, value in _final_stage() if name == instruction]
    return value


def _copied() -> list[str]:
    """Names that are copied from the checkout, of all stages."""
    values = [value.split() for name, value in _instructions() if name == "COPY" and "--from=" not in value]
    return [source for *sources, _ in values for source in sources]


def _is_ignored(name: str) -> bool:
    """Whether .dockerignore keeps a file of this name, or a folder that it lies in, out of the build."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not [pattern for pattern in patterns if pattern.startswith(("!", "#"))]
    paths = [PurePosixPath(name), *PurePosixPath(name).parents]
    return any(
        fnmatch(str(path), pattern) or (pattern.startswith("**/") and fnmatch(path.name, pattern[3:]))
        for path in paths
        for pattern in patterns
    )


def _health_program() -> str:
    command = json.loads(_value("HEALTHCHECK").split("CMD", 1)[1])
    assert command[:2] == ["python", "-c"]
    return str(command[2])


def test_everything_copied_exists_and_is_not_ignored() -> None:
    assert len(_copied()) >= 10
    for name in _copied():
        assert (ROOT / name).exists(), name
        assert not _is_ignored(name), name


def test_the_wheel_can_be_built_from_what_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["path"]
    assert {"pyproject.toml", project["project"]["readme"], hook, "digitcore", "LICENSE"} <= set(_copied())
    (extras,) = re.findall(r"whl\)\[([\w,]+)\]", " ".join(value for name, value in _final_stage() if name == "RUN"))
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        (".venv/bin/python", True),
        ("digitcore/data/__pycache__/datasets.pyc", True),
        ("weights/notebook-1.safetensors", True),
        ("digitcore/data/datasets.py", False),
        ("weights/world.safetensors", False),
    ],
)
def test_the_build_gets_no_more_than_it_needs(name: str, ignored: bool) -> None:
    assert _is_ignored(name) is ignored


def test_the_program_runs_as_a_user_without_rights() -> None:
    assert _value("USER") not in ("root", "0")
    names = [name for name, _ in _final_stage()]
    assert names.index("USER") < names.index("CMD")
    assert any(f"useradd --create-home {_value('USER')}" in value for _, value in _final_stage())


def test_the_command_exists_and_serves_the_port() -> None:
    program, name, *options = json.loads(_value("CMD"))
    assert program in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    assert command.make_context(name, options).params["port"] == int(_PORT)
    assert _value("EXPOSE") == _PORT
    assert DASHBOARD["ports"] == [f"{_PORT}:{_PORT}"]


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/_stcore/health" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("localhost", 0), _Health) as health_server:
        Thread(target=health_server.serve_forever, daemon=True).start()
        yield health_server
        health_server.shutdown()


def test_the_health_check_tells_a_server_that_answers(server: HTTPServer) -> None:
    program = _health_program()
    assert f":{_PORT}/" in program
    here = program.replace(f":{_PORT}/", f":{server.server_port}/")
    assert subprocess.run([sys.executable, "-c", here], check=False).returncode == 0
    elsewhere = here.replace("/_stcore/health", "/nowhere")
    assert subprocess.run([sys.executable, "-c", elsewhere], check=False, capture_output=True).returncode == 1


def test_the_dashboard_waits_for_the_database_and_finds_it() -> None:
    assert DASHBOARD["build"] == "."
    assert DASHBOARD["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert DATABASE["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    url = make_url(
        re.sub(r"\$\{POSTGRES_PASSWORD:[^}]*\}", "secret", DASHBOARD["environment"]["DIGITCORE_DATABASE_URL"])
    )
    assert (url.drivername, url.password, url.host) == ("postgresql+psycopg", "secret", "database")
    assert (url.username, url.database) == (
        DATABASE["environment"]["POSTGRES_USER"],
        DATABASE["environment"]["POSTGRES_DB"],
    )


def test_no_password_is_written_down() -> None:
    assert DATABASE["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "ports" not in DATABASE


def test_settings_of_the_dashboard_are_settings() -> None:
    fields = {f"DIGITCORE_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert set(DASHBOARD["environment"]) <= fields


def test_volumes_are_declared_and_lie_in_folders_of_the_image() -> None:
    volumes = {service: volume.split(":") for service in COMPOSE["services"] for volume in _volumes(service)}
    assert {name for name, _ in volumes.values()} == set(COMPOSE["volumes"])
    _, folder = volumes["dashboard"]
    home = f"/home/{_value('USER')}/"
    assert folder.startswith(home)
    assert any(f"mkdir -p {folder.removeprefix(home)}" in value for name, value in _final_stage() if name == "RUN")


def _volumes(service: str) -> list[str]:
    return list(COMPOSE["services"][service]["volumes"])
