"""Distillation: a student learns from the probabilities that trained networks, its teachers, give to the same views."""

from collections.abc import Sequence

import torch
from torch import Tensor

from digitcore.errors import CheckpointError, TrainingError
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.library import load_checkpoint

__all__ = ["Teachers", "has_bfloat16", "load_source_checkpoint"]


class Teachers:
    """Checkpoints that answer together: the mean of their probabilities.

    On processors with bfloat16 instructions the forward pass takes about half the time with them; it moves the
    probabilities by some thousandths. Other devices compute in float32.
    """

    def __init__(self, names: Sequence[str], *, held_out: str, device: torch.device) -> None:
        """Loads them by name under weights/.

        Raises:
            TrainingError: one cannot be used, or was trained on the digits `held_out`, which would then choose
                among students that know them at second hand.
        """
        checkpoints = [load_source_checkpoint(name, role="teacher", held_out=held_out) for name in names]
        self.digests = {name: checkpoint.digest for name, checkpoint in zip(names, checkpoints, strict=True)}
        self.trained_on = {dataset for checkpoint in checkpoints for dataset in checkpoint.metadata.trained_on}
        self.dtype = torch.bfloat16 if device.type == "cpu" and has_bfloat16(device) else torch.float32
        self._device = device
        self._answering = [
            (
                checkpoint.network.to(device).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
                checkpoint.metadata.temperature,
            )
            for checkpoint in checkpoints
        ]

    def probabilities(self, batch: Tensor, *, temperature: float) -> Tensor:
        """Their mean probabilities (N, 10) of a normalised batch (N, 1, 28, 28), calibrated logits over temperature."""
        bfloat16 = torch.autocast(self._device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)
        with torch.no_grad(), bfloat16:
            logits = [network(batch).float() / calibration for network, calibration in self._answering]
        return torch.stack([torch.softmax(each / temperature, dim=1) for each in logits]).mean(dim=0)


def has_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster there than in float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def load_source_checkpoint(name: str, *, role: str, held_out: str) -> Checkpoint:
    """A checkpoint under weights/ that another is to learn from, in this role ("teacher", "start").

    Raises:
        TrainingError: it cannot be used, or was trained on the digits `held_out`, which would then choose among
            networks that know them at second hand.
    """
    try:
        checkpoint = load_checkpoint(name)
    except CheckpointError as error:
        raise TrainingError(f"The {role} {name} cannot be used ({error}): train it first, or name another.") from error
    if held_out in checkpoint.metadata.trained_on:
        raise TrainingError(
            f"The {role} {name} was trained on {held_out}, on which the run is followed: name another {role}."
        )
    return checkpoint
