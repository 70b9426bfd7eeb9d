"""Downloads of MNIST, and of who wrote it, by torchvision.

The torchvision wheel for this torch is built against CUDA. With a CPU build of torch its compiled operators cannot be
loaded, and `import torchvision` fails with "operator torchvision::nms does not exist", since it attaches Python
functions to two of them. Declaring these two is enough for the part written in Python, which is all that is used here.
With a matching build they are not declared.

The import of torchvision is slow, so no module that predictions need imports this one.
"""

from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from urllib.error import URLError

import torch

from digitcore.errors import DatasetError
from digitcore.files import partial_file, remove_leftovers, write_atomically

__all__ = ["Source", "mnist_sources", "verified_download", "writers_sources"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class Source(NamedTuple):
    """A file that can be downloaded."""

    file: str
    md5: str
    mirrors: tuple[str, ...]
    """Addresses of folders that hold it."""


def mnist_sources() -> list[Source]:
    """The four compressed MNIST files."""
    mnist = _torchvision_datasets().MNIST
    return [Source(file, md5, tuple(mnist.mirrors)) for file, md5 in mnist.resources]


def writers_sources() -> list[Source]:
    """The label files of QMNIST, which name the writers of MNIST's training and test digits."""
    resources = _torchvision_datasets().QMNIST.resources
    labels = [(address.rpartition("/"), md5) for part in ("train", "test") for address, md5 in resources[part][1:]]
    return [Source(file, md5, (f"{folder}/",)) for (folder, _, file), md5 in labels]


def verified_download(source: Source, *, directory: Path) -> None:
    """Fetches one file into directory from the first mirror that has it, and checks its MD5.

    Raises:
        DatasetError: no mirror could be reached, none had the right file, or the folder cannot be written.
    """
    datasets, file = _torchvision_datasets(), source.file
    problems = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        remove_leftovers(directory)
    except OSError as error:
        raise DatasetError(
            f"{file} could not be downloaded: {directory} cannot be made ({error.strerror}). See DIGITCORE_DATA."
        ) from error
    for mirror in source.mirrors:
        try:
            # Under another name first: a wrong file must not be found in its place next time.
            with partial_file(directory) as partial:
                datasets.utils.download_url(f"{mirror}{file}", root=directory, filename=partial.name, md5=source.md5)
                write_atomically(directory / file, partial.read_bytes())
        except (URLError, HTTPException, OSError, RuntimeError) as error:  # RuntimeError: the MD5 differs
            problems.append(f"{mirror}: {error}")
        else:
            return
    raise DatasetError(
        f"{file} could not be downloaded to {directory} ({'; '.join(problems)}): "
        "check the network, or copy it there by hand."
    )


def _torchvision_datasets() -> ModuleType:
    try:
        return import_module("torchvision.datasets")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in _SCHEMAS:
            library.define(schema)  # type: ignore[no-untyped-call]
        _KEEP_ALIVE.append(library)
        return import_module("torchvision.datasets")


_KEEP_ALIVE: list[torch.library.Library] = []  # a library's definitions go away with the object
