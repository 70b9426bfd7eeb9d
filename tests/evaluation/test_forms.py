"""The table by form, against counts made by hand."""

import numpy as np
import pytest

from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.forms import form_table
from digitcore.evaluation.metrics import wilson_interval
from digitcore.models.checkpoints import CheckpointMetadata

LABELS = [0, 0, 0, 7, 7, 7, 7, 1]
ANSWERS = [0, 8, 8, 7, 2, 7, 2, 1]
SURE = [9.0, 9.0, 0.5, 9.0, 0.5, 0.5, 9.0, 9.0]  # the answer's logit; the others are 0
FORMS = ["0 barred"] * 3 + ["7 barred at once"] * 4 + [None]


@pytest.fixture
def evaluation() -> Evaluation:
    logits = np.zeros((8, 10), dtype=np.float32)
    logits[np.arange(8), ANSWERS] = SURE
    return Evaluation("some", "written-forms", "", np.arange(8), np.array(LABELS), logits)


def metadata(threshold: float) -> CheckpointMetadata:
    return CheckpointMetadata(architecture="compact", refusal_score="confidence", refusal_threshold=threshold)


def test_forms_are_counted_worst_first(evaluation: Evaluation) -> None:
    table = form_table(evaluation, forms=FORMS, metadata=metadata(0.5))
    assert table["form"].tolist() == ["0 barred", "7 barred at once"]
    assert table["label"].tolist() == [0, 7]
    assert table["digits"].tolist() == [3, 4]
    assert table["right"].tolist() == [1, 2]
    assert table["wrong_answer"].tolist() == [8, 2]
    assert table["refused"].tolist() == [1, 2]
    assert table["refused_share"].tolist() == pytest.approx([1 / 3, 1 / 2])
    assert table[["low", "high"]].to_numpy().tolist() == [list(wilson_interval(1, 3)), list(wilson_interval(2, 4))]


def test_without_a_threshold_nothing_is_refused_and_a_form_may_have_no_errors(evaluation: Evaluation) -> None:
    table = form_table(evaluation, forms=[None] * 7 + ["1 plain"], metadata=metadata(0.0))
    assert table[["form", "digits", "right", "refused", "wrong_answer"]].to_numpy().tolist() == [
        ["1 plain", 1, 1, 0, -1]
    ]
