"""Optimizers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from digitcore.training.recipes import Recipe

__all__ = ["KernelMuon", "make_optimizers"]


class KernelMuon(torch.optim.Muon):
    """Muon on the kernels of convolutions, each as a matrix (outputs, height * width * inputs).

    Its steps are as long as AdamW's, so that both use the same learning rate.

    Sources: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; length of the steps: J.
    Liu et al., "Muon is scalable for LLM training", 2025.
    """

    def __init__(self, kernels: Sequence[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        """Takes kernels (outputs, inputs, height, width) in the memory format channels_last, and updates those."""
        self._kernels = list(kernels)
        matrices = [_as_matrix(kernel.detach()) for kernel in self._kernels]
        for matrix, kernel in zip(matrices, self._kernels, strict=True):
            if matrix.data_ptr() != kernel.data_ptr():
                raise ValueError(f"kernels must be in the memory format channels_last, got strides {kernel.stride()}")
        super().__init__(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates the kernels by their gradients."""
        matrices: list[Tensor] = self.param_groups[0]["params"]
        for matrix, kernel in zip(matrices, self._kernels, strict=True):
            matrix.grad = None if kernel.grad is None else _as_matrix(kernel.grad)
        loss: float | None = super().step(closure)  # type: ignore[no-untyped-call]
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of the kernels."""
        super().zero_grad(set_to_none)
        for kernel in self._kernels:
            kernel.grad = None


def make_optimizers(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimizers that together update all weights of a network, at the recipe's peak learning rate."""
    rate, decay = recipe.peak_learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return [torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)]
    kernels = [weight for weight in network.parameters() if weight.ndim == 4]
    others = [weight for weight in network.parameters() if weight.ndim != 4]
    return [
        KernelMuon(kernels, lr=rate, weight_decay=decay),
        torch.optim.AdamW(others, lr=rate, weight_decay=decay),
    ]


def _as_matrix(kernel: Tensor) -> Tensor:
    return kernel.permute(0, 2, 3, 1).flatten(1)
