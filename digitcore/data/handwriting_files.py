"""Handwriting that comes in files: from another machine, or from elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from digitcore.data.own_datasets import is_model_input
from digitcore.data.sample_files import Sample, read_samples
from digitcore.errors import ImageError
from digitcore.imaging.preprocessing import preprocess
from digitcore.store.handwriting import LONGEST_WRITER, Handwriting, HandwrittenDigit

__all__ = ["ImportedHandwriting", "read_handwriting"]

_LONGEST_KEY = 64  # characters


@dataclass(frozen=True, eq=False)
class ImportedHandwriting:
    """What a file holds."""

    digits: list[HandwrittenDigit]
    """Those that were not known."""
    known: int
    """How many were known already."""
    left_out: int
    """How many could not be used."""


def read_handwriting(path: Path, *, known: Handwriting, most: int) -> ImportedHandwriting:
    """The digits of a file or folder as `sample_files` reads them, with their writers and sessions where it names them.

    Model inputs are taken as they are, all other pictures are preprocessed. A digit with the picture, the label and the
    writer of one that is known is not taken again, so that two machines can swap. most: digits that are read at most.

    Raises:
        DatasetError: the file cannot be read.
    """
    seen = {
        (image.tobytes(), int(label), writer)
        for image, label, writer in zip(known.images, known.labels, known.writers, strict=True)
    }
    digits, twice, left_out = [], 0, 0
    for digit in _digits(path):
        if digit is None:
            left_out += 1
        elif (key := (digit.picture.tobytes(), digit.label, digit.writer)) in seen:
            twice += 1
        else:
            seen.add(key)
            digits.append(digit)
        if len(digits) > most:
            break
    return ImportedHandwriting(digits, twice, left_out)


def _digits(path: Path) -> Iterator[HandwrittenDigit | None]:
    """The digits of a file; None for what cannot be used."""
    for sample in read_samples(path):
        try:
            yield _digit(sample)
        except (ImageError, ValueError):
            yield None


def _digit(sample: Sample) -> HandwrittenDigit:
    """A sample as a digit.

    Raises:
        ImageError: its picture cannot be used.
        ValueError: it has no picture or no label, or a text of it cannot be stored.
    """
    if sample.picture is None or sample.label is None:
        raise ValueError(f"{sample.name} must have a picture and a label")
    pixels = np.asarray(sample.picture) if _is_grey(sample.picture) else None
    picture = pixels if pixels is not None and is_model_input(pixels) else preprocess(sample.picture).model_input
    answer, checkpoint = sample.columns.get("answer", ""), sample.columns.get("checkpoint", "")
    return HandwrittenDigit(
        picture=picture,
        label=sample.label,
        source="import",
        writer=sample.columns.get("writer", "")[:LONGEST_WRITER],
        session=sample.columns.get("session", "")[:_LONGEST_KEY],
        answer=int(answer) if answer else None,
        checkpoint=checkpoint or None,
    )


def _is_grey(picture: object) -> bool:
    return (isinstance(picture, Image.Image) and picture.mode == "L") or isinstance(picture, np.ndarray)
