"""The road from a picture to the 28x28 input gives the same bytes with every BLAS kernel, thread count and SIMD set.

`road_digests.json` holds every machine to the same bytes, with the versions of NumPy, SciPy and Pillow that
`requirements.txt` pins. Pictures saved as JPEG are not in it: other builds of Pillow hold other JPEG libraries.
"""

import functools
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.paths import ROOT

PROGRAM = ROOT / "tests" / "imaging" / "road_digests.py"
KNOWN = PROGRAM.with_suffix(".json")
CHANGED = f"""The road gives other bytes than {KNOWN.name} holds. If that is meant, evaluate pen-digits and uci-digits
anew and write the file again: python -m tests.imaging.test_same_bytes"""
COUNT, STEP = 30, 100
KERNELS = {"Prescott": "Katmai", "Nehalem": "Nehalem", "Haswell": "Haswell"}
"""What OPENBLAS_CORETYPE names, and how the library calls it when it runs."""
DISPATCHED = " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])  # type: ignore[call-overload]


@functools.cache
def _digests(count: int, step: int, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(count), str(step)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _without_jpeg(digests: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if not name.endswith("JPEG")}


def test_the_bytes_are_the_known_ones() -> None:
    expected = json.loads(KNOWN.read_text(encoding="utf-8"))
    digests = _without_jpeg(_digests(COUNT, STEP)["digests"])
    assert expected.keys() - {"pen-digits"} == digests.keys() - {"pen-digits"}, CHANGED
    assert digests.items() <= expected.items(), CHANGED


def _assert_same_everywhere(count: int, step: int, *, kernels: Sequence[tuple[str, str]]) -> None:
    """Under these kernels of OpenBLAS, each with a number of threads, and with NumPy's plainest loops."""
    expected = _digests(count, step)["digests"]
    assert len(expected) >= count + 2
    for kernel, threads in kernels:
        printed = _digests(count, step, OPENBLAS_CORETYPE=kernel, OPENBLAS_NUM_THREADS=threads)
        assert KERNELS[kernel] in printed["architectures"]
        assert printed["digests"] == expected, kernel
    plain = _digests(count, step, OPENBLAS_CORETYPE="Prescott", NPY_DISABLE_CPU_FEATURES=DISPATCHED)
    assert plain["digests"] == expected


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the kernels named are those of x86-64")
def test_some_pictures_give_the_same_bytes() -> None:
    _assert_same_everywhere(8, 4 * STEP, kernels=[("Nehalem", "2"), ("Haswell", "1")])


@pytest.mark.slow
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the kernels named are those of x86-64")
def test_500_pictures_give_the_same_bytes() -> None:
    _assert_same_everywhere(500, 1, kernels=[*itertools.product(("Prescott", "Nehalem", "Haswell"), ("1", "2"))])


if __name__ == "__main__":
    KNOWN.write_text(json.dumps(_without_jpeg(_digests(COUNT, STEP)["digests"]), indent=2) + "\n", encoding="utf-8")
