"""The front door: one server for the pages and the HTTP API.

`streamlit run dashboard.py` imports this file for `app`, and runs it as `__main__` for each visitor.
"""

import streamlit as st

if __name__ == "__main__":
    from pages.shared.about import about_button
    from pages.shared.error_box import error_box
    from pages.shared.logo import NAME, icon, show_logo
    from pages.shared.notebook import open_notebook
    from pages.shared.pickers import model_picker, picked_figures, set_picker
    from pages.shared.state import CHECKPOINT
    from pages.shared.templates import load_styles

    # Before the navigation, for which the browser would fetch the page's icon from another server.
    st.set_page_config(page_icon=icon(), layout="wide")
    page = st.navigation(
        [
            st.Page("pages/draw.py", title="Draw", icon=":material/draw:", default=True),
            st.Page("pages/accuracy.py", title="Accuracy", icon=":material/target:"),
            st.Page("pages/confusion.py", title="Confusion matrix", icon=":material/grid_on:"),
            st.Page("pages/errors.py", title="Browse digits", icon=":material/image_search:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("pages/handwriting.py", title="Handwriting", icon=":material/edit_note:"),
        ]
    )
    st.set_page_config(page_title=f"{page.title} · {NAME}")
    show_logo()
    load_styles()
    open_notebook()
    with error_box():
        with st.sidebar:
            model_picker()
            about_button(st.session_state.get(CHECKPOINT), label="About this model", key="about", quiet=True)
            set_picker()
            picked_figures()
            st.caption("HTTP API: [documentation](docs)")
        page.run()
else:
    import logging
    import threading
    import time
    from pathlib import Path

    from starlette.middleware import Middleware
    from streamlit.runtime.pages_manager import PagesManager

    from digitcore.evaluation.evaluation import evaluation_folders
    from digitcore.evaluation.timing import timing_folder
    from digitcore.files import remove_leftovers, remove_temporary_folders
    from digitcore.models.library import shared_library
    from digitcore.serving.api import routes
    from digitcore.serving.guard import Guard, LeavingVisitors, names_of
    from digitcore.serving.headers import SecurityHeaders, page_policy
    from digitcore.serving.load import ArrivalLimit, avoid_pauses
    from digitcore.settings import load_settings

    def prepare() -> None:
        """Does what visitors would have to wait for: what the first page needs, and what others do once that stands."""
        for folder in (settings.weights_directory, *evaluation_folders(), timing_folder()):
            remove_leftovers(folder)
        remove_temporary_folders()
        shared_library(load_settings().weights_directory).entries()
        time.sleep(first_page)
        import captum.attr  # noqa: F401

        import digitcore.reports.charts  # noqa: F401

        avoid_pauses()

    # Until st.navigation has run once, Streamlit takes a folder named pages for its older kind of multipage app, in
    # which the first visitor's address of any page but the first would run that page without this file.
    PagesManager.uses_pages_directory = False
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings()
    first_page = 5  # seconds in which it has the processor to itself
    threading.Thread(target=prepare, daemon=True).start()
    base = st.get_option("server.baseUrlPath").strip("/")
    root_path = f"/{base}" if base else ""
    hosts = settings.allowed_hosts or names_of(st.get_option("server.address"))
    policy = page_policy((Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8"))
    app = st.App(
        __file__,
        routes=routes(root_path),
        middleware=[
            Middleware(SecurityHeaders, policy=policy),
            Middleware(ArrivalLimit, seconds=settings.max_arrival_seconds),
            Middleware(Guard, hosts=hosts, origins=settings.allowed_origins),
            Middleware(LeavingVisitors),
        ],
    )
