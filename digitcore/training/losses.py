"""What training makes small."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NO_DIGIT", "cross_entropy", "distillation_loss"]

NO_DIGIT = -1
"""Label of what is no digit: a network learns to hold all ten equally likely."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of logits (N, 10) with labels int64 (N,); with ten equal shares for `NO_DIGIT`."""
    log_probabilities = torch.log_softmax(logits, dim=1)
    of_labels = log_probabilities.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return -torch.where(labels == NO_DIGIT, log_probabilities.mean(dim=1), of_labels).mean()


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
    return weight * divergence + (1 - weight) * cross_entropy(logits, labels)
