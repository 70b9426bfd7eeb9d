"""Downloads of the MNIST files from mirrors that work, and from others."""

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from digitcore.data import mnist_download
from digitcore.data.datasets import download_mnist, is_available, known_digest, load_digits
from digitcore.errors import DatasetError
from digitcore.settings import load_settings
from tests.paths import ROOT

Serve = Callable[[Path], str]
SetMirrors = Callable[..., None]

FILES = [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]

# From http://yann.lecun.com/exdb/mnist as torchvision repeats them.
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

# From torchvision.datasets.QMNIST.
WRITERS_MD5 = {
    "qmnist-train-labels-idx2-int.gz": "0058f8dd561b90ffdd0f734c6a30e5e4",
    "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
}


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder over HTTP and returns its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def served(folder: Path) -> str:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def set_mirrors(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_to(*addresses: str) -> None:
        """The last address holds the files of the writers too."""
        datasets = mnist_download._torchvision_datasets()
        monkeypatch.setattr(datasets.MNIST, "mirrors", list(addresses))
        resources = {
            part: [("", ""), (f"{addresses[-1]}{file}", WRITERS_MD5[file])]
            for part, file in zip(("train", "test"), WRITERS_MD5, strict=True)
        }
        monkeypatch.setattr(datasets.QMNIST, "resources", resources)

    return set_to


@pytest.fixture
def unreachable() -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/"


def test_the_md5_sums_are_those_of_mnist() -> None:
    assert {source.file: source.md5 for source in mnist_download.mnist_sources()} == MD5
    assert {source.file: source.md5 for source in mnist_download.writers_sources()} == WRITERS_MD5


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the MNIST files and those of their writers; asked for before `data_folder`."""
    data, folder = load_settings().data_directory, tmp_path / "source"
    folder.mkdir()
    for path in (*(data / "MNIST" / "raw").glob("*.gz"), *(data / "qmnist").glob("*.gz")):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.needs_mnist
def test_the_md5_sums_are_those_of_our_files(source: Path) -> None:
    for file in FILES:
        if (source / file).exists():
            assert hashlib.md5((source / file).read_bytes()).hexdigest() == MD5[file]


@pytest.fixture
def target(source: Path, data_folder: Path) -> Path:
    """Where a download goes."""
    return data_folder / "MNIST" / "raw"


@pytest.mark.needs_mnist
def test_download(source: Path, target: Path, serve: Serve, set_mirrors: SetMirrors, unreachable: str) -> None:
    set_mirrors(unreachable, serve(source))
    assert not is_available("mnist-test")
    shares = [i / 6 for i in range(1, 7)]
    assert list(download_mnist()) == shares
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)
    writers = load_digits("mnist-test").writers
    assert writers is not None
    assert len(np.unique(writers)) == 297
    assert load_digits("mnist-test").digest == known_digest("mnist-test")
    assert is_available("mnist-train")
    set_mirrors(unreachable)
    assert list(download_mnist()) == shares  # files that are there are kept


def test_download_without_a_network(target: Path, set_mirrors: SetMirrors, unreachable: str) -> None:
    set_mirrors(unreachable)
    with pytest.raises(DatasetError, match=rf"could not be downloaded to {target} \({unreachable}.*check the network"):
        list(download_mnist())
    assert not is_available("mnist-test")


@pytest.mark.parametrize("contents", [b"", b"<html>Please log in</html>", None], ids=["empty", "login page", "404"])
def test_download_of_something_else(
    tmp_path: Path, target: Path, serve: Serve, set_mirrors: SetMirrors, contents: bytes | None
) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    for file in FILES if contents is not None else ():
        (folder / file).write_bytes(contents or b"")
    set_mirrors(serve(folder))
    with pytest.raises(DatasetError, match="could not be downloaded"):
        list(download_mnist())
    assert not is_available("mnist-test")
    assert not list(target.glob("*"))  # or the next try would keep what is not MNIST


@pytest.mark.needs_mnist
def test_a_second_try_mends_a_first_that_failed(
    tmp_path: Path, source: Path, target: Path, serve: Serve, set_mirrors: SetMirrors
) -> None:
    cut = tmp_path / "mirror"
    cut.mkdir()
    for file in FILES:
        (cut / file).write_bytes((source / file).read_bytes()[:1000])
    set_mirrors(serve(cut))
    with pytest.raises(DatasetError):
        list(download_mnist())
    set_mirrors(serve(source))
    list(download_mnist())
    assert len(load_digits("mnist-train")) == 55_000


def test_a_mirror_that_does_not_speak_http(target: Path, set_mirrors: SetMirrors) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        set_mirrors(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        with pytest.raises(DatasetError, match="could not be downloaded"):
            list(download_mnist())


def test_download_to_a_place_that_cannot_be_written_to(
    target: Path, data_folder: Path, set_mirrors: SetMirrors, unreachable: str
) -> None:
    (data_folder / "MNIST").write_text("in the way", encoding="utf-8")
    set_mirrors(unreachable)
    with pytest.raises(DatasetError, match="could not be downloaded"):
        list(download_mnist())


_DOWNLOAD = """
import sys
from pathlib import Path
from digitcore.data import mnist_download
source = mnist_download.Source("file.gz", sys.argv[2], (sys.argv[1],))
mnist_download.verified_download(source, directory=Path(sys.argv[3]))
"""


@pytest.mark.faults
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_killed_while_downloading(tmp_path: Path, serve: Serve) -> None:
    """Nothing is left in the folder of temporary files, and in that of the data nothing after the next try."""
    contents = bytes(range(256)) * 1000
    target, temporary, mirror = (tmp_path / name for name in ("target", "temporary", "mirror"))
    for folder in (temporary, mirror):
        folder.mkdir()
    (mirror / "file.gz").write_bytes(contents)
    environment = {**os.environ, "TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "of torch")}

    def start(address: str) -> subprocess.Popen[bytes]:
        words = [address, hashlib.md5(contents).hexdigest(), str(target)]
        return subprocess.Popen([sys.executable, "-c", _DOWNLOAD, *words], cwd=ROOT, env=environment)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(contents)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(head + contents[:100_000])
            process.kill()
            process.wait()
    assert [path.name.startswith(".partial-") for path in target.iterdir()] == [True]
    assert start(serve(mirror)).wait() == 0
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"file.gz": contents}
    assert not list(temporary.iterdir())
