"""Sets in the layouts in which they are handed out: read, looked at, kept, evaluated, and shown on all pages."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits as load_scikit_learn

from digitcore.data.datasets import DigitSet, load_digits
from digitcore.data.first_look import look_at
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, map_images, prepare_dataset
from digitcore.evaluation.evaluation import load_or_evaluate
from digitcore.models.classifier import load_classifier
from digitcore.models.refusal import ink_oddity
from tests.pages.conftest import Visit, is_fine, texts

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""

Write = Callable[[Path, DigitSet], Path]


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def small(digits: DigitSet) -> NDArray[np.float64]:
    """The digits in 16 x 16 pixels from 0 to 1, as large as they may be."""
    pictures = [Image.fromarray(np.asarray(image[4:24, 4:24])).resize((16, 16)) for image in digits.images]
    return np.stack([np.asarray(picture) for picture in pictures]).reshape(-1, 256) / 255


def kannada_idx(folder: Path, digits: DigitSet) -> Path:
    pairs = (("X", "idx3", digits.images), ("y", "idx1", digits.labels.astype(np.uint8)))
    for letter, kind, array in pairs:
        (folder / f"{letter}_kannada_MNIST_test-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    return folder / "X_kannada_MNIST_test-idx3-ubyte.gz"


def kannada_npz(folder: Path, digits: DigitSet) -> Path:
    np.savez(folder / "X_kannada_MNIST_test.npz", digits.images)
    np.savez(folder / "y_kannada_MNIST_test.npz", digits.labels)
    return folder / "X_kannada_MNIST_test.npz"


def usps(folder: Path, digits: DigitSet) -> Path:
    """zip.test.gz of "The Elements of Statistical Learning": the label, then 256 pixels from -1 to 1."""
    rows = np.column_stack([digits.labels, 2 * small(digits) - 1])
    lines = "".join(" ".join(f"{number:.4f}" for number in row) + " \n" for row in rows)
    (folder / "zip.test.gz").write_bytes(gzip.compress(lines.encode()))
    return folder / "zip.test.gz"


def semeion(folder: Path, digits: DigitSet) -> Path:
    """256 pixels that are 0 or 1, then ten columns of which one is 1."""
    rows = np.column_stack([small(digits) > 0.5, np.eye(10)[digits.labels]])
    lines = "".join(" ".join([f"{n:.4f}" for n in row[:256]] + [f"{n:.0f}" for n in row[256:]]) + " \n" for row in rows)
    (folder / "semeion.data").write_text(lines, encoding="utf-8")
    return folder / "semeion.data"


def optdigits(folder: Path, digits: DigitSet) -> Path:
    """64 pixels from 0 to 16, then the label: the file from which scikit-learn's digits are."""
    pixels, labels = load_scikit_learn(return_X_y=True)
    rows = np.column_stack([pixels, labels]).astype(np.int64)[:: len(labels) // len(digits)]
    np.savetxt(folder / "optdigits.tes", rows, fmt="%d", delimiter=",")
    return folder / "optdigits.tes"


def scikit_learn(folder: Path, digits: DigitSet) -> Path:
    bunch = load_scikit_learn()
    np.savez(folder / "digits.npz", images=bunch.images, labels=bunch.target)
    return folder / "digits.npz"


def fashion(folder: Path, digits: DigitSet) -> Path:
    return FASHION / "t10k-images-idx3-ubyte.gz"


LAYOUTS: dict[str, tuple[Write, float]] = {  # and the least share that tiny reads
    "kannada-idx": (kannada_idx, 0.95),
    "kannada-npz": (kannada_npz, 0.95),
    "usps": (usps, 0.8),
    "semeion": (semeion, 0.7),
    "optdigits": (optdigits, 0.8),
    "scikit-learn": (scikit_learn, 0.8),
    "fashion": (fashion, 0),
}


@pytest.fixture(scope="module")
def some(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5000, 25))


def prepared(name: str, folder: Path, digits: DigitSet) -> PreparedDataset:
    if name == "fashion" and not FASHION.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed")
    *_, last = prepare_dataset(LAYOUTS[name][0](folder, digits))
    assert isinstance(last, PreparedDataset)
    return last


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_is_read_looked_at_and_evaluated(name: str, tmp_path: Path, some: DigitSet) -> None:
    read = prepared(name, tmp_path, some)
    assert read.left_out <= read.dataset.digits / 1_000  # of Fashion-MNIST one is blank
    assert read.dataset.digits >= 100
    images, labels = map_images(read.dataset, read.folder)
    look = look_at(images, labels, oddity=ink_oddity)
    assert look.counts.sum() == read.dataset.digits
    assert look.counts.min() > 5
    keep_dataset(read, "mine")
    evaluation = load_or_evaluate(load_classifier("tiny"), "mine")
    assert 1 - evaluation.errors / len(evaluation) >= LAYOUTS[name][1]


def test_scikit_learns_digits_are_the_set_that_is_built_in(tmp_path: Path, some: DigitSet) -> None:
    keep_dataset(prepared("scikit-learn", tmp_path, some), "mine")
    mine, built_in = load_digits("mine"), load_digits("uci-digits")
    assert np.array_equal(mine.labels, built_in.labels)
    same = (mine.images == built_in.images).all(axis=(1, 2))
    assert same.mean() > 0.95


@pytest.mark.parametrize(
    "name", [name if name == "usps" else pytest.param(name, marks=pytest.mark.slow) for name in LAYOUTS]
)
def test_each_layout_is_on_all_pages(name: str, visit: Visit, tmp_path: Path, some: DigitSet) -> None:
    keep_dataset(prepared(name, tmp_path, some), "mine")
    for page in ("", "accuracy", "confusion", "errors"):
        app = visit(page, dataset="mine", checkpoint="tiny")
        assert is_fine(app)
        assert "digits of your own" in texts(app)
    app = visit("compare", dataset="mine", view="A against B", a="tiny", b="compact")
    assert is_fine(app)
    assert "errors in " in texts(app)
