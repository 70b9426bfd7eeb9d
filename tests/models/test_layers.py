"""State dicts of any architecture, described by a text file beside them."""

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from digitcore.data.datasets import DigitSet
from digitcore.errors import CheckpointError
from digitcore.formats.layers_file import KINDS, layers_path, read_layers
from digitcore.models.architectures import Layered
from digitcore.models.checkpoints import save_checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.conventions import describe_input
from digitcore.models.library import CheckpointLibrary, UnusableCheckpoint, load_checkpoint
from digitcore.models.weights import draft_layers, shapes_in_file, shapes_of
from tests.paths import ROOT


class LeNet5(nn.Module):
    """As in LeCun et al. 1998, for 32 x 32 or padded pixels; the activation is a function, as people write it."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, batch: Tensor) -> Tensor:
        batch = functional.avg_pool2d(torch.tanh(self.conv1(batch)), 2)
        batch = functional.avg_pool2d(torch.tanh(self.conv2(batch)), 2).flatten(1)
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(batch)))))


class Example(nn.Module):
    """The network of pytorch/examples, mnist/main.py."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, batch: Tensor) -> Tensor:
        batch = functional.max_pool2d(functional.relu(self.conv2(functional.relu(self.conv1(batch)))), 2)
        batch = self.dropout2(functional.relu(self.fc1(torch.flatten(self.dropout1(batch), 1))))
        return functional.log_softmax(self.fc2(batch), dim=1)


def _numbered() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
        nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten(), nn.Dropout(0.2), nn.Linear(392, 10), nn.Softmax(dim=1),
    )  # fmt: skip


LENET = """conv1: Conv2d(1, 6, 5{padding})  # 28 x 28
Tanh
AvgPool2d(2)
conv2: Conv2d(6, 16, kernel_size=(5, 5), stride=1)
Tanh
AvgPool2d(2)
Flatten
fc1: Linear(400, 120); Tanh; fc2: Linear(120, 84); Tanh

fc3: Linear(in_features=84, out_features=10, bias=True)
"""
EXAMPLE = """conv1: Conv2d(1, 32, 3, 1); ReLU; conv2: Conv2d(32, 64, 3, 1); ReLU; MaxPool2d(2); dropout1: Dropout(0.25)
Flatten; fc1: Linear(9216, 128); ReLU; dropout2: Dropout(0.5); fc2: Linear(128, 10); LogSoftmax(dim=1)"""
NUMBERED = """Conv2d(1, 8, 3, stride=2, padding=1, bias=False)
BatchNorm2d(8, eps=1e-05)
LeakyReLU(negative_slope=0.2)
AdaptiveAvgPool2d((7, 7))
Flatten
Dropout(0.2)
Linear(392, 10)
Softmax(dim=-1)"""


def _normalised(pixels: Tensor) -> Tensor:
    return (pixels - 0.1307) / 0.3081


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, Callable[[Tensor], Tensor], str]] = {
    "LeNet-5, padded inside": (
        lambda: LeNet5(2),
        LENET.format(padding=", padding=2"),
        _normalised,
        "normalised, bright",
    ),
    "LeNet-5 for 40 x 40, zero to one": (
        lambda: _wider(LeNet5(0)),
        "Input(40, 40)\n" + LENET.format(padding="").replace("400", "784"),
        lambda pixels: functional.pad(pixels, (6, 6, 6, 6)),
        "0 to 1, bright ink, padded",
    ),
    "PyTorch's example": (Example, EXAMPLE, _normalised, "normalised, bright"),
    "numbered, inverted": (_numbered, NUMBERED, lambda pixels: 1 - pixels, "0 to 1, dark"),
}


def _wider(network: LeNet5) -> LeNet5:
    network.fc1 = nn.Linear(16 * 7 * 7, 120)
    return network


@pytest.fixture(scope="session")
def trained(validation_digits: DigitSet) -> Mapping[str, nn.Module]:
    """Each network, trained for some steps on digits that conventions are not found on."""
    digits = validation_digits.subset(np.flatnonzero(np.arange(5000) % 500 >= 400))
    pixels, labels = torch.from_numpy(digits.images).float().unsqueeze(1) / 255, torch.from_numpy(digits.labels)
    networks = {}
    with torch.random.fork_rng(devices=[]):
        for name, (make, _, prepare, _) in NETWORKS.items():
            torch.manual_seed(0)
            network = make()
            optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
            for _ in range(12 if name == "PyTorch's example" else 100):
                rows = torch.randperm(len(labels))[:50]
                optimizer.zero_grad()
                functional.nll_loss(_log_probabilities(network, prepare(pixels[rows])), labels[rows]).backward()
                optimizer.step()
            networks[name] = network.eval()
    return networks


