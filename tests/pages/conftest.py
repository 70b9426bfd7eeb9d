"""The pages without a browser: Streamlit's AppTest runs `dashboard.py` as a visitor's browser would have it run.

It draws nothing and runs no JavaScript: what a custom component sends (the canvas, the gallery) is put into the session
state as the page would have put it there, and what a chart or a table sends when it is clicked is left to the tests
with a browser.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test

from tests.paths import ROOT

PAGES = {
    "": "Draw a digit",
    "accuracy": "Accuracy",
    "confusion": "Confusion matrix",
    "errors": "Browse digits",
    "compare": "Compare models",
    "handwriting": "Handwriting",
}
"""Files of `pages`, the first being named by nothing, and their titles."""

Visit = Callable[..., AppTest]


class ServedPages(PagesManager):
    """The pages as `dashboard.py` has them served: a folder named pages does not make an app of the older kind."""

    def __init__(self, main_script_path: str, script_cache: ScriptCache, *, setup_watcher: bool) -> None:
        super().__init__(main_script_path, script_cache, setup_watcher=setup_watcher)
        PagesManager.uses_pages_directory = False


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """A function that opens a page with these parameters in its address: `visit("errors", dataset="uci-digits")`."""
    monkeypatch.setattr(app_test, "PagesManager", ServedPages)
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path / 'annotations.sqlite'}")

    def open_page(name: str = "", **parameters: str | list[str]) -> AppTest:
        app = AppTest.from_file(ROOT / "dashboard.py", default_timeout=120)
        if name:
            app.switch_page(f"pages/{name}.py")
        app.query_params.update({key.replace("_", "-"): value for key, value in parameters.items()})
        return app.run()

    return open_page


def is_fine(app: AppTest) -> bool:
    """Whether the page shows no traceback and no message of an error."""
    return not app.exception and not app.error


def texts(app: AppTest) -> str:
    """All that is written on the page and in its sidebar, a line for each piece."""
    kinds = ("title", "header", "markdown", "caption", "html", "info", "warning", "error", "success")
    return "\n".join(str(getattr(element, "value", element)) for kind in kinds for element in app.get(kind))


def tiles(app: AppTest) -> list[dict[str, Any]]:
    """The digits in the gallery."""
    galleries = [component for component in app.get("bidi_component") if component.key.endswith("gallery")]
    return [tile for gallery in galleries for tile in json.loads(gallery.proto.json)["tiles"]]
