"""What training makes small."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NO_DIGIT", "cross_entropy", "distillation_loss"]

NO_DIGIT = -1
"""Label of what is no digit: a network learns to hold all ten equally likely."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of logits (N, 10) with labels int64 (N,); with ten equal shares for `NO_DIGIT`."""
    return _cross_entropies(logits, labels).mean()


def distillation_loss(
    logits: Tensor, *, labels: Tensor, probabilities: Tensor, weight: float, temperature: float
) -> Tensor:
    """The student's mean loss, in nats: the divergence from its teachers, and cross-entropy for the rest of `weight`.

    logits (N, 10) are the student's; labels int64 (N,); probabilities (N, 10) the teachers' at the same temperature,
    or not a number in a row that no teacher was asked about: there the label alone counts.
    The divergence is multiplied by the square of the temperature, so that its gradients keep their size.

    Source: G. Hinton et al., "Distilling the knowledge in a neural network", 2015; same view for both: L. Beyer et
    al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022.
    """
    asked = ~probabilities[:, 0].isnan()
    softened = functional.log_softmax(logits / temperature, dim=1)
    divergences = functional.kl_div(softened, probabilities.nan_to_num(), reduction="none").sum(dim=1) * temperature**2
    share = weight * asked
    return (share * divergences + (1 - share) * _cross_entropies(logits, labels)).mean()


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (N,), in nats, of each row."""
    log_probabilities = torch.log_softmax(logits, dim=1)
    of_labels = log_probabilities.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return -torch.where(labels == NO_DIGIT, log_probabilities.mean(dim=1), of_labels)
