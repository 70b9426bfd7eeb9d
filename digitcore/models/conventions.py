"""How a network that comes from elsewhere takes its digits: as declared beside it, else as found on labelled digits.

| scale | a pixel is | ink | a digit is |
|---|---|---|---|
| `normalised` | as `preprocessing.normalize` makes it | `bright` | light on black |
| `unit` | 0 to 1 | `dark` | dark on white |
| `centred` | -1 to 1 | | |
| `bytes` | 0 to 255 | | |

`FILE.json` beside a file declares it, as `{"scale": "unit", "ink": "bright"}`; so do the entries `digitcore.scale` and
`digitcore.ink` in the metadata of an ONNX or a safetensors file. A state dict does not say what stands between its
layers either: that may be declared as `activation`. What is not declared is tried out: each convention answers the same
validation digits, and that with the least log loss is taken, at the temperature that suits it best, since networks that
were trained on large numbers are far too sure of themselves.
"""

import functools
import hashlib
import itertools
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.errors import CheckpointError, DatasetError
from digitcore.files import write_atomically
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD, normalize
from digitcore.models.architectures import ACTIVATIONS, Conversion, DigitNetwork, adapted, count_multiplications
from digitcore.models.onnx_probe import fits_of
from digitcore.settings import load_settings

__all__ = [
    "INKS",
    "SCALES",
    "Convention",
    "Finding",
    "Findings",
    "best_convention",
    "declared_convention",
    "describe_input",
    "find_convention",
    "input_conventions",
    "probe_digits",
    "read_sidecar",
    "sidecar_path",
    "sidecar_stamp",
]

_SCALES = {  # a pixel between 0 and 1 times the first, plus the second
    "normalised": (1 / INPUT_STD, -INPUT_MEAN / INPUT_STD),
    "unit": (1.0, 0.0),
    "centred": (2.0, -1.0),
    "bytes": (255.0, 0.0),
}
SCALES = tuple(_SCALES)
INKS = ("bright", "dark")
_SCALES_IN_WORDS = {"normalised": "normalised", "unit": "0 to 1", "centred": "-1 to 1", "bytes": "0 to 255"}

_DIGITS_PER_CLASS = 50  # in a trial, at most
_FIRST_ACTIVATIONS = ("relu", "tanh")  # with which the inputs are told apart
_FIRST_DIGITS = 50  # of the first two rounds
_INPUTS_KEPT, _ACTIVATIONS_KEPT = 3, 2  # for the last round at most: inputs, and activations for each beside ReLU
_HOPELESS = 0.3  # share of right answers under which the first round is the last
_FITTING = 0.5  # share of right answers under which nothing fits
_LEAST_DIGITS = 10
_AT_ONCE = 20  # digits, so that what lies between two layers takes little memory
_MOST_MULTIPLICATIONS = 4_000_000_000  # of a round: about 0.2 s
_CLEARLY = 3  # standard errors between two log losses: many are compared
_INVERSE_TEMPERATURES = np.geomspace(1e-3, 10, 17)
_MOST_SIDECAR_BYTES = 10_000
_FINDINGS_KEPT = 200
_EDITION = 1  # of what is remembered: another one is found anew


@dataclass(frozen=True)
class Convention:
    """How a network takes its digits, by default as those of this project; see the table at the top of the module."""

    scale: str = "normalised"
    ink: str = "bright"
    activation: str | None = None
    """What stands between its layers, one of `ACTIVATIONS`; None: what the file says."""
    fit: str = ""
    """How digits are brought to another size than 28 × 28: `padded` or `resized`."""

    @property
    def is_ours(self) -> bool:
        """Whether it is that of the networks of this project."""
        return (self.scale, self.ink, self.activation or "relu") == ("normalised", "bright", "relu")

    @property
    def words(self) -> str:
        """In words, such as "0 to 1, bright ink, tanh"."""
        return ", ".join(self._parts)

    @property
    def _parts(self) -> tuple[str, ...]:
        parts = (_SCALES_IN_WORDS.get(self.scale, self.scale), f"{self.ink} ink", self.activation, self.fit)
        return tuple(part for part in parts if part)

    def unlike(self, other: "Convention") -> str:
        """In words, what it has that another has not, such as "tanh"."""
        return ", ".join(part for part in self._parts if part not in other._parts)

    def record(self, source: str) -> dict[str, Any]:
        """What a checkpoint's provenance says about it; `source` is how it is known."""
        further = {name: value for name in ("activation", "fit") if (value := getattr(self, name))}
        return {"scale": self.scale, "ink": self.ink, **further, "source": source}

    @property
    def affine(self) -> tuple[float, float]:
        """A pixel between 0 and 1, 1 being ink, times the first, plus the second, is what the network takes."""
        factor, shift = _SCALES[self.scale]
        return (factor, shift) if self.ink == "bright" else (-factor, shift + factor)

    def adapt(self, network: DigitNetwork) -> DigitNetwork:
        """The network for normalised batches (N, 1, 28, 28); the same one where there is nothing to convert."""
        fits = fits_of(*network.picture_size)
        if self.is_ours and fits == ("",):
            return network
        factor, shift = self.affine
        conversion = Conversion(factor * INPUT_STD, shift + factor * INPUT_MEAN)
        return adapted(network, conversion, activation=self.activation, fit=self.fit or fits[0])


