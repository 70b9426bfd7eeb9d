"""The HTTP API: `POST /predict`, `POST /predict/batch`, `GET /checkpoints`, `GET /docs`.

It runs alone (`uvicorn digitcore.serving.api:api`) or inside the dashboard's server, which gives it none of its own
protections; so it brings limits on size, host and origin. Work runs in worker threads, at most one per core at a time,
never on the event loop. Every error is JSON, `{"detail": "..."}`.
"""

import io
import threading
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, BinaryIO, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from digitcore.data.datasets import dataset_names
from digitcore.data.sample_files import open_small_zip
from digitcore.errors import CheckpointError, DigitcoreError, ImageError
from digitcore.evaluation.evaluation import Summary, find_summaries
from digitcore.files import remove_leftovers, remove_temporary_folders
from digitcore.imaging.preprocessing import read_image
from digitcore.models.classifier import DigitClassifier, all_cores
from digitcore.models.library import CheckpointLibrary, UnusableCheckpoint, UsableCheckpoint, shared_library
from digitcore.serving.answers import Mode, answer_for
from digitcore.serving.guard import BodyLimit, Guard, refusal
from digitcore.serving.headers import DATA_POLICY, SecurityHeaders, page_policy
from digitcore.serving.load import ArrivalLimit, BusyServer, Turns, avoid_pauses, check_presence, give_back_memory
from digitcore.serving.schemas import CheckpointAnswer, ErrorAnswer, Figures, NumberAnswer, PredictionAnswer
from digitcore.settings import Settings, load_settings

__all__ = ["MOST_PICTURES", "api", "checkpoints", "create_api", "predict", "predict_batch", "router", "routes"]

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in {
        400: "no multipart request, or for another host",
        403: "called from a page of another site",
        404: "no such checkpoint",
        409: "query and form fields contradict each other",
        413: "the picture is too large",
        408: "the picture was too slow to arrive",
        422: "the picture cannot be read or used",
        503: "the server is busy, or has no checkpoint",
    }.items()
}

Value = TypeVar("Value", bound=str)
MOST_PICTURES = 100
"""Pictures of one request to `POST /predict/batch`."""
_MOST_THREADS = 16  # or requests would take the threads of those who ask for pages
_ARRIVING = 4  # requests that may be arriving or waiting, for each that may wait
_ASSETS = "/static-offline-docs"
_ZIP = b"PK\x03\x04"

router = APIRouter()
"""The endpoints. An application that includes it holds in its `state` what `create_api` puts there."""


async def _library(request: Request) -> CheckpointLibrary:
    library: CheckpointLibrary = request.app.state.library
    return library


@contextmanager
def _free_core(request: Request) -> Iterator[None]:
    """Waits, in a thread, for a core; after a wait nothing is begun for a client that has gone."""
    free_cores: threading.BoundedSemaphore = request.app.state.free_cores
    has_waited = not free_cores.acquire(blocking=False)
    if has_waited:
        free_cores.acquire()
    try:
        if has_waited:
            check_presence(request)
        yield
    finally:
        free_cores.release()


async def _core(request: Request) -> AbstractContextManager[None]:
    return _free_core(request)


async def _turn(request: Request) -> AsyncIterator[None]:
    turns: Turns = request.app.state.turns
    async with turns.turn(request):
        yield


Library: TypeAlias = Annotated[CheckpointLibrary, Depends(_library)]
InTurn = Depends(_turn, scope="function")
Core: TypeAlias = Annotated[AbstractContextManager[object], Depends(_core)]
NotInSchema: TypeAlias = SkipJsonSchema[None]
"""Left out, which is not to be sent as null."""


async def _checkpoint(
    checkpoint: Annotated[str | NotInSchema, Query(description="a name that GET /checkpoints lists")] = None,
    checkpoint_field: Annotated[
        str | NotInSchema, Form(alias="checkpoint", description="the same as in the query")
    ] = None,
) -> str | None:
    return _agreed("checkpoint", checkpoint, checkpoint_field)


async def _mode(
    mode: Annotated[
        Mode | NotInSchema, Query(description="one digit, or all of a number; by default whichever the picture shows")
    ] = None,
    mode_field: Annotated[Mode | NotInSchema, Form(alias="mode", description="the same as in the query")] = None,
) -> Mode | None:
    return _agreed("mode", mode, mode_field)


def _agreed(name: str, query: Value | None, field: Value | None) -> Value | None:
    """What is asked for in the query or in a form field, which must not contradict each other."""
    if query is not None and field is not None and query != field:
        raise HTTPException(409, f"{name}: the query says {query!r}, the form field {field!r}. Send one of them.")
    return query if field is None else field


@router.post("/predict", responses=_ERRORS, dependencies=[InTurn])
def predict(
    image: Annotated[UploadFile, File(description="a picture of digits: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM")],
    library: Library,
    core: Core,
    checkpoint: Annotated[str | None, Depends(_checkpoint)] = None,
    mode: Annotated[Mode | None, Depends(_mode)] = None,
) -> PredictionAnswer | NumberAnswer:
    """Reads the digit in a picture or, where it shows several, the number: all of them from left to right.

    With `mode=digit` or `mode=number` it is read so whatever it shows. The ink may be of any colour on any other, or on
    nothing.
    """
    name = checkpoint or library.default_name()
    classifier = _classifier(name, library)
    with core:
        return _read(classifier, _picture(image), name=name, mode=mode)


