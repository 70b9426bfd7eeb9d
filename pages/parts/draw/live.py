"""The answer while the pen moves: a small network runs in the visitor's browser on the pixels of the canvas.

It is shown over the server's answer until that has come. The weights go along as the checkpoint file's own bytes, in
the component's message: Streamlit sends an equal message once per visitor and after that only its hash, so they need no
endpoint, and no address that depends on where the dashboard is mounted.
"""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from digitcore.errors import CheckpointError
from digitcore.formats.endings import ending_of
from digitcore.imaging.preprocessing import PREPROCESSING
from pages.shared.drawing import SIDE
from pages.shared.resources import checkpoint_library
from pages.shared.templates import render

NETWORK = "world-compact"
"""Small enough for a browser, and the best of its size on drawings."""
_ARCHITECTURE = "compact"
_SCRIPTS = ("preprocess.js", "network.js", "live.js")
_HERE = Path(__file__).parent


def live_answer() -> None:
    """Answers while the pen moves, where the weights folder holds the network; otherwise nothing."""
    weights = _weights()
    if weights is not None:
        _component()(key="live", data=weights)


def live_module() -> str:
    """The JavaScript module as one text, since a component has only one."""
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS)


def _weights() -> bytes | None:
    """The file of the network; None where there is none that the browser can run."""
    try:
        checkpoint = checkpoint_library().load(NETWORK)
    except CheckpointError:
        return None
    metadata, path = checkpoint.metadata, checkpoint.path
    if path is None or ending_of(path.name) != ".safetensors":
        return None
    is_known = metadata.architecture == _ARCHITECTURE and metadata.preprocessing == PREPROCESSING
    fits = is_known and metadata.convention.is_ours
    return _file_bytes(path, checkpoint.digest) if fits else None


@st.cache_data(max_entries=2, show_spinner=False)
def _file_bytes(_path: Path, digest: str) -> bytes:
    """The contents of a checkpoint file, by its digest: a path need not be text that can be hashed."""
    return _path.read_bytes()


@st.cache_resource(max_entries=1, show_spinner=False)
def _component() -> ComponentRenderer:
    html = render("live.html", side=SIDE, network=NETWORK)
    return st.components.v2.component("live_answer", html=html, js=live_module(), isolate_styles=False)
