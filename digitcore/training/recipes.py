"""Training recipes by name."""

from dataclasses import dataclass, field, replace
from typing import Literal

from digitcore.training.augmentation import Augmentation

__all__ = ["Recipe", "load_recipe", "recipe_names"]


@dataclass(frozen=True)
class Recipe:
    """Everything that, together with a seed, determines a training run."""

    name: str
    architecture: str
    epochs: int
    summary: str
    material: tuple[str, ...] = ("mnist-train",)
    """Training data, by the names of `digitcore.training.material`."""
    starts_from: str | None = None
    """Name of a checkpoint of the same architecture whose weights the run starts from. Default: random weights."""
    start_share: float = 0.0
    """Share of those weights in the final weights: a higher share keeps more of what was learned before."""
    batch_norm: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the matrix products in the network; bfloat16 only where the processor has instructions for it."""
    batch_size: int = 128
    optimizer: Literal["adamw", "muon"] = "adamw"
    """For the kernels of convolutions; AdamW updates all other weights."""
    peak_learning_rate: float = 5e-3
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises to its peak; then it falls to 0 as a cosine."""
    weight_decay: float = 1e-2
    average_decay: float = 0.999
    """Decay per step of the exponential moving average of the weights, which the checkpoint gets."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    full_augmentation: float = 0.7
    """Share of all epochs with full augmentation; then it weakens linearly until `plain_from`."""
    plain_from: float = 0.95
    """Share of all epochs after which digits are not augmented."""
    views: int | None = None
    """Number of epochs that draw new variants of the digits; later epochs repeat those from memory (47 megabytes per
    view of 60,000 digits) without asking the teachers again. Default: every epoch draws new variants."""
    teachers: tuple[str, ...] = ()
    """Names of the checkpoints to learn from."""
    taught: tuple[str, ...] | None = None
    """The training data that the teachers are asked about; the rest is learned from its labels. Default: all."""
    distillation_weight: float = 1.0
    """Share of the loss that comes from the teachers; the rest comes from the labels."""
    distillation_temperature: float = 1.0
    """Divides the logits of student and teachers; above 1, less likely digits count for more."""


_VARIED = Augmentation(rotation=12, shear=0.2, scale=0.12, shift=1.5, elastic=0.6, stroke_width=0.7)

_WORLD = ("mnist-train", "written", "pen-train", "no-digits")

_COMPACT = Recipe(
    name="compact",
    architecture="compact",
    epochs=120,
    summary="the 8-16-32 network, with warped digits and varied strokes, learning from compact-wide",
    batch_norm=True,
    optimizer="muon",
    peak_learning_rate=1e-2,
    augmentation=_VARIED,
    full_augmentation=0.85,
    plain_from=0.85,
    views=30,
    teachers=("compact-wide",),
    distillation_temperature=2,
)

_WEAKLY_VARIED = Augmentation(rotation=8, shear=0.15, scale=0.08, shift=1, elastic=0.4, stroke_width=0.4)

_RECIPES = {
    recipe.name: recipe
    for recipe in (
        _COMPACT,
        replace(
            _COMPACT,
            name="tiny",
            architecture="tiny",
            epochs=80,
            summary="a network of 1,895 parameters, with digits warped a little, learning from compact-wide",
            peak_learning_rate=2e-2,
            augmentation=_WEAKLY_VARIED,
            views=20,
        ),
        replace(
            _COMPACT,
            name="compact-wide",
            architecture="compact-wide",
            epochs=50,
            summary="the deeper network of 23,022 parameters, with warped digits, learning from the ensemble",
            optimizer="adamw",
            views=4,
            teachers=("ensemble",),
        ),
        Recipe(
            name="member",
            architecture="standard",
            epochs=30,
            summary="one of the three networks in the ensemble, with warped digits and varied strokes",
            batch_norm=True,
            precision="bfloat16",
            peak_learning_rate=3e-3,
            augmentation=_VARIED,
        ),
        replace(
            _COMPACT,
            name="standard",
            architecture="standard",
            epochs=50,
            summary="the network of 189 thousand parameters, with warped digits, learning from three of its kind",
            precision="bfloat16",
            peak_learning_rate=6e-3,
            views=12,
            teachers=("ensemble",),
        ),
        replace(
            _COMPACT,
            name="world",
            architecture="standard",
            epochs=30,
            summary="MNIST as the ensemble reads it, digits in forms from all over the world, and what is not a digit",
            material=_WORLD,
            precision="bfloat16",
            peak_learning_rate=6e-3,
            views=8,
            teachers=("ensemble",),
            taught=("mnist-train",),
        ),
        replace(
            _COMPACT,
            name="world-compact",
            epochs=30,
            summary="the 8-16-32 network, learning from world on the same training data",
            material=_WORLD,
            optimizer="adamw",
            views=4,
            teachers=("world",),
        ),
        Recipe(
            name="mlp",
            architecture="mlp",
            epochs=12,
            summary="a network without convolutions, on MNIST without augmentation, for comparison",
            peak_learning_rate=2e-3,
            average_decay=0.99,
        ),
        Recipe(
            name="quick",
            architecture="compact",
            epochs=2,
            summary="the 8-16-32 network in a quarter of a minute, to watch it learn",
            batch_norm=True,
            peak_learning_rate=2e-2,
            warmup=0.2,
            average_decay=0.98,
        ),
        Recipe(
            name="brief",
            architecture="compact",
            epochs=25,
            summary="the 8-16-32 network in two to three minutes, with digits warped and strokes varied a little",
            batch_norm=True,
            peak_learning_rate=2e-2,
            average_decay=0.995,
            augmentation=_WEAKLY_VARIED,
            full_augmentation=0.6,
            plain_from=0.9,
        ),
        Recipe(
            name="baseline",
            architecture="compact",
            epochs=12,
            summary="the 8-16-32 network on MNIST without augmentation, for comparison",
            average_decay=0.99,
        ),
    )
}


def recipe_names() -> list[str]:
    """The names of all recipes."""
    return list(_RECIPES)


def load_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        ValueError: no recipe has this name.
    """
    if name not in _RECIPES:
        raise ValueError(f"name must be one of {', '.join(_RECIPES)}, got {name!r}")
    return _RECIPES[name]
