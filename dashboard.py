"""The front door: one server for the pages and the HTTP API.

`streamlit run dashboard.py` imports this file for `app`, and runs it as `__main__` for each visitor.
"""

import streamlit as st

if __name__ == "__main__":
    from pages.shared.panels import checkpoint_picker, error_box

    st.set_page_config(page_title="Digit workbench", page_icon=":material/draw:", layout="wide")
    page = st.navigation([st.Page("pages/draw.py", title="Draw", icon=":material/draw:", default=True)])
    with error_box():
        with st.sidebar:
            checkpoint_picker()
            st.caption("HTTP API: [documentation](/docs)")
        page.run()
else:
    from digitcore.api import routes

    app = st.App(__file__, routes=routes())
