"""`weights/manifest.json`: for each shipped checkpoint its file's SHA-256 and the figures that the tests reproduce."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digitcore.evaluation.evaluation import find_evaluation, summarize
from digitcore.files import write_atomically
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint

__all__ = ["SHIPPED_ON", "describe_checkpoints", "write_manifest"]

SHIPPED_ON = ("mnist-test", "mnist-validation", "uci-digits", "pen-digits")
"""The sets that a shipped checkpoint is judged on."""


def describe_checkpoints(directory: Path) -> dict[str, Any]:
    """The manifest of a folder as it is: usable checkpoints by name, figures where they have been evaluated."""
    library = CheckpointLibrary(directory)
    usable = [entry for entry in library.entries() if isinstance(entry, UsableCheckpoint)]
    return {entry.name: _describe(entry, library) for entry in usable}


def write_manifest(directory: Path) -> None:
    """Brings manifest.json in this folder up to what the folder holds."""
    text = json.dumps(describe_checkpoints(directory), indent=2) + "\n"
    write_atomically(directory / "manifest.json", text.encode())


def _describe(entry: UsableCheckpoint, library: CheckpointLibrary) -> dict[str, Any]:
    checkpoint = library.load(entry.name)
    figures = {}
    for dataset in SHIPPED_ON:
        evaluation = find_evaluation(checkpoint, dataset)
        if evaluation is not None:
            summary = asdict(summarize(evaluation))
            figures[dataset] = {name: summary[name] for name in ("digits", "errors", "accuracy", "nll", "ece")}
    return {
        "file": entry.path.name,
        "sha256": hashlib.sha256(entry.path.read_bytes()).hexdigest(),
        "parameters": entry.parameters,
        "figures": figures,
    }
