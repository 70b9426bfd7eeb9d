"""Who wrote each MNIST digit, from the label files of QMNIST.

Source: C. Yadav, L. Bottou, "Cold case: the lost MNIST digits", NeurIPS 2019, facebookresearch/qmnist.
"""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digitcore.errors import DatasetError
from digitcore.settings import load_settings

__all__ = ["mnist_writers", "mnist_writers_file", "writer_group"]

_Part = Literal["train", "test"]
_DIGESTS = {  # SHA-256 of the uncompressed contents
    "train": "bb1b6e1ec7b04fd5696f1ed50b5f58f8ef195118edd5c93c81783df9740b8ac5",
    "test": "92d0ccb8c25f9c6534270fb4be7e1d24a1c6d315edfc8a638bfbd31c70f362dd",
}
_HEADER = 12  # bytes
_COLUMNS = 8
_LABEL, _WRITER = 0, 2  # columns
_TEST_DIGITS = 10_000  # of MNIST; the file goes on with digits that MNIST left out
_FIRST_STUDENT = 2100  # in NIST's numbering of writers


def mnist_writers_file(part: _Part) -> Path:
    """Path of QMNIST's label file of MNIST's training or test digits."""
    return load_settings().data_directory / "qmnist" / f"qmnist-{part}-labels-idx2-int.gz"


def mnist_writers(part: _Part) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Numbers of the writers (N,) of MNIST's training or test digits, and the labels (N,), in MNIST's order.

    None where the file is not there: the writers are then not known.

    Raises:
        DatasetError: the file is damaged.
    """
    path = mnist_writers_file(part)
    if not path.is_file():
        return None
    try:
        contents = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read ({error}): delete it and download MNIST again.") from error
    if hashlib.sha256(contents).hexdigest() != _DIGESTS[part]:
        raise DatasetError(f"{path} is not QMNIST's (its checksum differs): delete it and download MNIST again.")
    table = np.frombuffer(contents, dtype=">i4", offset=_HEADER).reshape(-1, _COLUMNS).astype(np.int64)
    rows = table[:_TEST_DIGITS] if part == "test" else table
    return rows[:, _WRITER], rows[:, _LABEL]


def writer_group(dataset: str, writer: int) -> str:
    """Which people a writer belongs to; empty where a set is of one kind.

    >>> writer_group("mnist-test", 35), writer_group("mnist-test", 2578), writer_group("pen-digits", 26)
    ('Census employee', 'High-school student', '')
    """
    if not dataset.startswith("mnist"):
        return ""
    return "High-school student" if writer >= _FIRST_STUDENT else "Census employee"
