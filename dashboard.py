"""The front door: one server for the pages and the HTTP API.

`streamlit run dashboard.py` imports this file for `app`, and runs it as `__main__` for each visitor.
"""

import streamlit as st

# A 4, from here: Streamlit's own icons would be fetched from another server.
_ICON = """<svg viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2f74c8"/>
<path d="M12 7 L9 18 H23 M19 11 V26" fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round"/></svg>"""

if __name__ == "__main__":
    from pages.shared.about import about_button
    from pages.shared.error_box import error_box
    from pages.shared.pickers import checkpoint_picker, dataset_picker
    from pages.shared.state import CHECKPOINT
    from pages.shared.templates import load_styles

    st.set_page_config(page_title="Digit workbench", page_icon=_ICON, layout="wide")
    page = st.navigation(
        [
            st.Page("pages/draw.py", title="Draw", icon=":material/draw:", default=True),
            st.Page("pages/accuracy.py", title="Accuracy", icon=":material/target:"),
            st.Page("pages/confusion.py", title="Confusion matrix", icon=":material/grid_on:"),
            st.Page("pages/errors.py", title="Misclassified digits", icon=":material/image_search:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        ]
    )
    load_styles()
    with error_box():
        with st.sidebar:
            checkpoint_picker()
            about_button(st.session_state.get(CHECKPOINT), label="About this checkpoint", key="about", quiet=True)
            dataset_picker()
            st.caption("HTTP API: [documentation](/docs)")
        page.run()
else:
    import threading

    from streamlit.runtime.pages_manager import PagesManager

    from digitcore.models.library import shared_library
    from digitcore.serving.api import routes
    from digitcore.settings import load_settings

    def prepare() -> None:
        """Does what the first visitor would have to wait for."""
        import digitcore.reports.charts  # noqa: F401

        shared_library(load_settings().weights_directory).entries()
        import captum.attr  # noqa: F401

    # Until st.navigation has run once, Streamlit takes a folder named pages for its older kind of multipage app, in
    # which the first visitor's address of any page but the first would run that page without this file.
    PagesManager.uses_pages_directory = False
    threading.Thread(target=prepare, daemon=True).start()
    app = st.App(__file__, routes=routes())
