"""A sheet on paper: printed, filled in, photographed; its digits are looked through and kept."""

import io

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from digitcore.errors import ImageError
from digitcore.imaging.preprocessing import read_image
from digitcore.imaging.sheet import COLUMNS, Paper, sheet_pdf
from digitcore.imaging.sheet_digits import SheetDigit, read_sheet
from digitcore.store.handwriting import LONGEST_WRITER, HandwrittenDigit, new_key
from digitcore.text import plain
from pages.shared.error_box import error_box
from pages.shared.gallery import Tile, gallery, tile_sheet
from pages.shared.keeping import may_keep, writer
from pages.shared.notebook import opened_notebook
from pages.shared.pickers import picked_classifier
from pages.shared.resources import handwriting_store

_PAPERS = {"A4": Paper.A4, "US Letter": Paper.LETTER}
_KINDS = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp"]
_LEFT_OUT = "leave out"
_READ, _CHANGES, _PICKED, _LABEL = "paper-read", "paper-changes", "paper-picked", "paper-label"
_UPLOADS, _KEPT = "paper-uploads", "paper-kept"


def paper_view() -> None:
    """The sheet to print, the photograph of a filled one, and its digits."""
    if not may_keep():
        st.info("This server keeps no handwriting.", icon=":material/edit_off:")
        return
    _print()
    _photograph()
    if _KEPT in st.session_state:
        st.success(st.session_state.pop(_KEPT), icon=":material/check_circle:")
    if st.session_state.get(_READ):
        _look_through()


def _print() -> None:
    st.markdown("Print the sheet, write each small digit into its box, and take a picture of it.")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        paper = st.segmented_control("Paper", list(_PAPERS), default="A4", required=True, key="paper-size")
        st.download_button(
            "Sheet to print", lambda: sheet_pdf(_PAPERS[paper]), "digits.pdf", "application/pdf",
            icon=":material/print:",
        )  # fmt: skip


def _photograph() -> None:
    """Takes a file, and has its digits in the session state."""
    count = st.session_state.setdefault(_UPLOADS, 0)
    file = st.file_uploader(
        "Photograph of the sheet", type=_KINDS, key=f"paper-photograph-{count}",
        help="From above, the whole sheet in the picture, flat and sharp. A scan does as well.",
    )  # fmt: skip
    known = st.session_state.get(_READ)
    if file is None:
        st.session_state.pop(_READ, None)
    elif known is None or known[0] != file.file_id:
        st.session_state.pop(_READ, None)
        st.session_state.update({_CHANGES: {}, _PICKED: None})
        with error_box(), st.spinner("Reading the sheet ..."):
            st.session_state[_READ] = file.file_id, _digits_of(file)


def _digits_of(file: UploadedFile) -> list[SheetDigit]:
    """The digits on the sheet in a file.

    Raises:
        ImageError: there is no such sheet, or nothing is written on it.
    """
    digits = read_sheet(read_image(file.getvalue(), name=file.name), name=file.name)
    if not digits:
        raise ImageError(f"{file.name} shows an empty sheet: write into its boxes with a dark pen.")
    return digits


@st.fragment
def _look_through() -> None:
    """A fragment, so that a correction reruns this and nothing else."""
    digits: list[SheetDigit] = st.session_state[_READ][1]
    changes: dict[int, int | str] = st.session_state[_CHANGES]
    with error_box():
        images = np.array([digit.model_input for digit in digits])
        answers = _answers(images)
        labels = [changes.get(_place(digit), digit.label) for digit in digits]
        st.markdown(f"**{len(digits)}** digits. {_score(answers, labels)}")
        st.caption("Dashed: another answer. Click a digit that is not what stands below it.")
        tiles = [_tile(*row) for row in zip(digits, labels, answers, strict=True)]
        picked: int | None = st.session_state.get(_PICKED)
        gallery(tiles, tile_sheet(images), picked=picked, picks=_PICKED, key="paper-gallery", follow=False)
        if picked is not None:
            _correct(picked, changes, next(digit.label for digit in digits if _place(digit) == picked))
        _offer(digits, labels, answers)


def _answers(images: NDArray[np.uint8]) -> list[int | None]:
    """What the picked model reads in each of the digits; None where it is a table of answers, which reads nothing."""
    classifier = picked_classifier()
    if not classifier.checkpoint.metadata.has_network:
        return [None] * len(images)
    return [int(answer) for answer in classifier.logits(images).argmax(axis=1)]


def _score(answers: list[int | None], labels: list[int | str]) -> str:
    """How many the picked model reads right, in words."""
    name = plain(picked_classifier().checkpoint.name)
    if None in answers:
        return f"{name} is a table of answers and reads none of them."
    right = sum(answer == label for answer, label in zip(answers, labels, strict=True))
    return f"{name} reads {right} of {sum(isinstance(label, int) for label in labels)} right."


def _place(digit: SheetDigit) -> int:
    return digit.row * COLUMNS + digit.column


def _tile(digit: SheetDigit, label: int | str, answer: int | None) -> Tile:
    where = f"row {digit.row + 1}, box {digit.column + 1}"
    if label == _LEFT_OUT:
        return Tile(_place(digit), "✕", f"{where}: left out")
    if answer is None:
        return Tile(_place(digit), str(label), f"{where}: true digit {label}")
    caption = str(label) if label == answer else f"{label}→{answer}"
    return Tile(_place(digit), caption, f"{where}: true digit {label}, answer {answer}", marked=label != answer)


def _correct(picked: int, changes: dict[int, int | str], label: int) -> None:
    """What the picked digit is, to be changed by a click."""
    st.pills(
        "This is a", [*range(10), _LEFT_OUT], default=changes.get(picked, label), required=True,
        key=f"{_LABEL}-{picked}", on_change=_change, args=(picked,),
    )  # fmt: skip


def _change(picked: int) -> None:
    st.session_state[_CHANGES][picked] = st.session_state[f"{_LABEL}-{picked}"]


def _offer(digits: list[SheetDigit], labels: list[int | str], answers: list[int | None]) -> None:
    """The writer's name, and the button that keeps what was not left out."""
    count = sum(isinstance(label, int) for label in labels)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        name = st.text_input(
            "Name (any, or none)", value=writer(), key="paper-writer", max_chars=LONGEST_WRITER, width=240
        )
        pressed = st.button(
            f"Keep {count} digits", icon=":material/check:", type="primary", key="keep-sheet", disabled=count == 0
        )
    if pressed:
        handwriting_store().add(opened_notebook(), _handwritten(digits, labels, answers, name))
        st.session_state.pop(_READ)
        st.session_state[_UPLOADS] += 1
        st.session_state[_KEPT] = f"{count} digits are in your notebook."
        st.rerun()


def _handwritten(
    digits: list[SheetDigit], labels: list[int | str], answers: list[int | None], name: str
) -> list[HandwrittenDigit]:
    """The digits that are kept, all of one session."""
    printable = "".join(character for character in name if character.isprintable()).strip()
    session = new_key()
    checkpoint = None if None in answers else picked_classifier().checkpoint.digest
    return [
        HandwrittenDigit(
            picture=digit.model_input,
            label=label,
            source="sheet",
            writer=printable,
            session=session,
            answer=answer,
            checkpoint=checkpoint,
            ink=_png(digit.ink),
        )
        for digit, label, answer in zip(digits, labels, answers, strict=True)
        if isinstance(label, int)
    ]


def _png(ink: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ink).save(buffer, format="PNG")
    return buffer.getvalue()
