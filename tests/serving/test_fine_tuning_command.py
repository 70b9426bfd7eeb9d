"""`digitcore train --from NAME --data SET`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitcore.data.datasets import DigitSet
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, prepare_dataset
from digitcore.models.library import load_checkpoint
from digitcore.serving.cli import main
from digitcore.settings import load_settings
from digitcore.store.handwriting import HandwritingStore, HandwrittenDigit, new_key
from digitcore.training.fine_tuning import own_digits
from tests.paths import WEIGHTS


@pytest.fixture
def slanted(tmp_path: Path, validation_digits: DigitSet) -> str:
    """The name of a set of forty digits of two writers, who both came twice."""
    some = validation_digits.subset(np.arange(0, 5_000, 125))
    images = np.stack([np.roll(some.images[:, row], round(1.6 * (row - 14)), axis=1) for row in range(28)], axis=1)
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = ["file,label,writer,session"]
    for i, (image, label) in enumerate(zip(images, some.labels, strict=True)):
        Image.fromarray(image).save(folder / f"{i:02}.png")
        lines.append(f"{i:02}.png,{label},{'ann' if i % 2 else 'ben'},{'monday' if i < 20 else 'friday'}")
    (folder / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    *_, prepared = prepare_dataset(folder, use="as they are")
    assert isinstance(prepared, PreparedDataset)
    return keep_dataset(prepared, "mine").name


def test_sessions_are_those_of_each_writer(slanted: str) -> None:
    digits, sessions = own_digits(slanted)
    assert digits.writers is not None
    assert digits.writers.tolist() == [1, 0] * 20
    assert len(set(sessions)) == 4
    assert all(len(set(sessions[start : start + 20 : 2])) == 1 for start in (0, 1, 20, 21))


def test_handwriting_has_the_sessions_of_its_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validation_digits: DigitSet
) -> None:
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path / 'digits.sqlite'}")
    digits = [
        HandwrittenDigit(validation_digits.images[i], i % 10, "draw", writer="ann", session=f"{i // 5}")
        for i in range(10)
    ]
    HandwritingStore(load_settings().database_url).add(new_key(), digits)
    own, sessions = own_digits("handwriting")
    assert (own.name, own.labels.tolist()) == ("handwriting", list(range(10)))
    assert sessions.tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    "arguments", [[], ["--from", "compact"], ["--data", "mine"], ["quick", "--from", "compact", "--data", "mine"]]
)
def test_a_recipe_or_a_checkpoint_and_digits_are_needed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", *arguments])
    assert end.value.code == 2
    assert "Name a RECIPE, or --from and --data" in capsys.readouterr().err


def test_a_test_set_is_not_learned_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--from", "compact", "--data", "mnist-test"]) == 1
    assert "'mnist-test' is not a set that was added here" in capsys.readouterr().err


@pytest.mark.slow
def test_a_set_of_ones_own_is_learned_from(
    slanted: str, weights_folder: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(WEIGHTS / "compact.safetensors", weights_folder)
    assert main(["train", "--from", "compact", "--data", slanted, "--keep"]) == 0
    printed = capsys.readouterr()
    assert "step 200/200: " in printed.err
    assert "mine: " in printed.out
    assert "mnist-validation, whose errors say little now" in printed.out
    assert printed.out.splitlines()[-1] == str(weights_folder / "compact-mine.safetensors")
    metadata = load_checkpoint("compact-mine").metadata
    assert metadata.provenance["own_digits"]["writers"] == 2
    assert metadata.trained_on == ("mine", "mnist-train", "mnist-validation")
