"""Folders and limits, read from the environment in this one place."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings", "dashboard_script", "load_settings"]

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Where things are and how large they may be.

    Each attribute can be set by an environment variable: `DIGITCORE_` and the attribute's name in capitals, except
    that `data` and the other folders stand without `_directory`: `DIGITCORE_DATA`, `DIGITCORE_WEIGHTS`,
    `DIGITCORE_CACHE`; `uploads` is off where its variable says "off".
    """

    data_directory: Path
    """Holds `MNIST/raw/`. Only ever written to by an explicit download."""
    weights_directory: Path
    """Holds the checkpoints, `manifest.json` and `evaluations/`."""
    cache_directory: Path
    """Holds evaluations made here and training runs under way. Safe to delete."""
    database_url: str
    """Where stars and notes are kept; default: an SQLite file in `.state/`, which is not safe to delete."""
    max_image_bytes: int
    """Largest picture file that is opened, in bytes."""
    max_image_pixels: int
    """Largest picture that is decoded, in pixels."""
    max_checkpoint_bytes: int
    """Largest checkpoint file that is opened, in bytes."""
    uploads: bool
    """Whether visitors may add checkpoints for everybody to the weights folder."""
    notebook_budget: str
    """How much the notebooks take on: "small", which takes seconds, or "full", which takes minutes."""
    allowed_hosts: tuple[str, ...]
    """Host names under which the HTTP API answers; empty: any."""
    allowed_origins: tuple[str, ...]
    """Other sites (`https://host`) whose pages may call the HTTP API from a browser."""


def load_settings() -> Settings:
    """Settings as the environment has them now.

    Raises:
        ValueError: a limit in the environment is not a positive whole number.
    """
    return Settings(
        data_directory=_directory("DIGITCORE_DATA", "data"),
        weights_directory=_directory("DIGITCORE_WEIGHTS", "weights"),
        cache_directory=_directory("DIGITCORE_CACHE", ".cache"),
        database_url=os.environ.get("DIGITCORE_DATABASE_URL") or f"sqlite:///{_ROOT / '.state' / 'digitcore.sqlite'}",
        max_image_bytes=_positive("DIGITCORE_MAX_IMAGE_BYTES", 20_000_000),
        max_image_pixels=_positive("DIGITCORE_MAX_IMAGE_PIXELS", 50_000_000),
        max_checkpoint_bytes=_positive("DIGITCORE_MAX_CHECKPOINT_BYTES", 100_000_000),
        uploads=os.environ.get("DIGITCORE_UPLOADS", "").lower() != "off",
        notebook_budget="full" if os.environ.get("DIGITCORE_NOTEBOOK_BUDGET", "").lower() == "full" else "small",
        allowed_hosts=_names("DIGITCORE_ALLOWED_HOSTS"),
        allowed_origins=_names("DIGITCORE_ALLOWED_ORIGINS"),
    )


def dashboard_script() -> Path:
    """The script of the dashboard, beside the package in a checkout and in a wheel; it may be missing."""
    return _ROOT / "dashboard.py"


def _directory(variable: str, default: str) -> Path:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else _ROOT / default


def _positive(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdecimal() or int(value) == 0:
        raise ValueError(f"{variable} must be a positive whole number, got {value!r}")
    return int(value)


def _names(variable: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in os.environ.get(variable, "").split(",") if name.strip())
