"""Ensembles: several trained networks as one checkpoint that answers with the mean of their calibrated logits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.models.architectures import Ensemble, architecture_names
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, save_checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.training.calibration import REFUSAL_SCORE, choose_refusal_threshold, fit_temperature
from digitcore.training.distillation import load_source_checkpoint
from digitcore.training.provenance import git_commit, surroundings

__all__ = ["build_ensemble"]


def build_ensemble(names: Sequence[str], *, validation: DigitSet, output: Path) -> None:
    """Builds an ensemble of the checkpoints with these names, or at these paths, and writes the checkpoint `output`.

    Temperature and refusal threshold are fitted on the validation digits.

    Raises:
        TrainingError: a member cannot be used, has seen the validation digits or is named twice, or no architecture has
            such members.
        CheckpointError: output cannot be written.
    """
    members = [load_source_checkpoint(name, role="member", held_out=validation.name) for name in names]
    architecture = _ensemble_architecture(members)
    network = Ensemble(
        [member.network for member in members], temperatures=[member.metadata.temperature for member in members]
    )
    logits = np.mean([DigitClassifier(member).logits(validation.images) for member in members], axis=0)
    temperature = fit_temperature(logits, validation.labels)
    metadata = CheckpointMetadata(
        architecture=architecture,
        temperature=temperature,
        refusal_score=REFUSAL_SCORE,
        refusal_threshold=choose_refusal_threshold(logits, temperature=temperature),
        trained_on=tuple(sorted({dataset for member in members for dataset in member.metadata.trained_on})),
        provenance={
            "members": {member.name: member.digest for member in members},
            "chosen_on": validation.name,
            **surroundings(torch.device("cpu"), commit=git_commit()),
        },
    )
    save_checkpoint(output, network, metadata)


def _ensemble_architecture(members: Sequence[Checkpoint]) -> str:
    if len({member.digest for member in members}) < len(members):
        raise TrainingError(
            f"Of {', '.join(member.name for member in members)} two are the same: name each member once."
        )
    foreign = [member for member in members if not member.metadata.convention.is_ours]
    if foreign:
        words = foreign[0].metadata.convention.words
        raise TrainingError(
            f"{foreign[0].name} takes its digits as {words}: an ensemble needs members that agree in this."
        )
    kinds = " and ".join(sorted({member.metadata.architecture for member in members}))
    architecture = f"{kinds.replace(' and ', '+')}-x{len(members)}"
    if architecture not in architecture_names():
        known = [name for name in architecture_names() if "-x" in name]
        raise TrainingError(f"No network is made of {len(members)} times {kinds}: known are {', '.join(known)}.")
    return architecture