def input_conventions() -> list[Convention]:
    """All scales and inks."""
    return [Convention(scale, ink) for scale, ink in itertools.product(SCALES, INKS)]


@dataclass(frozen=True)
class Finding:
    """The convention that suits a network best, and how well."""

    convention: Convention
    right: int
    digits: int
    rival: Convention | None
    """One that is not clearly worse."""

    def record(self) -> dict[str, Any]:
        """What a checkpoint's provenance says about it."""
        convention = self.convention if self.right >= _FITTING * self.digits else Convention(fit=self.convention.fit)
        record = convention.record(f"picked on {self.digits} validation digits")
        rival = {"rival": self.rival.unlike(convention)} if self.rival is not None else {}
        return record | {"right": self.right, "digits": self.digits} | rival


def best_convention(logits: Mapping[Convention, NDArray[np.float32]], labels: NDArray[np.int64]) -> Finding:
    """Of several conventions that with the least log loss, from their logits (N, 10) for the same digits.

    The loss is that at the best temperature. Of those that are not clearly worse than the best, those with ReLU come
    first, and then that with the least loss at the temperature 1.

    Raises:
        ValueError: all have NaN or infinity.
    """
    finite = {convention: values for convention, values in logits.items() if np.isfinite(values).all()}
    if not finite:
        raise ValueError("logits must be finite for one convention at least")

    def rank(convention: Convention) -> tuple[bool, float]:
        plain = -log_softmax(logits[convention].astype(np.float64), axis=1)[np.arange(len(labels)), labels]
        return convention.activation not in (None, "relu"), float(plain.mean())

    best, *rivals = sorted(_close_ones(finite, labels), key=rank)
    right = int(np.count_nonzero(logits[best].argmax(axis=1) == labels))
    return Finding(best, right, len(labels), rivals[0] if rivals else None)


