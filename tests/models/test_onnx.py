import re
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from digitcore.data.datasets import DigitSet
from digitcore.errors import CheckpointError
from digitcore.imaging.preprocessing import normalize
from digitcore.models import onnx as onnx_models
from digitcore.models import onnx_probe
from digitcore.models.checkpoints import Checkpoint, CheckpointMetadata, save_checkpoint
from digitcore.models.classifier import DigitClassifier
from digitcore.models.conventions import Convention, Findings, sidecar_path, sidecar_stamp
from digitcore.models.export import FORMATS, export_network
from digitcore.models.library import CheckpointLibrary, UnusableCheckpoint, UsableCheckpoint, load_checkpoint
from tests.paths import WEIGHTS

WHY = "ONNX files need packages that are not installed: pip install -r requirements-onnx.txt"
onnx = pytest.importorskip("onnx", reason=WHY)
pytest.importorskip("onnxruntime", reason=WHY)

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SHIPPED = WEIGHTS / "compact.safetensors"
FLOAT = TensorProto.FLOAT
Message: TypeAlias = Any  # a part of a model


@pytest.fixture(scope="session")
def compact() -> Checkpoint:
    return load_checkpoint(SHIPPED)


@pytest.fixture(scope="session")
def exported(compact: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "compact.onnx"
    export_network(compact, path, file_format="onnx")
    return path


@pytest.fixture(autouse=True)
def no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been tried out before."""
    monkeypatch.setattr(onnx_models, "_TRIALS", Findings())


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that grows by a byte with every trial that is started."""
    log, probe = tmp_path / "trials", tmp_path / "probe.py"
    program = f"import runpy\nwith open({str(log)!r}, 'a') as log: log.write('.')\n"
    probe.write_text(f"{program}runpy.run_path({str(onnx_models._PROBE)!r}, run_name='__main__')\n", encoding="utf-8")
    monkeypatch.setattr(onnx_models, "_PROBE", probe)
    log.touch()
    return log


@pytest.fixture(scope="session")
def digits(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5000, 10))


def _logits(checkpoint: Checkpoint, digits: DigitSet) -> np.ndarray:
    with torch.inference_mode():
        return checkpoint.network(normalize(digits.images)).numpy()


def test_what_is_exported_is_the_same_checkpoint(compact: Checkpoint, exported: Path, digits: DigitSet) -> None:
    loaded = load_checkpoint(exported)
    ours, theirs = loaded.metadata, compact.metadata
    assert (ours.architecture, ours.preprocessing, loaded.name) == ("onnx", theirs.preprocessing, "compact")
    assert (ours.temperature, ours.refusal_threshold) == (theirs.temperature, theirs.refusal_threshold)
    assert ours.trained_on == theirs.trained_on == ("mnist-train",)
    assert ours.provenance["input"] == {"scale": "normalised", "ink": "bright", "source": "declared"}
    assert ours.provenance["output"] == "logits"
    assert loaded.parameters == compact.parameters == 8_778
    assert np.abs(_logits(loaded, digits) - _logits(compact, digits)).max() < 1e-4
    calibrated = [DigitClassifier(checkpoint).logits(digits.images) for checkpoint in (loaded, compact)]
    assert np.abs(calibrated[0] - calibrated[1]).max() < 1e-4
    predictions = [DigitClassifier(checkpoint).predict(digits.images[3]) for checkpoint in (loaded, compact)]
    assert predictions[0].accepted == predictions[1].accepted
    assert np.allclose(predictions[0].probabilities, predictions[1].probabilities, atol=1e-5)


def test_features_are_the_logits(exported: Path, digits: DigitSet) -> None:
    loaded = load_checkpoint(exported)
    features = DigitClassifier(loaded).features(digits.images)
    assert np.array_equal(features, _logits(loaded, digits))
    assert np.array_equal(loaded.network.forward_head(torch.from_numpy(features)).numpy(), features)