def _log_probabilities(network: nn.Module, batch: Tensor) -> Tensor:
    outputs = network(batch)
    if isinstance(network, nn.Sequential):
        return torch.log(outputs + 1e-9)
    return outputs if isinstance(network, Example) else torch.log_softmax(outputs, dim=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_described_network_answers_as_the_original(
    trained: Mapping[str, nn.Module], validation_digits: DigitSet, tmp_path: Path, name: str
) -> None:
    _, description, prepare, found = NETWORKS[name]
    path = tmp_path / "one.pt"
    torch.save({"model": {f"module.{key}": value for key, value in trained[name].state_dict().items()}}, path)
    with pytest.raises(CheckpointError, match=r"Describe it in one\.layers\.txt beside it, such as: .*Conv2d\(1, "):
        load_checkpoint(path)
    layers_path(path).write_text(description, encoding="utf-8")
    checkpoint = load_checkpoint(path)
    assert checkpoint.metadata.architecture == "layers"
    assert describe_input(checkpoint.metadata.provenance).startswith(found)
    digits = validation_digits.subset(np.arange(400, 5000, 50))
    with torch.inference_mode():
        pixels = torch.from_numpy(digits.images).float().unsqueeze(1) / 255
        expected = _log_probabilities(trained[name], prepare(pixels)).numpy()
    logits = torch.log_softmax(torch.from_numpy(DigitClassifier(checkpoint).logits(digits.images)), dim=1).numpy()
    assert np.abs(logits - expected)[expected > -12].max() < 1e-3
    assert checkpoint.parameters == sum(parameter.numel() for parameter in trained[name].parameters())


def test_the_draft_in_the_refusal_can_be_copied(trained: Mapping[str, nn.Module], tmp_path: Path) -> None:
    state = trained["PyTorch's example"].state_dict()
    draft = draft_layers(shapes_of(state))
    assert draft == (
        "conv1: Conv2d(1, 32, 3); ReLU; conv2: Conv2d(32, 64, 3); ReLU; MaxPool2d(2); "
        "Flatten; fc1: Linear(9216, 128); ReLU; fc2: Linear(128, 10)"
    )
    torch.save(state, tmp_path / "one.pt")
    layers_path(tmp_path / "one.pt").write_text(draft, encoding="utf-8")
    record = load_checkpoint(tmp_path / "one.pt").metadata.provenance["input"]
    assert record["right"] > 0.6 * record["digits"]
    torch.save(trained["numbered, inverted"].state_dict(), tmp_path / "two.pt")
    with pytest.raises(CheckpointError, match=r"0: Conv2d\(1, 8, 3\); ReLU; 1: BatchNorm2d\(8\); Flatten; 6: Linear"):
        load_checkpoint(tmp_path / "two.pt")


def test_it_is_part_of_the_digest_and_goes_with_its_file(
    trained: Mapping[str, nn.Module], tmp_path: Path, weights_folder: Path
) -> None:
    name = "LeNet-5, padded inside"
    torch.save(trained[name].state_dict(), tmp_path / "one.pt")
    data = (tmp_path / "one.pt").read_bytes()
    library = CheckpointLibrary(weights_folder)
    with pytest.raises(
        CheckpointError, match=r"^one\.layers\.txt has a Linear\(in_features=400, out_features=120\) in line 2"
    ):
        library.add("one.pt", data, layers="conv1: Conv2d(1, 6, 5)\nFlatten; Linear(400, 120); Linear(120, 10)")
    added = library.add("one.pt", data, layers=NETWORKS[name][1])
    layers_path(weights_folder / "one.pt").write_text(NETWORKS[name][1].replace("Tanh", "Sigmoid"), encoding="utf-8")
    (changed,) = library.entries()
    assert not isinstance(changed, UnusableCheckpoint)
    assert changed.digest != added.digest
    library.rename("one.pt", "two")
    assert {path.name for path in weights_folder.iterdir()} == {"two.pt", "two.layers.txt"}
    two = library.load("two")
    with pytest.raises(CheckpointError, match="would need its layers file"):
        save_checkpoint(tmp_path / "copy.safetensors", two.network, two.metadata)
    library.remove("two.pt")
    assert list(weights_folder.iterdir()) == []


def test_other_weights_than_described_are_named(trained: Mapping[str, nn.Module], tmp_path: Path) -> None:
    torch.save(trained["PyTorch's example"].state_dict(), tmp_path / "one.pt")
    layers_path(tmp_path / "one.pt").write_text("Flatten; fc1: Linear(784, 10)", encoding="utf-8")
    with pytest.raises(
        CheckpointError, match=r"other weights than one\.layers\.txt describes: fc1\.weight \(10, 784\), fc1"
    ):
        load_checkpoint(tmp_path / "one.pt")


def test_the_example_of_the_documentation_is_read() -> None:
    text = (ROOT / "docs" / "model-files.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    network = Layered(read_layers(io.BytesIO(example.encode())))
    assert {name: tuple(value.shape) for name, value in Example().state_dict().items()} == shapes_in_file(network)
    assert sorted(kind for kind in KINDS if kind not in re.findall(r"`(\w+)", text)) == []


BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("# nothing\n;;", "names no layer"),
    "not text": (b"\xff\xfe", "is not text"),
    "long": ("ReLU\n" * 10_000, "more than 20,000 bytes"),
    "many": ("ReLU;" * 300, "has 300 layers; 200 are the most"),
    "code": ("__import__('os').system('true')", "line 1 what is not a layer"),
    "code as an argument": ("Flatten\nLinear(784, exec('1'))", r"line 2 an argument that is not a number.*exec"),
    "unknown": ("Flatten\nTransformer(8)", "unknown layer in line 2, 'Transformer'"),
    "attribute": ("nn.Linear(784, 10)", "line 1 what is not a layer"),
    "an argument too many": ("ReLU(True, 3)", "line 1 an argument that ReLU does not take"),
    "an argument twice": ("Conv2d(1, 2, 3, in_channels=1)", "does not take, or twice"),
    "an argument missing": ("Conv2d(1, 2)", "line 1 a Conv2d without kernel_size"),
    "a size of a million": ("Linear(784, 999999)", "size over 100,000 in line 1"),
    "a number of 30 digits": ("Linear(784, " + "9" * 30 + ")", "line 1 an argument|size over"),
    "input twice": ("Input(32, 32)\nInput(32, 32)\nFlatten", "has Input in line 2: it comes first"),
    "large input": ("Input(5000, 5000)\nFlatten; Linear(25000, 10)", r"line 1 an Input that is not from \(1, 1\)"),
    "eleven": ("Flatten; Linear(784, 11)", r"must end in Linear\(\.\.\., 10\), and not in Linear\(.*11\) in line 1"),
    "no end": ("Flatten", r"must end in Linear"),
    "dropout alone": ("Dropout(0.5)", "names no layer with weights"),
    "softmax in the middle": (
        "Flatten; Softmax(1); Linear(784, 10)", "Softmax in line 1, which can only stand at the end",
    ),
    "no flatten": (
        "Conv2d(1, 2, 3)\nLinear(26, 10)", r"gives \(2, 26, 10\) instead of ten numbers.*is a Flatten missing",
    ),
    "misfit": ("Flatten\nLinear(785, 10)", r"a Linear\(in_features=785, out_features=10\) in line 2 that does not fit"),
    "stride 0": ("Conv2d(1, 2, 3, 0); Flatten; Linear(2, 10)", "that does not fit"),
    "a list where a number belongs": ("Linear((7, 7), 10)", "that does not fit|must end"),
    "10^10 weights": (
        "Flatten; Linear(784, 100000); Linear(100000, 100000); Linear(100000, 10)", "is too large a network",
    ),
    "10^9 values": ("Conv2d(1, 1000, 3, padding=10000); Flatten; Linear(1000, 10)", "is too large|does not fit"),
    "10^9 multiplications": (
        "Conv2d(1, 600, 3, padding=1); Conv2d(600, 600, 3, padding=1); Flatten; Linear(1, 10)", "is too large a network"
    ),
    "a kernel of 10^10": ("Conv2d(1, 1, 100000, padding=50000); Flatten; Linear(1, 10)", "is too large|does not fit"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_layers_that_mean_nothing_are_named_with_their_line(tmp_path: Path, kind: str) -> None:
    contents, reason = BAD[kind]
    torch.save({"weight": torch.zeros(10, 784)}, tmp_path / "one.pt")
    data = contents if isinstance(contents, bytes) else contents.encode()
    layers_path(tmp_path / "one.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match=rf"one\.layers\.txt .*({reason})") as caught:
        load_checkpoint(tmp_path / "one.pt")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 900
