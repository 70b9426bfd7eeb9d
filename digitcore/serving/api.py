"""The HTTP API: `POST /predict`, `GET /checkpoints`, `GET /docs`.

It runs alone (`uvicorn digitcore.serving.api:api`) or inside the dashboard's server, which gives it none of its own
protections; so the limits on size, host and origin stand here. Work runs in worker threads, at most one a core at a
time, never on the event loop. Every error is JSON, `{"detail": "..."}`.
"""

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitcore.data.datasets import dataset_names
from digitcore.errors import CheckpointError, DigitcoreError
from digitcore.evaluation.evaluation import Summary, find_summaries
from digitcore.imaging.preprocessing import read_image
from digitcore.models.classifier import DigitClassifier, all_cores
from digitcore.models.library import UnusableCheckpoint, UsableCheckpoint, shared_library
from digitcore.models.numbers import read_number
from digitcore.serving.answers import digit_answer, number_answer
from digitcore.settings import Settings, load_settings

__all__ = ["api", "create_api", "routes"]

_MULTIPART_OVERHEAD = 100_000  # bytes that a request may be larger than the picture in it


class PredictionAnswer(BaseModel):
    """What a checkpoint says about a picture."""

    prediction: int = Field(description="the most probable digit", ge=0, le=9)
    confidence: float = Field(description="its probability")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    accepted: bool = Field(description="false where the answer should not be relied on")
    reason: str | None = Field(description="why not")
    checkpoint: str


class FoundDigitAnswer(BaseModel):
    """One digit of a number."""

    box: tuple[int, int, int, int] = Field(
        description="left, top, right, bottom in pixels of the picture as read: upright, and one with a side over "
        "1,024 reduced by the smallest whole factor that brings it below"
    )
    prediction: int = Field(description="the most probable digit", ge=0, le=9)
    confidence: float = Field(description="its probability")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    accepted: bool = Field(description="false where the answer should not be relied on")
    reason: str | None = Field(description="why not")


class NumberAnswer(BaseModel):
    """What a checkpoint reads on a picture of several digits."""

    number: str = Field(description="its digits, lines separated by a space; empty where there is none")
    confidence: float = Field(description="that all digits are right: the product of theirs")
    accepted: bool = Field(description="false where the answer should not be relied on")
    reason: str | None = Field(description="why not")
    digits: list[FoundDigitAnswer] = Field(description="line by line from the top, each line from left to right")
    checkpoint: str


class Figures(BaseModel):
    """How a checkpoint does on a set of digits."""

    digits: int
    errors: int
    accuracy: float
    interval: tuple[float, float] = Field(description="95 % Wilson interval of the accuracy")
    nll: float = Field(description="log loss, in nats")
    ece: float = Field(description="expected calibration error, 15 equally wide bins")


class CheckpointAnswer(BaseModel):
    """A file of the weights folder."""

    name: str
    file: str
    bytes: int
    problem: str | None = Field(description="why it cannot be used; null where it can")
    architecture: str | None
    parameters: int | None
    digest: str | None = Field(description="SHA-256 of the weights and of what else changes an answer")
    figures: dict[str, Figures] = Field(description="by dataset, where it has been evaluated")


class ErrorAnswer(BaseModel):
    """What went wrong and what to do about it."""

    detail: str


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in {
        400: "no multipart request, or for another host",
        403: "called from a page of another site",
        404: "no such checkpoint",
        413: "the picture is too large",
        422: "the picture cannot be read or used",
    }.items()
}