def test_threads_share_a_network(exported: Path, digits: DigitSet) -> None:
    loaded = load_checkpoint(exported)
    parts = [digits.subset(np.arange(start, start + 20)) for start in range(0, 500, 20)]
    with ThreadPoolExecutor(8) as threads:
        logits = list(threads.map(lambda part: _logits(loaded, part), parts))
    assert np.abs(np.concatenate(logits) - _logits(loaded, digits)).max() < 1e-4


@pytest.mark.parametrize("file_format", FORMATS)
def test_it_is_converted_to_nothing(exported: Path, tmp_path: Path, file_format: str) -> None:
    loaded = load_checkpoint(exported)
    with pytest.raises(CheckpointError, match=r"compact\.onnx is an ONNX file already.*copy it as it is"):
        export_network(loaded, tmp_path / "one", file_format=file_format)
    with pytest.raises(CheckpointError, match=r"compact\.onnx is an ONNX file already"):
        save_checkpoint(tmp_path / "one.safetensors", loaded.network, CheckpointMetadata("compact"))
    assert list(tmp_path.iterdir()) == []


MEAN, STD = 0.1307, 0.3081
CONVENTIONS = {  # what a file does to its input to have it normalised: times the first, plus the second
    ("normalised", "bright"): (1, 0),
    ("normalised", "dark"): (-1, (1 - 2 * MEAN) / STD),
    ("unit", "bright"): (1 / STD, -MEAN / STD),
    ("unit", "dark"): (-1 / STD, (1 - MEAN) / STD),
    ("centred", "bright"): (0.5 / STD, (0.5 - MEAN) / STD),
    ("centred", "dark"): (-0.5 / STD, (0.5 - MEAN) / STD),
    ("bytes", "bright"): (1 / STD / 255, -MEAN / STD),
    ("bytes", "dark"): (-1 / STD / 255, (1 - MEAN) / STD),
}


def foreign(exported: Path, scale: str = "normalised", ink: str = "bright", *, declared: bool = False) -> Message:
    """The compact network as another framework would have it, taking its input in this convention."""
    model = onnx.load(exported)
    del model.metadata_props[:]
    if declared:
        helper.set_model_props(model, {"digitcore.scale": scale, "digitcore.ink": ink})
    for number, (kind, value) in enumerate(zip(("Mul", "Add"), CONVENTIONS[scale, ink], strict=True)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), f"{kind} by"))
        source = model.graph.input[0].name if number == 0 else "Mul done"
        model.graph.node.insert(number, helper.make_node(kind, [source, f"{kind} by"], [f"{kind} done"]))
    for node in list(model.graph.node)[2:]:
        node.input[:] = ["Add done" if name == model.graph.input[0].name else name for name in node.input]
    return model


@pytest.mark.parametrize(("scale", "ink"), CONVENTIONS)
def test_the_input_convention_is_picked(
    compact: Checkpoint, exported: Path, digits: DigitSet, tmp_path: Path, scale: str, ink: str
) -> None:
    path = tmp_path / "one.onnx"
    onnx.save(foreign(exported, scale, ink), path)
    loaded = load_checkpoint(path)
    record = loaded.metadata.provenance["input"]
    assert re.fullmatch(r"picked on \d{2,3} validation digits", record["source"])  # as many as its time allows
    assert 0.95 * record["digits"] <= record["right"] <= record["digits"] <= 500
    assert (record["scale"], record["ink"]) == (scale, ink)
    assert loaded.metadata == CheckpointMetadata("onnx", provenance={"input": record, "output": "logits"})
    assert np.abs(_logits(loaded, digits) - _logits(compact, digits)).max() < 1e-3


def test_whole_bytes_are_whole_again() -> None:
    images = np.arange(28 * 28, dtype=np.uint8).reshape(1, 28, 28)
    batch = normalize(images)
    layout = onnx_probe.Layout("NCHW", 28, 28, "float32", 0)

    def converted(scale: str, ink: str) -> np.ndarray:
        times, plus = Convention(scale, ink).affine
        return onnx_probe.model_input(images, layout, factor=times, shift=plus)

    for (scale, ink), (factor, shift) in CONVENTIONS.items():
        assert converted(scale, ink).dtype == np.float32
        assert np.allclose(converted(scale, ink) * factor + shift, batch, atol=1e-5)
    assert np.array_equal(converted("bytes", "bright")[:, 0], images)
    assert np.array_equal(converted("bytes", "dark")[:, 0], 255 - images)
    assert np.allclose(converted("normalised", "bright"), batch, atol=1e-6)


