"""Sets of digits of one's own, in a dialog over any page: added after a first look, renamed, removed, exported."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from digitcore.data.datasets import is_available, reserved_names
from digitcore.data.exported_digits import ExportFormat, export_digits
from digitcore.data.first_look import COMPARED, FirstLook, look_at
from digitcore.data.own_datasets import (
    OwnDataset,
    PictureUse,
    PreparedDataset,
    discard_dataset,
    keep_dataset,
    map_images,
    own_datasets,
    prepare_dataset,
    remove_dataset,
    rename_dataset,
)
from digitcore.files import temporary_folder
from digitcore.models.refusal import ink_oddity
from digitcore.text import plain
from pages.shared.error_box import error_box
from pages.shared.resources import cached_digits, may_add
from pages.shared.state import ADDED_DATASET

_PREPARED, _LOOK, _UPLOADS = "own-digits-prepared", "own-digits-look", "own-digits-uploads"
_KINDS = ["zip", "gz", "npz", "csv", "parquet", "mat", "data", "txt", "train", "test", "tra", "tes"]
_MOST_PROBLEMS = 5
_MOST_MEGABYTES = 200  # of an upload, which is held in memory; the command line takes any size
_FORMATS: dict[str, tuple[ExportFormat, str]] = {
    "PNG files in a zip": ("png", "zip"),
    "npz": ("npz", "npz"),
    "Parquet": ("parquet", "parquet"),
}
_USES: dict[str, PictureUse | None] = {
    "find out": None,
    "preprocess them": "preprocessed",
    "take them as they are": "as they are",
}
_USE_HELP = (
    "Pictures of 28 x 28 pixels that look as MNIST's do are taken as they are; all others go through the same "
    "preprocessing as a drawing."
)
_LABELS_HELP = "Where the digit stands in the names of files, if it is not found. * stands for anything."


def own_digits_button() -> None:
    """The button that opens the dialog, where visitors may add sets."""
    if may_add() and st.button("Your own digits", icon=":material/add_photo_alternate:", type="tertiary"):
        _dialog()


@st.dialog("Your own digits", width="medium")
def _dialog() -> None:
    prepared: PreparedDataset | None = st.session_state.get(_PREPARED)
    with error_box():
        if prepared is None:
            _upload()
            _manage()
        else:
            _look(prepared)


def _upload() -> None:
    st.caption(
        "A zip of pictures, in folders 0 to 9, with the digit in their names, or with a list (file, label); MNIST's "
        "two files; npz, CSV, Parquet, MATLAB. Everybody who uses this server will see the set."
    )
    count = st.session_state.setdefault(_UPLOADS, 0)
    files = st.file_uploader(
        "Files", type=_KINDS, accept_multiple_files=True, label_visibility="collapsed", key=f"own-digits-{count}",
        max_upload_size=_MOST_MEGABYTES,
    )  # fmt: skip
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        use = st.selectbox("The pictures", list(_USES), width=220, help=_USE_HELP)
        labels = st.text_input("The digit in file names", placeholder="{label}_*", width=220, help=_LABELS_HELP)
        read = st.button("Read", icon=":material/search:", disabled=not files)
    if read and files:
        try:
            st.session_state[_PREPARED] = _prepared(files, labels=labels or None, use=_USES[use])
        except ValueError as error:
            st.error(plain(str(error)))
            return
        st.rerun(scope="fragment")


def _prepared(files: list[UploadedFile], *, labels: str | None, use: PictureUse | None) -> PreparedDataset:
    """The digits in the uploaded files.

    Raises:
        DatasetError: they cannot be used.
        ValueError: `labels` is not a template.
    """
    with temporary_folder() as folder:
        paths = [folder / Path(file.name).name for file in files]
        for path, file in zip(paths, files, strict=True):
            path.write_bytes(file.getbuffer())
        words = st.empty()
        for step in prepare_dataset(paths[0] if len(paths) == 1 else folder, labels=labels, use=use):
            if isinstance(step, PreparedDataset):
                return step
            words.caption(f":material/hourglass_empty: {step.taken:,} digits read ...")
    raise AssertionError("prepare_dataset ends with the digits, or raises")


def _look(prepared: PreparedDataset) -> None:
    """What stands out, before it is kept."""
    dataset = prepared.dataset
    images, _ = map_images(dataset, prepared.folder)
    look = _first_look(prepared)
    use = "as they are" if dataset.use == "as they are" else "preprocessed as drawings are"
    st.markdown(f"**{dataset.digits:,} digits** of {plain(dataset.source)}, {use}.")
    for warning in _warnings(prepared, look):
        st.warning(warning, icon=":material/warning:")
    st.image(_examples(images, look), caption="Up to 20 of each digit, as the models see them.")
    if len(look.near_rows):
        _strip(images, list(look.near_rows.T), "Some that are nearly the same, one below the other.")
    if len(look.odd_rows):
        _strip(images, [look.odd_rows], "Some that may not show one digit.")
    st.caption("How many: " + ", ".join(f"**{digit}** {count:,}" for digit, count in enumerate(look.counts)))
    name = st.text_input("Name of the set", value="", placeholder="my-digits", max_chars=60)
    with st.container(horizontal=True, gap="small"):
        if st.button("Keep", icon=":material/check:", type="primary", disabled=not name):
            _keep(prepared, name)
        if st.button("Discard", icon=":material/close:"):
            discard_dataset(prepared)
            _start_again()
            st.rerun(scope="fragment")


def _strip(images: NDArray[np.uint8], lines: list[NDArray[np.int64]], words: str) -> None:
    """The images at these rows, side by side in each line."""
    strip = np.concatenate([np.concatenate(list(images[rows]), axis=1) for rows in lines])
    st.image(strip, width=strip.shape[1])
    st.caption(words)


def _first_look(prepared: PreparedDataset) -> FirstLook:
    """`look_at`, once for each set."""
    known: tuple[Path, FirstLook] | None = st.session_state.get(_LOOK)
    if known is None or known[0] != prepared.folder:
        with st.spinner("Looking at the digits ..."):
            images, labels = map_images(prepared.dataset, prepared.folder)
            others = [(name, cached_digits(name).images) for name in COMPARED if is_available(name)]
            known = prepared.folder, look_at(images, labels, others=others, oddity=ink_oddity)
        st.session_state[_LOOK] = known
    return known[1]


def _keep(prepared: PreparedDataset, name: str) -> None:
    try:
        keep_dataset(prepared, name, reserved=reserved_names())
    except ValueError as error:
        st.error(plain(str(error)))
        return
    _start_again()
    st.session_state[ADDED_DATASET] = name
    st.rerun()


def _start_again() -> None:
    st.session_state.pop(_PREPARED, None)
    st.session_state.pop(_LOOK, None)
    st.session_state[_UPLOADS] += 1


def _warnings(prepared: PreparedDataset, look: FirstLook) -> list[str]:
    lines = []
    if prepared.left_out:
        some = [f"{plain(name)}: {plain(problem)}" for name, problem in prepared.problems[:_MOST_PROBLEMS]]
        lines.append(f"{prepared.left_out:,} left out, such as " + "; ".join(some))
    return [*lines, *look.remarks()]


def _examples(images: NDArray[np.uint8], look: FirstLook) -> NDArray[np.uint8]:
    """A row of examples for each digit that has any, (R * 28, 20 * 28)."""
    rows = [images[rows] for rows in look.examples.values() if len(rows)]
    return np.concatenate(
        [np.concatenate([*row, *np.zeros((20 - len(row), 28, 28), np.uint8)], axis=1) for row in rows]
    )


def _manage() -> None:
    datasets = {dataset.name: dataset for dataset in own_datasets()}
    if not datasets:
        return
    st.divider()
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        chosen = st.selectbox("Sets that were added", list(datasets), width=240)
        new_name = st.text_input("New name", placeholder=chosen, width=160)
        if st.button("Rename", disabled=not new_name):
            _rename(chosen, new_name)
        if st.button("Remove", icon=":material/delete:"):
            remove_dataset(chosen)
            st.rerun()
    st.caption(_origin(datasets[chosen]))
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        words = st.selectbox("Export as", list(_FORMATS), width=240)
        file_format, suffix = _FORMATS[words]
        st.download_button(
            "Export", lambda: _exported(chosen, file_format), f"{chosen}.{suffix}", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip


def _rename(name: str, new_name: str) -> None:
    try:
        rename_dataset(name, new_name, reserved=reserved_names())
    except ValueError as error:
        st.error(plain(str(error)))
        return
    st.rerun()


def _origin(dataset: OwnDataset) -> str:
    return f"{dataset.digits:,} digits of {plain(dataset.source)}, {dataset.use}, added {dataset.added[:10]}."


def _exported(name: str, file_format: ExportFormat) -> io.BytesIO:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        export_digits(name, path, file_format=file_format)
        return io.BytesIO(path.read_bytes())
