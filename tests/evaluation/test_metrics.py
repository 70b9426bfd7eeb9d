import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import norm

from digitcore.evaluation.intervals import critical_value
from digitcore.evaluation.metrics import (
    Outcomes,
    accuracy_score,
    brier_loss,
    calibration_error_interval,
    class_table,
    confidence_scores,
    confused_pairs,
    confusion_matrix,
    confusion_order,
    coverage_table,
    digit_table,
    expected_calibration_error,
    log_loss,
    outcomes_at,
    reliability_table,
    sure_answers,
    wilson_interval,
)

Labels, Logits = NDArray[np.int64], NDArray[np.float32]


def _random(seed: int, count: int, scale: float = 3) -> tuple[Labels, Logits]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    logits = rng.normal(0, scale, (count, 10)) + 2 * scale * np.eye(10)[labels] * rng.random((count, 1))
    return labels, logits.astype(np.float32)


def _probabilities(logits: Logits) -> NDArray[np.float64]:
    return softmax(logits.astype(np.float64), axis=1)


def _calibration_error(labels: Labels, logits: Logits, bins: int) -> float:
    """Bin by bin, from the definition: bins (lower, upper]."""
    probabilities = _probabilities(logits)
    confidence, predictions = probabilities.max(axis=1), logits.argmax(axis=1)
    total = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            gap = abs((predictions[inside] == labels[inside]).mean() - confidence[inside].mean())
            total += gap * inside.mean()
    return total


CASES = {
    "many": _random(0, 3_000),
    "confident": _random(1, 3_000, scale=20),
    "unsure": _random(2, 500, scale=0.05),
    "one digit, right": (np.array([3]), np.eye(10, dtype=np.float32)[[3]] * 5),
    "one digit, wrong": (np.array([4]), np.eye(10, dtype=np.float32)[[3]] * 5),
    "confidence of exactly 1": (np.array([0, 1, 2]), np.eye(10, dtype=np.float32)[[0, 1, 5]] * 1_000),
    "all equal": (np.array([0, 0, 7]), np.zeros((3, 10), dtype=np.float32)),
    "ties": (np.array([1, 2, 2]), np.array([[0, 5, 5] + [0] * 7] * 3, dtype=np.float32)),
}


@pytest.mark.parametrize("case", CASES)
def test_accuracy(case: str) -> None:
    labels, logits = CASES[case]
    expected = sklearn.metrics.accuracy_score(labels, np.argmax(logits, axis=1))
    assert accuracy_score(labels, logits) == pytest.approx(expected, abs=1e-12)


def test_of_equal_logits_the_smallest_class_is_taken() -> None:
    labels, logits = CASES["ties"]
    assert accuracy_score(labels, logits) == pytest.approx(1 / 3)


@pytest.mark.parametrize("case", sorted(CASES.keys() - {"confidence of exactly 1", "confident"}))
def test_log_loss(case: str) -> None:
    labels, logits = CASES[case]
    expected = sklearn.metrics.log_loss(labels, _probabilities(logits), labels=range(10))
    assert log_loss(labels, logits) == pytest.approx(expected, abs=1e-9)