def test_what_is_declared_counts_more_than_what_would_be_picked(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.onnx"
    model = foreign(exported, "unit", "dark", declared=True)
    onnx.save(model, path)
    assert load_checkpoint(path).metadata.provenance["input"] == {"scale": "unit", "ink": "dark", "source": "declared"}
    helper.set_model_props(model, {"digitcore.scale": "bytes", "digitcore.ink": "bright"})
    onnx.save(model, path)
    wrong = {"scale": "bytes", "ink": "bright", "source": "declared"}
    assert load_checkpoint(path).metadata.provenance["input"] == wrong


def test_the_sidecar_counts_most(exported: Path, digits: DigitSet, tmp_path: Path) -> None:
    path, sidecar = tmp_path / "one.onnx", tmp_path / "one.onnx.json"
    path.write_bytes(exported.read_bytes())
    before = load_checkpoint(path)
    stamps = {sidecar_stamp(sidecar_path(path))}
    sidecar.write_text('{"scale": "unit", "ink": "bright"}', encoding="utf-8")
    stamps.add(sidecar_stamp(sidecar_path(path)))
    after = load_checkpoint(path)
    assert after.metadata.provenance["input"] == {"scale": "unit", "ink": "bright", "source": "sidecar"}
    assert after.metadata.temperature == before.metadata.temperature
    assert after.digest != before.digest
    assert not np.allclose(_logits(after, digits), _logits(before, digits), atol=0.1)
    sidecar.write_text('{"scale": "normalised", "ink": "bright"}', encoding="utf-8")
    stamps.add(sidecar_stamp(sidecar_path(path)))
    assert load_checkpoint(path).digest == before.digest  # found otherwise, the same answers
    assert len(stamps) == 3
    assert [entry.path for entry in CheckpointLibrary(tmp_path).entries()] == [path]


@pytest.mark.parametrize("name", ["temperature", "refusal_threshold"])
def test_the_digest_covers_what_the_file_declares(exported: Path, tmp_path: Path, name: str) -> None:
    model = onnx.load(exported)
    entry = next(entry for entry in model.metadata_props if entry.key == f"digitcore.{name}")
    entry.value = "0.25"
    path = tmp_path / "one.onnx"
    onnx.save(model, path)
    loaded = load_checkpoint(path)
    assert getattr(loaded.metadata, name) == 0.25
    assert loaded.digest != load_checkpoint(exported).digest


def test_probabilities_are_told_from_logits(
    compact: Checkpoint, exported: Path, digits: DigitSet, tmp_path: Path
) -> None:
    model = foreign(exported)
    model.graph.node.append(helper.make_node("Softmax", [model.graph.output[0].name], ["probabilities"], axis=1))
    model.graph.output[0].name = "probabilities"
    onnx.save(model, tmp_path / "one.onnx")
    loaded = load_checkpoint(tmp_path / "one.onnx")
    assert loaded.metadata.provenance["output"] == "probabilities"
    expected = torch.log_softmax(torch.from_numpy(_logits(compact, digits)), dim=1).numpy()
    assert np.allclose(_logits(loaded, digits), expected, atol=1e-3)


def test_one_digit_at_a_time(compact: Checkpoint, exported: Path, digits: DigitSet, tmp_path: Path) -> None:
    model = foreign(exported)
    for place in (model.graph.input[0], model.graph.output[0]):
        place.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "one.onnx")
    loaded = load_checkpoint(tmp_path / "one.onnx")
    assert np.abs(_logits(loaded, digits) - _logits(compact, digits)).max() < 1e-4


