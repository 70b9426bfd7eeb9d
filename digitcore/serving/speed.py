"""Speed: what answers cost here, each figure beside that of a plain road with the same weights in the same run.

The plain road is onnxruntime as its documentation starts it; for pictures Pillow's own resizing to 28×28 before it,
and for requests FastAPI around both. It leaves out what makes drawings readable, so it bounds what is possible.
"""

import http.client
import importlib.util
import io
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Annotated, Any, TypeAlias

import numpy as np
from fastapi import FastAPI, File, UploadFile
from numpy.typing import NDArray
from PIL import Image

from digitcore.errors import DigitcoreError
from digitcore.evaluation.growth import GrowthCurve
from digitcore.imaging.preprocessing import normalize, read_image
from digitcore.imaging.strokes import place_strokes, render_strokes
from digitcore.models.classifier import DigitClassifier, all_cores, load_classifier
from digitcore.models.engine import onnx_bytes
from digitcore.serving.answers import answer_for

__all__ = ["SpeedFigure", "measure_callers", "measure_speed", "plain_api"]

_CHECKPOINTS = ("world", "compact")
_SIDE, _BRUSH = 336, 22.0  # pixels of the drawing
_SEVEN = ([(0, 0), (8, 0), (3, 12)], [(2, 6), (7, 6)])
_PLAIN_BATCH = 500  # digits
_CALLERS = (1, 16)
_GROWING_CALLERS = (1, 4, 16, 64)
_START_SECONDS = 120.0
_APPS = {"here": ["digitcore.serving.api:api"], "plain": ["digitcore.serving.speed:plain_api", "--factory"]}
_BOUNDARY = "digitcore"

_Session: TypeAlias = Any  # an onnxruntime.InferenceSession
_Step: TypeAlias = Callable[[], object]


@dataclass(frozen=True)
class SpeedFigure:
    """One figure and the same of the plain road, as medians with quartiles."""

    name: str
    unit: str
    value: float
    quartiles: tuple[float, float]
    reference: float | None
    """Of the plain road; None where a package for it is missing."""
    reference_quartiles: tuple[float, float] | None

    @property
    def ratio(self) -> float | None:
        """The value, divided by the reference."""
        return None if self.reference is None else self.value / self.reference


def measure_speed(*, quick: bool = False) -> Iterator[SpeedFigure]:
    """All figures; with `quick` roughly, in under a minute.

    Raises:
        DigitcoreError: a checkpoint is missing, or a server does not start.
    """
    classifiers = {name: load_classifier(name) for name in _CHECKPOINTS}
    has_reference = importlib.util.find_spec("onnxruntime") is not None
    images = _digits(2_000 if quick else 10_000)
    for name, classifier in classifiers.items():
        yield _measure_one_digit(name, classifier, images[:1], has_reference, repeats=51 if quick else 301)
    for name, classifier in classifiers.items():
        yield _measure_digits(name, classifier, images, has_reference, repeats=1 if quick else 5)
    yield _measure_drawing(classifiers["world"], has_reference, repeats=51 if quick else 201)
    length = {"rounds": 2 if quick else 5, "seconds": 1 if quick else 4}
    yield from _measure_requests(_CALLERS, has_reference, **length)
    if all_cores() > 1:
        yield from _measure_requests(_CALLERS[-1:], has_reference, processes=all_cores(), **length)


def measure_callers(*, quick: bool = False) -> Iterator[GrowthCurve]:
    """Seconds from one answer to the next, with so many callers who each send the next request once they have one.

    Raises:
        DigitcoreError: the server does not start.
    """
    data = _drawing()
    with _server(_APPS["here"]) as port:
        _requests(port, data, callers=max(_GROWING_CALLERS), seconds=1)
        rates = [_requests(port, data, callers=callers, seconds=1 if quick else 5) for callers in _GROWING_CALLERS]
    yield GrowthCurve("POST /predict, an answer", "callers", _GROWING_CALLERS, tuple(1 / rate for rate in rates))


def plain_api() -> FastAPI:
    """The plain road as an HTTP API, as the documentation of FastAPI has it."""
    api = FastAPI()
    session = _plain_session(load_classifier("world"), threads=1)

    @api.post("/predict")
    def predict(image: Annotated[UploadFile, File()]) -> dict[str, Any]:
        return _plain_answer(session, image.file)

    return api


