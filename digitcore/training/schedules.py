"""Learning rate and augmentation strength over a training run."""

import math

from digitcore.training.recipes import Recipe

__all__ = ["augmentation_strength", "learning_rate"]


def learning_rate(recipe: Recipe, progress: float) -> float:
    """The learning rate after the share `progress` in [0, 1] of all steps: linear warm-up, then a cosine to 0."""
    if progress < recipe.warmup:
        return recipe.peak_learning_rate * max(progress, 1e-4) / recipe.warmup
    decay_progress = (progress - recipe.warmup) / (1 - recipe.warmup)
    return recipe.peak_learning_rate * (1 + math.cos(math.pi * decay_progress)) / 2


def augmentation_strength(recipe: Recipe, epoch: int) -> float:
    """The strength in [0, 1] in an epoch, counted from 0: full, then falling linearly, then none."""
    progress = epoch / recipe.epochs
    if progress >= recipe.plain_from:
        return 0.0
    if progress <= recipe.full_augmentation:
        return 1.0
    return (recipe.plain_from - progress) / (recipe.plain_from - recipe.full_augmentation)
