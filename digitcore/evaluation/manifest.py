"""`weights/manifest.json`: SHA-256 and figures of each shipped checkpoint, which tests reproduce."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digitcore.evaluation.evaluation import find_evaluation, summarize
from digitcore.files import write_atomically
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint
from digitcore.models.own_files import manifest_path

__all__ = ["SHIPPED_ON", "describe_checkpoints", "write_manifest"]

SHIPPED_ON = ("mnist-test", "mnist-validation", "uci-digits", "pen-digits", "pen-validation", "written-forms")
"""The datasets that shipped checkpoints are evaluated on."""


def describe_checkpoints(directory: Path) -> dict[str, Any]:
    """The manifest of a folder: its usable checkpoints by name, with the figures of stored evaluations."""
    library = CheckpointLibrary(directory)
    usable = [entry for entry in library.entries() if isinstance(entry, UsableCheckpoint)]
    return {entry.name: _describe(entry, library) for entry in usable}


def write_manifest(directory: Path) -> None:
    """Writes manifest.json in a folder, describing what the folder holds."""
    text = json.dumps(describe_checkpoints(directory), indent=2) + "\n"
    write_atomically(manifest_path(directory), text.encode())


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
