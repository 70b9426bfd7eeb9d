"""Figures in words."""

from digitcore.evaluation.metrics import SURE


def percent(share: float) -> str:
    """A share as a percentage; never "100%" or "0%" of something that is not certain.

    >>> percent(0.98), percent(0.9999), percent(0.0001)
    ('98.0%', '>99.9%', '<0.1%')
    """
    if share >= SURE:
        return ">99.9%"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


DATASETS = {
    "mnist-test": "10,000 scans, for final figures",
    "mnist-validation": "5,000 scans, for choosing models",
    "uci-digits": "1,797 coarse scans by other writers",
    "pen-digits": "1,248 digits that five people drew",
    "pen-validation": "1,250 drawn by five others, for choosing",
    "written-forms": "3,360 made-up digits in 56 forms",
}
"""The sets of digits that can be picked, and what they are."""


def dataset_label(dataset: str) -> str:
    """A set of digits as the screen names it.

    >>> dataset_label("handwriting:the-key-of-a-notebook")
    'handwriting'
    """
    return dataset.partition(":")[0]
