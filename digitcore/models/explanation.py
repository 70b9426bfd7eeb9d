"""Explanations of an answer: similar digits, strokes left out, attribution maps, and counterfactuals.

A network is shared by all who ask it: gradients are taken of the input alone, and nothing is written to the network.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitcore.imaging.canvas_json import compose
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_SIDE, INPUT_STD
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.engine import using_threads

__all__ = [
    "Counterfactual",
    "counterfactual",
    "has_gradients",
    "integrated_gradients",
    "leave_one_out",
    "nearest_rows",
    "occlusion",
    "saliency",
]

_PATCH, _STRIDE = 4, 2  # pixels, of what occlusion covers
_SPOT = 1.5  # pixels, radius of the pen or rubber that `counterfactual` uses: about that of MNIST's strokes
_MOST_SPOTS = 40
_MOST_CANDIDATES = 24  # spots that are tried out: those of which the gradient promises most
_LEAST_INK = 1.0  # of a spot, in pixels: fainter ones come to nothing when rounded


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A model input changed until the network answers another digit."""

    digit: int
    """That answer."""
    model_input: NDArray[np.uint8]  # (28, 28)
    added: float
    removed: float
    """Ink put on and taken off, as shares of all the ink that there was."""


def nearest_rows(
    classifier: DigitClassifier,
    image: NDArray[np.uint8],
    *,
    reference_features: NDArray[np.float32],
    count: int = 5,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the `count` most similar reference digits, nearest first, and their cosine similarities.

    Similar means a small angle in the space of `DigitClassifier.features`, of which `reference_features` (N, F) is a
    part; `image` is a model input uint8 (28, 28). Of equal ones the smaller row comes first.
    """
    feature = classifier.features(image[np.newaxis])[0]
    lengths = np.linalg.norm(reference_features, axis=1) * np.linalg.norm(feature)
    similarity = (reference_features @ feature) / np.maximum(lengths, np.finfo(np.float32).tiny)
    rows = np.argsort(-similarity, kind="stable")[:count]
    return rows, similarity[rows].astype(np.float32)


def leave_one_out(classifier: DigitClassifier, layers: Sequence[NDArray[np.uint8]]) -> list[Prediction | None]:
    """The answers without each layer of ink (H, W) in turn; None where nothing is left."""
    rest = [compose([*layers[:i], *layers[i + 1 :]], shape=layers[i].shape) for i in range(len(layers))]
    left = [i for i, ink in enumerate(rest) if ink.any()]
    predictions: list[Prediction | None] = [None] * len(layers)
    for i, prediction in zip(left, classifier.predict_batch([255 - rest[i] for i in left]), strict=True):
        predictions[i] = prediction
    return predictions


def has_gradients(classifier: DigitClassifier) -> bool:
    """Whether gradients can be taken; of ONNX files they cannot, and there is only `occlusion`."""
    return classifier.checkpoint.metadata.architecture != "onnx"


def saliency(classifier: DigitClassifier, image: NDArray[np.uint8], *, digit: int) -> NDArray[np.float32]:
    """How much a little ink at each pixel would change the digit's logit, up or down: (28, 28), from 0 upwards.

    `image` is a model input uint8 (28, 28).

    Raises:
        ValueError: the checkpoint has no gradients.

    Source: K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", arXiv 1312.6034.
    """
    from captum.attr import Saliency  # takes a second to import, for it brings matplotlib

    _check_gradients(classifier)
    with using_threads(1):
        return _map(Saliency(_logits_of(classifier)).attribute(_ink(image).requires_grad_(), target=digit))


def integrated_gradients(classifier: DigitClassifier, image: NDArray[np.uint8], *, digit: int) -> NDArray[np.float32]:
    """What each pixel's ink adds to the digit's logit (28, 28), or takes from it.

    The sum is, to a few per cent, the logit less that of a blank input. `image` is a model input uint8 (28, 28).

    Raises:
        ValueError: the checkpoint has no gradients.

    Source: M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    from captum.attr import IntegratedGradients

    _check_gradients(classifier)
    with using_threads(1):
        return _map(IntegratedGradients(_logits_of(classifier)).attribute(_ink(image), target=digit, n_steps=32))


def occlusion(classifier: DigitClassifier, image: NDArray[np.uint8], *, digit: int) -> NDArray[np.float32]:
    """How far the digit's logit falls when the ink of a 4x4 patch is wiped out: the mean of the patches over a pixel.

    (28, 28); less than 0 where that raises the logit. `image` is a model input uint8 (28, 28).

    Source: M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
    """
    from captum.attr import Occlusion

    window, stride = (1, _PATCH, _PATCH), (1, _STRIDE, _STRIDE)
    with using_threads(1):
        attribution = Occlusion(_logits_of(classifier)).attribute(
            _ink(image), sliding_window_shapes=window, strides=stride, target=digit, perturbations_per_eval=64
        )
    return _map(attribution)


def _check_gradients(classifier: DigitClassifier) -> None:
    if not has_gradients(classifier):
        raise ValueError(f"classifier must have gradients, got the ONNX file {classifier.checkpoint.name}")


def _logits_of(classifier: DigitClassifier) -> Callable[[Tensor], Tensor]:
    """Calibrated logits (N, 10) as a function of ink (N, 1, 28, 28), full ink being 1."""
    network, temperature = classifier.checkpoint.network, classifier.checkpoint.metadata.temperature

    def logits(ink: Tensor) -> Tensor:
        calibrated: Tensor = network((ink - INPUT_MEAN) / INPUT_STD) / temperature
        return calibrated

    return logits


def _ink(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255).reshape(1, 1, INPUT_SIDE, INPUT_SIDE)


def _map(attribution: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = attribution.detach().reshape(INPUT_SIDE, INPUT_SIDE).to(torch.float32).numpy()
    return values


def counterfactual(classifier: DigitClassifier, image: NDArray[np.uint8], *, target: int) -> Counterfactual | None:
    """A small change, in spots of pen and rubber, after which the network answers `target`; None if 40 spots do not.

    Each spot is the one that gains most per ink, of those that the gradient promises most of; the last is as faint as
    will do. So the change is small and not always the smallest. `image` is a model input uint8 (28, 28), of which the
    network answers another digit.

    Raises:
        ValueError: the checkpoint has no gradients, or the network answers `target` already.
    """
    _check_gradients(classifier)
    if int(classifier.logits(image[np.newaxis])[0].argmax()) == target:
        raise ValueError(f"target must be another digit than the network's answer, got {target}")
    logits = _logits_of(classifier)
    before = current = image.astype(np.float32) / np.float32(255)
    with using_threads(1):
        for _ in range(_MOST_SPOTS):
            following = _best_spot(logits, current, target)
            model_input = _faintest(classifier, current, following, target)
            if model_input is not None:
                change = model_input.astype(np.float64) / 255 - before
                added, removed = change.clip(min=0).sum(), -change.clip(max=0).sum()
                ink = float(before.sum())
                return Counterfactual(target, model_input, added=float(added) / ink, removed=float(removed) / ink)
            current = following
    return None


def _best_spot(logits: Callable[[Tensor], Tensor], current: NDArray[np.float32], target: int) -> NDArray[np.float32]:
    """The ink (28, 28) with one spot more, or with one rubbed out."""
    margin, slope = _margin_and_slope(logits, current, target)
    changed = np.concatenate([np.maximum(current, _spots()), np.minimum(current, 1 - _spots())])
    change = changed - current
    cost = np.abs(change).sum(axis=(1, 2))
    promised = np.where(cost >= _LEAST_INK, (change * slope).sum(axis=(1, 2)) / np.maximum(cost, _LEAST_INK), -np.inf)
    candidates = np.argsort(-promised, kind="stable")[:_MOST_CANDIDATES]
    with torch.no_grad():
        margins = _margins(logits(torch.from_numpy(changed[candidates]).unsqueeze(1)), target).numpy()
    best: NDArray[np.float32] = changed[candidates[((margins - margin) / cost[candidates]).argmax()]]
    return best


def _margin_and_slope(
    logits: Callable[[Tensor], Tensor], current: NDArray[np.float32], target: int
) -> tuple[float, NDArray[np.float32]]:
    ink = torch.from_numpy(current).reshape(1, 1, INPUT_SIDE, INPUT_SIDE).clone().requires_grad_()
    with torch.enable_grad():
        margin = _margins(logits(ink), target)[0]
    (slope,) = torch.autograd.grad(margin, ink)
    return float(margin.detach()), _map(slope)


def _margins(logits: Tensor, target: int) -> Tensor:
    """How far (N,) a digit's logit lies above the greatest of the others."""
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
    return logits[:, target] - others.amax(dim=1)


@functools.cache
def _spots() -> NDArray[np.float32]:
    """Round spots of ink (784, 28, 28), one around each pixel."""
    row, column = np.indices((INPUT_SIDE, INPUT_SIDE))
    distance = np.hypot(row - row.reshape(-1, 1, 1), column - column.reshape(-1, 1, 1))
    spots: NDArray[np.float32] = (_SPOT + 0.5 - distance).clip(0, 1).astype(np.float32)
    return spots


def _faintest(
    classifier: DigitClassifier, before: NDArray[np.float32], after: NDArray[np.float32], target: int
) -> NDArray[np.uint8] | None:
    """The first of 16 model inputs on the way from before to after for which the network answers `target`."""
    share = np.linspace(0, 1, 17, dtype=np.float32)[1:, np.newaxis, np.newaxis]
    between = np.rint(255 * (before + share * (after - before))).astype(np.uint8)
    (rows,) = classifier.logits_by_batch(between, threads=1)
    reached = np.flatnonzero(rows.argmax(axis=1) == target)
    return between[reached[0]] if len(reached) else None