def _losses(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log loss (N,) of each digit, at the temperature for which their mean is least."""
    scaled = log_softmax(logits.astype(np.float64) * _INVERSE_TEMPERATURES[:, np.newaxis, np.newaxis], axis=2)
    losses: NDArray[np.float64] = -scaled[:, np.arange(len(labels)), labels]
    best: NDArray[np.float64] = losses[losses.mean(axis=1).argmin()]
    return best


def _is_clearly_more(losses: NDArray[np.float64], least: NDArray[np.float64]) -> bool:
    """Whether the mean difference (N,) is more than chance between the digits would make it."""
    differences = losses - least
    return bool(differences.mean() > _CLEARLY * differences.std() / math.sqrt(len(differences)))


def find_convention(network: DigitNetwork, digest: str, *, activations: bool) -> tuple[Convention, dict[str, Any]]:
    """How a network takes its digits, and the record of how that was found; remembered by its digest.

    activations: whether what stands between its layers is to be found too. Where no convention fits, or the validation
    digits are missing, it is that of this project, and the record says so.
    """
    record = _FINDINGS.get(digest)
    if record is None:
        try:
            record = _tried(network, probe_digits(), activations=activations).record()
        except DatasetError:
            fit = fits_of(*network.picture_size)[0]
            return Convention(fit=fit), Convention(fit=fit).record("assumed: the validation digits are missing")
        _FINDINGS.put(digest, record)
    return Convention(record["scale"], record["ink"], record.get("activation"), record.get("fit", "")), record


def _tried(network: DigitNetwork, digits: DigitSet, *, activations: bool) -> Finding:
    """In rounds: inputs, then activations for the best of these, then the best of all on more digits."""
    cost = count_multiplications(network)

    def answers(conventions: Iterable[Convention], most: int) -> tuple[dict[Convention, Any], NDArray[np.int64]]:
        distinct = list(dict.fromkeys(conventions))
        fitting = _MOST_MULTIPLICATIONS // (cost * len(distinct) + 1)
        count = max(_LEAST_DIGITS, min(most, fitting))
        parts = torch.split(normalize(digits.images[:count]), _AT_ONCE)
        with torch.inference_mode():
            networks = {each: each.adapt(network) for each in distinct}
            outputs = {each: torch.cat([adapted(part) for part in parts]) for each, adapted in networks.items()}
        return {each: values.nan_to_num().numpy() for each, values in outputs.items()}, digits.labels[:count]

    inputs = [replace(each, fit=fit) for each in input_conventions() for fit in fits_of(*network.picture_size)]
    first = [replace(each, activation=name) for each in inputs for name in _FIRST_ACTIVATIONS]
    outputs, labels = answers(first if activations else inputs, _FIRST_DIGITS)
    right = max(int(np.count_nonzero(values.argmax(axis=1) == labels)) for values in outputs.values())
    if right < _HOPELESS * len(labels):
        return Finding(inputs[0], right, len(labels), None)
    close = list(dict.fromkeys(replace(each, activation=None) for each in _close_ones(outputs, labels)))[:_INPUTS_KEPT]
    if not activations:
        return best_convention(*answers(close, len(digits)))
    last = []
    for taken in close:
        order = _close_ones(*answers([replace(taken, activation=name) for name in ACTIVATIONS], _FIRST_DIGITS))
        last += [*order[:_ACTIVATIONS_KEPT], replace(taken, activation="relu")]
    return best_convention(*answers(last, len(digits)))


def _close_ones(logits: Mapping[Convention, NDArray[np.float32]], labels: NDArray[np.int64]) -> list[Convention]:
    """Those that are not clearly worse than the best, which stands first."""
    losses = {convention: _losses(values, labels) for convention, values in logits.items()}
    order = sorted(losses, key=lambda convention: float(losses[convention].mean()))
    return [convention for convention in order if not _is_clearly_more(losses[convention], losses[order[0]])]


def describe_input(provenance: Mapping[str, Any]) -> str:
    """How a network takes its digits and how that is known, in words; empty where it is our own.

    >>> describe_input({"input": {"scale": "unit", "ink": "dark", "source": "sidecar"}})
    '0 to 1, dark ink (sidecar)'
    """
    record = provenance.get("input")
    if not isinstance(record, Mapping):
        return ""
    source, right, digits = (record.get(name) for name in ("source", "right", "digits"))
    if isinstance(right, int) and isinstance(digits, int):
        if right < _FITTING * digits:
            return f"nothing fits: at most {right} of {digits} validation digits right, taken as our own"
        source = f"{source}, {right} right"
    rival = f"; not clearly better than {record['rival']}" if "rival" in record else ""
    further = (str(record.get(name, "")) for name in ("activation", "fit"))
    words = Convention(str(record.get("scale")), str(record.get("ink")), *further).words
    return f"{words} ({source}{rival})"


class Findings:
    """What trials have found, in memory and in the cache folder, so that no file is tried twice."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> dict[str, Any] | None:
        """What was found for this key; None where nothing has been."""
        with self._lock:
            finding = self._known.get(key)
        if finding is None:
            with suppress(OSError, ValueError):
                finding = json.loads(self._path(key).read_bytes())
        return finding if isinstance(finding, dict) else None

    def put(self, key: str, finding: dict[str, Any]) -> None:
        """Remembers it."""
        with self._lock:
            self._known[key] = finding
            while len(self._known) > _FINDINGS_KEPT:
                self._known.popitem(last=False)
        with suppress(OSError):
            write_atomically(self._path(key), json.dumps(finding).encode())

    @staticmethod
    def _path(key: str) -> Path:
        name = hashlib.sha256(f"{_EDITION} {key}".encode()).hexdigest()
        return load_settings().cache_directory / "conventions" / f"{name}.json"


_FINDINGS = Findings()


@functools.cache
def probe_digits() -> DigitSet:
    """The first digits of each class of the validation set, the classes taking turns.

    Raises:
        DatasetError: they are missing.
    """
    digits = load_digits("mnist-validation")
    rows = [np.flatnonzero(digits.labels == label)[:_DIGITS_PER_CLASS] for label in range(10)]
    return digits.subset(np.stack(rows, axis=1).ravel())


def sidecar_path(path: Path) -> Path:
    """The file that declares how the network in the file at path takes its digits."""
    return path.with_name(f"{path.name}.json")


def sidecar_stamp(path: Path) -> tuple[int, int]:
    """Modification time (ns) and size (bytes) of a file that stands beside another; zeros where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def read_sidecar(path: Path) -> Convention | None:
    """What is declared beside the file at path; None where nothing is.

    Raises:
        CheckpointError: it cannot be read.
    """
    sidecar = sidecar_path(path)
    try:
        with sidecar.open("rb") as stream:
            text = stream.read(_MOST_SIDECAR_BYTES + 1)
        if len(text) > _MOST_SIDECAR_BYTES:
            raise ValueError(f"it is longer than {_MOST_SIDECAR_BYTES:,} bytes")
        words = json.loads(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{sidecar} cannot be read as JSON ({error}): write it again, or delete it.") from error
    return declared_convention(words, file=str(sidecar))


def declared_convention(words: object, *, file: str) -> Convention:
    """The convention that a file declares.

    Raises:
        CheckpointError: there is no such convention.
    """
    if isinstance(words, Mapping) and words.get("scale") in SCALES and words.get("ink") in INKS:
        activation, fit = words.get("activation"), words.get("fit", "")
        if (activation is None or activation in list(ACTIVATIONS)) and fit in ("", "padded", "resized"):
            return Convention(words["scale"], words["ink"], activation, fit)
    raise CheckpointError(
        f"{file} declares its input as {str(words)[:100]}: scale must be one of {', '.join(SCALES)}, "
        f"ink one of {', '.join(INKS)}, and where they are given, activation one of {', '.join(ACTIVATIONS)}, and fit "
        "padded or resized."
    )
