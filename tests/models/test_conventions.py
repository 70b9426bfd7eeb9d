"""Networks trained elsewhere: how they take their digits is found, or declared, and never assumed without a word."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from digitcore.data import datasets
from digitcore.data.datasets import DigitSet
from digitcore.errors import CheckpointError, DatasetError
from digitcore.imaging.preprocessing import normalize
from digitcore.models import conventions
from digitcore.models.architectures import Conversion, count_multiplications
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.conventions import Convention, best_convention, describe_input, sidecar_path
from digitcore.models.export import export_network
from digitcore.models.library import CheckpointLibrary, UsableCheckpoint, load_checkpoint
from digitcore.models.onnx_probe import Layout, model_input
from digitcore.models.weights import new_network

PIXELS: dict[str, Callable[[Tensor], Tensor]] = {  # of pixels between 0 and 1, light on black
    "unit bright": lambda pixels: pixels,
    "bytes bright": lambda pixels: 255 * pixels,
    "unit dark": lambda pixels: 1 - pixels,
    "centred bright": lambda pixels: (pixels - 0.5) / 0.5,
    "normalised bright": lambda pixels: (pixels - 0.1307) / 0.3081,
}
TRAINED = {
    "zero to one": ("unit bright", "relu", nn.ReLU),
    "bytes": ("bytes bright", "relu", nn.ReLU),
    "inverted": ("unit dark", "relu", nn.ReLU),
    "tanh": ("unit bright", "tanh", nn.Tanh),
    "sigmoid on minus one to one": ("centred bright", "sigmoid", nn.Sigmoid),
    "as ours": ("normalised bright", "relu", nn.ReLU),
}


@pytest.fixture(autouse=True)
def nothing_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conventions, "_FINDINGS", conventions.Findings())


@pytest.fixture(scope="session")
def halves(validation_digits: DigitSet) -> tuple[DigitSet, DigitSet]:
    """Digits to learn from here, and digits to judge by: neither are those that conventions are found on."""
    rows = np.arange(len(validation_digits))
    own = rows[np.isin(rows % 500, np.arange(100, 500))]
    return validation_digits.subset(own[::2]), validation_digits.subset(own[1::2])


def _pixels(digits: DigitSet, kind: str) -> Tensor:
    return PIXELS[kind](torch.from_numpy(digits.images).float() / 255)


@pytest.fixture(scope="session")
def trained(halves: tuple[DigitSet, DigitSet]) -> Mapping[str, nn.Sequential]:
    """A multilayer perceptron for each kind of input and activation, trained as people do."""
    networks = {}
    with torch.random.fork_rng(devices=[]):
        for name, (kind, _, activation) in TRAINED.items():
            torch.manual_seed(0)
            network = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), activation(), nn.Linear(128, 10))
            optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
            pixels, labels = _pixels(halves[0], kind), torch.from_numpy(halves[0].labels)
            for _ in range(20):
                for rows in torch.randperm(len(labels)).split(200):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(network(pixels[rows]), labels[rows]).backward()
                    optimizer.step()
            networks[name] = network.eval()
    return networks


@pytest.mark.parametrize("name", TRAINED)
def test_the_convention_is_found_and_the_answers_are_those_of_the_network(
    trained: Mapping[str, nn.Sequential], halves: tuple[DigitSet, DigitSet], tmp_path: Path, name: str
) -> None:
    kind, activation, _ = TRAINED[name]
    torch.save(trained[name].state_dict(), tmp_path / "one.pt")
    checkpoint = load_checkpoint(tmp_path / "one.pt")
    scale, ink = kind.split()
    assert checkpoint.metadata.architecture == "mlp"
    assert checkpoint.metadata.convention == Convention(scale, ink, activation)
    record = checkpoint.metadata.provenance["input"]
    assert record["source"] == "picked on 500 validation digits"
    assert record["right"] > 420
    assert describe_input(checkpoint.metadata.provenance).startswith(checkpoint.metadata.convention.words)
    with torch.inference_mode():
        expected = trained[name](_pixels(halves[1], kind)).numpy()
    logits = DigitClassifier(checkpoint).logits(halves[1].images)
    assert np.abs(logits - expected).max() < 1e-3 * max(1, np.abs(expected).max())
    assert np.array_equal(logits.argmax(axis=1), expected.argmax(axis=1))


def test_what_was_found_is_remembered(
    trained: Mapping[str, nn.Sequential], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(trained["tanh"].state_dict(), tmp_path / "one.pt")
    first = load_checkpoint(tmp_path / "one.pt")
    monkeypatch.setattr(conventions, "_FINDINGS", conventions.Findings())  # as in another process
    monkeypatch.setattr(conventions, "_tried", None)
    again = load_checkpoint(tmp_path / "one.pt")
    assert (again.metadata, again.digest) == (first.metadata, first.digest)


def test_where_nothing_fits_it_says_so(tmp_path: Path) -> None:
    torch.save(new_network("compact").state_dict(), tmp_path / "one.pt")
    checkpoint = load_checkpoint(tmp_path / "one.pt")
    assert checkpoint.metadata.convention.is_ours
    words = describe_input(checkpoint.metadata.provenance)
    assert words.startswith("nothing fits: at most ")
    assert words.endswith(" of 50 validation digits right, taken as our own")


def test_without_the_validation_digits_it_is_said_to_be_assumed(
    trained: Mapping[str, nn.Sequential], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> DigitSet:
        raise DatasetError("mnist-validation is not on this machine.")

    conventions.probe_digits.cache_clear()
    monkeypatch.setattr(conventions, "load_digits", missing)
    torch.save(trained["tanh"].state_dict(), tmp_path / "one.pt")
    checkpoint = load_checkpoint(tmp_path / "one.pt")
    assert describe_input(checkpoint.metadata.provenance) == (
        "normalised, bright ink (assumed: the validation digits are missing)"
    )
    conventions.probe_digits.cache_clear()
    monkeypatch.setattr(conventions, "load_digits", datasets.load_digits)
    assert load_checkpoint(tmp_path / "one.pt").metadata.convention.activation == "tanh"  # it was not remembered


def test_what_is_declared_is_not_tried(trained: Mapping[str, nn.Sequential], tmp_path: Path) -> None:
    state = trained["zero to one"].state_dict()
    wrong = {"scale": "bytes", "ink": "dark", "activation": "gelu"}
    metadata = {f"digitcore.{name}": value for name, value in wrong.items()}
    safetensors.torch.save_file(state, tmp_path / "declared.safetensors", metadata=metadata)
    declared = load_checkpoint(tmp_path / "declared.safetensors")
    assert declared.metadata.provenance["input"] == wrong | {"source": "declared"}
    sidecar_path(tmp_path / "declared.safetensors").write_text('{"scale": "unit", "ink": "bright"}', encoding="utf-8")
    beside = load_checkpoint(tmp_path / "declared.safetensors")
    assert beside.metadata.provenance["input"] == {"scale": "unit", "ink": "bright", "source": "sidecar"}
    assert beside.digest != declared.digest


@pytest.mark.parametrize(
    "words", [{"scale": "percent", "ink": "dark"}, {"scale": "unit", "ink": "dark", "activation": []}]
)
def test_a_declaration_that_means_nothing_is_refused(
    trained: Mapping[str, nn.Sequential], tmp_path: Path, words: object
) -> None:
    torch.save(trained["tanh"].state_dict(), tmp_path / "one.pt")
    sidecar_path(tmp_path / "one.pt").write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=r"one\.pt\.json declares its input as .*: scale must be one of normalised"
    ):
        load_checkpoint(tmp_path / "one.pt")


def test_a_library_takes_a_declaration_and_notices_another(
    trained: Mapping[str, nn.Sequential], tmp_path: Path, weights_folder: Path
) -> None:
    torch.save(trained["inverted"].state_dict(), tmp_path / "one.pt")
    library = CheckpointLibrary(weights_folder)
    added = library.add("one.pt", (tmp_path / "one.pt").read_bytes(), convention={"scale": "unit", "ink": "dark"})
    assert added.metadata.provenance["input"]["source"] == "sidecar"
    sidecar_path(weights_folder / "one.pt").unlink()
    (entry,) = library.entries()
    assert isinstance(entry, UsableCheckpoint)
    assert entry.metadata.provenance["input"]["source"].startswith("picked on")


def test_a_copy_takes_its_digits_as_the_original(
    trained: Mapping[str, nn.Sequential], halves: tuple[DigitSet, DigitSet], tmp_path: Path
) -> None:
    torch.save(trained["tanh"].state_dict(), tmp_path / "one.pt")
    original = load_checkpoint(tmp_path / "one.pt")
    save_checkpoint(tmp_path / "copy.safetensors", original.network, original.metadata)
    copy = load_checkpoint(tmp_path / "copy.safetensors")
    assert copy.metadata.convention == original.metadata.convention
    images = halves[1].images[:100]
    assert np.array_equal(DigitClassifier(copy).logits(images), DigitClassifier(original).logits(images))
    with pytest.raises(ValueError, match="network must take its digits as its metadata say: normalised"):
        save_checkpoint(tmp_path / "wrong.safetensors", original.network, CheckpointMetadata("mlp"))
    with pytest.raises(CheckpointError, match="does not say that one takes its digits as 0 to 1, bright ink, tanh"):
        export_network(original, tmp_path / "wrong.pt", file_format="state-dict")


def test_networks_trained_on_large_numbers_are_not_held_against_their_confidence() -> None:
    """A wrong convention that is never sure must not win over a right one that is far too sure."""
    labels = np.repeat(np.arange(10), 20)
    right = 60 * np.eye(10, dtype=np.float32)[np.where(np.arange(200) % 20 == 0, (labels + 1) % 10, labels)]
    unsure = np.zeros((200, 10), dtype=np.float32)
    finding = best_convention({Convention("bytes"): right, Convention("unit"): unsure}, labels)
    assert (finding.convention.scale, finding.right, finding.rival) == ("bytes", 190, None)


def test_two_that_chance_could_explain_are_named() -> None:
    labels = np.repeat(np.arange(10), 5)
    one = 5 * np.eye(10, dtype=np.float32)[labels]
    other = one.copy()
    other[0] = 0
    infinite = np.full((50, 10), np.inf, dtype=np.float32)
    found = best_convention(
        {Convention("unit"): other, Convention("bytes"): one, Convention("centred"): infinite}, labels
    )
    assert (found.convention.scale, found.rival) == ("bytes", Convention("unit"))
    assert found.record()["rival"] == "0 to 1"
    with pytest.raises(ValueError, match="logits must be finite"):
        best_convention({Convention(): infinite}, labels)


@pytest.mark.parametrize("convention", [Convention(*kind.split()) for kind in PIXELS] + [Convention("bytes", "dark")])
def test_both_ways_of_converting_agree(halves: tuple[DigitSet, DigitSet], convention: Convention) -> None:
    """For an ONNX file, from whole bytes; and inside a network."""
    batch = normalize(halves[0].images[:20])
    network = convention.adapt(new_network("tiny"))
    layer = network.features[0]
    converted = layer(batch) if isinstance(layer, Conversion) else batch
    factor, shift = convention.affine
    expected = model_input(halves[0].images[:20], Layout("NCHW", 28, 28, "float32", 0), factor=factor, shift=shift)
    assert np.allclose(converted.numpy(), expected, atol=1e-3)
    assert convention.is_ours != isinstance(layer, Conversion)


def test_multiplications_are_counted() -> None:
    assert count_multiplications(new_network("mlp")) == 784 * 128 + 128 * 10
