"""A million digits: read and evaluated in hardly more memory than a hundred thousand."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitcore.data.datasets import DigitSet
from tests.paths import ROOT

_MOST_GROWTH = 1.2

_SCRIPT = """
import json, sys, time
from pathlib import Path
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, prepare_dataset
from digitcore.evaluation.evaluation import load_or_evaluate, summarize
from digitcore.models.classifier import load_classifier

started = time.perf_counter()
*_, prepared = prepare_dataset(Path(sys.argv[1]), use="as they are")
keep_dataset(prepared, "many")
read = time.perf_counter()
summary = summarize(load_or_evaluate(load_classifier("tiny"), "many"))
evaluated = time.perf_counter()
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
figures = {"digits": summary.digits, "errors": summary.errors, "peak": int(peak) / 1000}
print(json.dumps(figures | {"import": read - started, "evaluation": evaluated - read}))
"""


def write_many(digits: DigitSet, count: int, folder: Path) -> Path:
    """So many digits as an IDX pair with writers: those of the set over and over, each a little different."""
    generator = np.random.default_rng(0)
    images, labels = folder / "many-images-idx3-ubyte", folder / "many-labels-idx1-ubyte"
    with images.open("wb") as pictures, labels.open("wb") as numbers:
        pictures.write(struct.pack(">4I", 0x803, count, 28, 28))
        numbers.write(struct.pack(">2I", 0x801, count))
        for _ in range(0, count, len(digits)):
            noise = generator.integers(0, 8, digits.images.shape, dtype=np.uint8)
            pictures.write(np.where(digits.images > 128, digits.images - noise, digits.images).tobytes())
            numbers.write(digits.labels.astype(np.uint8).tobytes())
    table = "\n".join(["writer", *(f"w{i // 250}" for i in range(count))])
    (folder / "many-columns.csv").write_text(table, encoding="utf-8")
    return images


def figures_of(path: Path) -> dict[str, float]:
    """Reads and evaluates the digits in a process of its own."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT, str(path)], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    print(f"\n{done.stdout.strip()}")
    return dict(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_digits(tmp_path: Path, validation_digits: DigitSet) -> None:
    figures = {}
    for count in (100_000, 1_000_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DIGITCORE_DATASETS", str(folder / "sets"))
            figures[count] = figures_of(write_many(validation_digits, count, folder))
        assert figures[count]["digits"] == count
    assert figures[1_000_000]["peak"] <= _MOST_GROWTH * figures[100_000]["peak"]
    rates = [figures[count]["errors"] / count for count in figures]
    assert rates[0] == pytest.approx(rates[1], abs=0.002)