def test_log_loss_of_a_certain_mistake_is_not_clipped() -> None:
    labels, logits = CASES["confidence of exactly 1"]
    assert log_loss(labels, logits) == pytest.approx(1_000 / 3, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_brier_loss(case: str) -> None:
    labels, logits = CASES[case]
    expected = sklearn.metrics.brier_score_loss(
        labels, _probabilities(logits), labels=list(range(10)), scale_by_half=False
    )
    assert brier_loss(labels, logits) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("bins", [1, 2, 15, 100])
@pytest.mark.parametrize("case", CASES)
def test_expected_calibration_error(case: str, bins: int) -> None:
    labels, logits = CASES[case]
    expected = _calibration_error(labels, logits, bins)
    assert expected_calibration_error(labels, logits, bins=bins) == pytest.approx(expected, abs=1e-9)


def test_a_bin_holds_its_upper_edge() -> None:
    half = np.array([[0.0, 0.0, -1_000.0]], dtype=np.float32)  # a confidence of exactly 1/2
    more = np.array([[0.5, 0.0, -1_000.0]], dtype=np.float32)  # 0.62
    labels, logits = np.array([0, 1]), np.concatenate([half, more])
    apart = (abs(1 - 0.5) + abs(0 - softmax([0.5, 0])[0])) / 2
    assert expected_calibration_error(labels, logits, bins=2) == pytest.approx(apart, abs=1e-7)
    together = abs(0.5 - (0.5 + softmax([0.5, 0])[0]) / 2)
    assert expected_calibration_error(labels, logits, bins=1) == pytest.approx(together, abs=1e-7)


def test_a_calibrated_forecast_has_no_calibration_error() -> None:
    labels = np.array([0, 1])
    logits = np.array([[0.0, 0.0]] * 2, dtype=np.float32)
    assert expected_calibration_error(labels, logits) == 0


@given(trials=st.integers(1, 10_000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_interval(trials: int, share: float, level: float) -> None:
    successes = round(trials * share)
    z, p = norm.ppf((1 + level) / 2), successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    low, high = wilson_interval(successes, trials, level=level)
    assert low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert high == pytest.approx(min(1, centre + half), abs=1e-9)
    assert 0 <= low <= p <= high <= 1


@pytest.mark.parametrize("case", CASES)
def test_confusion_matrix(case: str) -> None:
    labels, logits = CASES[case]
    matrix = confusion_matrix(labels, logits)
    assert matrix.shape == (10, 10)
    assert np.array_equal(
        matrix, sklearn.metrics.confusion_matrix(labels, np.argmax(logits, axis=1), labels=list(range(10)))
    )


@pytest.mark.parametrize("case", CASES)
def test_class_table(case: str) -> None:
    labels, logits = CASES[case]
    predictions = np.argmax(logits, axis=1)
    table = class_table(labels, logits)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        labels, predictions, labels=list(range(10)), zero_division=np.nan
    )
    assert table["digit"].tolist() == list(range(10))
    assert table["support"].tolist() == support.tolist()
    assert table["errors"].tolist() == [int(((labels == c) & (predictions != c)).sum()) for c in range(10)]
    for name, expected in (("precision", precision), ("recall", recall)):
        assert np.allclose(table[name], expected, rtol=0, atol=1e-9, equal_nan=True)
    seen = (support > 0) | np.isin(np.arange(10), predictions)
    assert np.allclose(table["f1"][seen], np.nan_to_num(f1[seen]), rtol=0, atol=1e-9)
    assert table["f1"][~seen].isna().all()
    for digit in np.flatnonzero(support):
        right = int(((labels == digit) & (predictions == digit)).sum())
        low, high = wilson_interval(right, int(support[digit]))
        assert (table["recall_low"][digit], table["recall_high"][digit]) == (low, high)
        union = int(((labels == digit) | (predictions == digit)).sum())
        low, high = (2 * end / (1 + end) for end in wilson_interval(right, union))
        assert (table["f1_low"][digit], table["f1_high"][digit]) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize("known", [True, False])
def test_the_interval_of_the_calibration_error_comes_from_leaving_out_each_writer(known: bool) -> None:
    generator = np.random.default_rng(3)
    labels, logits = generator.integers(0, 10, 60), generator.normal(0, 2, (60, 10)).astype(np.float32)
    writers = generator.integers(20, 26, 60)
    people = writers if known else np.arange(60)
    error = expected_calibration_error(labels, logits)
    without = [expected_calibration_error(labels[people != one], logits[people != one]) for one in np.unique(people)]
    reach = critical_value(len(without)) * np.sqrt(np.square(np.array(without) - error).sum())
    interval = calibration_error_interval(labels, logits, writers=writers if known else None)
    assert interval == pytest.approx((max(0, error - reach), min(1, error + reach)))


def test_sure_answers_are_those_that_are_called_so() -> None:
    confidence = np.array([0.99949, 0.9996, 0.9999, 0.6])
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1)).astype(np.float32)
    answers = sure_answers(np.array([0, 0, 1, 1]), logits)
    assert (answers.count, answers.right, answers.interval) == (2, 1, wilson_interval(1, 2))
    assert sure_answers(np.array([0]), logits[3:]).interval == (0, 1)


def test_confused_pairs() -> None:
    matrix = np.diag([5, 6, 7])
    matrix[0, 1], matrix[2, 0], matrix[2, 1] = 2, 3, 2
    table = confused_pairs(*_answers(matrix))
    assert table[["true", "predicted", "count"]].to_numpy().tolist() == [[2, 0, 3], [0, 1, 2], [2, 1, 2]]
    assert table["share"].tolist() == pytest.approx([3 / 12, 2 / 7, 2 / 12])
    assert (table["low"][1], table["high"][1]) == wilson_interval(2, 7)
    assert len(confused_pairs(*_answers(np.diag([5, 6, 7])))) == 0