@router.post("/predict/batch", responses=_ERRORS, dependencies=[InTurn])
def predict_batch(
    request: Request,
    images: Annotated[
        list[UploadFile],
        File(
            alias="image",
            max_length=MOST_PICTURES,
            description="pictures of digits, or zips of them, together no larger than a single one may be",
        ),
    ],
    library: Library,
    checkpoint: Annotated[str | None, Depends(_checkpoint)] = None,
    mode: Annotated[Mode | None, Depends(_mode)] = None,
) -> list[PredictionAnswer | NumberAnswer | ErrorAnswer]:
    """Reads several pictures, as `POST /predict` reads each: one answer a picture, in the same order.

    A zip stands for the pictures in it, in the order in which it lists them; their names in it are of no account. Where
    a picture cannot be read its answer says why, and the others are read all the same.
    """
    name = checkpoint or library.default_name()
    classifier = _classifier(name, library)
    answers: list[PredictionAnswer | NumberAnswer | ErrorAnswer] = []
    for picture in _pictures(images, most_bytes=load_settings().max_image_bytes):
        check_presence(request)
        with _free_core(request):
            try:
                answers.append(_read(classifier, picture, name=name, mode=mode))
            except ImageError as error:
                answers.append(ErrorAnswer(detail=str(error)))
    return answers


def _classifier(name: str, library: CheckpointLibrary) -> DigitClassifier:
    """The classifier with a checkpoint; raises an HTTPException with 404 where it cannot be used."""
    try:
        return DigitClassifier(library.load(name))
    except CheckpointError as error:
        raise HTTPException(404, _without_folder(str(error), library)) from error


@dataclass(frozen=True)
class _Picture:
    """A picture that has been sent, alone or in a zip."""

    name: str
    open: Callable[[], BinaryIO]


def _picture(image: UploadFile) -> _Picture:
    return _Picture(image.filename or "the picture", lambda: image.file)


