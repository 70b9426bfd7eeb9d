"""The notebook as files, from files, on another device, and deleted."""

import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import segno
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from digitcore.data.exported_digits import ExportFormat, export_handwriting
from digitcore.data.handwriting_files import ImportedHandwriting, read_handwriting
from digitcore.files import temporary_folder
from digitcore.settings import load_settings
from digitcore.store.handwriting import Handwriting
from digitcore.training.fine_tuning_jobs import remove_job
from pages.parts.handwriting.change import delete_digits
from pages.parts.handwriting.lesson import forget_lesson
from pages.shared.error_box import error_box
from pages.shared.keeping import may_keep
from pages.shared.notebook import NOTEBOOK, change_notebook, notebook, notebook_before, opened_notebook
from pages.shared.resources import handwriting_store
from pages.shared.templates import show_template

_FORMATS: dict[str, tuple[ExportFormat, str]] = {
    "PNG files and a CSV table": ("png", "zip"),
    "IDX, as MNIST has": ("idx", "zip"),
    "npz": ("npz", "npz"),
}
_KINDS = ["zip", "gz", "npz", "csv", "parquet"]
_NEWS = "imported-news"
_MOST_MEGABYTES = 50


def swap_tools(written: Handwriting | None) -> None:
    """A row of tools; None: there is nothing yet that could be exported."""
    with st.container(horizontal=True, gap="small"):
        if written is not None:
            export_tool(written)
        if may_keep():
            _import()
        if written is not None:
            _elsewhere()
            _delete_all(written)
        before = notebook_before()
        if before is not None:
            st.button(
                "Notebook before", icon=":material/swap_horiz:", key="notebook-before-button",
                on_click=change_notebook, args=(before,), help="The one that this browser had opened before this one.",
            )  # fmt: skip
    if _NEWS in st.session_state:
        st.success(st.session_state.pop(_NEWS), icon=":material/check:")


def export_tool(written: Handwriting) -> None:
    """A popover that saves these digits as files."""
    with st.popover("Export", icon=":material/download:"):
        words = st.selectbox("As", list(_FORMATS), key="export-as")
        file_format, suffix = _FORMATS[words]
        st.download_button(
            "Save", lambda: _exported(written, file_format), f"handwriting-{file_format}.{suffix}",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.caption("Writers and sittings are in it: another workbench can import it.")


def _exported(written: Handwriting, file_format: ExportFormat) -> io.BytesIO:
    with TemporaryDirectory() as name:
        output = Path(name) / "handwriting"
        export_handwriting(written, output, file_format=file_format)
        if output.is_dir():
            output = Path(shutil.make_archive(str(output), "zip", output))
        return io.BytesIO(output.read_bytes())


def _import() -> None:
    with st.popover("Import", icon=":material/upload:"):
        files = st.file_uploader(
            "What was exported, or other labelled pictures", type=_KINDS, accept_multiple_files=True,
            key="import-files", max_upload_size=_MOST_MEGABYTES,
        )  # fmt: skip
        if st.button("Add them", icon=":material/add:", key="add-imported", disabled=not files) and files:
            with error_box():
                imported = _read(files)
                handwriting_store().add(opened_notebook(), imported.digits)
                st.session_state[_NEWS] = _in_words(imported)
                st.rerun()


def _read(files: list[UploadedFile]) -> ImportedHandwriting:
    with temporary_folder() as folder:
        paths = [folder / Path(file.name).name for file in files]
        for path, file in zip(paths, files, strict=True):
            path.write_bytes(file.getbuffer())
        known = handwriting_store().load(opened_notebook())
        most = load_settings().max_notebook_digits
        return read_handwriting(paths[0] if len(paths) == 1 else folder, known=known, most=most)


def _in_words(found: ImportedHandwriting) -> str:
    words = f"{len(found.digits):,} digits added."
    if found.known:
        words += f" {found.known:,} were here already."
    return words + (f" {found.left_out:,} could not be used." if found.left_out else "")


def _elsewhere() -> None:
    with st.popover("Open elsewhere", icon=":material/devices:"):
        address = (st.context.url or "http://localhost:8501/handwriting").split("?")[0]
        link = f"{address}?{urlencode({NOTEBOOK: notebook() or ''})}"
        code = segno.make(link, error="l", micro=False)
        show_template("share.html", address=code.svg_data_uri(border=4, light="white", omitsize=True))
        st.code(link, None, wrap_lines=True)
        st.caption("Whoever has this link can see and change what you have written.")


def _delete_all(written: Handwriting) -> None:
    with st.popover("Delete all", icon=":material/delete_forever:"):
        st.caption(f"All {len(written):,} digits of this notebook.")
        if st.button("Delete them", icon=":material/delete_forever:", key="delete-all"):
            delete_digits(written.ids.tolist())
            remove_job(notebook() or "")  # a fine-tuning has a copy of them
            forget_lesson(notebook() or "")
            st.rerun()
