"""Where the modules of the pages stand: what one page alone uses beside it, what two use in `shared`."""

import ast

import pytest

from tests.paths import ROOT

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in [ROOT / "dashboard.py", *(ROOT / "pages").rglob("*.py")]
}
SCRIPTS = sorted(name for name in SOURCES if name.count(".") == 1)


def imports_of(module: str) -> set[str]:
    """Modules of the pages that a module imports, inside functions too."""
    nodes = [node for node in ast.walk(SOURCES[module]) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in nodes if node.module in SOURCES}


def reached_from(module: str) -> set[str]:
    """Modules that a module needs, directly or not."""
    reached: set[str] = set()
    waiting = {module}
    while waiting:
        reached |= waiting
        waiting = set().union(*map(imports_of, waiting)) - reached
    return reached


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if name.startswith("pages.parts.")))
def test_parts_belong_to_one_page(module: str) -> None:
    page = module.split(".")[2]
    users = {name for name in SOURCES if module in imports_of(name)}
    assert users
    assert all(user == f"pages.{page}" or user.startswith(f"pages.parts.{page}.") for user in users)


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if name.startswith("pages.shared.")))
def test_shared_modules_are_used_by_two_pages_or_by_the_front_door(module: str) -> None:
    assert not [name for name in imports_of(module) if not name.startswith("pages.shared.")]
    users = [name for name in (*SCRIPTS, "dashboard") if module in reached_from(name)]
    assert len(users) >= 2 or "dashboard" in users


@pytest.mark.parametrize("module", SCRIPTS)
def test_a_page_is_a_short_script(module: str) -> None:
    assert not [node.name for node in ast.walk(SOURCES[module]) if isinstance(node, ast.ClassDef)]
    assert len((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8").splitlines()) <= 150


def test_html_comes_from_templates_alone() -> None:
    def shows_html(tree: ast.Module) -> bool:
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return any(isinstance(function, ast.Attribute) and function.attr == "html" for function in calls)

    assert [name for name, tree in SOURCES.items() if shows_html(tree)] == ["pages.shared.templates"]
    keywords = [node.arg for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    assert "unsafe_allow_html" not in keywords
