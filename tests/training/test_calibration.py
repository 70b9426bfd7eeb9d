import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax

from digitcore.evaluation.evaluation import find_evaluation
from digitcore.models.library import load_checkpoint
from digitcore.models.refusal import REFUSAL_SCORES, RefusalScore, refusal_scores
from digitcore.training.calibration import FALSE_REFUSAL_RATE, choose_refusal_threshold, fit_temperature


def _sampled(seed: int, temperature: float, count: int = 2_000) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits, and labels drawn from their probabilities at this temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (count, 10)).astype(np.float32)
    noise = rng.gumbel(size=logits.shape)
    return logits, (logits / temperature + noise).argmax(axis=1)


def _log_loss(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    scaled = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scaled[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_the_best_of_a_fine_grid(temperature: float) -> None:
    logits, labels = _sampled(0, temperature)
    found = fit_temperature(logits, labels)
    grid = np.geomspace(0.1, 10, 2_000)
    losses = [_log_loss(logits, labels, temperature) for temperature in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.004)
    assert _log_loss(logits, labels, found) <= min(losses) + 1e-9
    assert found == pytest.approx(temperature, rel=0.1)


def test_the_temperature_stays_within_its_bounds() -> None:
    right = np.eye(10, dtype=np.float32)[[1, 2, 3]]
    assert fit_temperature(right, np.array([1, 2, 3])) == pytest.approx(0.1, rel=0.01)
    assert fit_temperature(right * 5, np.array([4, 5, 6])) == pytest.approx(10, rel=0.01)


@given(
    seed=st.integers(0, 1_000),
    count=st.integers(1, 2_000),
    temperature=st.floats(0.2, 5),
    rate=st.floats(0, 0.5) | st.just(FALSE_REFUSAL_RATE),
    score=st.sampled_from(REFUSAL_SCORES),
)
def test_at_most_the_given_share_is_refused(
    seed: int, count: int, temperature: float, rate: float, score: RefusalScore
) -> None:
    logits = np.random.default_rng(seed).normal(0, 4, (count, 10)).astype(np.float32)
    threshold = choose_refusal_threshold(logits, temperature=temperature, score=score, rate=rate)
    scores = refusal_scores(logits.astype(np.float64) / temperature, score)
    refused = int((scores < threshold).sum())
    assert refused <= rate * count
    assert refused + 1 > rate * count or refused == int(rate * count)  # and not fewer than can be
    assert score != "confidence" or 0.1 - 1e-7 <= threshold <= 1


def test_ties_are_not_refused() -> None:
    assert choose_refusal_threshold(
        np.zeros((1_000, 10), dtype=np.float32), temperature=1.0, score="confidence"
    ) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["compact", "compact-wide", "ensemble", "world", "baseline"])
def test_the_shipped_checkpoints_refuse_few_validation_digits(name: str) -> None:
    evaluation = find_evaluation(load_checkpoint(name), "mnist-validation")
    assert evaluation is not None
    metadata = load_checkpoint(name).metadata
    scores = refusal_scores(evaluation.logits.astype(np.float64), metadata.refusal_score)
    assert 0 < (scores < metadata.refusal_threshold).mean() <= FALSE_REFUSAL_RATE + 1e-3
