"""What a wheel holds besides the package: the dashboard, its pages and the shipped weights, in `digitcore/_app/`.

An editable installation reads them from the checkout.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ApplicationFiles(BuildHookInterface[Any]):
    """Adds the files to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Names the files for hatchling; `version` is "standard" or "editable"."""
        if version == "standard":
            root = Path(self.root)
            paths = [root / "dashboard.py", root / ".streamlit" / "config.toml", root / "pages", *_shipped(root)]
            build_data["force_include"] |= {str(path): f"digitcore/_app/{path.relative_to(root)}" for path in paths}


def _shipped(root: Path) -> Iterator[Path]:
    """What the manifest of the weights lists, with its evaluations; no checkpoint that was only tried out here."""
    weights = root / "weights"
    yield from (weights / "manifest.json", weights / "README.md")
    for name, description in json.loads((weights / "manifest.json").read_text(encoding="utf-8")).items():
        yield weights / description["file"]
        yield from sorted((weights / "evaluations").glob(f"{name}--*.npz"))
