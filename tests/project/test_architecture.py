"""docs/architecture.md against the tree and the import rule."""

import re

import pytest

import digitcore
from tests.paths import ROOT
from tests.test_imports import PACKAGE, ROOMS, ROOT_MODULES

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def _section(room: str) -> str:
    """The text under the heading of a room."""
    (section,) = re.findall(rf"^### {room}\n(.*?)(?=^#)", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    return str(section)


def test_the_rooms_stand_in_the_order_of_the_rule() -> None:
    assert re.findall(r"^### (\w+)$", ARCHITECTURE, re.MULTILINE) == ["root", *ROOMS, "pages"]
    (rule,) = re.findall(r"^ {4}(.* <- .*)$", ARCHITECTURE, re.MULTILINE)
    roots, *rooms = rule.split(" <- ")
    assert set(roots.split(", ")) == ROOT_MODULES
    assert rooms == [*ROOMS, "pages, dashboard.py"]
    (picture,) = re.findall(r"^ +(serving --> .*) --> root", ARCHITECTURE, re.MULTILINE)
    assert picture.split(" --> ") == list(reversed(ROOMS))


@pytest.mark.parametrize("room", ["root", *ROOMS])
def test_every_module_is_named_in_its_room_and_every_name_is_a_module(room: str) -> None:
    names = re.findall(r"^- `(\w+)`: \S", _section(room), re.MULTILINE)
    folder = PACKAGE if room == "root" else PACKAGE / room
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    assert sorted(names) == sorted(modules)


def test_the_roads_lead_through_modules() -> None:
    roads = ARCHITECTURE.split("## The two roads")[1].split("## ")[0]
    names = re.findall(r"`(\w+)\.(\w+)`", roads)
    assert len(names) >= 8
    for room, module in names:
        assert (PACKAGE / room / f"{module}.py").is_file(), f"{room}.{module}"


def test_folders_of_the_pages_exist() -> None:
    folders = re.findall(r"`(pages/\w+/)", _section("pages"))
    assert len(folders) >= 4
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_the_public_names_are_public() -> None:
    names = re.findall(r"\bdigitcore\.(\w+)", ARCHITECTURE.split("## Public API")[1].split("## ")[0])
    assert len(set(names)) >= 7
    assert set(names) <= set(digitcore.__all__)
