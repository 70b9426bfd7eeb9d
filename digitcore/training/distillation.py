"""Knowledge distillation: a student network learns from the probabilities of its teachers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from digitcore.errors import CheckpointError, TrainingError
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.library import load_checkpoint

__all__ = ["Teachers", "has_bfloat16", "load_source_checkpoint"]


class Teachers:
    """The teachers of a run: trained networks whose mean probabilities the student learns from.

    On processors with bfloat16 instructions their forward pass uses bfloat16: about half the time, and probabilities
    that differ by some thousandths. Other devices compute in float32.
    """

    def __init__(self, names: Sequence[str], *, held_out: str, device: torch.device) -> None:
        """Loads the teachers by name.

        Raises:
            TrainingError: one cannot be used, or was trained on the dataset `held_out`: students would know the
                validation digits indirectly.
        """
        checkpoints = [load_source_checkpoint(name, role="teacher", held_out=held_out) for name in names]
        self.digests = {name: checkpoint.digest for name, checkpoint in zip(names, checkpoints, strict=True)}
        self.trained_on = {dataset for checkpoint in checkpoints for dataset in checkpoint.metadata.trained_on}
        self.dtype = torch.bfloat16 if device.type == "cpu" and has_bfloat16(device) else torch.float32
        self._device = device
        self._networks = [
            (
                checkpoint.network.to(device).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
                checkpoint.metadata.temperature,
            )
            for checkpoint in checkpoints
        ]

    def probabilities(self, batch: Tensor, *, temperature: float) -> Tensor:
        """Mean probabilities (N, 10) for a normalised batch (N, 1, 28, 28), from calibrated logits over temperature."""
        bfloat16 = torch.autocast(self._device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)
        with torch.no_grad(), bfloat16:
            logits = [network(batch).float() / calibration for network, calibration in self._networks]
        return torch.stack([torch.softmax(member_logits / temperature, dim=1) for member_logits in logits]).mean(dim=0)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes matrix products faster in bfloat16 than in float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def load_source_checkpoint(name: str, *, role: str, held_out: str) -> Checkpoint:
    """Loads a checkpoint that another one learns from; `role` ("teacher", "start", "member") is for the messages.

    Raises:
        TrainingError: it cannot be used, or was trained on the dataset `held_out`: the new network would know the
            validation digits indirectly.
    """
    try:
        checkpoint = load_checkpoint(name)
    except CheckpointError as error:
        raise TrainingError(f"The {role} {name} cannot be used ({error}): train it first, or name another.") from error
    if held_out in checkpoint.metadata.trained_on:
        raise TrainingError(
            f"The {role} {name} was trained on {held_out}, the validation digits of this run: name another {role}."
        )
    return checkpoint
