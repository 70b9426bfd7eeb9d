"""Digits that touch, taken apart by what a network reads in the parts.

Ink alone does not tell two digits that touch from one: an 8 is two circles, a 4 two strokes that meet. So ink that a
network is sure of stays whole; where it is not, or where the ink is too wide for one digit, all parts between the cuts
of `digitcore.imaging.seams` are read at once, and the row of them that is read best is taken where it beats the whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitcore.imaging.components import Box, find_components
from digitcore.imaging.seams import Part, cut_out, find_parts
from digitcore.imaging.segmentation import DigitInk, PictureInk
from digitcore.models.classifier import DigitClassifier, Prediction

__all__ = ["FoundDigit", "evidence", "is_doubtful", "read_apart"]

_SURE = 0.9  # confidence of a whole that is left alone, unless it is too wide
_NARROW = 0.6  # times as wide as high: less is one digit, or two 1s that nothing tells from a 0 or a 4
_WIDE = 2.0  # times as wide as high: no pen digit is, though many a 0 comes near it
_TOO_WIDE = 6.0  # what each further height in width counts against a whole, as a logarithm of probability
_REFUSED = 2.0  # likewise a refusal
_CROSSED = 0.15  # a cut through as much ink as the whole is high
_BETTER = 1.0  # by which a row of parts has to beat the whole
_EACH = 0.3  # each digit: of readings that are equally good, the one of fewer digits
_LEAST_PROBABILITY = 1e-6
_MOST_WHOLES = 20  # on a picture whose digits are taken apart: more are a page full of signs
_MOST_PIECES = 16  # of digits that touch: ink in more is a page full of signs
_MOST_WORK = 2_700_000  # pixels of what is taken apart and its parts, on one picture: numbers of 6 digits take 2.6
_EACH_PART = 4_000  # pixels that take as long as what each part takes, however small
_SHAPELESS = ("blank", "dot", "filled", "inverted")  # refusals of what has no strokes to be taken apart


@dataclass(frozen=True, eq=False)
class FoundDigit(DigitInk):
    """One digit of a number: its ink, and what a checkpoint says about it."""

    prediction: Prediction


def evidence(prediction: Prediction, box: Box) -> float:
    """How well one digit explains the ink in a box, as a logarithm of probability; that of a number is their sum.

    Ink far wider than any digit speaks against one. That it is cut off at the edge says nothing of how many it is.
    """
    left, top, right, bottom = box
    too_wide = max(0.0, (right - left) / (bottom - top) - _WIDE)
    is_refused = prediction.refusal is not None and prediction.refusal.kind != "cut off at the edge"
    against = _TOO_WIDE * too_wide + _REFUSED * is_refused + _EACH
    return math.log(max(prediction.confidence, _LEAST_PROBABILITY)) - against


def is_doubtful(box: Box, prediction: Prediction) -> bool:
    """Whether ink in this box that was read so may be several digits that touch."""
    left, top, right, bottom = box
    width = (right - left) / (bottom - top)
    if prediction.refusal is not None:
        return width >= _NARROW and prediction.refusal.kind not in _SHAPELESS
    return width > _WIDE or (width >= _NARROW and prediction.confidence < _SURE)


def read_apart(classifier: DigitClassifier, digits: Sequence[DigitInk]) -> list[list[FoundDigit]]:
    """What is read in each ink: itself, or its parts from left to right, which together have all of its ink.

    Where that would take too much work, as in a maze, ink stays whole.
    """
    wholes = _read(classifier, digits)
    offered = _offered(wholes)
    read = iter(_read(classifier, [part.digit for parts in offered for part in parts]))
    return [_best(whole, [(part, next(read)) for part in parts]) for whole, parts in zip(wholes, offered, strict=True)]


def _offered(wholes: Sequence[FoundDigit]) -> list[list[Part]]:
    """The parts of each whole that may be several digits, as long as that takes no more than `_MOST_WORK`."""
    offered: list[list[Part]] = []
    spare = 0 if len(wholes) > _MOST_WHOLES else _MOST_WORK - sum(whole.ink.size + _EACH_PART for whole in wholes)
    for whole in wholes:
        may_touch = spare > 0 and is_doubtful(whole.box, whole.prediction)
        parts = find_parts(whole) if may_touch and len(find_components(whole.ink)) <= _MOST_PIECES else []
        spare -= sum(part.digit.ink.size + _EACH_PART for part in parts)
        offered.append(parts if spare > 0 else [])
    return offered


def _read(classifier: DigitClassifier, digits: Sequence[DigitInk]) -> list[FoundDigit]:
    inks = [PictureInk(np.pad(digit.ink, 1)) for digit in digits]  # or an end may seem to be cut off
    predictions = classifier.predict_inks(inks)
    return [FoundDigit(digit.box, digit.ink, answer) for digit, answer in zip(digits, predictions, strict=True)]


def _best(whole: FoundDigit, parts: Sequence[tuple[Part, FoundDigit]]) -> list[FoundDigit]:
    """The row of parts from the left edge to the right one that is read best, or the whole where none is better.

    A whole that is accepted gives way to accepted parts only.
    """
    unread: tuple[float, list[tuple[Part, Prediction]]] = (-math.inf, [])
    rows = {0: (0.0, unread[1])}  # the best so far from 0 to a cut
    for part, read in parts:
        if whole.prediction.accepted and not read.prediction.accepted:
            continue
        before, row = rows.get(part.start, unread)
        score = before + evidence(read.prediction, part.digit.box) - _CROSSED * part.crossed
        if score > rows.get(part.end, unread)[0]:
            rows[part.end] = (score, [*row, (part, read.prediction)])
    score, row = rows.get(max((part.end for part, _ in parts), default=-1), unread)
    if score <= evidence(whole.prediction, whole.box) + _BETTER:
        return [whole]
    cuts = [(cut_out(whole, part), prediction) for part, prediction in row]
    return [FoundDigit(digit.box, digit.ink, prediction) for digit, prediction in cuts]
