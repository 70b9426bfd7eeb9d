"""What is killed in the tests of crashes: `python -m tests.crash_victims`, once for many.

For each line with a number, a name and arguments on standard input so many processes are forked. Their numbers are said
in one line, and then a line for each thing that one of them has stored; when all have ended, however that was, "ended"
is said.
"""

import hashlib
import itertools
import os
import resource
import shlex
import signal
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import digitcore
from digitcore.errors import DigitcoreError
from digitcore.evaluation.evaluation import save_evaluation
from digitcore.files import write_atomically
from digitcore.models import onnx
from digitcore.models.checkpoints import read_checkpoint
from digitcore.store.annotations import Annotation, AnnotationStore
from digitcore.store.handwriting import HandwritingStore, HandwrittenDigit
from digitcore.training import loop
from digitcore.training.recipes import Recipe

EPOCHS = 150
LARGEST = 60_000  # bytes that a file may have where the disk is full


def contents(number: int) -> bytes:
    """Half a megabyte that shows whether it is whole, and the same for the same number."""
    body = bytes([number % 256]) * 500_000
    return hashlib.sha256(body).digest() + body


def save(path: str) -> None:
    """Writes one file again and again."""
    for number in itertools.count():
        write_atomically(Path(path), contents(number))
        say("stored")


def notes(url: str, start: str) -> None:
    """Writes a note on one digit after the other; what has been stored is said."""
    with closing(AnnotationStore(url)) as store:
        for digit in itertools.count(int(start)):
            store.save("mnist-test", digit, Annotation(starred=True, note=f"note {digit} " * 50), version=0)
            say(str(digit))


def written_digit(seed: int) -> HandwrittenDigit:
    """A digit that shows whether it is whole: the same for the same seed, which is its session."""
    generator = np.random.default_rng(seed)
    return HandwrittenDigit(
        picture=generator.integers(0, 256, (28, 28), dtype=np.uint8),
        label=seed % 10,
        source="guided",
        session=str(seed),
        ink=generator.bytes(3_000),
    )


def handwriting(url: str, notebook: str) -> None:
    """Stores one digit after the other in a notebook; what has been stored is said."""
    generator = np.random.default_rng(os.getpid())
    with closing(HandwritingStore(url)) as store:
        while True:
            (stored,) = store.add(notebook, [written_digit(int(generator.integers(2**60)))])
            say(str(stored))


def evaluate(folder: str) -> None:
    """Evaluates a checkpoint on a few digits, and stores what it answers, again and again."""
    digits = digitcore.load_digits("mnist-validation")
    evaluation = digitcore.evaluate(digitcore.load_classifier("mlp"), digits)
    for number in itertools.count():
        save_evaluation(replace(evaluation, fingerprint=f"{number % 3:016}"), Path(folder))
        say("stored")


def try_out(temporary: str, path: str) -> None:
    """Reads an ONNX file whose trial never ends."""
    tempfile.tempdir = temporary
    os.environ["DIGITCORE_CACHE"] = f"{path}-cache"  # where no finding is remembered
    onnx._probe = lambda *_, **__: signal.pause()
    say("reading")
    read_checkpoint(Path(path))


def train(output: str, state: str) -> None:
    """A run of many short epochs, resumed where it was."""
    digits = digitcore.load_digits("mnist-validation")
    recipe = Recipe(
        name="tiny", architecture="mlp", epochs=EPOCHS, summary="for tests", batch_size=100, average_decay=0.8
    )
    results = loop.train(
        recipe,
        training=digits.subset(np.arange(0, 5_000, 10)),
        validation=digits.subset(np.arange(1, 5_000, 20)),
        output=Path(output),
        state_file=Path(state),
        resume=True,
        device="cpu",
    )
    for result in results:
        if isinstance(result, loop.EpochResult):
            say(str(result.epoch))


def on_a_full_disk(name: str, *arguments: str) -> None:
    """One of the others, no file of which may grow beyond `LARGEST`; prints the sentence that a user would read."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
    try:
        globals()[name](*arguments)
    except (DigitcoreError, OSError) as error:
        say(f"error: {error}")


def say(line: str) -> None:
    """Prints a line at once: who is killed has said all of it or nothing, even where Python does not buffer."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)  # threads would not survive a fork
    for line in iter(sys.stdin.readline, ""):
        count, name, *arguments = shlex.split(line)
        start, go = os.pipe()
        children = []
        for _ in range(int(count)):
            children.append(os.fork())
            if children[-1] == 0:
                os.close(go)
                os.read(start, 1)  # returns once the numbers are said
                globals()[name](*arguments)
                os._exit(0)
        say(" ".join(map(str, children)))
        os.close(go)
        os.close(start)
        for child in children:
            os.waitpid(child, 0)
        say("ended")
