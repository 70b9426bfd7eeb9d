"""Labelled pictures read from every kind of file, the same digits each time; and files that cannot be used."""

import csv
import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from digitcore.data import sample_files
from digitcore.data.datasets import DigitSet
from digitcore.data.sample_files import Sample, read_samples
from digitcore.errors import DatasetError

Images, Labels = NDArray[np.uint8], NDArray[np.int64]
COUNT = 120


@pytest.fixture(scope="module")
def digits(validation_digits: DigitSet) -> tuple[Images, Labels]:
    """Real digits, twelve of each, in random order."""
    rows = np.random.default_rng(0).permutation(np.arange(0, 5000, 5000 // COUNT)[:COUNT])
    return validation_digits.images[rows], validation_digits.labels[rows]


def png(image: Images) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def class_folders(folder: Path, images: Images, labels: Labels) -> Path:
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / "set" / str(label)).mkdir(parents=True, exist_ok=True)
        (folder / "set" / str(label) / f"{i:04d}.png").write_bytes(png(image))
    return folder / "set"


def file_names(template: str) -> Callable[[Path, Images, Labels], Path]:
    def write(folder: Path, images: Images, labels: Labels) -> Path:
        (folder / "set").mkdir()
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            (folder / "set" / template.format(i=f"x{i:04d}", label=label)).write_bytes(png(image))
        return folder / "set"

    return write


def zipped(write: Callable[[Path, Images, Labels], Path]) -> Callable[[Path, Images, Labels], Path]:
    def write_zip(folder: Path, images: Images, labels: Labels) -> Path:
        source, path = write(folder, images, labels), folder / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(source.rglob("*")):
                archive.write(file, Path("data") / file.relative_to(source))
            archive.writestr("__MACOSX/data/._0000.png", b"not a picture")
        return path

    return write_zip


def listed(as_json: bool) -> Callable[[Path, Images, Labels], Path]:
    def write(folder: Path, images: Images, labels: Labels) -> Path:
        (folder / "set" / "pictures").mkdir(parents=True)
        rows = []
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            (folder / "set" / "pictures" / f"p{i:04d}.png").write_bytes(png(image))
            rows.append({"File": f"pictures/p{i:04d}.png", "label": str(label), "writer": f"w{i % 7}"})
        if as_json:
            (folder / "set" / "list.json").write_text(json.dumps(rows))
        else:
            with (folder / "set" / "list.csv").open("w", encoding="utf-8-sig", newline="") as file:
                table = csv.DictWriter(file, rows[0])
                table.writeheader()
                table.writerows(rows)
        return folder / "set"

    return write


def idx_pair(folder: Path, images: Images, labels: Labels) -> Path:
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(images))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels.astype(np.uint8)))
    return folder / "t10k-images-idx3-ubyte"


def idx_pair_by_its_labels_compressed(folder: Path, images: Images, labels: Labels) -> Path:
    (folder / "test-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / "test-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels.astype(np.uint8))))
    return folder / "test-labels-idx1-ubyte.gz"


def idx_folder(folder: Path, images: Images, labels: Labels) -> Path:
    idx_pair(folder, images, labels)
    return folder


