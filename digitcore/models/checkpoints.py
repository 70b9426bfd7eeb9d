"""Checkpoint files: weights, and the metadata needed to use and to judge them.

A checkpoint is one safetensors file that describes itself in its metadata. A plain state dict saved with
`torch.save(model.state_dict(), "NAME.pt")` works too: its architecture is recognised by its keys and shapes, or
described by a text file beside it (`formats.layers_file`), and how it takes its digits is declared or found
(`models.conventions`). Batch normalisation is folded into the weights on loading. An ONNX file works where the packages
for it are installed. A table of answers (`formats.answers_file`) stands for a model that is not here: it can be judged,
but reads no pictures.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np
import safetensors.torch
import torch

from digitcore.errors import CheckpointError
from digitcore.files import write_atomically
from digitcore.formats.answers_file import AnswersError, AnswerTable, read_answers
from digitcore.formats.endings import READ, REFUSED, ending_of, stem_of
from digitcore.formats.layers_file import LayersError, layers_path, read_layers
from digitcore.formats.safetensors_file import SafetensorsError, SafetensorsFile
from digitcore.formats.state_dict import StateDictError, StateDictFile
from digitcore.imaging.preprocessing import PREPROCESSING, normalize
from digitcore.models.architectures import CLASS_NAMES, DigitNetwork, KnownAnswers, Layered, architecture_names
from digitcore.models.conventions import Convention, declared_convention, find_convention, read_sidecar
from digitcore.models.engine import Engine, engine_for, using_threads
from digitcore.models.onnx import OnnxNetwork, load_onnx
from digitcore.models.refusal import REFUSAL_SCORES, RefusalScore
from digitcore.models.weights import (
    Shapes,
    candidates,
    check_shapes,
    check_tensors,
    digest_tensors,
    draft_layers,
    expected_tensors,
    layered_names,
    matching_names,
    new_network,
    shapes_in_file,
    shapes_of,
    summary,
    widened,
    without_counters,
)
from digitcore.settings import load_settings
from digitcore.text import printable

__all__ = [
    "Checkpoint",
    "CheckpointMetadata",
    "read_checkpoint",
    "save_checkpoint",
]

_LOGGER = logging.getLogger(__name__)
_FORMAT_VERSION = 1
_ANSWERS, _LAYERED = "answers", "layers"  # in the place of an architecture
_FIRST_SCORE: RefusalScore = "confidence"  # of files that name none


@dataclass(frozen=True)
class CheckpointMetadata:
    """Metadata of a checkpoint; the defaults are for a plain state dict, which has none."""

    architecture: str
    preprocessing: str = PREPROCESSING
    class_names: tuple[str, ...] = CLASS_NAMES
    temperature: float = 1.0
    """Logits are divided by it, so that probabilities agree with frequencies on the validation digits."""
    refusal_score: RefusalScore = _FIRST_SCORE
    """The score of an answer that is compared with the threshold."""
    refusal_threshold: float = 0.0
    """An answer whose score is less than this is not accepted."""
    trained_on: tuple[str, ...] = ()
    """Names of the datasets seen in training; empty: unknown."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """When, where and with what it was trained."""

    @property
    def has_network(self) -> bool:
        """Whether it can read pictures; a table of answers cannot."""
        return self.architecture != _ANSWERS

    @property
    def convention(self) -> Convention:
        """How the network takes its digits. An ONNX file converts them itself.

        Raises:
            CheckpointError: the metadata name a convention that there is not.
        """
        record = self.provenance.get("input")
        if record is None or self.architecture not in architecture_names():
            return Convention()
        return declared_convention(record, file="A checkpoint")

    @property
    def chosen_on(self) -> tuple[str, ...]:
        """Names of the datasets by which it was chosen, or fitted after training; empty: unknown."""
        recorded = self.provenance.get("chosen_on")
        names = [recorded] if isinstance(recorded, str) else recorded
        return tuple(names) if _are_names(names) else ()

    def errors_by_seed(self, dataset: str) -> tuple[int, ...]:
        """Errors on this dataset of every run of its recipe, itself among them, one for each seed; empty: unknown."""
        runs = self.provenance.get("errors_by_seed")
        errors = runs.get(dataset) if isinstance(runs, Mapping) else None
        if not isinstance(errors, list) or not all(isinstance(count, int) for count in errors):
            return ()
        return tuple(errors) if len(errors) > 1 else ()

    def caution(self, dataset: str) -> str:
        """Why a figure on this dataset says little: "trained on", "chosen on", or nothing.

        A part of a set, such as `handwriting:NOTEBOOK`, counts as the set.
        """
        name = dataset.partition(":")[0]
        if name in self.trained_on:
            return "trained on"
        return "chosen on" if name in self.chosen_on else ""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network ready to use: evaluation mode, folded, no gradients for its weights. Nothing may write to it."""

    name: str
    path: Path | None
    metadata: CheckpointMetadata
    network: DigitNetwork
    digest: str
    """SHA-256 over the weights and over all metadata that changes an answer."""

    @cached_property
    def engine(self) -> Engine:
        """What computes the network's logits for answers; made on first use."""
        return engine_for(self.network)

    @property
    def answers(self) -> AnswerTable | None:
        """Where a file holds answers and no network: these."""
        return self.network.table if isinstance(self.network, KnownAnswers) else None

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return self.network.count_parameters()


