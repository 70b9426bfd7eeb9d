"""Who wrote which MNIST digit: real files, damages, and sets without them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import load_digits, writers_of
from digitcore.data.mnist_writers import mnist_writers, mnist_writers_file, writer_group
from digitcore.errors import DatasetError

needs_writers = pytest.mark.skipif(
    not (mnist_writers_file("train").is_file() and mnist_writers_file("test").is_file()),
    reason="QMNIST's label files are not on this machine: set DIGITCORE_DATA to a folder that holds qmnist",
)


@needs_writers
@pytest.mark.needs_mnist
@pytest.mark.parametrize(("part", "name", "writers"), [("test", "mnist-test", 297), ("train", "mnist-train", 539)])
def test_each_writer_has_the_digits_that_the_labels_say(part: str, name: str, writers: int) -> None:
    digits, known = load_digits(name), mnist_writers("test" if part == "test" else "train")
    assert known is not None
    assert np.array_equal(known[1][digits.ids], digits.labels)
    assert digits.writers is not None
    assert np.array_equal(digits.writers, known[0][digits.ids])
    assert len(np.unique(known[0])) == writers


@needs_writers
def test_nobody_wrote_for_training_and_test() -> None:
    train, test = (np.unique(mnist_writers(part)[0]) for part in ("train", "test"))  # type: ignore[index]
    assert not set(train) & set(test)


@needs_writers
def test_half_of_the_test_digits_are_of_census_employees() -> None:
    writers = writers_of("mnist-test")
    assert writers is not None
    groups = [writer_group("mnist-test", writer) for writer in writers]
    assert groups.count("Census employee") == 4_999
    assert groups.count("High-school student") == 5_001


@needs_writers
def test_the_writers_of_a_subset_are_those_of_its_digits() -> None:
    digits = load_digits("mnist-validation")
    assert digits.writers is not None
    rows = np.array([7, 4_000, 3])
    assert digits.subset(rows).writers.tolist() == digits.writers[rows].tolist()  # type: ignore[union-attr]


def test_without_the_files_nobody_is_known(data_folder: Path) -> None:
    assert mnist_writers("train") is None
    assert load_digits("mnist-validation").writers is None
    assert load_digits("uci-digits").writers is None


@pytest.fixture
def damaged(data_folder: Path) -> Path:
    path = data_folder / "qmnist" / "qmnist-test-labels-idx2-int.gz"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize("contents", [b"", b"<html>", gzip.compress(bytes(1_000))], ids=["empty", "text", "too short"])
def test_a_damaged_file_is_a_dataset_error_that_names_it(damaged: Path, contents: bytes) -> None:
    damaged.write_bytes(contents)
    with pytest.raises(DatasetError, match=rf"{damaged}.*delete it and download"):
        mnist_writers("test")