def create_api(settings: Settings | None = None) -> FastAPI:
    """The API as an ASGI application, with these settings (default: the environment's)."""
    settings = settings or load_settings()
    library = shared_library(settings.weights_directory)
    at_work = threading.BoundedSemaphore(all_cores())
    api: FastAPI = FastAPIOffline(
        title="digitcore", summary="Handwritten digits: a picture in, a digit out.", redoc_url=None, version="1"
    )
    api.add_middleware(_Guard, settings=settings)
    api.add_middleware(CORSMiddleware, allow_origins=settings.allowed_origins, allow_methods=["GET", "POST"])
    api.add_exception_handler(RequestValidationError, _explain_invalid_request)

    def told(problem: str) -> str:
        """Without the server's folders, which are no stranger's business."""
        folder = str(library.directory)
        return problem.replace(f"{folder}/", "").replace(folder, "the weights folder")

    @api.exception_handler(DigitcoreError)
    async def explain_unusable_input(request: Request, error: Exception) -> JSONResponse:
        return _error(503 if isinstance(error, CheckpointError) else 422, told(str(error)))

    @api.post("/predict", responses=_ERRORS)
    def predict(
        image: Annotated[UploadFile, File(description="a picture of digits: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM")],
        checkpoint: Annotated[str | None, Query(description="a name that GET /checkpoints lists")] = None,
        mode: Annotated[Literal["digit", "number"], Query(description="one digit, or all of a number")] = "digit",
    ) -> PredictionAnswer | NumberAnswer:
        """Reads the digit in a picture, or with `mode=number` all its digits from left to right.

        The ink may be of any colour on any other, or on nothing.
        """
        name = checkpoint or library.default_name()
        try:
            classifier = DigitClassifier(library.load(name))
        except CheckpointError as error:
            raise HTTPException(404, told(str(error))) from error
        with at_work:
            picture = read_image(image.file, name=image.filename or "the picture")
            if mode == "number":
                return NumberAnswer(**number_answer(read_number(classifier, picture)), checkpoint=name)
            return PredictionAnswer(**digit_answer(classifier.predict(picture)), checkpoint=name)

    @api.get("/checkpoints")
    def checkpoints() -> list[CheckpointAnswer]:
        """All checkpoints of the weights folder, those that cannot be used included."""
        entries = library.entries()
        digests = [entry.digest for entry in entries if isinstance(entry, UsableCheckpoint)]
        known = {dataset: find_summaries(digests, dataset) for dataset in dataset_names()}
        return [
            _describe(entry, known)
            if isinstance(entry, UsableCheckpoint)
            else _describe_unusable(entry, problem=told(entry.problem))
            for entry in entries
        ]

    return api


def routes() -> list[BaseRoute]:
    """The API as routes for a server that also does other things."""
    return [Route(f"{route.path}/{{path:path}}" if isinstance(route, Mount) else route.path, api)
            for route in api.routes if isinstance(route, Route | Mount)]  # fmt: skip


def _describe(entry: UsableCheckpoint, known: Mapping[str, Mapping[str, Summary]]) -> CheckpointAnswer:
    """known: summaries by dataset and digest."""
    return CheckpointAnswer(
        name=_printable(entry.name),
        file=_printable(entry.path.name),
        bytes=entry.size,
        problem=None,
        architecture=entry.metadata.architecture,
        parameters=entry.parameters,
        digest=entry.digest,
        figures={
            dataset: Figures(**{name: asdict(summaries[entry.digest])[name] for name in Figures.model_fields})
            for dataset, summaries in known.items()
            if entry.digest in summaries
        },
    )


def _describe_unusable(entry: UnusableCheckpoint, *, problem: str) -> CheckpointAnswer:
    return CheckpointAnswer(
        name=_printable(entry.name),
        file=_printable(entry.path.name),
        bytes=entry.size,
        problem=_printable(problem),
        architecture=None,
        parameters=None,
        digest=None,
        figures={},
    )


def _printable(text: str) -> str:
    """Text with what is no UTF-8 in a file's name replaced, since JSON cannot carry it."""
    return text.encode(errors="replace").decode()


async def _explain_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    if any("image" in each["loc"] for each in error.errors()):
        problems += ". Send the picture as the multipart field `image`: curl -F image=@seven.png ..."
    return _error(422, problems)


def _error(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status_code=status)


def _without_port(host: str) -> str:
    """The name in a Host header, which may be "[::1]:8501"."""
    return (host if host.endswith("]") else host.rsplit(":", 1)[0]).strip("[]")


class _Guard:
    """Refuses requests for other hosts, from pages of other sites, and with bodies over the limit."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._limit = settings.max_image_bytes + _MULTIPART_OVERHEAD

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise HTTPException(413, self._too_large())
            return message

        await self._app(scope, limited_receive, send)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if self._settings.allowed_hosts and _without_port(host) not in self._settings.allowed_hosts:
            return _error(400, f"This server does not answer for the host {host!r}: see DIGITCORE_ALLOWED_HOSTS.")
        origin = headers.get("origin")
        if origin and origin.split("://")[-1] != host and origin not in self._settings.allowed_origins:
            return _error(403, f"Pages of {origin} may not call this server: see DIGITCORE_ALLOWED_ORIGINS.")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limit:
            return _error(413, self._too_large())
        return None

    def _too_large(self) -> str:
        return f"The picture is larger than {self._settings.max_image_bytes / 1e6:g} MB: make it smaller and try again."


api = create_api()