_OUR_KEYS = {*CheckpointMetadata.__dataclass_fields__, "format_version", "weights_sha256", "metadata_sha256"}
_LEAST_TEMPERATURE = 0.01
_MOST_DATASETS = 100
_MOST_NAME = 200  # characters
_MOST_RECORD = 100_000  # characters of a recipe or a provenance
_MOST_DEPTH = 8  # of lists and objects in one


def save_checkpoint(path: Path, network: DigitNetwork, metadata: CheckpointMetadata) -> None:
    """Writes a network and its metadata to a safetensors file, completely or not at all.

    Batch normalisation is folded into the weights.

    Raises:
        ValueError: path does not end in .safetensors, or the weights do not fit `metadata.architecture`, or the network
            takes its digits in another way than its metadata say.
        CheckpointError: the file cannot be written.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors, got {str(path)!r}")
    folded = network.folded()
    if isinstance(folded, Layered):
        raise CheckpointError(f"{path} would need its layers file: export the network as ONNX, or copy both files.")
    tensors = {name: value.detach().cpu().contiguous() for name, value in folded.state_dict().items()}
    check_tensors(tensors, new_network(metadata.architecture).state_dict(), file=str(path))
    if str(folded.features) != str(metadata.convention.adapt(new_network(metadata.architecture)).features):
        raise ValueError(f"network must take its digits as its metadata say: {metadata.convention.words}")
    fields = {name: json.dumps(value) for name, value in asdict(metadata).items()}
    fields |= {"format_version": str(_FORMAT_VERSION), "weights_sha256": digest_tensors(tensors)}
    fields["metadata_sha256"] = _digest_metadata(fields)
    try:
        write_atomically(path, safetensors.torch.save(tensors, metadata=fields))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in the file at this path. Its weights are read once their shapes fit a known architecture.

    Raises:
        CheckpointError: it is missing or damaged, or does not fit a known architecture.
    """
    file = printable(str(path))
    with _open(path) as stream:
        try:
            reader = READ[ending_of(path.name)]
            if reader == "safetensors":
                network, metadata = _parse_safetensors(stream, path)
            elif reader == "onnx":
                network, metadata = _parse_onnx(stream, path)
            elif reader == "answers":
                network, metadata = _parse_answers(stream, path)
            else:
                network, metadata = _parse_state_dict(stream, path)
            network.eval().requires_grad_(False)
            if reader != "answers":
                _check_answers(network, file=file)
        except CheckpointError:
            raise
        except Exception as error:  # of the parsers of these formats, whose errors no document lists
            _LOGGER.exception("%s cannot be read", file)
            raise CheckpointError(f"{file} cannot be read ({type(error).__name__}): copy or train it again.") from error
    digest = hashlib.sha256(f"{_digest_weights(network)} {_answer_fields(metadata)}".encode()).hexdigest()
    return Checkpoint(stem_of(path.name), path, metadata, network, digest)


