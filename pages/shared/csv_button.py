"""Tables to download."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from digitcore.reports.tables import as_csv


def csv_button(label: str, table: Callable[[], pd.DataFrame], file_name: str, *, disabled: bool = False) -> None:
    """A button that downloads a table, without its index, as a CSV file; it is made when the button is pressed."""
    st.download_button(label, lambda: as_csv(table()), file_name, icon=":material/download:", disabled=disabled)
