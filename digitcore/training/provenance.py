"""Provenance of a checkpoint: machine, versions, time and commit."""

import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from digitcore.settings import CHECKOUT

__all__ = ["git_commit", "surroundings"]


def surroundings(device: torch.device, *, commit: str | None) -> dict[str, Any]:
    """Machine, versions and time, by name; `commit` is that of the code that makes the checkpoint."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "processor": platform.machine() if device.type == "cpu" else torch.cuda.get_device_name(device),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": commit,
    }


def git_commit() -> str | None:
    """The commit of this code, followed by "+changes" where files have changed since; None outside a checkout."""
    if CHECKOUT is None:  # installed, perhaps in a folder of somebody else's repository
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", *arguments], cwd=CHECKOUT / "digitcore", capture_output=True, text=True, check=True, timeout=10
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "."])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changes else "")
