"""Loss functions."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NO_DIGIT", "cross_entropy", "distillation_loss"]

NO_DIGIT = -1
"""Label of drawings that are not digits: a network learns to give all ten digits the same probability."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of logits (N, 10) with labels int64 (N,).

    The target is one-hot, or uniform where the label is `NO_DIGIT`.
    """
    return _cross_entropies(logits, labels).mean()


def distillation_loss(
    logits: Tensor, *, labels: Tensor, probabilities: Tensor, weight: float, temperature: float
) -> Tensor:
    """The student's mean loss, in nats: the divergence from its teachers, and cross-entropy for the rest of `weight`.

    logits (N, 10) are the student's; labels int64 (N,); probabilities (N, 10) the teachers' at the same temperature,
    NaN in rows that no teacher was asked about: there only the label counts.
    The divergence is multiplied by the square of the temperature, so that its gradients keep their size.

    Source: G. Hinton et al., "Distilling the knowledge in a neural network", 2015; the same view for teacher and
    student: L. Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022.
    """
    is_taught = ~probabilities[:, 0].isnan()
    log_softened = functional.log_softmax(logits / temperature, dim=1)
    divergences = (
        functional.kl_div(log_softened, probabilities.nan_to_num(), reduction="none").sum(dim=1) * temperature**2
    )
    share = weight * is_taught
    return (share * divergences + (1 - share) * _cross_entropies(logits, labels)).mean()


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (N,), in nats, of each row."""
    log_probabilities = torch.log_softmax(logits, dim=1)
    label_log_probabilities = log_probabilities.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return -torch.where(labels == NO_DIGIT, log_probabilities.mean(dim=1), label_log_probabilities)
