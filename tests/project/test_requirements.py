"""The ranges of pyproject.toml and the tested versions of the requirements files agree."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from sqlalchemy import create_engine

from tests.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = PROJECT["build-system"]["requires"]
PAIRS = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-onnx.txt": EXTRAS["onnx"],
}


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def _pins(name: str) -> dict[str, Version]:
    """Pinned versions by package."""
    pins: dict[str, Version] = {}
    for line in _lines(ROOT / name):
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} in {name} must pin one version"
        pins[canonicalize_name(requirement.name)] = Version(specifier.version)
    return pins


def _assert_range_of(requirement: Requirement, pin: Version) -> None:
    """From the pin's minor version up to the next major one."""
    bounds = {specifier.operator: Version(specifier.version) for specifier in requirement.specifier}
    assert bounds == {">=": Version(f"{pin.major}.{pin.minor}"), "<": Version(f"{pin.major + 1}")}, requirement
    assert pin in requirement.specifier


@pytest.mark.parametrize("name", PAIRS)
def test_each_dependency_is_pinned_within_its_range_and_the_other_way_round(name: str) -> None:
    ranges = {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, PAIRS[name])}
    pins = _pins(name)
    assert ranges.keys() == pins.keys()
    for package, requirement in ranges.items():
        _assert_range_of(requirement, pins[package])


@pytest.mark.parametrize("text", [*EXTRAS["postgres"], *BUILD])
def test_what_only_tests_install_is_pinned_among_the_checks(text: str) -> None:
    requirement = Requirement(text)
    _assert_range_of(requirement, _pins("tests/requirements.txt")[canonicalize_name(requirement.name)])


def test_the_postgres_extra_is_the_driver_that_an_address_names() -> None:
    engine = create_engine("postgresql+psycopg://somebody@localhost/digits")
    assert engine.dialect.driver == Requirement(EXTRAS["postgres"][0]).name


def test_python_is_as_new_as_the_tools_assume() -> None:
    assert PROJECT["project"]["requires-python"] == f">={PROJECT['tool']['mypy']['python_version']}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + PROJECT["tool"]["mypy"]["python_version"].replace(
        ".", ""
    )