def emnist_pair(folder: Path, images: Images, labels: Labels) -> Path:
    """EMNIST's files hold each picture transposed."""
    path = folder / "emnist-digits-test-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(np.ascontiguousarray(images.transpose(0, 2, 1)))))
    (folder / "emnist-digits-test-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels.astype(np.uint8))))
    return path


def npz(**shape: Any) -> Callable[[Path, Images, Labels], Path]:  # noqa: ANN401
    def write(folder: Path, images: Images, labels: Labels) -> Path:
        arrays = {name: function(images if i == 0 else labels) for i, (name, function) in enumerate(shape.items())}
        np.savez(folder / "set.npz", **arrays)
        return folder / "set.npz"

    return write


def two_npz(folder: Path, images: Images, labels: Labels) -> Path:
    """KMNIST's and Kannada-MNIST's layout."""
    np.savez_compressed(folder / "kmnist-test-imgs.npz", images)
    np.savez_compressed(folder / "kmnist-test-labels.npz", labels.astype(np.uint8))
    return folder / "kmnist-test-imgs.npz"


def kaggle(has_header: bool) -> Callable[[Path, Images, Labels], Path]:
    def write(folder: Path, images: Images, labels: Labels) -> Path:
        lines = [",".join(["label", *(f"pixel{i}" for i in range(784))])] if has_header else []
        for image, label in zip(images, labels, strict=True):
            lines.append(",".join(map(str, [label, *image.ravel()])))
        (folder / "train.csv").write_text("\n".join(lines) + "\n")
        return folder / "train.csv"

    return write


def parquet(folder: Path, images: Images, labels: Labels) -> Path:
    pictures = [{"bytes": png(image), "path": None} for image in images]
    pq.write_table(pa.table({"image": pictures, "label": labels.tolist()}), folder / "test.parquet")
    return folder / "test.parquet"


def svhn(folder: Path, images: Images, labels: Labels) -> Path:
    colour = np.repeat(images[..., np.newaxis], 3, axis=3)
    savemat(
        folder / "test_32x32.mat", {"X": np.moveaxis(colour, 0, -1), "y": np.where(labels == 0, 10, labels)[:, None]}
    )
    return folder / "test_32x32.mat"


def emnist_mat(folder: Path, images: Images, labels: Labels) -> Path:
    part = {"images": images.transpose(0, 2, 1).reshape(-1, 784), "labels": labels[:, None]}
    savemat(folder / "emnist-digits.mat", {"dataset": {"train": part, "test": part}})
    return folder / "emnist-digits.mat"


KINDS: dict[str, Callable[[Path, Images, Labels], Path]] = {
    "folders": class_folders,
    "zip of folders": zipped(class_folders),
    "label first": file_names("{label}_{i}.png"),
    "label last": file_names("{i}-{label}.png"),
    "label named": file_names("{i}_label{label}_a.png"),
    "zip of names": zipped(file_names("{label}-{i}.png")),
    "CSV list": listed(as_json=False),
    "JSON list": listed(as_json=True),
    "zip with CSV list": zipped(listed(as_json=False)),
    "IDX": idx_pair,
    "IDX, gzip, by labels": idx_pair_by_its_labels_compressed,
    "IDX folder": idx_folder,
    "EMNIST IDX": emnist_pair,
    "npz": npz(images=np.asarray, labels=np.asarray),
    "npz of 0 to 1": npz(x=lambda images: (images / 255).astype(np.float32), y=np.asarray),
    "npz, flat": npz(x_test=lambda images: images.reshape(-1, 784), y_test=np.asarray),
    "npz, channels first": npz(images=lambda images: images[:, np.newaxis], labels=lambda labels: np.eye(10)[labels]),
    "npz of int64": npz(images=lambda images: images.astype(np.int64), labels=np.asarray),
    "two npz": two_npz,
    "Kaggle": kaggle(has_header=True),
    "MNIST in CSV": kaggle(has_header=False),
    "Parquet": parquet,
    "SVHN": svhn,
    "EMNIST mat": emnist_mat,
}


def pixels(sample: Sample) -> Images:
    picture = np.asarray(sample.picture)
    return picture[..., 0] if picture.ndim == 3 else picture


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_digits(kind: str, tmp_path: Path, digits: tuple[Images, Labels]) -> None:
    images, labels = digits
    samples = list(read_samples(KINDS[kind](tmp_path, images, labels)))
    assert [sample.problem for sample in samples] == [""] * COUNT
    expected = sorted((int(label), image.tobytes()) for image, label in zip(images, labels, strict=True))
    assert sorted((int(sample.label or 0), pixels(sample).tobytes()) for sample in samples) == expected


@pytest.mark.parametrize("kind", ["CSV list", "JSON list", "zip with CSV list"])
def test_a_list_may_say_more_of_each_picture(kind: str, tmp_path: Path, digits: tuple[Images, Labels]) -> None:
    samples = list(read_samples(KINDS[kind](tmp_path, *digits)))
    assert {sample.columns["writer"] for sample in samples} == {f"w{i}" for i in range(7)}


def test_the_place_of_the_label_can_be_said(tmp_path: Path, digits: tuple[Images, Labels]) -> None:
    images, labels = digits
    path = file_names("scan7 {label} of {i}.png")(tmp_path, images, labels)
    with pytest.raises(DatasetError, match="say where the label stands"):
        list(read_samples(path))
    samples = list(read_samples(path, labels="scan7 {label} of *"))
    assert sorted(sample.label or 0 for sample in samples) == sorted(labels.tolist())
    for template in ("label_*", "{label}{label}", "*{label}*a*b*"):
        with pytest.raises(ValueError, match=r"labels must hold \{label\} once"):
            list(read_samples(path, labels=template))


def test_what_cannot_be_used_is_named_and_the_rest_is_taken(tmp_path: Path, digits: tuple[Images, Labels]) -> None:
    path = class_folders(tmp_path, *digits)
    (path / "3" / "broken.png").write_bytes(png(digits[0][0])[:60])
    (path / "3" / "empty.png").write_bytes(b"")
    samples = list(read_samples(path))
    problems = {sample.name: sample.problem for sample in samples if sample.problem}
    assert set(problems) == {"3/broken.png", "3/empty.png"}
    assert "empty" in problems["3/empty.png"]
    assert len(samples) == COUNT + 2


@pytest.mark.parametrize("label", ["10", "-1", "3.5", "x", "", "nan"])
def test_a_label_that_is_no_digit_is_named(label: str, tmp_path: Path, digits: tuple[Images, Labels]) -> None:
    (tmp_path / "a.png").write_bytes(png(digits[0][0]))
    (tmp_path / "labels.csv").write_text(f"file,label\na.png,{label}\n")
    (sample,) = read_samples(tmp_path)
    assert sample.label is None
    assert "label" in sample.problem


def bad_zip(folder: Path) -> Path:
    (folder / "a.zip").write_bytes(b"PK but no zip")
    return folder / "a.zip"


def many_entries(folder: Path) -> Path:
    """A zip that says it has a million entries."""
    tail = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 10**6, 10**6, 0, 0) + bytes(20)
    (folder / "a.zip").write_bytes(tail + b"PK\x05\x06" + b"\x00" * 4 + b"\xff" * 4 + b"\xff" * 8 + b"\x00" * 2)
    return folder / "a.zip"


