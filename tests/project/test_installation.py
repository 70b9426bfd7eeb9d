"""An installed package: a real wheel, installed into a folder and used from another, as a user would."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from digitcore.settings import project_version
from tests.paths import ROOT, WEIGHTS
from tests.processes import as_user, readable_folder, run_command, running_dashboard

INFO = f"digitcore-{project_version()}.dist-info"


def _tracked(*paths: str) -> set[str]:
    """Files of the repository below these paths."""
    listing = subprocess.run(["git", "ls-files", "-z", *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run_command(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT],
        folder=folder,
        environment=os.environ,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """The folder that the wheel was installed into."""
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    with readable_folder() as folder:
        command = [sys.executable, "-m", "pip", "install", *options, "--target", folder, wheel]
        run_command(command, folder=folder, environment=os.environ)
        yield folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(installed: Path, home: Path) -> dict[str, str]:
    """That of a user with this home folder who has installed the wheel."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("DIGITCORE_", "XDG_", "COV_"))
    }
    return inherited | {"HOME": str(home), "PYTHONPATH": str(installed)}


@pytest.fixture
def picture(draw: Callable[..., np.ndarray], encode: Callable[..., bytes], tmp_path: Path) -> Path:
    path = tmp_path / "seven.png"
    path.write_bytes(encode(255 - draw(7), "PNG"))
    return path


def test_the_wheel_holds_the_package_the_pages_and_the_shipped_weights(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(INFO)}
        entry_points = archive.read(f"{INFO}/entry_points.txt").decode()
    application = _tracked("weights", "pages", "dashboard.py", ".streamlit")
    assert names == _tracked("digitcore") | {f"digitcore/_app/{name}" for name in application}
    assert "digitcore/py.typed" in names
    assert "digitcore = digitcore.serving.cli:main" in entry_points


def test_it_answers_as_the_checkout_does(
    picture: Path, home: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "digitcore"]
    (answer,) = json.loads(
        run_command([*command, "predict", picture, "--json"], folder=tmp_path, environment=environment)
    )
    checkout = environment | {"PYTHONPATH": str(ROOT), "DIGITCORE_CACHE": str(tmp_path / "cache")}
    (expected,) = json.loads(
        run_command([*command, "predict", picture, "--json"], folder=tmp_path, environment=checkout)
    )
    assert answer["prediction"] == 7
    np.testing.assert_allclose(answer.pop("probabilities"), expected.pop("probabilities"), atol=1e-5)
    assert answer.keys() == expected.keys()
    assert answer["prediction"] == expected["prediction"]

    code = (
        "import digitcore; print(digitcore.__file__); print(digitcore.load_classifier('world').checkpoint.path); "
        "from digitcore.serving.cli import main; main(['--version'])"
    )
    package, path, version = run_command(
        [sys.executable, "-c", code], folder=tmp_path, environment=environment
    ).splitlines()
    assert version == f"digitcore {project_version()}"
    assert Path(package).is_relative_to(environment["PYTHONPATH"])
    assert Path(path).is_relative_to(home)


def test_what_is_written_goes_into_the_users_folders(home: Path, environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import dataclasses, json, os; from digitcore.settings import load_settings\n"
        "default = load_settings(); os.environ['DIGITCORE_WEIGHTS'] = 'mine'\n"
        "print(json.dumps([dataclasses.asdict(default), dataclasses.asdict(load_settings())], default=str))"
    )
    settings, chosen = json.loads(run_command([sys.executable, "-c", code], folder=tmp_path, environment=environment))
    data, cache = home / ".local" / "share" / "digitcore", home / ".cache" / "digitcore"
    assert settings["data_directory"] == str(data / "data")
    assert settings["weights_directory"] == str(data / "weights")
    assert settings["cache_directory"] == str(cache)
    assert settings["database_url"] == f"sqlite:///{data / 'digitcore.sqlite'}"
    assert chosen == settings | {"weights_directory": str(tmp_path / "mine")}
    for name in _tracked("weights"):
        assert (data / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize("user", ["whose home folder cannot be written", "without a home folder"])
def test_without_a_home_folder_the_packaged_weights_are_read_in_place(
    user: str, environment: dict[str, str], installed: Path
) -> None:
    environment["HOME"] = "/dev/null"
    prefix: list[str] = []
    if user == "without a home folder":
        del environment["HOME"]
        prefix = as_user(54_321)  # whom this machine does not know
    code = (
        "from digitcore.settings import load_settings; from digitcore.models.library import CheckpointLibrary\n"
        "library = CheckpointLibrary(load_settings().weights_directory); print(library.directory)\n"
        "data = library.load('compact').path.read_bytes()\n"
        "try: library.add('mine.safetensors', data)\n"
        "except Exception as error: print(error)"
    )
    output = run_command([*prefix, sys.executable, "-c", code], folder=installed, environment=environment)
    directory, refusal = output.splitlines()
    packaged = installed / "digitcore" / "_app" / "weights"
    assert Path(directory) == packaged
    assert "set DIGITCORE_WEIGHTS to a folder of your own" in refusal
    assert {path.name for path in packaged.iterdir()} == {path.name for path in WEIGHTS.iterdir()}


def test_the_dashboard_opens_from_it(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "digitcore"]
    with running_dashboard(command, folder=tmp_path, environment=environment) as client:
        assert client.get("/").status_code == 200
        assert "world" in {entry["name"] for entry in client.get("/checkpoints").json()}


@pytest.mark.slow
def test_a_fresh_environment_runs_it_from_any_folder(
    picture: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """A virtual environment, `pip install .` with its dependencies from the package index, and the script."""
    del environment["PYTHONPATH"]
    place = tmp_path / "environment"
    run_command([sys.executable, "-m", "venv", place], folder=tmp_path, environment=environment)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", ROOT], cwd=tmp_path, check=True, timeout=1800)
    (answer,) = json.loads(
        run_command(
            [place / "bin" / "digitcore", "predict", picture, "--json"], folder=tmp_path, environment=environment
        )
    )
    assert answer["prediction"] == 7
    code = "import digitcore; print(digitcore.__file__)"
    assert Path(
        run_command([place / "bin" / "python", "-c", code], folder=tmp_path, environment=environment)
    ).is_relative_to(place)
    with running_dashboard([str(place / "bin" / "digitcore")], folder=tmp_path, environment=environment) as client:
        assert client.get("/").status_code == 200
