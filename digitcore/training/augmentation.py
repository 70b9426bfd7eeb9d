"""Data augmentation: one smooth warp in a single interpolation, and thicker or thinner strokes, by the batch."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Augmentation", "augment"]


@dataclass(frozen=True)
class Augmentation:
    """Strength of each variation: the bound of a uniform distribution, except for `elastic`."""

    rotation: float = 0.0  # degrees, either way
    shear: float = 0.0  # horizontal pixels per vertical pixel, either way
    scale: float = 0.0  # each axis by 1 - scale to 1 + scale
    shift: float = 0.0  # pixels, either way on each axis
    elastic: float = 0.0  # pixels, standard deviation at the 7x7 knots of a smooth displacement
    stroke_width: float = 0.0  # 1 moves each edge by about one pixel, either way


def augment(ink: Tensor, augmentation: Augmentation, *, strength: float, generator: torch.Generator) -> Tensor:
    """Augments ink float (N, 1, 28, 28) in [0, 1]; same shape and range.

    `strength` in [0, 1] multiplies every bound; 0 returns the ink unchanged. All randomness comes from `generator`, on
    the CPU, so that a seed gives the same digits on every device.
    """
    if strength == 0:
        return ink
    ink = _vary_stroke_width(ink, augmentation.stroke_width * strength, generator)
    grid = _affine_grid(len(ink), augmentation, strength, generator)
    if augmentation.elastic:
        grid = grid + _elastic_displacement(len(ink), augmentation.elastic * strength, generator)
    return functional.grid_sample(ink, grid.to(ink.device), mode="bilinear", padding_mode="zeros", align_corners=False)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound


def _affine_grid(count: int, augmentation: Augmentation, strength: float, generator: torch.Generator) -> Tensor:
    """Source position of each output pixel: (N, 28, 28, 2), in units in which the picture spans [-1, 1]."""
    angle = _uniform((count,), math.radians(augmentation.rotation) * strength, generator)
    shear = _uniform((count,), augmentation.shear * strength, generator)
    scale = 1 + _uniform((count, 2), augmentation.scale * strength, generator)
    shift = _uniform((count, 2), augmentation.shift * strength * 2 / 28, generator)
    cosine, sine = angle.cos(), angle.sin()
    matrix = torch.empty(count, 2, 3)
    matrix[:, 0, 0] = cosine * scale[:, 0]
    matrix[:, 0, 1] = (shear * cosine - sine) * scale[:, 1]
    matrix[:, 1, 0] = sine * scale[:, 0]
    matrix[:, 1, 1] = (shear * sine + cosine) * scale[:, 1]
    matrix[:, :, 2] = shift
    return functional.affine_grid(matrix, [count, 1, 28, 28], align_corners=False)


def _elastic_displacement(count: int, deviation: float, generator: torch.Generator) -> Tensor:
    """A smooth random displacement (N, 28, 28, 2), in the units of the grid."""
    knots = torch.randn((count, 2, 7, 7), generator=generator) * (deviation * 2 / 28)
    field = functional.interpolate(knots, size=(28, 28), mode="bilinear", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _vary_stroke_width(ink: Tensor, bound: float, generator: torch.Generator) -> Tensor:
    """Thickens the strokes of the first third of a batch and thins the second; batches are in random order anyway."""
    third = len(ink) // 3
    if bound == 0 or third == 0:
        return ink
    amount = (torch.rand((2 * third, 1, 1, 1), generator=generator) * bound).to(ink.device)
    thicker, thinner, unchanged = ink[:third], ink[third : 2 * third], ink[2 * third :]
    dilated = functional.max_pool2d(thicker, 3, stride=1, padding=1)
    eroded = -functional.max_pool2d(-thinner, 3, stride=1, padding=1)
    return torch.cat(
        [
            thicker + amount[:third] * (dilated - thicker),
            thinner + amount[third:] * (eroded - thinner),
            unchanged,
        ]
    )