def _answer_fields(metadata: CheckpointMetadata) -> tuple[object, ...]:
    """The metadata that changes an answer; the last two only where they are not the default: old digests hold."""
    score = () if metadata.refusal_score == _FIRST_SCORE else (metadata.refusal_score,)
    convention = () if metadata.convention.is_ours else (metadata.convention.words,)
    always = metadata.architecture, metadata.preprocessing, metadata.temperature, metadata.refusal_threshold
    return *always, *score, *convention


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """The file, for reading. Not a memory map, which would crash if the file were cut meanwhile."""
    limit = load_settings().max_checkpoint_bytes
    ending = ending_of(path.name)
    if ending in REFUSED:
        raise CheckpointError(f"{path} {REFUSED[ending]}")
    if not ending:
        raise CheckpointError(f"{path} does not end in {', '.join(READ)}: it is not a checkpoint file.")
    try:
        stream = path.open("rb")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened: {error.strerror or error}. Check the name.") from error
    with stream:
        if os.fstat(stream.fileno()).st_size > limit:
            raise CheckpointError(
                f"{path} is larger than {limit / 1e6:g} MB: it is not a checkpoint of these networks."
            )
        yield stream


def _parse_safetensors(stream: BinaryIO, path: Path) -> tuple[DigitNetwork, CheckpointMetadata]:
    file = printable(str(path))
    try:
        source = SafetensorsFile(stream)
        if not _OUR_KEYS & {name.lower() for name in source.metadata}:
            return _recognised_network(source, path, declared=_declared_input(source.metadata, file=file))
        return _described_network(source, file=file)
    except SafetensorsError as error:
        raise CheckpointError(
            f"{file} cannot be read as a safetensors file ({printable(str(error))[:300]}): copy or train it again."
        ) from error


def _declared_input(metadata: Mapping[str, str], *, file: str) -> Convention | None:
    names = ("scale", "ink", "activation")
    declared = {name: metadata[f"digitcore.{name}"] for name in names if f"digitcore.{name}" in metadata}
    return declared_convention(declared, file=file) if declared else None


def _described_network(source: SafetensorsFile, *, file: str) -> tuple[DigitNetwork, CheckpointMetadata]:
    """The network of a file that has our metadata, all checksums being right."""
    fields = source.metadata
    if fields.get("format_version") != str(_FORMAT_VERSION):
        raise CheckpointError(
            f"{file} has the format version {fields.get('format_version')}, this program reads {_FORMAT_VERSION}: "
            "update the program, or train again."
        )
    if fields.get("metadata_sha256") != _digest_metadata(fields):
        raise CheckpointError(f"{file} is damaged (its metadata differ from their checksum): copy or train it again.")
    metadata = _parse_metadata(fields, file=file, architectures=architecture_names())
    network = new_network(metadata.architecture)
    check_shapes(source.shapes, shapes_of(network.state_dict()), file=file)
    tensors = source.read()
    if fields.get("weights_sha256") != digest_tensors(tensors):
        raise CheckpointError(f"{file} is damaged (its weights differ from their checksum): copy or train it again.")
    check_tensors(tensors, network.state_dict(), file=file)
    network.load_state_dict(tensors)
    return metadata.convention.adapt(network), metadata


def _parse_onnx(stream: BinaryIO, path: Path) -> tuple[DigitNetwork, CheckpointMetadata]:
    network, provenance, declared = load_onnx(stream, path)
    defaults = CheckpointMetadata("onnx", provenance=provenance)
    fields = {name: json.dumps(value) for name, value in asdict(defaults).items()} | declared
    return network, _parse_metadata(fields, file=str(path), architectures=[defaults.architecture])


def _parse_answers(stream: BinaryIO, path: Path) -> tuple[DigitNetwork, CheckpointMetadata]:
    try:
        table = read_answers(stream, ending=ending_of(path.name))
    except AnswersError as error:
        raise CheckpointError(f"{path} {printable(str(error))}") from error
    return KnownAnswers(table, file=str(path)), CheckpointMetadata(_ANSWERS)


