"""Who may know whom (DESIGN.md): read from the source, and from a fresh interpreter."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import digitcore

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "digitcore"
MODULES = sorted(
    f"{path.relative_to(ROOT).with_suffix('')}".replace("/", ".").removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

# Each module and what it may import of digitcore besides errors and settings, which everybody may.
ALLOWED: dict[str, set[str]] = {
    "annotations": set(),
    "arrays": set(),
    "files": set(),
    "pictures": set(),
    "errors": set(),
    "settings": set(),
    "pieces": set(),
    "preprocessing": {"pieces"},
    "segmentation": {"pieces"},
    "seams": {"pieces", "segmentation"},
    "touching": {"classifier", "pieces", "seams", "segmentation"},
    "numbers": {"classifier", "pieces", "preprocessing", "segmentation", "touching"},
    "architectures": set(),
    "corruption": set(),
    "onnx_probe": set(),
    "onnx_models": {"architectures", "datasets", "onnx_probe", "preprocessing"},
    "checkpoints": {"architectures", "files", "onnx_models", "preprocessing", "refusal"},
    "refusal": {"segmentation"},
    "classifier": {"checkpoints", "preprocessing", "refusal"},
    "explanation": {"classifier", "checkpoints", "architectures", "drawing", "preprocessing"},
    "drawing": {"preprocessing", "strokes"},
    "gauges": {"preprocessing"},
    "xray": {"classifier", "preprocessing"},
    "opinions": {"classifier"},
    "snippets": {"checkpoints"},
    "datasets": {"arrays", "files", "preprocessing", "strokes", "torchvision_import"},
    "strokes": {"arrays"},
    "forms": {"strokes"},
    "torchvision_import": set(),
    "metrics": set(),
    "evaluation": {
        "arrays",
        "checkpoints",
        "classifier",
        "datasets",
        "files",
        "metrics",
        "preprocessing",
        "corruption",
    },
    "comparison": {"evaluation", "metrics"},
    "charts": {"evaluation", "metrics", "comparison"},
    "report": {"charts", "checkpoints", "comparison", "datasets", "evaluation", "metrics", "pictures", "preprocessing"},
    "manifest": {"checkpoints", "files", "evaluation"},
    "markdown": set(),
    "cards": {"checkpoints", "evaluation", "files", "manifest", "markdown", "metrics", "training"},
    "leaderboard": {"checkpoints", "evaluation", "timing"},
    "timing": {"classifier", "files"},
    "export": {"architectures", "checkpoints", "files", "onnx_models", "preprocessing"},
    "handwriting": {"classifier", "checkpoints", "datasets", "preprocessing"},
    "training": {
        "architectures",
        "arrays",
        "checkpoints",
        "classifier",
        "datasets",
        "evaluation",
        "files",
        "preprocessing",
        "refusal",
        "settings",
        "strokes",
        "timing",
    },
    "nondigits": {"strokes"},
    "answers": {"classifier", "numbers"},
    "drawn_numbers": {"pieces", "strokes"},
    "api": {"answers", "checkpoints", "classifier", "datasets", "evaluation", "numbers", "preprocessing"},
}


def _path(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(module: str) -> set[str]:
    """Full names of all modules that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(_path(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _parts_of_digitcore(module: str) -> set[str]:
    """Parts of digitcore that a module imports: `checkpoints`, `training`, ..."""
    known = {name.split(".")[1] for name in MODULES if "." in name}
    parts = {name.split(".")[1] for name in _imports(module) if name.startswith("digitcore.")}
    return parts & known


@pytest.mark.parametrize("module", [name for name in MODULES if "." in name])
def test_imports_go_one_way(module: str) -> None:
    part = module.split(".")[1]
    if part in ("bench", "cli", "__main__"):  # the outermost: they may know everybody
        return
    assert part in ALLOWED, f"{part} has no place in DESIGN.md's order: give it one here"
    assert _parts_of_digitcore(module) - {part, "errors", "settings"} <= ALLOWED[part]


def test_the_order_has_no_circle() -> None:
    remaining = dict(ALLOWED)
    while remaining:
        free = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        assert free, remaining
        for name in free:
            del remaining[name]


@pytest.mark.parametrize("module", MODULES)
def test_the_core_knows_no_page(module: str) -> None:
    names = {name.split(".")[0] for name in _imports(module)}
    assert not names & {"streamlit", "pages", "dashboard", "tests", "streamlit_drawable_canvas"}


def test_nobody_but_one_module_imports_torchvision() -> None:
    users = [module for module in MODULES if any(name.split(".")[0] == "torchvision" for name in _imports(module))]
    assert set(users) <= {"digitcore.torchvision_import"}
    knowing = [module for module in MODULES if "digitcore.torchvision_import" in _imports(module)]
    assert knowing == ["digitcore.datasets"]


def test_private_names_stay_in_their_module() -> None:
    for module in MODULES:
        for node in ast.walk(ast.parse(_path(module).read_text())):
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
    assert not _loaded_after(statement) & HEAVY


@pytest.mark.parametrize("module", MODULES)
def test_all_names_the_public_ones(module: str) -> None:
    if module.endswith("__main__"):
        return
    loaded = importlib.import_module(module)
    if module == "digitcore.training":
        assert not [name for name in vars(loaded) if not name.startswith("_") and name not in _submodules(loaded)]
        return
    names = loaded.__all__
    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(loaded, name), name


def _submodules(package: object) -> set[str]:
    return {module.name for module in pkgutil.iter_modules(package.__path__)}


def test_the_package_exports_what_design_promises() -> None:
    assert {"load_classifier", "load_digits", "evaluate", "Prediction", "DigitSet", "Evaluation"} <= set(
        digitcore.__all__
    )
    errors = importlib.import_module("digitcore.errors")
    assert set(errors.__all__) <= set(digitcore.__all__)
