import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from digitcore.models.architectures import DigitNetwork, build_network
from digitcore.training.losses import cross_entropy
from digitcore.training.optimizers import KernelMuon, make_optimizers
from digitcore.training.recipes import Recipe

RECIPE = Recipe("tiny", "compact", epochs=1, summary="", batch_norm=True, optimizer="muon", weight_decay=0.0)


def _network() -> DigitNetwork:
    torch.manual_seed(0)
    return build_network("compact", batch_norm=True).to(memory_format=torch.channels_last)


def _learn(network: DigitNetwork, seed: int = 0) -> float:
    """Gradients of a batch of noise."""
    generator = torch.Generator().manual_seed(seed)
    batch, labels = torch.randn((32, 1, 28, 28), generator=generator), torch.arange(32) % 10
    loss = cross_entropy(network(batch), labels)
    loss.backward()
    return float(loss.detach())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_weight_is_taken_care_of_once(optimizer: str) -> None:
    network = _network()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    _learn(network)
    optimizers = make_optimizers(network, dataclasses.replace(RECIPE, optimizer=optimizer))
    groups = [group for part in optimizers for group in part.param_groups]
    assert sum(weight.numel() for group in groups for weight in group["params"]) == network.count_parameters()
    for part in optimizers:
        part.step()
    assert all(not torch.equal(weight, before[name]) for name, weight in network.named_parameters())


def test_a_kernel_moves_as_far_along_each_direction_of_its_gradient() -> None:
    """Oracle: NumPy's singular values. Five iterations leave them between 0.5 and 1.5 of their aim."""
    network = _network()
    kernels = [weight for weight in network.parameters() if weight.ndim == 4]
    before = [kernel.detach().clone() for kernel in kernels]
    muon = KernelMuon(kernels, lr=0.1, weight_decay=0.0)
    _learn(network)
    muon.step()
    for kernel, old in zip(kernels, before, strict=True):
        assert kernel.grad is not None
        step = (old - kernel.detach()).flatten(1).numpy()
        aim = 0.1 * 0.2 * max(step.shape) ** 0.5
        values = np.linalg.svd(step, compute_uv=False) / aim
        assert values.min() > 0.4
        assert values.max() < 1.6
        left, _, right = np.linalg.svd(kernel.grad.flatten(1).numpy(), full_matrices=False)
        assert np.vdot(step, left @ right) > 0.9 * np.linalg.norm(step) * np.linalg.norm(left @ right)


def test_what_is_no_kernel_moves_as_with_adamw_alone() -> None:
    """The first step depends on the gradients alone."""
    with_muon, alone = _network(), _network()
    for network, optimizer in ((with_muon, "muon"), (alone, "adamw")):
        _learn(network)
        for part in make_optimizers(network, dataclasses.replace(RECIPE, optimizer=optimizer)):
            part.step()
    theirs = dict(alone.named_parameters())
    for name, weight in with_muon.named_parameters():
        assert torch.equal(weight, theirs[name]) == (weight.ndim != 4)


def test_gradients_are_forgotten_and_the_loss_falls() -> None:
    network = _network()
    optimizers = make_optimizers(network, RECIPE)
    losses = []
    for _ in range(20):
        losses.append(_learn(network))
        for part in optimizers:
            part.step()
            part.zero_grad()
        assert all(weight.grad is None for weight in network.parameters())
    assert sum(later < earlier for earlier, later in pairwise(losses)) > 15
    assert losses[-1] < losses[0] / 2


def test_kernels_in_another_memory_format_are_refused() -> None:
    network = build_network("compact").to(memory_format=torch.contiguous_format)
    kernels = [weight for weight in network.parameters() if weight.ndim == 4]
    with pytest.raises(ValueError, match="channels_last"):
        KernelMuon(kernels, lr=0.1, weight_decay=0.0)
