"""Added sets of digits: in, known by name everywhere, out again, and nothing half done."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import digitcore
from digitcore.data.datasets import DigitSet, builtin_names, dataset_names, is_available, known_digest, load_digits
from digitcore.data.exported_digits import EXPORT_FORMATS, ExportFormat, export_digits
from digitcore.data.first_look import look_at
from digitcore.data.own_datasets import (
    PreparedDataset,
    Progress,
    check_name,
    discard_dataset,
    is_model_input,
    keep_dataset,
    own_dataset,
    own_datasets,
    prepare_dataset,
    read_column,
    remove_dataset,
    rename_dataset,
)
from digitcore.errors import DatasetError
from digitcore.evaluation.evaluation import evaluate, load_or_evaluate, summarize
from digitcore.models.classifier import load_classifier
from tests.data.test_sample_files import class_folders, listed, png


@pytest.fixture
def digits(validation_digits: DigitSet) -> DigitSet:
    return validation_digits.subset(np.arange(0, 5000, 25))


def prepared(path: Path, **how: str) -> PreparedDataset:
    *steps, last = prepare_dataset(path, **how)  # type: ignore[arg-type]
    assert all(isinstance(step, Progress) for step in steps)
    assert isinstance(last, PreparedDataset)
    return last


def added(path: Path, name: str) -> DigitSet:
    keep_dataset(prepared(path), name, reserved=builtin_names())
    return load_digits(name)


def in_order(digits: DigitSet) -> list[tuple[int, bytes]]:
    return sorted((int(label), image.tobytes()) for label, image in zip(digits.labels, digits.images, strict=True))


@pytest.mark.parametrize("file_format", EXPORT_FORMATS)
def test_an_exported_set_comes_back_the_same(file_format: ExportFormat, tmp_path: Path) -> None:
    output = tmp_path / {"idx": "folder", "png": "a.zip", "npz": "a.npz", "parquet": "a.parquet"}[file_format]
    export_digits("uci-digits", output, file_format=file_format)
    original, copy = load_digits("uci-digits"), added(output, "copy")
    assert np.array_equal(copy.images, original.images)
    assert np.array_equal(copy.labels, original.labels)
    assert copy.digest == original.digest == known_digest("copy")
    fresh = DigitSet("copy", copy.ids, np.array(copy.images), copy.labels)
    assert fresh.digest == copy.digest


def test_figures_of_a_copy_are_those_of_the_original(tmp_path: Path) -> None:
    export_digits("uci-digits", tmp_path / "a.npz", file_format="npz")
    added(tmp_path / "a.npz", "copy")
    classifier = load_classifier("compact")
    copy, original = (summarize(load_or_evaluate(classifier, name)) for name in ("copy", "uci-digits"))
    assert (copy.dataset, original.dataset) == ("copy", "uci-digits")
    assert vars(copy) | {"dataset": ""} == vars(original) | {"dataset": ""}
    own = evaluate(classifier, load_digits("copy"))
    assert own.errors == original.errors


def test_drawings_are_preprocessed_and_model_inputs_are_not(tmp_path: Path, digits: DigitSet) -> None:
    as_inputs = prepared(class_folders(tmp_path, digits.images, digits.labels))
    assert as_inputs.dataset.use == "as they are"
    (tmp_path / "inverted").mkdir()
    drawings = prepared(class_folders(tmp_path / "inverted", 255 - digits.images, digits.labels))
    assert drawings.dataset.use == "preprocessed"
    keep_dataset(as_inputs, "inputs")
    keep_dataset(drawings, "drawings")
    assert in_order(load_digits("inputs")) == in_order(digits)
    same = [a == b for a, b in zip(in_order(load_digits("drawings")), in_order(digits), strict=True)]
    assert np.mean(same) > 0.95  # preprocessing gives MNIST's own pictures back


def test_what_is_done_with_the_pictures_can_be_said(tmp_path: Path, digits: DigitSet) -> None:
    path = class_folders(tmp_path, digits.images, digits.labels)
    assert prepared(path, use="preprocessed").dataset.use == "preprocessed"
    assert prepared(path, use="as they are").left_out == 0


def test_mnist_is_taken_for_model_inputs_and_other_pictures_are_not(digits: DigitSet) -> None:
    assert np.mean([is_model_input(image) for image in digits.images]) > 0.98
    assert not any(is_model_input(255 - image) for image in digits.images)
    assert not any(is_model_input(np.roll(image, 4, axis=0)) for image in digits.images)
    assert not is_model_input(np.zeros((28, 28), np.uint8))
    assert not is_model_input(np.zeros((32, 32), np.uint8))


def test_columns_stay_with_their_digits(tmp_path: Path, digits: DigitSet) -> None:
    path = listed(as_json=False)(tmp_path, digits.images, digits.labels)
    (path / "pictures" / "p0003.png").write_bytes(b"broken")
    added(path, "with-writers")
    dataset = own_dataset("with-writers")
    assert dataset is not None
    assert dataset.columns == ("writer",)
    files, file_of = read_column(dataset, "file")
    numbers = [int(Path(files[position]).stem[1:]) for position in file_of]
    assert 3 not in numbers
    names, writer_of = read_column(dataset, "writer")
    assert names == [f"w{number}" for number in range(7)]
    assert writer_of.tolist() == [number % 7 for number in numbers]
    loaded = load_digits("with-writers")
    assert np.array_equal(loaded.labels, digits.labels[numbers])
    assert loaded.writers is not None
    assert loaded.writers.tolist() == [number % 7 for number in numbers]


def test_columns_whose_names_cannot_be_shown_are_left_out(tmp_path: Path, digits: DigitSet) -> None:
    texts = np.full(len(digits), "x")
    columns = dict.fromkeys(("device", "d" * 61, "a\u202eb", *(f"c{i}" for i in range(40))), texts)
    np.savez(tmp_path / "a.npz", images=digits.images, labels=digits.labels, **columns)  # type: ignore[arg-type]
    dataset = prepared(tmp_path / "a.npz").dataset
    assert dataset.columns == ("device", *(f"c{i}" for i in range(29)))


def test_a_set_is_in_all_lists_until_it_is_removed(tmp_path: Path, digits: DigitSet) -> None:
    added(class_folders(tmp_path, digits.images, digits.labels), "mine")
    assert dataset_names() == [*builtin_names(), "mine"]
    assert is_available("mine")
    assert digitcore.load_digits("mine").name == "mine"
    rename_dataset("mine", "ours", reserved=builtin_names())
    assert [dataset.name for dataset in own_datasets()] == ["ours"]
    remove_dataset("ours")
    assert dataset_names() == builtin_names()
    with pytest.raises(ValueError, match=r"name must be one of mnist-test, .*, got 'ours'"):
        load_digits("ours")
    with pytest.raises(DatasetError, match="No set that was added is called 'ours'"):
        remove_dataset("ours")


@pytest.mark.parametrize("name", ["", "Mine", "../x", "a b", "mnist-test", ".hidden", "x" * 61, "taken"])
def test_names_that_cannot_be_used(name: str, tmp_path: Path, digits: DigitSet) -> None:
    path = class_folders(tmp_path, digits.images, digits.labels)
    added(path, "taken")
    with pytest.raises(ValueError, match="name must be"):
        check_name(name, builtin_names())
    with pytest.raises(ValueError, match="name must be"):
        keep_dataset(prepared(path), name, reserved=builtin_names())
    with pytest.raises(ValueError, match="name must be"):
        rename_dataset("taken", name, reserved=builtin_names())


def test_what_is_cancelled_or_discarded_leaves_nothing(tmp_path: Path, datasets_folder: Path, digits: DigitSet) -> None:
    path = class_folders(tmp_path, digits.images, digits.labels)
    steps: Iterator[object] = prepare_dataset(path)
    next(steps)
    assert list(datasets_folder.iterdir()) != []
    steps.close()  # type: ignore[attr-defined]
    assert list(datasets_folder.iterdir()) == []
    discard_dataset(prepared(path))
    assert list(datasets_folder.iterdir()) == []
    assert own_datasets() == []


def test_a_set_of_which_nothing_can_be_used_is_refused_with_the_reason(tmp_path: Path, datasets_folder: Path) -> None:
    (tmp_path / "set" / "1").mkdir(parents=True)
    (tmp_path / "set" / "1" / "a.png").write_bytes(png(np.full((40, 40), 255, np.uint8)))
    with pytest.raises(DatasetError, match=r"set holds no digit that can be used: 1/a\.png: The picture is blank"):
        list(prepare_dataset(tmp_path / "set"))
    assert list(datasets_folder.iterdir()) == []


@pytest.mark.parametrize("damage", ["about", "images", "labels"])
def test_a_damaged_set_harms_no_other(damage: str, tmp_path: Path, datasets_folder: Path, digits: DigitSet) -> None:
    path = class_folders(tmp_path, digits.images, digits.labels)
    added(path, "good")
    added(path, "damaged")
    file = {"about": "about.json", "images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}[damage]
    contents = (datasets_folder / "damaged" / file).read_bytes()
    (datasets_folder / "damaged" / file).write_bytes(contents[: len(contents) // 2])
    assert len(load_digits("good")) == len(digits)
    with pytest.raises((DatasetError, ValueError), match="damaged"):
        load_digits("damaged")


def test_the_first_look_counts_what_stands_out(digits: DigitSet) -> None:
    images = np.concatenate([digits.images, digits.images[:5], digits.images[:2]])
    labels = np.concatenate([digits.labels, digits.labels[:5], (digits.labels[:2] + 1) % 10])
    look = look_at(images, labels, others=[("known", digits.images[:40]), ("unknown", 255 - digits.images)])
    assert look.counts.tolist() == np.bincount(labels, minlength=10).tolist()
    assert (look.repeated, look.contradicted) == (7, 2)
    assert look.known == {"known": 40 + 7}
    for digit, rows in look.examples.items():
        assert set(labels[rows]) == {digit}
        assert len(rows) == min(20, int((labels == digit).sum()))


def test_about_json_says_where_a_set_is_from(tmp_path: Path, datasets_folder: Path, digits: DigitSet) -> None:
    added(class_folders(tmp_path, digits.images, digits.labels), "mine")
    about = json.loads((datasets_folder / "mine" / "about.json").read_text())
    assert (about["source"], about["digits"], about["use"]) == ("set", len(digits), "as they are")