def test_of_several_outputs_the_first_that_fits_is_taken(
    compact: Checkpoint, exported: Path, digits: DigitSet, tmp_path: Path
) -> None:
    model = foreign(exported)
    model.graph.node.append(helper.make_node("ArgMax", [model.graph.output[0].name], ["digit"], axis=1, keepdims=0))
    model.graph.output.insert(0, helper.make_tensor_value_info("digit", TensorProto.INT64, ["N"]))
    onnx.save(model, tmp_path / "one.onnx")
    assert np.abs(_logits(load_checkpoint(tmp_path / "one.onnx"), digits) - _logits(compact, digits)).max() < 1e-4


def linear_model(
    *nodes: Message,
    weights: np.ndarray | None = None,
    takes: tuple[int, list[Any]] = (FLOAT, ["N", 1, 28, 28]),
    gives: tuple[int, list[Any]] = (FLOAT, ["N", 10]),
    more_inputs: tuple[Message, ...] = (),
    constants: dict[str, np.ndarray] | None = None,
) -> bytes:
    """A linear network from `x` to `y`, followed by nodes, of which the last gives `z`."""
    rng = np.random.default_rng(0)
    known = {"w": rng.normal(size=(784, 10)).astype(np.float32) if weights is None else weights, **(constants or {})}
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"]), *nodes],
        "digits",
        [helper.make_tensor_value_info("x", *takes), *more_inputs],
        [helper.make_tensor_value_info("z" if nodes else "y", *gives)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in known.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def endless() -> bytes:
    """A model that never answers."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Identity", ["value"], ["same"])],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("same", FLOAT, None)],
    )
    return linear_model(
        helper.make_node("Loop", ["", "true", "y"], ["z"], body=body), constants={"true": np.array(True)}
    )


def _slow() -> bytes:
    """Multiplies large matrices: more than 10 ms for a digit anywhere, in a batch or alone."""
    return linear_model(
        helper.make_node("ReduceSum", ["y"], ["total"], keepdims=0),
        helper.make_node("Mul", ["square", "total"], ["large"]),
        *[helper.make_node("MatMul", ["large" if i == 0 else f"p{i}", "square"], [f"p{i + 1}"]) for i in range(15)],
        helper.make_node("ReduceSum", ["p15"], ["sum"], keepdims=0),
        helper.make_node("Add", ["y", "sum"], ["z"]),
        constants={"square": np.full((600, 600), 1e-9, np.float32)},
    )


def _giant(elements: int) -> bytes:
    return linear_model(
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["y", "sum"], ["z"]),
        constants={"shape": np.array([elements])},
    )


def _external(nested: bool) -> bytes:
    """A model with weights in `secret`, a file that is there; with nested, in the branch of a condition."""
    model = onnx.load_model_from_string(linear_model())
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="secret")
    if nested:
        branch = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("w", FLOAT, [784, 10])], [weights])
        condition = helper.make_node("If", ["true"], ["w"], then_branch=branch, else_branch=branch)
        model.graph.node.insert(0, condition)
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(True), "true"))
    return model.SerializeToString()


def _declaring(**properties: str) -> bytes:
    model = onnx.load_model_from_string(linear_model())
    helper.set_model_props(model, {f"digitcore.{name}": value for name, value in properties.items()})
    return model.SerializeToString()


def _batch_mean_taken_off() -> bytes:
    mean = helper.make_node("ReduceMean", ["y"], ["mean"], axes=[0], keepdims=1)
    return linear_model(mean, helper.make_node("Sub", ["y", "mean"], ["z"]))


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "cannot be run by onnxruntime"),
    "text": (lambda: b"weights", "cannot be run by onnxruntime|cannot be read as an ONNX file"),
    "random": (lambda: np.random.default_rng(0).bytes(9000), "cannot be read as an ONNX file"),
    "truncated": (lambda: linear_model()[:20_000], "cannot be read as an ONNX file"),
    "slow": (
        _slow,
        r"takes \d+ ms of processor time for a digit; 10 are the most: use a smaller network"
        r"|took longer than 3 s of processor time in a trial: it never ends or is too slow",
    ),
    "metadata of a megabyte": (lambda: _declaring(trained_on="x" * 1_000_000), "metadata of over 100,000 characters"),
    "a long name": (
        lambda: linear_model(weights=np.ones((2352, 10), np.float32), takes=(FLOAT, ["N" * 100_000, 3, 28, 28])),
        "takes x, .{200,300}: export it with one input",
    ),
    "giant tensor": (lambda: _giant(10**12), "cannot be run by onnxruntime|crash in a trial"),
    "large tensor": (lambda: _giant(2 * 10**9), "cannot be run by onnxruntime|crash in a trial"),
    "weights elsewhere": (lambda: _external(nested=False), "keeps weights in another file: export it with all"),
    "nested weights elsewhere": (lambda: _external(nested=True), "keeps weights in another file: export it with all"),
    "colour": (
        lambda: linear_model(weights=np.ones((2352, 10), np.float32), takes=(FLOAT, ["N", 3, 28, 28])),
        r"\(N, 3, 28, 28\): export it with one input of grey",
    ),
    "sides of 300": (
        lambda: linear_model(weights=np.ones((90_000, 10), np.float32), takes=(FLOAT, ["N", 1, 300, 300])),
        r"\(N, 1, 300, 300\).*with sides of 256 at most",
    ),
    "batches of 5,000": (
        lambda: linear_model(takes=(FLOAT, [5000, 1, 28, 28])),
        r"\(5000, 1, 28, 28\): export it with one input",
    ),
    "whole numbers": (
        lambda: linear_model(
            weights=np.ones((784, 10), np.int32),
            takes=(TensorProto.INT32, ["N", 784]),
            gives=(TensorProto.INT32, ["N", 10]),
        ),
        r"tensor\(int32\).*export it with one input",
    ),
    "two inputs": (
        lambda: linear_model(
            helper.make_node("Add", ["y", "mask"], ["z"]),
            more_inputs=(helper.make_tensor_value_info("mask", FLOAT, ["N", 10]),),
        ),
        r"takes x, .*, mask, tensor\(float\) of shape \(N, 10\): export it with one input",
    ),
    "eleven classes": (
        lambda: linear_model(weights=np.ones((784, 11), np.float32), gives=(FLOAT, ["N", 11])),
        r"gives y, tensor\(float\) of shape \(N, 11\): export it with a float32 output of shape \(N, 10\)",
    ),
    "labels": (
        lambda: linear_model(helper.make_node("ArgMax", ["y"], ["z"], axis=1), gives=(TensorProto.INT64, ["N", 1])),
        r"gives z, tensor\(int64\)",
    ),
    "one digit of a batch": (
        lambda: linear_model(
            helper.make_node("Gather", ["y", "zero"], ["z"], axis=0), constants={"zero": np.array([0])}, gives=(1, None)
        ),
        r"gives z, .*export it with a float32 output",
    ),
    "NaN": (lambda: linear_model(weights=np.full((784, 10), np.nan, np.float32)), "gives NaN or infinity"),
    "infinite": (lambda: linear_model(weights=np.full((784, 10), np.inf, np.float32)), "gives NaN or infinity"),
    "custom operation": (
        lambda: linear_model(helper.make_node("Cast2", ["y"], ["z"], domain="elsewhere")),
        r"cannot be run by onnxruntime \(.*Cast2",
    ),
    "training mode": (_batch_mean_taken_off, "gives a digit alone other answers.*export it in evaluation mode"),
    "unknown scale": (
        lambda: _declaring(scale="percent", ink="dark"),
        "scale must be one of normalised, unit",
    ),
    "no ink": (lambda: _declaring(scale="unit"), "ink one of bright, dark"),
    "temperature": (lambda: _declaring(temperature="0"), "temperature 0"),
    "warm": (lambda: _declaring(temperature="warm"), "metadata that cannot be read"),
    "threshold": (lambda: _declaring(refusal_threshold="2"), "threshold 2"),
}


_QUICK = (
    "empty",
    "text",
    "two inputs",
    "eleven classes",
    "one digit of a batch",
    "NaN",
    "custom operation",
    "training mode",
)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in _QUICK else pytest.mark.slow) for kind in BAD_FILES]
)
def test_bad_files_are_listed_with_the_reason(
    weights_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    write, reason = BAD_FILES[kind]
    bad = weights_folder / "bad.onnx"
    bad.write_bytes(write())
    np.zeros((784, 10), np.float32).tofile(weights_folder / "secret")
    monkeypatch.chdir(weights_folder)  # where a path in a model would lead to
    (entry,) = CheckpointLibrary(weights_folder).entries()
    assert isinstance(entry, UnusableCheckpoint)
    assert entry.problem.startswith(str(bad))
    assert "\n" not in entry.problem
    assert tempfile.gettempdir() not in entry.problem.replace(str(bad), "")
    with pytest.raises(CheckpointError, match=reason):
        raise CheckpointError(entry.problem)
    assert capfd.readouterr() == ("", "")  # nothing but the reason


@pytest.mark.parametrize("text", ["", "unit", "[]", '{"scale": "unit"}', '{"scale": [], "ink": "dark"}', "[" * 100_000])
def test_a_bad_sidecar_is_named(exported: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "one.onnx"
    path.write_bytes(exported.read_bytes())
    (tmp_path / "one.onnx.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"one\.onnx\.json (cannot be read as JSON|declares its input as)"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("raise MemoryError", "MemoryError"),
        ("raise SystemExit(3)", "exit status 3"),
    ],
)
def test_what_breaks_down_does_so_elsewhere(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text(f"import sys; sys.stdin.buffer.read()\n{program}\n", encoding="utf-8")
    monkeypatch.setattr(onnx_models, "_PROBE", probe)
    with pytest.raises(CheckpointError, match=rf"compact\.onnx made onnxruntime crash in a trial.*\({reason}\)"):
        load_checkpoint(exported)


def test_a_file_is_tried_once(
    weights_folder: Path, exported: Path, trials: Path, save_random: Callable[..., Path]
) -> None:
    """When it is added, when it is listed, and when its network has to be read again."""
    library = CheckpointLibrary(weights_folder)
    added = library.add("one.onnx", exported.read_bytes())
    for seed in range(16):  # more than a library keeps in memory
        save_random(weights_folder / f"{seed}.safetensors", seed=seed)
        library.load(str(seed))
    assert library.load("one").digest == added.digest
    assert trials.read_text(encoding="utf-8") == "."


def test_nobody_waits_for_a_trial(weights_folder: Path, trials: Path, save_random: Callable[..., Path]) -> None:
    save_random(weights_folder / "compact.safetensors")
    (weights_folder / "endless.onnx").write_bytes(endless())
    library = CheckpointLibrary(weights_folder, background=True)
    entry = library.entries()[1]
    assert isinstance(entry, UnusableCheckpoint)
    assert entry.is_pending
    assert library.load(library.default_name()).name == "compact"
    with pytest.raises(CheckpointError, match=r"endless\.onnx is being tried out: look again in a moment"):
        library.load("endless")
    while entry.is_pending:
        time.sleep(0.1)
        entry = library.entries()[1]
    assert "took longer than 3 s of processor time" in entry.problem
    assert trials.read_text(encoding="utf-8") == "."


def test_a_run_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_probe, "_START_SECONDS", 0.2)
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless())
    session = onnx_probe.open_session(path, threads=1)
    with pytest.raises(onnx_probe.UnfitModelError, match="was stopped after 0 s: use a smaller network"):
        onnx_probe.run_session(session, np.zeros((1, 1, 28, 28), np.float32), None, batch=0)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_a_package_the_file_is_listed_with_what_to_install(
    weights_folder: Path,
    exported: Path,
    save_random: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    (weights_folder / "foreign.onnx").write_bytes(exported.read_bytes())
    save_random(weights_folder / "one.safetensors")
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    foreign, one = CheckpointLibrary(weights_folder).entries()
    assert foreign.problem == (f"{foreign.path} needs onnxruntime and onnx: pip install -r requirements-onnx.txt")
    assert isinstance(one, UsableCheckpoint)
