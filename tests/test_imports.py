"""The rule of the rooms (docs/architecture.md): read from the source, and from a fresh interpreter."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import digitcore
from tests.paths import ROOT

PACKAGE = ROOT / "digitcore"
MODULES = sorted(
    f"{path.relative_to(ROOT).with_suffix('')}".replace("/", ".").removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

ROOT_MODULES = {"errors", "settings", "files", "text"}
ROOMS = ("imaging", "store", "data", "formats", "models", "evaluation", "training", "reports", "serving")
"""A room imports the root modules and the rooms to its left."""
MOST_MODULES = 18
"""In one room: where it grows past that, it has two subjects."""


def _path(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(module: str) -> set[str]:
    """Full names of all modules that a module imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _room(module: str) -> str:
    """The first part of a module's name after `digitcore`."""
    return module.split(".")[1]


def _own_imports(module: str) -> set[str]:
    """Modules of digitcore that a module imports."""
    return _imports(module) & set(MODULES) - {"digitcore", *(f"digitcore.{room}" for room in ROOMS)}


def test_every_module_is_in_a_room() -> None:
    assert {_room(module) for module in MODULES if "." in module} == {"__main__", *ROOT_MODULES, *ROOMS}


@pytest.mark.parametrize("module", [name for name in MODULES if "." in name and _room(name) != "__main__"])
def test_imports_go_to_the_left(module: str) -> None:
    room = _room(module)
    rooms = () if room in ROOT_MODULES else ROOMS[: ROOMS.index(room) + 1]
    assert {_room(name) for name in _own_imports(module)} <= {*ROOT_MODULES, *rooms}
    assert "digitcore" not in _imports(module), "modules import where a name stands, not the public door"


def test_imports_have_no_cycle() -> None:
    remaining = {module: _own_imports(module) for module in MODULES}
    while remaining:
        free = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        assert free, remaining
        for name in free:
            del remaining[name]


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_a_room_has_one_subject(room: str) -> None:
    modules = [path for path in (PACKAGE / room).glob("*.py") if path.name != "__init__.py"]
    assert 1 <= len(modules) <= MOST_MODULES


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_nothing_else(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    assert "\n" not in (ast.get_docstring(tree) or "\n")


@pytest.mark.parametrize("module", MODULES)
def test_the_core_knows_no_page(module: str) -> None:
    names = {name.split(".")[0] for name in _imports(module)}
    assert not names & {"streamlit", "pages", "dashboard", "tests", "streamlit_drawable_canvas"}


def test_nobody_but_one_module_imports_torchvision() -> None:
    users = [module for module in MODULES if any(name.split(".")[0] == "torchvision" for name in _imports(module))]
    assert set(users) <= {"digitcore.data.mnist_download"}
    knowing = [module for module in MODULES if "digitcore.data.mnist_download" in _imports(module)]
    assert knowing == ["digitcore.data.datasets"]


def test_private_names_stay_in_their_module() -> None:
    for module in MODULES:
        for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("digitcore"):
                assert not [alias.name for alias in node.names if alias.name.startswith("_")], module


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


HEAVY = {
    "torchvision",
    "sklearn",
    "mlxtend",
    "pandas",
    "matplotlib",
    "altair",
    "captum",
    "streamlit",
    "fastapi",
    "uvicorn",
    "sqlalchemy",
    "alembic",
}
HEAVY |= {"tensorboardX"}
HEAVY |= {"onnx", "onnxruntime"}  # and not everybody has them


def test_importing_digitcore_is_light() -> None:
    assert not _loaded_after("import digitcore") & HEAVY


def test_a_prediction_is_light() -> None:
    statement = (
        "import numpy, digitcore; picture = numpy.zeros((90, 90), dtype='uint8'); picture[20:70, 40:50] = 255; "
        "digitcore.load_classifier('compact').predict(picture)"
    )
    assert not _loaded_after(statement) & HEAVY - {"onnxruntime"}


@pytest.mark.parametrize("module", MODULES)
def test_all_names_the_public_ones(module: str) -> None:
    if module.endswith("__main__") or module.removeprefix("digitcore.") in ROOMS:
        return
    loaded = importlib.import_module(module)
    names = loaded.__all__
    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(loaded, name), name


def test_the_package_exports_what_design_promises() -> None:
    assert {"load_classifier", "load_digits", "evaluate", "Prediction", "DigitSet", "Evaluation"} <= set(
        digitcore.__all__
    )
    errors = importlib.import_module("digitcore.errors")
    assert set(errors.__all__) <= set(digitcore.__all__)