def bomb(folder: Path) -> Path:
    """A picture that unpacks to more bytes than are read of one."""
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1/a.png", bytes(30_000_000))
    return folder / "a.zip"


def npz_bomb(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)})
        archive.writestr("images.npy", head.getvalue())
        archive.writestr("labels.npy", head.getvalue())
    return folder / "a.npz"


def pickled(folder: Path) -> Path:
    np.savez(folder / "a.npz", images=np.array([object()], dtype=object), labels=np.zeros(1))
    return folder / "a.npz"


def text(name: str, contents: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(contents)
        return folder / name

    return write


def short_idx(folder: Path) -> Path:
    path = idx_pair(folder, np.zeros((9, 28, 28), np.uint8), np.zeros(9, np.int64))
    path.write_bytes(path.read_bytes()[:-1])
    return path


def unequal_idx(folder: Path) -> Path:
    return idx_pair(folder, np.zeros((9, 28, 28), np.uint8), np.zeros(8, np.int64))


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "nowhere", "is not there"),
    "empty folder": (lambda folder: folder, "holds no pictures"),
    "other ending": (text("a.docx", "x"), "cannot be read as labelled pictures"),
    "no zip": (bad_zip, "is not a zip file"),
    "million entries": (many_entries, "more than 200,000 files"),
    "npz bomb": (npz_bomb, "cannot be read|GB"),
    "pickled npz": (pickled, "cannot be read"),
    "no npz": (text("a.npz", "x"), "cannot be read"),
    "few columns": (text("a.csv", "label,pixel0\n1,2\n"), "784 pixels are needed"),
    "words for pixels": (text("a.csv", "label" + ",pixel0" * 784 + "\n1" + ",x" * 784), "cannot be read"),
    "pixel of 256": (text("a.csv", "1" + ",256" * 784), "not from 0 to 255"),
    "empty text": (text("a.txt", "\n \n"), "is empty"),
    "words for numbers": (text("a.data", "1 2 three"), "cannot be read"),
    "no square": (text("a.tra", "1 " * 100), "rows of 100 numbers: a label and the pixels of a square"),
    "ragged rows": (text("a.tes", "1 " * 65 + "\n" + "1 " * 64), "rows of 65 and of 64 numbers"),
    "NaN for pixels": (text("a.txt", "1 " + "nan " * 64), "NaN or infinity"),
    "endless line": (text("a.train", "1 " * 60_000), "lines of over 100,000 characters"),
    "no gzip": (text("a.test.gz", "1 2 3"), "cannot be read"),
    "no Parquet": (text("a.parquet", "PAR1 x PAR1"), "cannot be read"),
    "no mat": (text("a.mat", "x" * 200), "cannot be read"),
    "short IDX": (short_idx, "ends early"),
    "unequal IDX": (unequal_idx, "9 pictures and .* 8 labels"),
    "IDX alone": (lambda folder: (idx_pair(folder, np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.int64)),
        (folder / "t10k-labels-idx1-ubyte").unlink())[0], "put it beside it"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_cannot_be_used_is_named_with_a_sentence(kind: str, tmp_path: Path) -> None:
    make, sentence = HOSTILE[kind]
    path = make(tmp_path)
    with pytest.raises(DatasetError, match=sentence) as caught:
        list(read_samples(path))
    assert path.name in str(caught.value)


def test_a_picture_larger_than_is_read_is_left_out(tmp_path: Path) -> None:
    (sample,) = read_samples(bomb(tmp_path))
    assert "larger than 20 MB" in sample.problem


def test_names_in_an_archive_are_only_names(tmp_path: Path, digits: tuple[Images, Labels]) -> None:
    (tmp_path / "inside").mkdir()
    with zipfile.ZipFile(tmp_path / "inside" / "a.zip", "w") as archive:
        for name in ("../1/a.png", "/etc/1/b.png", "C:/1/c.png"):
            archive.writestr(name, png(digits[0][0]))
    samples = list(read_samples(tmp_path / "inside" / "a.zip"))
    assert [sample.label for sample in samples] == [1] * len(samples)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "inside"]


def test_rows_come_in_blocks_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: tuple[Images, Labels]
) -> None:
    monkeypatch.setattr(sample_files, "_CHUNK", 7)
    for kind in ("IDX", "Kaggle", "npz", "Parquet"):
        folder = tmp_path / kind
        folder.mkdir()
        samples = list(read_samples(KINDS[kind](folder, *digits)))
        assert [sample.label for sample in samples] == digits[1].tolist()
        assert [sample.name for sample in samples] == [f"row {i}" for i in range(COUNT)]
