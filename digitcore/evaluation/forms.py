"""Which forms of each digit a checkpoint reads, and which it refuses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.metrics import wilson_interval
from digitcore.models.checkpoints import CheckpointMetadata
from digitcore.models.refusal import refusal_scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEAST_READ", "MOST_REFUSED", "form_table"]

LEAST_READ = 0.97
"""Share of a form's digits that a checkpoint which reads the form answers right."""
MOST_REFUSED = 0.05
"""Share of a form's digits that such a checkpoint may refuse."""


def form_table(evaluation: Evaluation, *, forms: Sequence[str | None], metadata: CheckpointMetadata) -> "pd.DataFrame":
    """A row for each form, the one read worst first.

    forms: the name of each digit's form; digits without one are left out. metadata: of the evaluated checkpoint, whose
    threshold refuses. Columns: form, label, digits, right, accuracy with its 95% interval low and high, refused,
    refused_share, and wrong_answer, the most frequent one, -1 where there is none. The interval is Wilson's: each digit
    of a form is by another hand.
    """
    import pandas as pd

    right = evaluation.predictions == evaluation.labels
    scores = refusal_scores(evaluation.logits.astype(np.float64), metadata.refusal_score)
    refused = scores < metadata.refusal_threshold
    names = np.array([form or "" for form in forms])
    rows = []
    for name in dict.fromkeys(form for form in forms if form):
        chosen = names == name
        count, successes = int(chosen.sum()), int(right[chosen].sum())
        low, high = wilson_interval(successes, count)
        rows.append(
            {
                "form": name,
                "label": int(evaluation.labels[chosen][0]),
                "digits": count,
                "right": successes,
                "accuracy": successes / count,
                "low": low,
                "high": high,
                "refused": int(refused[chosen].sum()),
                "refused_share": refused[chosen].mean(),
                "wrong_answer": _most_frequent(evaluation.predictions[chosen & ~right]),
            }
        )
    return pd.DataFrame(rows).sort_values(["accuracy", "refused"], ascending=[True, False], kind="stable")


def _most_frequent(answers: NDArray[np.int64]) -> int:
    return int(np.bincount(answers).argmax()) if len(answers) else -1
