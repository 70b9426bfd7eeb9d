import asyncio
import concurrent.futures
import io
import json
import re
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from fastapi import HTTPException, UploadFile
from numpy.typing import NDArray
from PIL import Image

import digitcore
from digitcore.evaluation.evaluation import evaluate, save_evaluation
from digitcore.models.library import CheckpointLibrary
from digitcore.serving.api import MOST_PICTURES, checkpoints, create_api, predict
from digitcore.serving.cli import main
from digitcore.serving.schemas import NumberAnswer
from digitcore.settings import load_settings
from tests.processes import running_api

Draw = Callable[..., NDArray[np.uint8]]
Encode = Callable[..., bytes]
Serve = Callable[[], httpx.Client]

SHIPPED = load_settings().weights_directory / "compact.safetensors"
LIMIT = 300_000


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts a server with the settings of the environment and returns a client for it."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(running_api(create_api()))


@pytest.fixture
def weights(weights_folder: Path) -> Path:
    """A weights folder with the shipped checkpoint in it."""
    (weights_folder / "compact.safetensors").write_bytes(SHIPPED.read_bytes())
    return weights_folder


@pytest.fixture
def client(serve: Serve, weights: Path, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    monkeypatch.setenv("DIGITCORE_MAX_IMAGE_BYTES", str(LIMIT))
    return serve()


def _post(client: httpx.Client, picture: bytes, *, name: str = "seven.png", **options: object) -> httpx.Response:
    return client.post("/predict", files={"image": (name, picture)}, **options)


def _detail(response: httpx.Response, status: int) -> str:
    """The words of an error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["detail"]
    return str(response.json()["detail"])


@pytest.mark.parametrize("digit", range(10))
def test_predict(client: httpx.Client, draw: Draw, encode: Encode, digit: int) -> None:
    response = _post(client, encode(255 - draw(digit)))
    assert response.status_code == 200
    answer = response.json()
    assert list(answer) == ["prediction", "confidence", "probabilities", "accepted", "reason", "checkpoint"]
    assert answer["prediction"] == digit == int(np.argmax(answer["probabilities"]))
    assert answer["confidence"] == max(answer["probabilities"])
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert answer["checkpoint"] == "compact"
    assert (answer["reason"] is None) == answer["accepted"]


def test_all_roads_lead_to_the_same_probabilities(
    client: httpx.Client, draw: Draw, encode: Encode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    canvas = np.zeros((280, 280, 4), dtype=np.uint8)  # as the drawing canvas hands it over: white strokes on nothing
    canvas[:, :, :3], canvas[:, :, 3] = 255, draw(3)
    path = tmp_path / "three.png"
    path.write_bytes(encode(canvas))
    classifier = digitcore.load_classifier("compact")
    assert main(["predict", str(path), "--json"]) == 0
    (by_cli,) = json.loads(capsys.readouterr().out)
    roads = {
        "array": classifier.predict(canvas).probabilities,
        "file": classifier.predict(Image.open(path)).probabilities,
        "batch": classifier.predict_batch([draw(0), canvas, draw(1)])[1].probabilities,
        "logits": torch.softmax(
            torch.from_numpy(classifier.logits(classifier.predict(canvas).model_input[np.newaxis])), dim=1
        )[0].numpy(),
        "cli": by_cli["probabilities"],
        "api": _post(client, path.read_bytes()).json()["probabilities"],
    }
    for road, probabilities in roads.items():
        assert np.abs(np.asarray(probabilities) - roads["array"]).max() < 1e-6, road


def test_another_checkpoint_can_be_asked(
    client: httpx.Client, weights: Path, save_random: Callable[..., Path], draw: Draw, encode: Encode
) -> None:
    save_random(weights / "one.safetensors", refusal_threshold=1.0)  # put there while the server runs
    answer = _post(client, encode(draw(7)), params={"checkpoint": "one"}).json()
    expected = digitcore.load_classifier("one").predict(draw(7))
    assert answer["checkpoint"] == "one"
    assert np.abs(answer["probabilities"] - expected.probabilities).max() < 1e-6
    assert answer["accepted"] is False
    assert re.fullmatch(r"Not sure: probably \d \(\d+%\), perhaps \d \(\d+%\); draw it plainer", answer["reason"])
    assert _post(client, encode(draw(7))).json()["checkpoint"] == "compact"


def test_a_form_field_asks_as_the_query_does(
    client: httpx.Client, weights: Path, save_random: Callable[..., Path], draw: Draw, encode: Encode
) -> None:
    save_random(weights / "one.safetensors")
    picture = encode(draw(7))
    fields, query = {"checkpoint": "one", "mode": "number"}, {"params": {"checkpoint": "one", "mode": "number"}}
    assert _post(client, picture, data=fields).json() == _post(client, picture, **query).json()
    assert _post(client, picture, data=fields, **query).json()["checkpoint"] == "one"
    assert "no checkpoint 'nosuch'" in _detail(_post(client, picture, data={"checkpoint": "nosuch"}), 404)
    assert "'digit' or 'number'" in _detail(_post(client, picture, data={"mode": "word"}), 422)
    for name, value in {"checkpoint": "compact", "mode": "digit"}.items():
        assert f"{name}: the query says" in _detail(_post(client, picture, data={name: value}, **query), 409)


def test_what_nobody_expected_is_told_to_the_log_alone(
    weights: Path, draw: Draw, encode: Encode, capfd: pytest.CaptureFixture[str]
) -> None:
    api = create_api()
    del api.state.free_cores  # a fault of ours
    with running_api(api) as client:
        assert "its log says what" in _detail(_post(client, encode(draw(7))), 500)
    log = capfd.readouterr().err
    assert "Traceback" in log
    assert "free_cores" in log


def _post_batch(client: httpx.Client, *pictures: bytes, **options: object) -> httpx.Response:
    files = [("image", (f"{i}.png", picture)) for i, picture in enumerate(pictures)]
    return client.post("/predict/batch", files=files, **options)


def test_a_batch_is_answered_as_its_pictures_are_alone(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    pictures = [encode(draw(digit)) for digit in range(10)]
    for options in ({}, {"params": {"mode": "number"}}, {"data": {"checkpoint": "compact", "mode": "digit"}}):
        alone = [_post(client, picture, **options).json() for picture in pictures]
        assert _post_batch(client, *pictures, **options).json() == alone


def test_a_picture_of_a_batch_that_cannot_be_read_does_not_keep_the_others_from_it(
    client: httpx.Client, draw: Draw, encode: Encode
) -> None:
    answers = _post_batch(client, encode(draw(4)), b"no picture", encode(draw(6))).json()
    assert [answer.get("prediction") for answer in answers] == [4, None, 6]
    assert list(answers[1]) == ["detail"]
    assert answers[1]["detail"].startswith("1.png cannot be read as a picture")


def _zip(files: Mapping[str, bytes], *, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_zip_is_the_pictures_in_it(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    pictures = {f"../{digit}.png": encode(draw(digit)) for digit in (3, 1, 4)}
    alone = _post_batch(client, *pictures.values(), encode(draw(9))).json()
    assert _post_batch(client, _zip({"a/": b""} | pictures), encode(draw(9))).json() == alone
    answers = _post_batch(client, _zip({"list.txt": b"3"} | pictures)).json()
    assert answers[0]["detail"].startswith("list.txt cannot be read as a picture")
    assert answers[1:] == alone[:3]


def test_hostile_zips_are_refused(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    seven = encode(draw(7))
    packed = _zip({"seven.png": seven})
    assert "not a zip file" in _detail(_post_batch(client, packed[:-30]), 422)
    assert "more than 100 files" in _detail(_post_batch(client, _zip({f"{i}.png": b"" for i in range(101)})), 422)
    assert "more than 100 files" in _detail(_post_batch(client, _zip({f"{i:05}": b"" for i in range(2_500)})), 422)
    assert "The zips hold more" in _detail(_post_batch(client, *[_zip({f"{i}": b"" for i in range(60)})] * 2), 413)
    assert "The zips hold more" in _detail(_post_batch(client, _zip({"bomb.png": bytes(LIMIT + 1)})), 413)
    start = packed.index(b"seven.png") + len("seven.png")
    damaged = packed[:start] + bytes(20) + packed[start + 20 :]
    (answer,) = _post_batch(client, damaged).json()
    assert "seven.png cannot be unpacked" in answer["detail"]
    for kind in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        (answer,) = _post_batch(client, _zip({"seven.png": seven}, kind=kind)).json()
        assert "pack it again as an ordinary zip" in answer["detail"]
    encrypted = bytearray(packed)
    for place in (6, encrypted.index(b"PK\x01\x02") + 8):
        encrypted[place] |= 1
    (answer,) = _post_batch(client, bytes(encrypted)).json()
    assert "without a password" in answer["detail"]


def test_a_batch_is_limited(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    """In number, and in bytes as a single picture is."""
    seven = encode(draw(7))
    assert len(_post_batch(client, *[seven] * MOST_PICTURES).json()) == MOST_PICTURES
    assert f"at most {MOST_PICTURES} items" in _detail(_post_batch(client, *[seven] * (MOST_PICTURES + 1)), 422)
    assert "larger than" in _detail(_post_batch(client, *[bytes(LIMIT // 2)] * 3), 413)
    assert "multipart field `image`" in _detail(client.post("/predict/batch"), 422)
    assert "no checkpoint 'nosuch'" in _detail(_post_batch(client, seven, params={"checkpoint": "nosuch"}), 404)


def test_concurrent_requests_get_their_own_answers(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    pictures = [encode(draw(i % 10, i)) for i in range(40)]
    alone = [_post(client, picture).json() for picture in pictures]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda picture: _post(client, picture).json(), pictures))
    assert together == alone


def test_a_request_does_not_wait_for_one_that_is_slow_to_arrive(
    client: httpx.Client, draw: Draw, encode: Encode
) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it")
        assert _post(client, encode(draw(7))).status_code == 200


def test_checkpoints_are_listed_with_figures_and_problems(
    serve: Serve, weights: Path, validation_digits: digitcore.DigitSet
) -> None:
    (weights / "broken.pt").write_bytes(b"no weights")
    classifier = digitcore.load_classifier("compact")
    evaluation = evaluate(classifier, validation_digits)
    save_evaluation(evaluation, weights / "evaluations")
    broken, compact = serve().get("/checkpoints").json()
    assert (broken["name"], broken["file"], broken["bytes"]) == ("broken", "broken.pt", 10)
    assert "broken.pt" in broken["problem"]
    assert broken["figures"] == {}
    assert (compact["name"], compact["problem"], compact["architecture"]) == ("compact", None, "compact")
    assert (compact["parameters"], compact["digest"]) == (8_778, classifier.checkpoint.digest)
    figures = compact["figures"]["mnist-validation"]
    assert (figures["digits"], figures["errors"]) == (5_000, evaluation.errors)
    assert figures["accuracy"] == 1 - evaluation.errors / 5_000
    assert figures["interval"][0] < figures["accuracy"] < figures["interval"][1]


def test_a_file_with_an_odd_name_does_not_hide_the_others(serve: Serve, weights: Path) -> None:
    Path(str(weights / "one") + "\udcff.pt").write_bytes(b"no weights")  # not UTF-8 on the disk
    response = serve().get("/checkpoints")
    assert response.status_code == 200
    assert "compact" in {entry["name"] for entry in response.json()}


def test_the_endpoints_are_functions(weights: Path, draw: Draw, encode: Encode) -> None:
    """Without a server: what an endpoint needs are its arguments."""
    library = CheckpointLibrary(weights)
    picture = UploadFile(io.BytesIO(encode(np.hstack([draw(4), draw(7)]))), filename="number.png")
    answer = predict(picture, library, threading.Semaphore(1), mode="number")
    assert isinstance(answer, NumberAnswer)
    assert (answer.number, answer.checkpoint) == ("47", "compact")
    assert [(entry.name, entry.parameters) for entry in checkpoints(library)] == [("compact", 8_778)]
    with pytest.raises(HTTPException, match="There is no checkpoint 'nosuch'") as caught:
        predict(picture, library, threading.Semaphore(1), checkpoint="nosuch")
    assert caught.value.status_code == 404


def test_another_field_is_refused(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    detail = _detail(client.post("/predict", files={"picture": encode(draw(7))}), 422)
    assert "image: Field required" in detail
    assert "curl -F image=@" in detail
    assert "multipart field `image`" in _detail(client.post("/predict"), 422)
    assert "multipart field `image`" in _detail(client.post("/predict", data={"image": "seven"}), 422)
    assert "multipart field `image`" in _detail(client.post("/predict", content=encode(draw(7))), 422)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.png", b"", "empty.png is empty"),
        ("notes.txt", b"seven", "notes.txt cannot be read as a picture"),
        ("cut.png", None, "cut.png cannot be read as a picture"),
        (
            "seven.jpg",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(900),
            "it is a HEIC file. Open it and save it as JPEG",
        ),
    ],
)
def test_corrupt_pictures_are_refused(
    client: httpx.Client, draw: Draw, encode: Encode, name: str, data: bytes | None, words: str
) -> None:
    assert words in _detail(_post(client, encode(draw(7))[:300] if data is None else data, name=name), 422)


def test_a_blank_picture_is_answered_and_refused(client: httpx.Client, encode: Encode) -> None:
    response = _post(client, encode(np.full((280, 280), 255, dtype=np.uint8)))
    answer = response.json()
    assert response.status_code == 200
    assert answer["accepted"] is False
    assert answer["reason"] == "Blank: nothing stands out from the ground; draw or choose a digit"
    assert answer["prediction"] == int(np.argmax(answer["probabilities"]))


@pytest.mark.parametrize("form", ["content-length", "chunked"])
def test_bodies_over_the_limit_are_refused(client: httpx.Client, form: str) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        + bytes(LIMIT + 200_000)
        + b"\r\n--x--\r\n"
    )
    pieces = (body[start : start + 20_000] for start in range(0, len(body), 20_000))
    response = client.post(
        "/predict",
        content=body if form == "content-length" else pieces,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert "larger than 0.3 MB" in _detail(response, 413)


def test_pictures_just_over_the_limit_are_refused(client: httpx.Client) -> None:
    assert "larger than 0.3 MB" in _detail(_post(client, bytes(LIMIT + 1)), 422)


def test_a_server_goes_on_after_bodies_over_the_limit(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    for _ in range(3):
        assert _post(client, bytes(LIMIT * 3)).status_code == 413
    assert _post(client, encode(draw(7))).json()["prediction"] == 7


@pytest.mark.parametrize("name", ["nosuch", "../compact", "..%2Fcompact", "/etc/passwd", "compact.safetensors", "."])
def test_unknown_names_are_not_found(
    client: httpx.Client, weights: Path, draw: Draw, encode: Encode, name: str
) -> None:
    (weights.parent / "compact.safetensors").write_bytes(SHIPPED.read_bytes())
    detail = _detail(_post(client, encode(draw(7)), params={"checkpoint": name}), 404)
    assert "There is no checkpoint" in detail
    assert "There are: compact" in detail
    assert str(weights) not in detail  # what the server's folders are called is no stranger's business


def test_a_path_is_no_name(client: httpx.Client, weights: Path, draw: Draw, encode: Encode) -> None:
    path = str(weights / "compact.safetensors")
    assert "no checkpoint" in _detail(_post(client, encode(draw(7)), params={"checkpoint": path}), 404)


def test_a_broken_checkpoint_says_what_is_wrong(
    client: httpx.Client, weights: Path, draw: Draw, encode: Encode
) -> None:
    (weights / "broken.pt").write_bytes(b"no weights")
    assert "state dict" in _detail(_post(client, encode(draw(7)), params={"checkpoint": "broken"}), 404)
    assert _post(client, encode(draw(7))).status_code == 200


def test_a_server_without_checkpoints_says_so(serve: Serve, weights_folder: Path, draw: Draw, encode: Encode) -> None:
    client = serve()
    assert "no usable checkpoint" in _detail(_post(client, encode(draw(7))), 503)
    assert client.get("/checkpoints").json() == []


def test_a_folder_without_a_checkpoint_fills_up(serve: Serve, weights_folder: Path, draw: Draw, encode: Encode) -> None:
    client = serve()
    assert _post(client, encode(draw(7))).status_code == 503
    (weights_folder / "any.safetensors").write_bytes(SHIPPED.read_bytes())
    assert _post(client, encode(draw(7))).json()["checkpoint"] == "any"


def test_other_paths_and_methods(client: httpx.Client) -> None:
    _detail(client.get("/nosuch"), 404)
    _detail(client.get("/predict"), 405)
    _detail(client.delete("/checkpoints"), 405)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"]
)
def test_pages_of_other_sites_may_not_call(client: httpx.Client, draw: Draw, encode: Encode, origin: str) -> None:
    detail = _detail(_post(client, encode(draw(7)), headers={"Origin": origin}), 403)
    assert origin in detail
    assert "DIGITCORE_ALLOWED_ORIGINS" in detail
    assert "access-control-allow-origin" not in client.get("/checkpoints").headers


def test_own_pages_and_allowed_sites_may_call(
    serve: Serve, weights: Path, draw: Draw, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITCORE_ALLOWED_ORIGINS", "https://friend.example, https://other.example")
    client = serve()
    own = str(client.base_url).rstrip("/")
    for origin in (own, "https://friend.example", "https://other.example"):
        assert _post(client, encode(draw(7)), headers={"Origin": origin}).status_code == 200, origin
    assert _post(client, encode(draw(7)), headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_browser_on_an_allowed_site_is_shown_the_answer(
    serve: Serve, weights: Path, draw: Draw, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITCORE_ALLOWED_ORIGINS", "https://friend.example")
    response = _post(serve(), encode(draw(7)), headers={"Origin": "https://friend.example"})
    assert response.headers.get("access-control-allow-origin") == "https://friend.example"


def test_only_allowed_hosts_are_answered(serve: Serve, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_ALLOWED_HOSTS", "127.0.0.1,digits.example,::1")
    client = serve()
    for host in ("127.0.0.1:8501", "digits.example", "digits.example:443", "[::1]", "[::1]:8501"):
        assert client.get("/checkpoints", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "evil.example:80", "x.digits.example", ""):
        assert "DIGITCORE_ALLOWED_HOSTS" in _detail(client.get("/checkpoints", headers={"Host": host}), 400)


def test_the_documentation_is_served_from_here_alone(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith("/"), address
        assert not address.startswith("//")
        response = client.get(address)
        assert response.status_code == 200, address
        assert len(response.content) > 100
    assert not re.search(r"https?://", page.text)


def test_the_description_matches_the_answers(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) == {"/predict", "/predict/batch", "/checkpoints"}
    predict = description["paths"]["/predict"]["post"]
    assert {"200", "400", "403", "404", "413", "422"} <= set(predict["responses"])
    for status, response in predict["responses"].items():
        schema = response["content"]["application/json"]["schema"]
        names = [answer["$ref"].rsplit("/", 1)[1] for answer in schema.get("anyOf", [schema])]
        assert names == (["PredictionAnswer", "NumberAnswer"] if status == "200" else ["ErrorAnswer"])


def test_a_number_is_read_on_request(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    data = encode(np.hstack([draw(digit) for digit in (3, 0, 7)]))
    answer = _post(client, data, params={"mode": "number"}).json()
    assert set(answer) == {"number", "confidence", "accepted", "reason", "digits", "checkpoint"}
    assert answer["number"] == "307" == "".join(str(digit["prediction"]) for digit in answer["digits"])
    assert answer["confidence"] == pytest.approx(np.prod([digit["confidence"] for digit in answer["digits"]]))
    assert [digit["box"][0] // 280 for digit in answer["digits"]] == [0, 1, 2]
    assert all(digit["box"][0] < digit["box"][2] <= 840 for digit in answer["digits"])
    assert _post(client, data).json() == answer
    as_one = _post(client, data, params={"mode": "digit"}).json()
    assert next(iter(as_one)) == "prediction"
    one = _post(client, encode(draw(7)), params={"mode": "digit"}).json()
    assert one == _post(client, encode(draw(7))).json()


def test_a_blank_picture_is_no_number(client: httpx.Client, encode: Encode) -> None:
    response = _post(client, encode(np.zeros((90, 90), dtype=np.uint8)), params={"mode": "number"})
    assert response.status_code == 200
    assert (response.json()["number"], response.json()["digits"], response.json()["accepted"]) == ("", [], False)
    assert "blank" in response.json()["reason"]


def test_an_unknown_mode_is_explained(client: httpx.Client, draw: Draw, encode: Encode) -> None:
    response = _post(client, encode(draw(7)), params={"mode": "word"})
    assert response.status_code == 422
    assert "'digit' or 'number'" in response.json()["detail"]


def test_as_routes_of_another_server_everything_works(draw: Draw, encode: Encode) -> None:
    from starlette.applications import Starlette

    from digitcore.serving.api import routes

    transport = httpx.ASGITransport(Starlette(routes=routes()))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            page = await client.get("/docs")
            scripts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
            picture = {"image": ("seven.png", encode(draw(7)))}
            return [
                page,
                *[await client.get(address) for address in scripts],
                await client.get("/openapi.json"),
                await client.get("/checkpoints"),
                await client.post("/predict", files=picture),
            ]

    # In a thread of its own: Playwright, where the browser tests have run before, keeps a loop in this one.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        responses = thread.submit(asyncio.run, ask()).result()
    assert [response.status_code for response in responses] == [200] * 7
