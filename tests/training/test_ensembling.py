from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet
from digitcore.errors import TrainingError
from digitcore.models.classifier import load_classifier
from digitcore.models.library import load_checkpoint
from digitcore.serving.cli import main
from digitcore.training.ensembling import build_ensemble

Save = Callable[..., Path]


@pytest.fixture
def validation(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5_000, 10))


@pytest.fixture
def members(tmp_path: Path, save_random: Save) -> list[Path]:
    return [
        save_random(
            tmp_path / f"{seed}.safetensors",
            seed=seed,
            architecture="standard",
            temperature=1.0 + seed,
            trained_on=("mnist-train", f"set {seed}"),
        )
        for seed in range(3)
    ]


def test_joined_networks_answer_with_the_mean_of_their_calibrated_logits(
    members: list[Path], validation: DigitSet, tmp_path: Path
) -> None:
    output = tmp_path / "joined.safetensors"
    build_ensemble([str(path) for path in members], validation=validation, output=output)
    joined = load_checkpoint(output)
    logits = load_classifier(output).logits(validation.images) * joined.metadata.temperature
    each = [load_classifier(path).logits(validation.images) for path in members]
    assert np.abs(logits - np.mean(each, axis=0)).max() < 1e-4
    assert joined.parameters == 3 * 189_130 - 2 * 10  # one bias for all
    assert joined.metadata.trained_on == ("mnist-train", "set 0", "set 1", "set 2")
    digests = {path.stem: load_checkpoint(path).digest for path in members}
    assert joined.metadata.provenance["members"] == digests
    assert str(tmp_path) not in str(joined.metadata)


def test_what_cannot_be_joined_is_said(members: list[Path], validation: DigitSet, tmp_path: Path) -> None:
    names = [str(path) for path in members]
    output = tmp_path / "joined.safetensors"
    for chosen, words in (
        (names[:2], "No network is made of 2 times standard: known are standard-x3"),
        ([names[0], names[1], names[0]], "two are the same"),
        ([*names[:2], "mlp"], "3 times mlp and standard"),
        ([*names[:2], "nosuch"], "The member nosuch cannot be used"),
    ):
        with pytest.raises(TrainingError, match=words):
            build_ensemble(chosen, validation=validation, output=output)
    assert not output.exists()


@pytest.mark.slow
def test_the_command(members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "joined.safetensors"
    assert main(["join", str(output), *map(str, members)]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    assert load_checkpoint(output).metadata.architecture == "standard-x3"
    assert main(["join", str(tmp_path / "joined.pt"), *map(str, members)]) == 2
    assert "must end in .safetensors" in capsys.readouterr().err
    assert main(["join", str(output), "mlp"]) == 1
