"""Tables to download."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from digitcore.text import csv_cell


def csv_button(label: str, table: Callable[[], pd.DataFrame], file_name: str, *, disabled: bool = False) -> None:
    """A button that downloads a table, without its index, as a CSV file; it is made when the button is pressed."""
    st.download_button(label, lambda: as_csv(table()), file_name, icon=":material/download:", disabled=disabled)


def as_csv(table: pd.DataFrame) -> str:
    """A table as CSV (RFC 4180), without its index; no cell of it is a formula."""
    return table.rename(columns=csv_cell).map(csv_cell).to_csv(index=False, lineterminator="\r\n")
