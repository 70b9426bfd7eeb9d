"""Distillation: a student learns from the probabilities that trained networks, its teachers, give to the same views."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from digitcore.checkpoints import Checkpoint, load_checkpoint
from digitcore.errors import CheckpointError, TrainingError

__all__ = ["Teachers", "distillation_loss"]


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
        checkpoints = [_load(name) for name in names]
        for checkpoint in checkpoints:
            if held_out in checkpoint.metadata.trained_on:
                raise TrainingError(
                    f"The teacher {checkpoint.name} was trained on {held_out}, on which the student is followed: "
                    "name another teacher in the recipe."
                )
        self.digests = {name: checkpoint.digest for name, checkpoint in zip(names, checkpoints, strict=True)}
        self.trained_on = {dataset for checkpoint in checkpoints for dataset in checkpoint.metadata.trained_on}
        self.dtype = torch.bfloat16 if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() else torch.float32
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


def distillation_loss(
    logits: Tensor, *, labels: Tensor, probabilities: Tensor, weight: float, temperature: float
) -> Tensor:
    """The student's mean loss, in nats: the divergence from its teachers, and cross-entropy for the rest of `weight`.

    logits (N, 10) are the student's; labels int64 (N,); probabilities (N, 10) the teachers' at the same temperature.
    The divergence is multiplied by the square of the temperature, so that its gradients keep their size.

    Source: G. Hinton et al., "Distilling the knowledge in a neural network", 2015; same view for both: L. Beyer et
    al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022.
    """
    softened = functional.log_softmax(logits / temperature, dim=1)
    divergence = functional.kl_div(softened, probabilities, reduction="batchmean") * temperature**2
    return weight * divergence + (1 - weight) * functional.cross_entropy(logits, labels)


def _load(name: str) -> Checkpoint:
    try:
        return load_checkpoint(name)
    except CheckpointError as error:
        raise TrainingError(
            f"The teacher {name} cannot be used ({error}): train it first, or name another in the recipe."
        ) from error
