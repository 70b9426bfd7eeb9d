"""Two processes, started as torchrun starts them, evaluate a set together: the figures are those of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, prepare_dataset
from digitcore.evaluation.evaluation import evaluate, load_or_evaluate
from digitcore.models.classifier import load_classifier
from digitcore.training.distributed import ProcessGroup
from tests.paths import ROOT


def add(digits: DigitSet, folder: Path) -> None:
    """Adds the digits as the set "mine"."""
    np.savez(folder / "mine.npz", images=digits.images, labels=digits.labels)
    *_, prepared = prepare_dataset(folder / "mine.npz")
    assert isinstance(prepared, PreparedDataset)
    keep_dataset(prepared, "mine")


@pytest.mark.slow
def test_torchrun_gives_the_figures_of_one_process(tmp_path: Path, validation_digits: DigitSet) -> None:
    add(validation_digits.subset(np.arange(0, 5000, 4)), tmp_path)
    command = ["-m", "digitcore", "evaluate", "tiny", "--dataset", "mine", "--json"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    rows = []
    for i, start in enumerate(([], torchrun)):
        done = subprocess.run(
            [sys.executable, *start, *command],
            cwd=ROOT,
            env=os.environ | {"DIGITCORE_CACHE": str(tmp_path / str(i)), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / str(i) / "evaluations").iterdir())) == 1
        rows.append(json.loads(done.stdout))  # one array: only the first process prints
    assert rows[0] == rows[1]
    assert rows[0][0]["digits"] == 1250


class Together:
    """Three processes, of which the others have answered zeros and a row of ones."""

    rank, count = 1, 3

    def complete(self, rows: np.ndarray, shares: list[slice]) -> None:
        assert [(share.start, share.stop) for share in shares] == [(0, 500), (500, 1000), (1000, 1250)]
        rows[shares[0]], rows[shares[2]] = 0, 1

    def broadcast(self, value: object) -> object:
        return value


def test_each_process_answers_its_share_in_whole_batches(validation_digits: DigitSet) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 4))
    classifier, shares = load_classifier("tiny"), []
    together = evaluate(classifier, some, progress=shares.append, processes=Together())  # type: ignore[arg-type]
    alone = evaluate(classifier, some)
    assert np.array_equal(together.logits[500:1000], alone.logits[500:1000])
    assert not together.logits[:500].any()
    assert (together.logits[1000:] == 1).all()
    assert shares == [1.0]
    assert together.fingerprint == alone.fingerprint


def test_one_process_alone_is_a_group_too(validation_digits: DigitSet) -> None:
    classifier = load_classifier("tiny")
    evaluation = load_or_evaluate(classifier, "uci-digits", processes=ProcessGroup())
    assert evaluation.errors == load_or_evaluate(classifier, "uci-digits").errors


@pytest.mark.parametrize("count", [1, 7, 40])
def test_more_processes_than_batches(count: int, validation_digits: DigitSet) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 5))
    starts = []

    class Last:
        rank = count - 1

        def complete(self, rows: np.ndarray, shares: list[slice]) -> None:
            starts.extend(share.start for share in shares)
            assert shares[-1].stop == len(rows)

        def broadcast(self, value: object) -> object:
            return value

    Last.count = count  # type: ignore[attr-defined]
    evaluate(load_classifier("tiny"), some, processes=Last())  # type: ignore[arg-type]
    assert len(starts) == count
    assert starts == sorted(starts)
