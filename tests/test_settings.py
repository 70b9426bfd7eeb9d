from pathlib import Path

import pytest

from digitcore.settings import load_settings
from tests.paths import ROOT

FOLDERS = {
    "DIGITCORE_DATA": ("data_directory", "data"),
    "DIGITCORE_WEIGHTS": ("weights_directory", "weights"),
    "DIGITCORE_CACHE": ("cache_directory", ".cache"),
    "DIGITCORE_DATASETS": ("datasets_directory", ".state/datasets"),
}
LIMITS = {
    "DIGITCORE_MAX_IMAGE_BYTES": "max_image_bytes",
    "DIGITCORE_MAX_IMAGE_PIXELS": "max_image_pixels",
    "DIGITCORE_MAX_CHECKPOINT_BYTES": "max_checkpoint_bytes",
    "DIGITCORE_MAX_WAITING": "max_waiting",
    "DIGITCORE_MAX_ARRIVAL_SECONDS": "max_arrival_seconds",
    "DIGITCORE_MAX_ADDED_BYTES": "max_added_bytes",
    "DIGITCORE_MAX_ADDED_FILES": "max_added_files",
    "DIGITCORE_MAX_NOTEBOOK_DIGITS": "max_notebook_digits",
    "DIGITCORE_MAX_HANDWRITTEN_DIGITS": "max_handwritten_digits",
}
NAMES = {"DIGITCORE_ALLOWED_HOSTS": "allowed_hosts", "DIGITCORE_ALLOWED_ORIGINS": "allowed_origins"}


@pytest.fixture(autouse=True)
def _empty_environment(cache_folder: Path, datasets_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*FOLDERS, *LIMITS, *NAMES, "DIGITCORE_UPLOADS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("variable", FOLDERS)
def test_folders(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attribute, default = FOLDERS[variable]
    assert getattr(load_settings(), attribute) == ROOT / default
    monkeypatch.setenv(variable, "")  # as good as none
    assert getattr(load_settings(), attribute) == ROOT / default
    monkeypatch.setenv(variable, str(tmp_path))
    assert getattr(load_settings(), attribute) == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "below")
    assert getattr(load_settings(), attribute) == tmp_path / "below"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/below")
    assert getattr(load_settings(), attribute) == tmp_path / "below"


@pytest.mark.parametrize("variable", LIMITS)
def test_limits(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(load_settings(), LIMITS[variable])
    assert default > 0
    monkeypatch.setenv(variable, "")
    assert getattr(load_settings(), LIMITS[variable]) == default
    monkeypatch.setenv(variable, "12345")
    assert getattr(load_settings(), LIMITS[variable]) == 12_345


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "20MB", "many", "²", " "])
@pytest.mark.parametrize("variable", LIMITS)
def test_limits_that_are_none(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable} must be a positive whole number, got '{value}'"):
        load_settings()


@pytest.mark.parametrize("variable", NAMES)
def test_names(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(load_settings(), NAMES[variable]) == ()
    for value, expected in {"a": ("a",), "a, b,": ("a", "b"), " , ": ()}.items():
        monkeypatch.setenv(variable, value)
        assert getattr(load_settings(), NAMES[variable]) == expected


def test_uploads_are_on_off_or_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in {"": "local", "local": "local", "on": "on", "off": "off", "OFF": "off"}.items():
        monkeypatch.setenv("DIGITCORE_UPLOADS", value)
        assert load_settings().uploads == expected
    monkeypatch.setenv("DIGITCORE_UPLOADS", "no")
    with pytest.raises(ValueError, match="DIGITCORE_UPLOADS must be on, off or local, got 'no'"):
        load_settings()


def test_collecting_is_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in {"": True, "on": True, "off": False, "OFF": False}.items():
        monkeypatch.setenv("DIGITCORE_COLLECTING", value)
        assert load_settings().collecting is expected
    monkeypatch.setenv("DIGITCORE_COLLECTING", "no")
    with pytest.raises(ValueError, match="DIGITCORE_COLLECTING must be on or off, got 'no'"):
        load_settings()


def test_the_notebooks_take_on_little_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in {"": "small", "small": "small", "full": "full", "FULL": "full", "much": "small"}.items():
        monkeypatch.setenv("DIGITCORE_NOTEBOOK_BUDGET", value)
        assert load_settings().notebook_budget == expected