def _answers(matrix: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and logits with this confusion matrix."""
    cells = [(true, predicted) for true, predicted in np.ndindex(*matrix.shape) for _ in range(matrix[true, predicted])]
    labels, predictions = np.array(cells).T
    return labels, np.eye(len(matrix), dtype=np.float32)[predictions]


def test_classes_that_are_confused_stand_side_by_side() -> None:
    matrix = np.eye(10, dtype=np.int64) * 100
    for one, other in ((4, 9), (3, 5), (1, 7)):
        matrix[one, other] = matrix[other, one] = 20
    order = confusion_order(matrix)
    assert sorted(order) == list(range(10))
    for one, other in ((4, 9), (3, 5), (1, 7)):
        assert abs(order.index(one) - order.index(other)) == 1
    assert sorted(confusion_order(np.eye(10, dtype=np.int64))) == list(range(10))
    assert sorted(confusion_order(np.zeros((10, 10), dtype=np.int64))) == list(range(10))


@pytest.mark.parametrize("bins", [1, 15])
@pytest.mark.parametrize("case", CASES)
def test_reliability_table(case: str, bins: int) -> None:
    labels, logits = CASES[case]
    confidence, right = _probabilities(logits).max(axis=1), logits.argmax(axis=1) == labels
    table = reliability_table(labels, logits, bins=bins)
    assert table["digits"].sum() == len(labels)
    for row in table.itertuples():
        inside = (confidence > row.lower) & (confidence <= row.upper)
        assert row.digits == inside.sum() > 0
        assert row.confidence == pytest.approx(confidence[inside].mean(), abs=1e-9)
        assert row.accuracy == pytest.approx(right[inside].mean(), abs=1e-9)
        assert (row.low, row.high) == wilson_interval(int(right[inside].sum()), int(inside.sum()))
    weighted = (np.abs(table["accuracy"] - table["confidence"]) * table["digits"]).sum() / len(labels)
    assert expected_calibration_error(labels, logits, bins=bins) == pytest.approx(weighted, abs=1e-9)


@pytest.mark.parametrize("points", [10, 400])
@pytest.mark.parametrize("case", CASES)
def test_coverage_table(case: str, points: int) -> None:
    labels, logits = CASES[case]
    confidence, wrong = _probabilities(logits).max(axis=1), logits.argmax(axis=1) != labels
    table = coverage_table(labels, logits, points=points)
    assert 1 <= len(table) <= points
    assert table["answered"].is_monotonic_increasing
    assert table["answered"].is_unique
    for row in table.itertuples():
        answered = confidence >= row.threshold
        assert row.answered == answered.sum()
        assert row.coverage == pytest.approx(answered.mean())
        assert row.errors == wrong[answered].sum()
        assert row.accuracy == pytest.approx(1 - wrong[answered].mean())
    assert table["coverage"].iloc[-1] == 1


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 1.0, 1.1])
@pytest.mark.parametrize("case", CASES)
def test_outcomes(case: str, threshold: float) -> None:
    labels, logits = CASES[case]
    answered = _probabilities(logits).max(axis=1) >= threshold
    right = logits.argmax(axis=1) == labels
    given = int(np.sum(answered))
    assert outcomes_at(labels, logits, threshold=threshold) == Outcomes(
        answered_right=int(np.sum(answered & right)),
        answered_wrong=int(np.sum(answered & ~right)),
        refused_right=int(np.sum(~answered & right)),
        refused_wrong=int(np.sum(~answered & ~right)),
        interval=wilson_interval(int(np.sum(answered & right)), given) if given else (0.0, 1.0),
    )


@pytest.mark.parametrize("case", CASES)
def test_digit_table(case: str) -> None:
    labels, logits = CASES[case]
    probabilities = _probabilities(logits)
    table = digit_table(np.arange(len(labels)) + 7, labels, logits)
    assert table["id"].tolist() == list(range(7, 7 + len(labels)))
    assert np.array_equal(table["true"], labels)
    assert np.array_equal(table["predicted"], np.argmax(logits, axis=1))
    assert np.array_equal(table["right"], table["true"] == table["predicted"])
    assert np.allclose(table["confidence"], confidence_scores(logits), atol=1e-12)
    for i in range(0, len(labels), 100):
        others = np.delete(probabilities[i], labels[i])
        assert table["margin"][i] == pytest.approx(probabilities[i, labels[i]] - others.max(), abs=1e-9)
    assert table["loss"].mean() == pytest.approx(log_loss(labels, logits), abs=1e-9)
    assert (table["margin"][~table["right"]] <= 0).all()


METRICS = [
    accuracy_score,
    log_loss,
    brier_loss,
    expected_calibration_error,
    confusion_matrix,
    class_table,
    reliability_table,
    coverage_table,
]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("labels", "logits"),
    [
        (np.zeros(0, dtype=np.int64), np.zeros((0, 10), dtype=np.float32)),
        (np.zeros(3, dtype=np.int64), np.zeros((2, 10), dtype=np.float32)),
        (np.zeros((2, 1), dtype=np.int64), np.zeros((2, 10), dtype=np.float32)),
        (np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.float32)),
    ],
)
def test_shapes_that_do_not_fit(metric: object, labels: Labels, logits: Logits) -> None:
    with pytest.raises(ValueError, match=r"labels and logits must be \(N,\) and \(N, classes\) with N > 0, got"):
        metric(labels, logits)
