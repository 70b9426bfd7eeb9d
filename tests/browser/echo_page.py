"""The bare canvas, which echoes a number for each drawing: the yardstick of `test_latency`."""

import streamlit as st
from streamlit_drawable_canvas import st_canvas

drawing = st_canvas(key="canvas", width=336, height=336, stroke_width=24, return_image_data=True)
strokes = len((drawing.json_data or {"objects": []})["objects"])
st.html(f'<div class="digit-bars"><span class="track" title="{strokes}">{strokes}</span></div>')