def _plain_session(classifier: DigitClassifier, *, threads: int) -> _Session:
    """The network in onnxruntime, with its own defaults but for the number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = onnx_bytes(classifier.checkpoint.network)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _plain_answer(session: _Session, file: IO[bytes]) -> dict[str, Any]:
    """What the plain road answers for a picture of dark ink on a light ground, as JSON values."""
    with Image.open(file) as image:
        levels = 255 - np.asarray(image.convert("L").resize((28, 28)))
    (logits,) = session.run(None, {"batch": normalize(levels[np.newaxis]).numpy()})[0]
    shares = np.exp(logits - logits.max())
    return {"prediction": int(logits.argmax()), "probabilities": (shares / shares.sum()).tolist()}


def _digits(count: int) -> NDArray[np.uint8]:
    """Model inputs (N, 28, 28); which digits they show is of no account."""
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def _drawing() -> bytes:
    """A drawn 7 as a PNG file."""
    strokes = [np.array(points, dtype=np.float32) for points in _SEVEN]
    placed = place_strokes(strokes, side=_SIDE, extent=0.6, position=(0.5, 0.5), brush=_BRUSH)
    file = io.BytesIO()
    Image.fromarray(255 - render_strokes(placed, side=_SIDE, brush=_BRUSH)).save(file, "PNG")
    return file.getvalue()


def _measure_one_digit(
    name: str, classifier: DigitClassifier, image: NDArray[np.uint8], has_reference: bool, *, repeats: int
) -> SpeedFigure:
    session = _plain_session(classifier, threads=1) if has_reference else None
    batch = normalize(image).numpy()
    here, plain = _by_turns(
        lambda: list(classifier.logits_by_batch(image, threads=1)),
        session and (lambda: session.run(None, {"batch": batch})),
        repeats=repeats,
    )
    return _figure(f"one digit through `{name}`", "ms", [1e3 * time for time in here], [1e3 * time for time in plain])


def _measure_digits(
    name: str, classifier: DigitClassifier, images: NDArray[np.uint8], has_reference: bool, *, repeats: int
) -> SpeedFigure:
    session = _plain_session(classifier, threads=all_cores()) if has_reference else None
    run_plain = session and (lambda: _run_plain(session, images))
    here, plain = _by_turns(lambda: list(classifier.logits_by_batch(images)), run_plain, repeats=repeats)
    return _figure(f"{len(images):,} digits through `{name}`", "s", here, plain)


def _run_plain(session: _Session, images: NDArray[np.uint8]) -> None:
    for start in range(0, len(images), _PLAIN_BATCH):
        session.run(None, {"batch": normalize(images[start : start + _PLAIN_BATCH]).numpy()})


def _measure_drawing(classifier: DigitClassifier, has_reference: bool, *, repeats: int) -> SpeedFigure:
    data = _drawing()
    session = _plain_session(classifier, threads=1) if has_reference else None
    here, plain = _by_turns(
        lambda: answer_for(classifier, read_image(data), mode=None),
        session and (lambda: _plain_answer(session, io.BytesIO(data))),
        repeats=repeats,
    )
    name = f"a {_SIDE} × {_SIDE} drawing to an answer"
    return _figure(name, "ms", [1e3 * time for time in here], [1e3 * time for time in plain])


def _measure_requests(
    callers: Sequence[int], has_reference: bool, *, rounds: int, seconds: float, processes: int = 1
) -> Iterator[SpeedFigure]:
    """Requests a second of so many callers, each of which sends the next once it has an answer."""
    data = _drawing()
    rates: dict[str, list[list[float]]] = {name: [] for name in _APPS}
    for name, app in _APPS.items():
        if name == "here" or has_reference:
            with _server(app, processes=processes) as port:
                for count in callers:
                    _requests(port, data, callers=count, seconds=seconds)
                    rates[name].append([_requests(port, data, callers=count, seconds=seconds) for _ in range(rounds)])
    for place, count in enumerate(callers):
        words = "1 caller" if count == 1 else f"{count} callers"
        words += f", {processes} processes" if processes > 1 else ""
        plain = rates["plain"][place] if has_reference else []
        yield _figure(f"POST /predict, {words}", "requests/s", rates["here"][place], plain)


def _by_turns(here: _Step, plain: _Step | None, *, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of each call of two steps by turns, after one call of each that is not counted."""
    steps = [here] if plain is None else [here, plain]
    for step in steps:
        step()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for step, seconds in zip(steps, times, strict=False):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
    return times


def _figure(name: str, unit: str, values: Sequence[float], references: Sequence[float]) -> SpeedFigure:
    value, quartiles = _median_and_quartiles(values)
    reference, others = _median_and_quartiles(references) if references else (None, None)
    return SpeedFigure(name, unit, value, quartiles, reference, others)


def _median_and_quartiles(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    low, high = np.quantile(values, [0.25, 0.75]).tolist()
    return statistics.median(values), (low, high)


@contextmanager
def _server(app: Sequence[str], *, processes: int = 1) -> Iterator[int]:
    """The port of an application that runs in so many processes of its own, ready to answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", *app, "--port", str(port), "--log-level", "error"]
    command += ["--workers", str(processes)] if processes > 1 else []
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "DIGITCORE_MAX_WAITING": str(max(_GROWING_CALLERS))}
    process = subprocess.Popen(command, env=os.environ | own)
    try:
        _wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    data = _drawing()
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with closing(_connection(port)) as connection:
                _ask(connection, data)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise DigitcoreError("A server to be measured does not start: run `uvicorn digitcore.serving.api:api` to see why.")


def _requests(port: int, data: bytes, *, callers: int, seconds: float) -> float:
    """Answers a second."""
    start = time.perf_counter()

    def ask_on() -> int:
        count = 0
        with closing(_connection(port)) as connection:
            while count == 0 or time.perf_counter() < start + seconds:
                _ask(connection, data)
                count += 1
        return count

    with ThreadPoolExecutor(callers) as pool:
        count = sum(future.result() for future in [pool.submit(ask_on) for _ in range(callers)])
    return count / (time.perf_counter() - start)


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


def _ask(connection: http.client.HTTPConnection, data: bytes) -> None:
    """Sends a picture to POST /predict; raises a DigitcoreError where the answer is not one."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="seven.png"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()
    connection.request("POST", "/predict", body, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise DigitcoreError(f"A server to be measured answered {answer.status}: {text[:200]}")
