"""Downloads of MNIST by torchvision.

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
from urllib.error import URLError

import torch

from digitcore.errors import DatasetError
from digitcore.files import partial_file, remove_leftovers, write_atomically

__all__ = ["mnist_sources", "verified_download"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def mnist_sources() -> list[tuple[str, str]]:
    """(file name, MD5) of the four compressed MNIST files."""
    return list(_torchvision_datasets().MNIST.resources)


def verified_download(file: str, *, md5: str, directory: Path) -> None:
    """Fetches one MNIST file into directory from the first mirror that has it, and checks its MD5.

    Raises:
        DatasetError: no mirror could be reached, none had the right file, or the folder cannot be written.
    """
    datasets = _torchvision_datasets()
    problems = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        remove_leftovers(directory)
    except OSError as error:
        raise DatasetError(
            f"{file} could not be downloaded: {directory} cannot be made ({error.strerror}). See DIGITCORE_DATA."
        ) from error
    for mirror in datasets.MNIST.mirrors:
        try:
            # Under another name first: a wrong file must not be found in its place next time.
            with partial_file(directory) as partial:
                datasets.utils.download_url(f"{mirror}{file}", root=directory, filename=partial.name, md5=md5)
                write_atomically(directory / file, partial.read_bytes())
        except (URLError, HTTPException, OSError, RuntimeError) as error:  # RuntimeError: the MD5 differs
            problems.append(f"{mirror}: {error}")
        else:
            return
    raise DatasetError(
        f"{file} could not be downloaded to {directory} ({'; '.join(problems)}): "
        "check the network, or copy the four MNIST files there by hand."
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