def _parse_metadata(fields: Mapping[str, str], *, file: str, architectures: Collection[str]) -> CheckpointMetadata:
    try:
        fields = {"refusal_score": json.dumps(_FIRST_SCORE), **fields}
        values = {name: json.loads(fields[name]) for name in CheckpointMetadata.__dataclass_fields__}
        _check_types(values)
        values |= {name: tuple(values[name]) for name in ("class_names", "trained_on")}
        metadata = CheckpointMetadata(**values)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = printable(str(error))[:300]
        raise CheckpointError(f"{file} has metadata that cannot be read ({reason}): train it again.") from error
    usable = (
        metadata.architecture in architectures
        and metadata.preprocessing == PREPROCESSING
        and metadata.class_names == CLASS_NAMES
        and _LEAST_TEMPERATURE <= metadata.temperature <= 1 / _LEAST_TEMPERATURE
        and metadata.refusal_score in REFUSAL_SCORES
        and _is_threshold(metadata.refusal_threshold, metadata.refusal_score)
    )
    if not usable:
        raise CheckpointError(
            f"{file} needs what this program does not have: architecture {metadata.architecture!r}, preprocessing "
            f"{metadata.preprocessing!r}, temperature {metadata.temperature!r}, threshold "
            f"{metadata.refusal_threshold!r} of {metadata.refusal_score!r}. "
            f"Known architectures: {', '.join(architectures)}."
        )
    return metadata