def _pictures(images: Sequence[UploadFile], *, most_bytes: int) -> list[_Picture]:
    """The pictures of a batch, those in zips one by one; refused where they are too many, or unpacked too large."""
    pictures: list[_Picture] = []
    size = 0
    for image in images:
        start = image.file.read(len(_ZIP))
        image.file.seek(0)
        if start != _ZIP:
            pictures.append(_picture(image))
            continue
        archive = open_small_zip(image.file, name=image.filename or "the zip", most=MOST_PICTURES)
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        size += sum(entry.file_size for entry in entries)
        pictures += [_Picture(entry.filename, partial(_unpacked, archive, entry)) for entry in entries]
    if len(pictures) > MOST_PICTURES or size > most_bytes:
        limits = f"{MOST_PICTURES} pictures or {most_bytes / 1e6:g} MB"
        raise HTTPException(413, f"The zips hold more than {limits}: send them in several requests.")
    return pictures


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    """A file of a zip; of the kinds that take little memory, whatever they say of themselves."""
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ImageError(f"{entry.filename} is packed in an unusual way: pack it again as an ordinary zip.")
    try:
        return io.BytesIO(archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise ImageError(
            f"{entry.filename} cannot be unpacked ({error}): pack it again, without a password."
        ) from error


def _read(
    classifier: DigitClassifier, picture: _Picture, *, name: str, mode: Mode | None
) -> PredictionAnswer | NumberAnswer:
    """The answer of the checkpoint of this name for one picture."""
    answer = answer_for(classifier, read_image(picture.open(), name=picture.name), mode=mode)
    return (NumberAnswer if "number" in answer else PredictionAnswer)(**answer, checkpoint=name)


@router.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> HTMLResponse:
    """The endpoints, described and to be tried out in the browser."""
    root = request.scope["root_path"]
    page = get_swagger_ui_html(
        openapi_url=f"{root}{request.app.openapi_url}",
        title=f"{request.app.title} · API",
        swagger_js_url=f"{root}{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}{_ASSETS}/favicon.png",
    )
    page.headers["Content-Security-Policy"] = page_policy(bytes(page.body).decode())
    return page


@router.get("/checkpoints", responses={status: _ERRORS[status] for status in (400, 403, 503)}, dependencies=[InTurn])
def checkpoints(library: Library) -> list[CheckpointAnswer]:
    """All checkpoints of the weights folder, those that cannot be used included."""
    entries = library.entries()
    digests = [entry.digest for entry in entries if isinstance(entry, UsableCheckpoint)]
    summaries = {dataset: find_summaries(digests, dataset) for dataset in dataset_names()}
    return [
        _usable_answer(entry, summaries) if isinstance(entry, UsableCheckpoint) else _unusable_answer(entry, library)
        for entry in entries
    ]


@asynccontextmanager
async def _prepared(api: FastAPI) -> AsyncIterator[None]:
    """The time in which the API runs alone; inside the dashboard's server it is that which prepares."""
    threading.Thread(target=_prepare, args=(api.state.library,), daemon=True).start()
    yield


def _prepare(library: CheckpointLibrary) -> None:
    """Does what the first clients would have to wait for."""
    remove_leftovers(library.directory)
    remove_temporary_folders()
    library.entries()
    avoid_pauses()


def create_api(settings: Settings | None = None) -> FastAPI:
    """The API as an ASGI application, with these settings (default: the environment's)."""
    settings = settings or load_settings()
    give_back_memory()
    api: FastAPI = FastAPIOffline(
        title="digitcore",
        summary="Handwritten digits: a picture in, a digit out.",
        docs_url=None,
        redoc_url=None,
        static_url=_ASSETS,
        version="1",
        lifespan=_prepared,
    )
    api.state.library = shared_library(settings.weights_directory)
    api.state.free_cores = threading.BoundedSemaphore(all_cores())
    api.state.turns = Turns(at_work=min(2 * all_cores(), _MOST_THREADS), waiting=settings.max_waiting)
    api.add_middleware(BusyServer, turns=api.state.turns, most=_ARRIVING * settings.max_waiting)
    api.add_middleware(BodyLimit, picture_bytes=settings.max_image_bytes)
    api.add_middleware(ArrivalLimit, seconds=settings.max_arrival_seconds)
    api.add_middleware(Guard, hosts=settings.allowed_hosts, origins=settings.allowed_origins)
    api.add_middleware(CORSMiddleware, allow_origins=settings.allowed_origins, allow_methods=["GET", "POST"])
    api.add_exception_handler(StarletteHTTPException, _explain_refusal)
    api.add_exception_handler(RequestValidationError, _explain_invalid_request)
    api.add_exception_handler(DigitcoreError, _explain_unusable_input)
    api.add_exception_handler(Exception, _explain_failure)
    api.include_router(router)
    api.add_middleware(SecurityHeaders, policy=DATA_POLICY)
    return api


def routes(root_path: str = "") -> list[BaseRoute]:
    """The API as routes for a server that also does other things, all below a path such as "/digits"."""
    paths = [
        f"{route.path}/{{path:path}}" if isinstance(route, Mount) else route.path
        for route in (*api.routes, *router.routes)
        if isinstance(route, Route | Mount)
    ]
    return [Route(f"{root_path}{path}", _Below(root_path)) for path in paths]


class _Below:
    """The API below a path, which its own addresses then start with."""

    def __init__(self, root_path: str) -> None:
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await api({**scope, "root_path": scope.get("root_path", "") + self._root_path}, receive, send)


def _usable_answer(entry: UsableCheckpoint, summaries: Mapping[str, Mapping[str, Summary]]) -> CheckpointAnswer:
    """Its figures are those of summaries, by dataset and digest."""
    return CheckpointAnswer(
        name=_printable(entry.name),
        file=_printable(entry.path.name),
        bytes=entry.size,
        problem=None,
        architecture=entry.metadata.architecture,
        parameters=entry.parameters,
        digest=entry.digest,
        figures={
            dataset: _figures(by_digest[entry.digest])
            for dataset, by_digest in summaries.items()
            if entry.digest in by_digest
        },
    )


def _unusable_answer(entry: UnusableCheckpoint, library: CheckpointLibrary) -> CheckpointAnswer:
    return CheckpointAnswer(
        name=_printable(entry.name),
        file=_printable(entry.path.name),
        bytes=entry.size,
        problem=_printable(_without_folder(entry.problem, library)),
        architecture=None,
        parameters=None,
        digest=None,
        figures={},
    )


def _figures(summary: Summary) -> Figures:
    values = asdict(summary)
    return Figures(**{name: values[name] for name in Figures.model_fields})


def _printable(text: str) -> str:
    """Text without what is not UTF-8 in a file's name, since JSON cannot carry it."""
    return text.encode(errors="replace").decode()


def _without_folder(problem: str, library: CheckpointLibrary) -> str:
    """Without the path of the weights folder: what the server's folders are called is no stranger's business."""
    folder = str(library.directory)
    return problem.replace(f"{folder}/", "").replace(folder, "the weights folder")


async def _explain_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    return refusal(request.scope, error.status_code, str(error.detail), headers=error.headers)


async def _explain_unusable_input(request: Request, error: Exception) -> JSONResponse:
    detail = _without_folder(str(error), await _library(request))
    return refusal(request.scope, 503 if isinstance(error, CheckpointError) else 422, detail)


async def _explain_failure(request: Request, error: Exception) -> JSONResponse:
    """For what nobody expected; the server writes the traceback to its log."""
    return refusal(request.scope, 500, "Something went wrong on the server: its log says what.")


async def _explain_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    detail = "; ".join(f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}" for problem in problems)
    if any("image" in problem["loc"] for problem in problems):
        detail += ". Send the picture as the multipart field `image`: curl -F image=@seven.png ..."
    return refusal(request.scope, 422, detail)


api = create_api()
