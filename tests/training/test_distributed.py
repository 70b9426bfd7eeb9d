"""Two processes, started as torchrun starts them, against one."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from digitcore.data.datasets import load_digits
from digitcore.errors import TrainingError
from digitcore.models.library import load_checkpoint
from digitcore.training.augmentation import Augmentation
from digitcore.training.distributed import ProcessGroup, is_first_process, local_device, process_group
from digitcore.training.loop import EpochResult, train
from digitcore.training.recipes import Recipe
from tests.paths import ROOT

RECIPE = Recipe(
    name="tiny",
    architecture="compact",
    epochs=3,
    summary="for tests",
    batch_size=51,  # shares of 26 and 25
    average_decay=0.8,
    augmentation=Augmentation(rotation=5, shift=1, elastic=0.3, stroke_width=0.5),
    teachers=("baseline",),
    distillation_weight=0.5,
)
NORMALISED = dataclasses.replace(RECIPE, epochs=6, batch_norm=True, teachers=())


def train_in(folder: Path) -> None:
    """Trains on a few digits, keeping files in this folder; called by the test and by the processes it starts."""
    digits = load_digits("mnist-validation")
    training, validation = digits.subset(np.arange(0, 5_000, 8)), digits.subset(np.arange(1, 5_000, 20))
    validation = dataclasses.replace(validation, name="held out")
    with process_group(torch.device("cpu")):
        for name, recipe in (("plain", RECIPE), ("normalised", NORMALISED)):
            for resume in (False, True):
                run = train(
                    recipe,
                    training=training,
                    validation=validation,
                    output=folder / f"{name}.safetensors",
                    device="cpu",
                    state_file=folder / f"{name}.pt",
                    resume=resume,
                )
                for result in run:
                    if isinstance(result, EpochResult) and not resume:
                        break  # stopped after the first epoch
                run.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What runs of one and of two processes wrote."""
    directories = {count: tmp_path_factory.mktemp(f"processes{count}") for count in (1, 2)}
    script = directories[2].parent / "train.py"
    script.write_text(
        f"import runpy, sys\nfrom pathlib import Path\nrunpy.run_path({__file__!r})['train_in'](Path(sys.argv[1]))\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(script), str(directories[2])],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_in(directories[1])
    torch.set_num_threads(threads)
    return directories


def _errors(path: Path) -> int:
    return int(path.with_suffix(".csv").read_text(encoding="utf-8").splitlines()[-1].split(",")[3])


@pytest.mark.slow
def test_two_processes_end_in_the_weights_of_one(folders: dict[int, Path]) -> None:
    one, two = (load_checkpoint(folder / "plain.safetensors") for folder in folders.values())
    for name, value in one.network.state_dict().items():
        assert torch.allclose(value, two.network.state_dict()[name], atol=1e-3), name
    assert (one.metadata.provenance["processes"], two.metadata.provenance["processes"]) == (1, 2)


@pytest.mark.slow
def test_with_batch_normalisation_the_quality_is_the_same(folders: dict[int, Path]) -> None:
    one, two = (_errors(folder / "normalised.csv") for folder in folders.values())
    assert max(one, two) < 0.2 * 250
    assert abs(one - two) < 0.06 * 250


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_one_process_writes_and_the_figures_are_kept_over_resuming(folders: dict[int, Path], count: int) -> None:
    names = [f"{run}{suffix}" for run in ("normalised", "plain") for suffix in ("", ".csv", ".safetensors")]
    assert sorted(path.name for path in folders[count].iterdir()) == names
    assert all(len(list((folders[count] / run).iterdir())) == 1 for run in ("normalised", "plain"))
    assert len((folders[count] / "plain.csv").read_text(encoding="utf-8").splitlines()) == 1 + RECIPE.epochs


def test_shares_are_disjoint_and_complete() -> None:
    rows = torch.arange(7)
    shares = [ProcessGroup(rank, 3).shard(rows).tolist() for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]
    assert torch.equal(ProcessGroup().shard(rows), rows)


def test_a_process_alone_changes_nothing() -> None:
    value = torch.ones(2)
    ProcessGroup().average([value], weight=0.3)
    assert torch.equal(value, torch.ones(2))
    assert ProcessGroup().broadcast("value") == "value"


def test_the_first_process_is_the_one_of_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [local_device(name) for name in ("auto", "cuda", "cuda:3", "cpu")] == ["cuda", "cuda", "cuda:3", "cpu"]
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [local_device(name) for name in ("auto", "cuda", "cuda:3", "cpu")] == ["cuda:1", "cuda:1", "cuda:3", "cpu"]


def test_processes_with_other_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ProcessGroup, "broadcast", lambda self, value: None)
    digits = load_digits("mnist-validation").subset(np.arange(60))
    run = train(NORMALISED, training=digits, validation=digits, output=tmp_path / "x.safetensors", device="cpu")
    with pytest.raises(TrainingError, match="The processes differ in data or teachers"):
        next(run)