def _check_types(values: Mapping[str, Any]) -> None:
    """Raises a ValueError for a field of another kind, too long, or with characters that cannot be shown."""
    rules: dict[str, Callable[[Any], bool]] = {
        **dict.fromkeys(("architecture", "preprocessing", "refusal_score"), _is_name),
        **dict.fromkeys(("class_names", "trained_on"), _are_names),
        **dict.fromkeys(("temperature", "refusal_threshold"), _is_number),
        **dict.fromkeys(("recipe", "provenance"), _is_record),
        "seed": lambda value: value is None or (isinstance(value, int) and abs(value) < 1 << 64),
    }
    for name, fits in rules.items():
        if not fits(values[name]):
            raise ValueError(f"{name} is not what it should be: {json.dumps(values[name])[:80]}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MOST_NAME and value.isprintable()


def _are_names(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and len(value) <= _MOST_DATASETS and all(map(_is_name, value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_record(value: object) -> bool:
    """Whether a value is an object that is small, not deep, and whose text can be shown."""
    return isinstance(value, dict) and len(json.dumps(value, allow_nan=False)) <= _MOST_RECORD and _is_shown(value)


def _is_shown(value: object, *, depth: int = 0) -> bool:
    match value:
        case str():
            return value.isprintable()
        case dict() | list() if depth == _MOST_DEPTH:
            return False
        case dict():
            return all(_is_shown(part, depth=depth + 1) for pair in value.items() for part in pair)
        case list():
            return all(_is_shown(part, depth=depth + 1) for part in value)
    return True


def _is_threshold(value: float, score: RefusalScore) -> bool:
    return 0 <= value <= 1 if score == "confidence" else math.isfinite(value)


def _parse_state_dict(stream: BinaryIO, path: Path) -> tuple[DigitNetwork, CheckpointMetadata]:
    try:
        return _recognised_network(StateDictFile(stream), path, declared=None)
    except StateDictError as error:
        raise CheckpointError(
            f"{printable(str(path))} cannot be read as a state dict ({printable(str(error))}): "
            "save it with `torch.save(model.state_dict(), ...)`, not the whole model."
        ) from error


def _recognised_network(
    source: SafetensorsFile | StateDictFile, path: Path, *, declared: Convention | None
) -> tuple[DigitNetwork, CheckpointMetadata]:
    """The known network that tensors fit; numbers of 16 bits become float32 without loss.

    declared: how the file itself says that it takes its digits; what stands beside it counts more.
    """
    file = printable(str(path))
    architecture, network, names = _fitting_network(without_counters(source.shapes), path)
    tensors = source.read()
    renamed = {name: widened(tensors[name_in_file]) for name, name_in_file in names.items()}
    check_tensors(renamed, expected_tensors(network), file=file)
    network.load_state_dict(renamed, strict=False)  # only the counters of batch normalisation can be missing
    folded = network.folded()
    check_tensors(expected_tensors(folded), expected_tensors(folded), file=file)
    convention, record = _input_of(folded, path, declared=declared)
    return convention.adapt(folded), CheckpointMetadata(architecture, provenance={"input": record})


def _fitting_network(shapes: Shapes, path: Path) -> tuple[str, DigitNetwork, dict[str, str]]:
    """The network that tensors of these shapes fit, its name, and the file's name for each of its tensors.

    That is what a layers file beside the file describes, else one of the known networks.
    """
    file = printable(str(path))
    layered = _layers_beside(path)
    if layered is not None:
        names = layered_names(shapes, layered)
        if names is None:
            expected = ", ".join(f"{name} {shape}" for name, shape in shapes_in_file(layered).items())
            raise CheckpointError(
                f"{file} has other weights than {layers_path(path).name} describes: {expected[:300]}; "
                f"it has {len(shapes)} tensors, {summary(shapes)}."
            )
        return _LAYERED, layered, names
    for architecture, batch_norm, expected_shapes in candidates():
        names = matching_names(shapes, expected_shapes)
        if names is not None:
            return architecture, new_network(architecture, batch_norm=batch_norm), names
    raise CheckpointError(
        f"{file} fits none of the known networks ({', '.join(architecture_names())}): "
        f"it has {len(shapes)} tensors, {summary(shapes)}. Describe it in {layers_path(path).name} beside it, such as: "
        f"{draft_layers(shapes)}"
    )


def _layers_beside(path: Path) -> Layered | None:
    """The network, without its weights, that the layers file of a state dict describes; None where there is no file."""
    described = layers_path(path)
    try:
        with described.open("rb") as stream, torch.random.fork_rng(devices=[]):
            return Layered(read_layers(stream))
    except FileNotFoundError:
        return None
    except LayersError as error:
        raise CheckpointError(f"{printable(str(described))} {printable(str(error))}") from error
    except OSError as error:
        raise CheckpointError(f"{printable(str(described))} cannot be opened: {error.strerror or error}.") from error


def _input_of(network: DigitNetwork, path: Path, *, declared: Convention | None) -> tuple[Convention, dict[str, Any]]:
    """How the network of a file takes its digits, and the record of how that is known."""
    sidecar = read_sidecar(path)
    if sidecar is not None:
        return sidecar, sidecar.record("sidecar")
    if declared is not None:
        return declared, declared.record("declared")
    is_known = not isinstance(network, Layered)  # else its activations are told
    return find_convention(network, _digest_weights(network), activations=is_known)


def _digest_weights(network: DigitNetwork) -> str:
    """SHA-256 over what determines the logits, but for the metadata."""
    if isinstance(network, OnnxNetwork | KnownAnswers):
        return network.digest
    weights = digest_tensors(expected_tensors(network))
    if isinstance(network, Layered):
        return hashlib.sha256(f"{weights} {network.features}".encode()).hexdigest()
    return weights


def _check_answers(network: DigitNetwork, *, file: str) -> None:
    """Raises a CheckpointError if weights that are finite are so large that answers are not."""
    extremes = np.stack([np.zeros((28, 28), np.uint8), np.full((28, 28), 255, np.uint8)])
    with using_threads(1), torch.inference_mode():
        if not torch.isfinite(network(normalize(extremes))).all():
            raise CheckpointError(f"{file} gives infinite answers, so large are its weights: train it again.")


def _digest_metadata(fields: Mapping[str, str]) -> str:
    covered = sorted((name, value) for name, value in fields.items() if name != "metadata_sha256")
    return hashlib.sha256(json.dumps(covered).encode()).hexdigest()
