"""Names of checkpoint files: which endings are read, and what helps with those that are not."""

from pathlib import PurePath
from typing import TypeAlias

__all__ = ["READ", "REFUSED", "Reader", "ending_of", "stem_of"]

Reader: TypeAlias = str
"""`safetensors`, `torch` (files of `torch.save`), `onnx`, or `answers` (of a model that is not there)."""

READ: dict[str, Reader] = {
    ".safetensors": "safetensors",
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".pth.tar", ".pt.tar", ".bin", ".pkl", ".pickle"), "torch"),
    ".onnx": "onnx",
    **dict.fromkeys((".csv", ".parquet", ".npz"), "answers"),
}
"""How files are read, by their ending. Of two files with one name the one whose ending stands first is used."""

_KERAS = (
    'is a Keras or HDF5 file: export the model with `model.export("NAME.onnx", format="onnx")`, or with '
    "`python -m tf2onnx.convert --keras FILE --output NAME.onnx`."
)
_TORCHSCRIPT = (
    'is a TorchScript program, which is never run here: use `torch.save(model.state_dict(), "NAME.pt")` or '
    "`torch.onnx.export`."
)
_NUMPY = (
    "holds one array of NumPy: for weights use `safetensors.numpy.save_file`, with the names of the layers; answers "
    "belong into an npz, a CSV or a Parquet file."
)
REFUSED: dict[str, str] = {
    **dict.fromkeys((".h5", ".hdf5", ".keras"), _KERAS),
    ".tflite": "is a TensorFlow Lite file: use `python -m tf2onnx.convert --tflite FILE --output NAME.onnx`.",
    ".pb": "is a TensorFlow graph: use `python -m tf2onnx.convert --saved-model FOLDER --output NAME.onnx`.",
    ".joblib": "is a Python pickle, a program that is never run here: export the model with `skl2onnx`.",
    ".npy": _NUMPY,
    ".msgpack": "is a file of Flax: use `safetensors.flax.save_file`, with the names and the layout of PyTorch.",
    ".mlmodel": "is a Core ML file: export the network that it was made from with `torch.onnx.export`.",
    ".pdparams": "is a file of Paddle: export the model with `paddle2onnx`.",
    **dict.fromkeys((".torchscript", ".jit", ".ptl"), _TORCHSCRIPT),
}
"""What a file with this ending is and how to export it: the predicate of a sentence whose subject is the file."""

_LONGEST_FIRST = sorted([*READ, *REFUSED], key=len, reverse=True)


def ending_of(file_name: str) -> str:
    """The ending in `READ` or `REFUSED`, in small letters; empty for a file of any other kind.

    >>> ending_of("best.PT"), ending_of("model.pth.tar"), ending_of("README.md")
    ('.pt', '.pth.tar', '')
    """
    name = file_name.lower()
    return next((ending for ending in _LONGEST_FIRST if name.endswith(ending) and name != ending), "")


def stem_of(file_name: str) -> str:
    """The name without its ending.

    >>> stem_of("best.PT"), stem_of("model.pth.tar")
    ('best', 'model')
    """
    ending = ending_of(file_name)
    return file_name[: -len(ending)] if ending else PurePath(file_name).stem
