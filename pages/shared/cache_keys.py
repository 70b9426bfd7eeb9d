"""How the caches of the pages tell their arguments apart: for `hash_funcs` of Streamlit's caches.

Streamlit would hash every array of an argument; these keys say the same with a digest that is known already.
"""

from collections.abc import Callable
from typing import Any

from digitcore.data.datasets import DigitSet
from digitcore.evaluation.evaluation import Evaluation
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.library import UnusableCheckpoint, UsableCheckpoint


def _evaluation_key(evaluation: Evaluation) -> tuple[object, ...]:
    """Its name belongs to it, since it is shown; its ids too, since `Evaluation.without` keeps the fingerprint; and
    whether its writers are known, which they may become.
    """
    writers_known = evaluation.writers is not None
    return evaluation.checkpoint, evaluation.dataset, evaluation.fingerprint, evaluation.ids, writers_known


def _checkpoint_key(checkpoint: Checkpoint | UsableCheckpoint) -> tuple[object, ...]:
    return checkpoint.name, checkpoint.digest


HASH_FUNCS: dict[str | type[Any], Callable[[Any], Any]] = {
    Checkpoint: _checkpoint_key,
    UsableCheckpoint: _checkpoint_key,
    UnusableCheckpoint: lambda entry: (entry.name, entry.problem),
    DigitClassifier: lambda classifier: _checkpoint_key(classifier.checkpoint),
    DigitSet: lambda digits: (digits.name, digits.digest),
    Evaluation: _evaluation_key,
}
"""What stands for arguments of these types."""
