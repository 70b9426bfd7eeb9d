"""ONNX files of other shapes: the answers are those of the network that they were made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from digitcore.data.datasets import DigitSet
from digitcore.errors import CheckpointError
from digitcore.imaging.preprocessing import normalize
from digitcore.models.checkpoints import Checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.conventions import describe_input
from digitcore.models.export import export_network
from digitcore.models.library import load_checkpoint
from digitcore.models.onnx_probe import Layout, model_input
from tests.models.test_onnx import FLOAT, SHIPPED, Message, foreign

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


@pytest.fixture(scope="module")
def compact() -> Checkpoint:
    return load_checkpoint(SHIPPED)


@pytest.fixture(scope="module")
def exported(compact: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "compact.onnx"
    export_network(compact, path, file_format="onnx")
    return path


def taking(model: Message, sizes: list[Any], *nodes: Message, kind: int = FLOAT, **constants: np.ndarray) -> Message:
    """A model whose input `x` of this kind and these sizes goes through nodes, of which the last gives `digits`."""
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["digits" if each == name else each for each in node.input]
    for node in reversed(nodes or (helper.make_node("Identity", ["x"], ["digits"]),)):
        model.graph.node.insert(0, node)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, sizes))
    model.graph.output[0].type.tensor_type.shape.dim[0].CopyFrom(model.graph.input[0].type.tensor_type.shape.dim[0])
    return model


def _ending_in(model: Message, *nodes: Message, kind: int = FLOAT, sizes: tuple[Any, ...] = ("N", 10)) -> Message:
    """A model whose logits `y` go through nodes, of which the last gives `z`."""
    nodes[0].input[0] = model.graph.output[0].name
    model.graph.node.extend(nodes)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", kind, sizes))
    return model


def _half(model: Message) -> Message:
    """With weights, input and output of 16 bits."""
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for place in (*model.graph.input, *model.graph.output):
        place.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def _softmax() -> Message:
    return helper.make_node("Softmax", ["y"], ["z"], axis=1)


def _cast(kind: int) -> Message:
    return helper.make_node("Cast", ["x"], ["digits"], to=kind)


Make = Callable[[Callable[[str, str], Message]], Message]
FILES: dict[str, tuple[Make, str, bool]] = {  # how each is made, what is found, and whether it gives probabilities
    "Keras: NHWC, 0 to 1, softmax": (
        lambda model: _ending_in(
            taking(
                model("unit", "bright"), ["N", 28, 28, 1],
                helper.make_node("Transpose", ["x"], ["digits"], perm=[0, 3, 1, 2]),
            ),
            _softmax(),
        ),
        "0 to 1, bright ink (",
        True,
    ),
    "flat, 0 to 255, black on white": (
        lambda model: taking(
            model("bytes", "dark"), ["N", 784], helper.make_node("Reshape", ["x", "shape"], ["digits"]),
            shape=np.array([-1, 1, 28, 28]),
        ),
        "0 to 255, dark ink (",
        False,
    ),
    "batches of 64 without channels, -1 to 1": (
        lambda model: taking(
            model("centred", "bright"), [64, 28, 28], helper.make_node("Unsqueeze", ["x", "axis"], ["digits"]),
            axis=np.array([1]),
        ),
        "-1 to 1, bright ink (",
        False,
    ),
    "bytes": (
        lambda model: taking(model("bytes", "bright"), ["N", 1, 28, 28], _cast(FLOAT), kind=TensorProto.UINT8),
        "0 to 255, bright ink (",
        False,
    ),
    "float16, softmax": (
        lambda model: _half(_ending_in(taking(model("normalised", "bright"), [1, 1, 28, 28]), _softmax())),
        "normalised, bright ink (",
        True,
    ),
    "float64, output (N, 1, 10)": (
        lambda model: _ending_in(
            taking(
                model("unit", "dark"), ["N", 1, "height", "width"], _cast(FLOAT), kind=TensorProto.DOUBLE,
                one=np.array([1]),
            ),
            helper.make_node("Unsqueeze", ["y", "one"], ["z"]),
            sizes=("N", 1, 10),
        ),
        "0 to 1, dark ink",
        False,
    ),
    "40 x 40, padded": (
        lambda model: taking(
            model("unit", "dark"), ["N", 1, 40, 40],
            helper.make_node("Slice", ["x", "start", "end", "axes"], ["digits"]),
            start=np.array([6, 6]), end=np.array([34, 34]), axes=np.array([2, 3]),
        ),
        "0 to 1, dark ink, padded",
        False,
    ),
}  # fmt: skip


_SLOW = ("float64, output (N, 1, 10)", "batches of 64 without channels, -1 to 1")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ()) for name in FILES]
)
def test_the_answers_are_those_of_the_network(
    compact: Checkpoint, exported: Path, validation_digits: DigitSet, tmp_path: Path, name: str
) -> None:
    make, found, probabilities = FILES[name]
    onnx.save(make(lambda scale, ink: foreign(exported, scale, ink)), tmp_path / "one.onnx")
    loaded = load_checkpoint(tmp_path / "one.onnx")
    assert describe_input(loaded.metadata.provenance).startswith(found)
    assert loaded.metadata.provenance["output"] == ("probabilities" if probabilities else "logits")
    digits = validation_digits.subset(np.arange(0, 5000, 25))
    with torch.inference_mode():
        expected = compact.network(normalize(digits.images))
    logits = DigitClassifier(loaded).logits(digits.images)
    if probabilities:
        expected = torch.log_softmax(expected, dim=1)
    tolerance = 0.1 if "float16" in name else 2e-3
    likely = expected.numpy() > -10  # less than that is nothing in 16 bits
    assert np.abs(logits - expected.numpy())[likely].max() < tolerance
    assert np.array_equal(logits.argmax(axis=1), expected.numpy().argmax(axis=1))


def test_pictures_are_brought_to_the_size_of_the_network(
    compact: Checkpoint, exported: Path, validation_digits: DigitSet, tmp_path: Path
) -> None:
    """56 x 56, of which the network itself takes means of four: as PyTorch would enlarge them."""
    pooling = helper.make_node("AveragePool", ["x"], ["digits"], kernel_shape=[2, 2], strides=[2, 2])
    onnx.save(taking(foreign(exported, "unit", "bright"), ["N", 1, 56, 56], pooling), tmp_path / "one.onnx")
    loaded = load_checkpoint(tmp_path / "one.onnx")
    assert describe_input(loaded.metadata.provenance).startswith("0 to 1, bright ink, resized")
    digits = validation_digits.subset(np.arange(0, 5000, 25))
    pixels = torch.from_numpy(digits.images).float().unsqueeze(1) / 255
    seen = functional.avg_pool2d(functional.interpolate(pixels, size=56, mode="bilinear"), 2)
    with torch.inference_mode():
        expected = compact.network((seen - 0.1307) / 0.3081).numpy()
    assert np.abs(DigitClassifier(loaded).logits(digits.images) - expected).max() < 2e-3


@pytest.mark.parametrize("size", [(14, 14), (20, 41), (28, 32), (100, 64)])
def test_resizing_is_that_of_pytorch(validation_digits: DigitSet, size: tuple[int, int]) -> None:
    images = validation_digits.images[:5]
    resized = model_input(images, Layout("NHW", *size, "float32", 0), factor=255.0, shift=0.0, fit="resized")
    pixels = torch.from_numpy(images).float().unsqueeze(1)
    expected = functional.interpolate(pixels, size=size, mode="bilinear", antialias=True).squeeze(1).numpy()
    assert np.abs(resized - expected).max() < 1e-2
    assert Layout("NHW", *size, "float32", 0).fits == (("padded", "resized") if min(size) >= 28 else ("resized",))


@pytest.mark.parametrize("size", [(29, 29), (32, 40)])
def test_padding_is_black_and_even(validation_digits: DigitSet, size: tuple[int, int]) -> None:
    images = validation_digits.images[:5]
    padded = model_input(images, Layout("NHWC", *size, "uint8", 0), factor=-255.0, shift=255.0, fit="padded")
    assert padded.shape == (5, *size, 1)
    assert padded.dtype == np.uint8
    above, left = (size[0] - 28) // 2, (size[1] - 28) // 2
    assert np.array_equal(padded[:, above : above + 28, left : left + 28, 0], 255 - images)
    assert int((255 - padded).sum(dtype=np.int64)) == int(images.sum(dtype=np.int64))


def test_what_scikit_learn_writes_is_refused_with_what_helps(exported: Path, tmp_path: Path) -> None:
    """A list of dictionaries instead of an array, which its converter makes unless it is told not to."""
    model = _ending_in(
        foreign(exported, "unit", "bright"),
        helper.make_node("ZipMap", ["y"], ["z"], domain="ai.onnx.ml", classlabels_int64s=list(range(10))),
    )
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, None))
    )
    model.graph.output[0].CopyFrom(helper.make_value_info("z", kind))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    onnx.save(model, tmp_path / "one.onnx")
    with pytest.raises(CheckpointError, match="from scikit-learn with `zipmap` switched off"):
        load_checkpoint(tmp_path / "one.onnx")
