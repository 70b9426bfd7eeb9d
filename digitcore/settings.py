"""Folders and limits, read from the environment in this one place."""

import atexit
import functools
import importlib.metadata
import logging
import os
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from platformdirs import user_cache_path, user_data_path

from digitcore.files import PACKAGED_FILES, temporary_folder, update_copies

__all__ = ["CHECKOUT", "Settings", "dashboard_script", "load_settings", "project_version"]

Uploads: TypeAlias = Literal["on", "off", "local"]
"""When visitors may change the weights folder."""

_LOGGER = logging.getLogger(__name__)
_NAME = "digitcore"


def _find_checkout() -> Path | None:
    folder = Path(__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() and (folder / "weights").is_dir() else None


CHECKOUT = _find_checkout()
"""The folder of the checkout that this package runs from; None where the package is installed."""


@dataclass(frozen=True)
class Settings:
    """Where things are and how large they may be.

    Each attribute can be set by an environment variable: `DIGITCORE_` and the attribute's name in capitals, except
    that `data` and the other folders stand without `_directory`: `DIGITCORE_DATA`, `DIGITCORE_WEIGHTS`,
    `DIGITCORE_CACHE`, `DIGITCORE_DATASETS`.

    Where a folder's variable is not set, it depends on where the package runs from. In a checkout they are the folders
    `data/`, `weights/`, `.cache/` and `.state/` of the checkout. An installed package uses `digitcore` in the user's
    data and cache folders (on Linux `~/.local/share` and `~/.cache`). The weights that came with it are copied there
    on first use, and again by each new version; files that the user has added or changed stay as they are. Where the
    copy cannot be written, the packaged weights are read in place, and adding a checkpoint to them is refused. For a
    user without a home folder the others are temporary, and end with the process.
    """

    data_directory: Path
    """Holds `MNIST/raw/`. Only ever written to by an explicit download."""
    weights_directory: Path
    """Holds the checkpoints, `manifest.json` and `evaluations/`."""
    cache_directory: Path
    """Holds evaluations made here and training runs under way. Safe to delete."""
    datasets_directory: Path
    """Holds the sets of digits that were added here. Not safe to delete."""
    database_url: str
    """Where stars, notes and handwriting are kept; default: `digitcore.sqlite` in `.state/` or the user's data folder.

    Not safe to delete.
    """
    max_image_bytes: int
    """Largest picture file that is opened, in bytes."""
    max_image_pixels: int
    """Largest picture that is decoded, in pixels."""
    max_checkpoint_bytes: int
    """Largest checkpoint file that is opened, in bytes."""
    max_added_bytes: int
    """Most bytes of all checkpoint files together that visitors have added."""
    max_added_files: int
    """Most checkpoint files that visitors may add."""
    max_waiting: int
    """Requests to the HTTP API that may wait for their turn; further ones are refused at once."""
    max_arrival_seconds: int
    """Seconds for the head of a request to arrive, and for its body, which has another for each 50,000 bytes."""
    uploads: Uploads
    """Whether visitors may add, rename and remove checkpoints and sets: "local" where only this machine reaches it."""
    collecting: bool
    """Whether visitors may keep digits that they write."""
    max_notebook_digits: int
    """Most digits that one visitor's notebook may hold."""
    max_handwritten_digits: int
    """Most digits that all notebooks together may hold."""
    notebook_budget: str
    """How much the notebooks take on: "small", which takes seconds, or "full", which takes minutes."""
    allowed_hosts: tuple[str, ...]
    """Host names under which the server answers; empty: those of the address that it listens on."""
    allowed_origins: tuple[str, ...]
    """Other sites (`https://host`) whose pages may call the server from a browser."""


def load_settings() -> Settings:
    """Settings as the environment has them now.

    Raises:
        ValueError: a limit in the environment is not a positive whole number, or a switch has another position.
    """
    return Settings(
        data_directory=_directory("DIGITCORE_DATA", _default_data),
        weights_directory=_directory("DIGITCORE_WEIGHTS", _default_weights),
        cache_directory=_directory("DIGITCORE_CACHE", _default_cache),
        datasets_directory=_directory("DIGITCORE_DATASETS", lambda: _state_folder() / "datasets"),
        database_url=os.environ.get("DIGITCORE_DATABASE_URL") or f"sqlite:///{_default_database()}",
        max_image_bytes=_positive("DIGITCORE_MAX_IMAGE_BYTES", 20_000_000),
        max_image_pixels=_positive("DIGITCORE_MAX_IMAGE_PIXELS", 16_000_000),
        max_checkpoint_bytes=_positive("DIGITCORE_MAX_CHECKPOINT_BYTES", 100_000_000),
        max_added_bytes=_positive("DIGITCORE_MAX_ADDED_BYTES", 1_000_000_000),
        max_added_files=_positive("DIGITCORE_MAX_ADDED_FILES", 100),
        max_waiting=_positive("DIGITCORE_MAX_WAITING", 32),
        max_arrival_seconds=_positive("DIGITCORE_MAX_ARRIVAL_SECONDS", 10),
        uploads=_uploads(),
        collecting=_is_on("DIGITCORE_COLLECTING"),
        max_notebook_digits=_positive("DIGITCORE_MAX_NOTEBOOK_DIGITS", 20_000),
        max_handwritten_digits=_positive("DIGITCORE_MAX_HANDWRITTEN_DIGITS", 200_000),
        notebook_budget="full" if os.environ.get("DIGITCORE_NOTEBOOK_BUDGET", "").lower() == "full" else "small",
        allowed_hosts=_names("DIGITCORE_ALLOWED_HOSTS"),
        allowed_origins=_names("DIGITCORE_ALLOWED_ORIGINS"),
    )


def dashboard_script() -> Path:
    """The script of the dashboard, in the checkout or in the installed package; it may be missing."""
    return (CHECKOUT or PACKAGED_FILES) / "dashboard.py"


def project_version() -> str:
    """The version that the checkout's pyproject.toml states, else that of the installed package, else "unknown"."""
    if CHECKOUT:
        version: str = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        return version
    try:
        return importlib.metadata.version(_NAME)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _directory(variable: str, default: Callable[[], Path]) -> Path:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else default()


def _default_data() -> Path:
    return CHECKOUT / "data" if CHECKOUT else _user_data() / "data"


def _default_cache() -> Path:
    return CHECKOUT / ".cache" if CHECKOUT else _known(user_cache_path) or _temporary_folder() / "cache"


def _default_database() -> Path:
    return _state_folder() / "digitcore.sqlite"


def _state_folder() -> Path:
    return CHECKOUT / ".state" if CHECKOUT else _user_data()


def _default_weights() -> Path:
    if CHECKOUT:
        return CHECKOUT / "weights"
    folder = _known(user_data_path)
    return _copied_weights(folder / "weights") if folder else PACKAGED_FILES / "weights"


@functools.cache
def _copied_weights(folder: Path) -> Path:
    """The folder with an up-to-date copy of the packaged weights; where that cannot be written, the packaged ones."""
    packaged = PACKAGED_FILES / "weights"
    try:
        update_copies(packaged, folder, version=project_version())
    except OSError as error:
        _LOGGER.warning("%s cannot be written (%s): the packaged weights are read in place.", folder, error.strerror)
        return packaged
    return folder


def _user_data() -> Path:
    return _known(user_data_path) or _temporary_folder() / "data"


def _known(user_path: Callable[..., Path]) -> Path | None:
    """A folder of this user as platformdirs names it; None where the user has no home folder."""
    try:
        return user_path(_NAME, appauthor=False)
    except RuntimeError:
        return None


@functools.cache
def _temporary_folder() -> Path:
    """What takes the place of a home folder."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(temporary_folder())


def _positive(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdecimal() or int(value) == 0:
        raise ValueError(f"{variable} must be a positive whole number, got {value!r}")
    return int(value)


def _uploads() -> Uploads:
    value = os.environ.get("DIGITCORE_UPLOADS", "").lower() or "local"
    choices: tuple[Uploads, ...] = ("on", "off", "local")
    for choice in choices:
        if value == choice:
            return choice
    raise ValueError(f"DIGITCORE_UPLOADS must be on, off or local, got {value!r}")


def _is_on(variable: str) -> bool:
    value = os.environ.get(variable, "").lower() or "on"
    if value not in ("on", "off"):
        raise ValueError(f"{variable} must be on or off, got {value!r}")
    return value == "on"


def _names(variable: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in os.environ.get(variable, "").split(",") if name.strip())
