import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from digitcore.data.datasets import DigitSet
from digitcore.training.augmentation import Augmentation, augment

ALL = Augmentation(rotation=12, shear=0.2, scale=0.12, shift=1.5, elastic=0.6, stroke_width=0.7)


@pytest.fixture(scope="module")
def ink(validation_digits: DigitSet) -> Tensor:
    return torch.from_numpy(validation_digits.images[::25].copy()).unsqueeze(1).float() / 255  # (200, 1, 28, 28)


def _augment(ink: Tensor, augmentation: Augmentation, *, strength: float = 1.0, seed: int = 0) -> Tensor:
    return augment(ink, augmentation, strength=strength, generator=torch.Generator().manual_seed(seed))


def _blob(row: int, column: int) -> Tensor:
    ink = torch.zeros(600, 1, 28, 28)
    ink[:, 0, row - 1 : row + 2, column - 1 : column + 2] = 1
    return ink


def _centres(ink: Tensor) -> np.ndarray:
    """Centres of mass (N, 2) as (row, column), from the middle of the picture."""
    return np.array([ndimage.center_of_mass(picture) for picture in ink[:, 0].numpy()]) - 13.5


def test_strength_0_changes_nothing(ink: Tensor) -> None:
    assert torch.equal(_augment(ink, ALL, strength=0), ink)


def test_no_variation_changes_nothing(ink: Tensor) -> None:
    assert torch.allclose(_augment(ink, Augmentation()), ink, atol=1e-5)


def test_shape_and_range_are_kept_and_the_input_is_not_written_to(ink: Tensor) -> None:
    before = ink.clone()
    varied = _augment(ink, ALL)
    assert varied.shape == ink.shape
    assert varied.dtype == torch.float32
    assert varied.min() >= 0
    assert varied.max() <= 1 + 1e-5
    assert torch.equal(ink, before)
    assert not torch.allclose(varied, ink, atol=0.1)


def test_the_generator_alone_decides(ink: Tensor) -> None:
    global_state = torch.random.get_rng_state()
    one = _augment(ink, ALL, seed=3)
    torch.rand(5)
    assert torch.equal(_augment(ink, ALL, seed=3), one)
    assert not torch.equal(_augment(ink, ALL, seed=4), one)
    torch.random.set_rng_state(global_state)
    _augment(ink, ALL)
    assert torch.equal(torch.random.get_rng_state(), global_state)


def test_shifts_are_uniform_up_to_the_bound() -> None:
    centres = _centres(_augment(_blob(14, 14), Augmentation(shift=2))) - 0.5
    assert np.abs(centres).max() <= 2.05
    assert centres.max(axis=0).min() > 1.8
    assert centres.min(axis=0).max() < -1.8
    assert np.abs(centres.std(axis=0) - 2 / np.sqrt(3)).max() < 0.1


def test_rotations_are_about_the_middle_up_to_the_bound() -> None:
    centres = _centres(_augment(_blob(14, 22), Augmentation(rotation=20)))
    angles = np.degrees(np.arctan2(centres[:, 0], centres[:, 1])) - np.degrees(np.arctan2(0.5, 8.5))
    assert np.hypot(*centres.T) == pytest.approx(np.hypot(0.5, 8.5), abs=0.15)
    assert 18 < angles.max() < 21
    assert -21 < angles.min() < -18


def test_scaling_is_of_each_axis_up_to_the_bound() -> None:
    centres = _centres(_augment(_blob(21, 21), Augmentation(scale=0.2)))
    ratios = 7.5 / centres  # the grid says where a pixel is read from, so the picture shrinks by 1 + scale
    assert ratios.min() == pytest.approx(0.8, abs=0.03)
    assert ratios.max() == pytest.approx(1.2, abs=0.03)
    assert abs(np.corrcoef(ratios.T)[0, 1]) < 0.15


def test_shearing_moves_columns_in_proportion_to_the_row() -> None:
    low, high = (_centres(_augment(_blob(row, 14), Augmentation(shear=0.3))) for row in (21, 6))
    assert np.abs(low[:, 0] - 7.5).max() < 0.1
    assert np.abs(low[:, 1]).max() == pytest.approx(0.3 * 7.5 + 0.5, abs=0.2)
    assert np.corrcoef(low[:, 1], high[:, 1])[0, 1] < -0.95  # the same draws, on the other side of the middle


def test_elastic_warps_have_the_deviation_asked_for() -> None:
    ramp = (torch.arange(28) / 28).repeat(600, 1, 28, 1)  # its values say from which column a pixel was read
    moved = (_augment(ramp, Augmentation(elastic=0.5)) - ramp)[:, 0] * 28
    at_knots = moved[:, [9, 9, 18, 18], [9, 18, 9, 18]]
    assert at_knots.std() == pytest.approx(0.5, rel=0.05)
    assert abs(at_knots.mean()) < 0.05
    correlations = np.corrcoef(at_knots.T)
    assert np.abs(correlations - np.eye(4)).max() < 0.15  # each knot moves by itself
    assert np.corrcoef(moved[:, 9, 9], moved[:, 9, 10])[0, 1] > 0.9  # and the pixels between follow smoothly


def test_a_third_gets_thicker_a_third_thinner_and_a_third_stays(ink: Tensor) -> None:
    batch = ink[:199]
    change = (_augment(batch, Augmentation(stroke_width=1)) - batch).sum(dim=(1, 2, 3)).numpy()
    assert (change[:66] > 0).all()
    assert (change[66:132] < 0).all()
    assert np.abs(change[132:]).max() < 1e-2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_batches_are_varied_too(ink: Tensor, count: int) -> None:
    assert _augment(ink[:count], ALL).shape == (count, 1, 28, 28)


def test_strength_multiplies_the_bounds() -> None:
    half = _augment(_blob(14, 14), Augmentation(shift=4), strength=0.5)
    assert torch.allclose(half, _augment(_blob(14, 14), Augmentation(shift=2)), atol=1e-5)
