import numpy as np
import torch
from scipy.special import log_softmax
from torch.nn import functional

from digitcore.training.losses import NO_DIGIT, cross_entropy


def test_cross_entropy_of_digits_is_that_of_torch() -> None:
    logits, labels = torch.randn(64, 10, dtype=torch.float64), torch.randint(0, 10, (64,))
    assert torch.allclose(cross_entropy(logits, labels), functional.cross_entropy(logits, labels))


def test_what_is_no_digit_is_to_be_each_digit_alike() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(3, 10))
    labels = [4, NO_DIGIT, 7]
    log_probabilities = log_softmax(logits, axis=1)
    expected = -(log_probabilities[0, 4] + log_probabilities[1].mean() + log_probabilities[2, 7]) / 3
    assert np.isclose(float(cross_entropy(torch.from_numpy(logits), torch.tensor(labels))), expected)


def test_equal_logits_are_the_least_loss_of_what_is_no_digit() -> None:
    logits = torch.randn(1, 10, dtype=torch.float64)
    labels = torch.tensor([NO_DIGIT])
    assert cross_entropy(torch.zeros(1, 10), labels) < cross_entropy(logits, labels)
    assert np.isclose(float(cross_entropy(torch.zeros(1, 10), labels)), np.log(10))
