"""What several checkpoints answer for one picture, asked for in the background."""

from concurrent.futures import Future

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from digitcore.models.library import UsableCheckpoint
from digitcore.models.votes import Vote, collect_votes
from pages.shared.background import in_background
from pages.shared.cache_keys import HASH_FUNCS
from pages.shared.resources import named_classifier


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASH_FUNCS)
def votes_job(entries: list[UsableCheckpoint], model_input: NDArray[np.uint8]) -> Future[list[Vote]]:
    """`collect_votes` of these checkpoints, which may have to be read first."""
    return in_background(_collect, [entry.name for entry in entries], model_input)


def _collect(names: list[str], model_input: NDArray[np.uint8]) -> list[Vote]:
    return collect_votes(map(named_classifier, names), model_input)
