"""Handwritten-digit recognition: a picture in, a digit out, and honest figures about how often that is right.

>>> import numpy as np
>>> from digitcore import load_classifier
>>> classifier = load_classifier("compact")
>>> drawing = np.zeros((280, 280), dtype=np.uint8)
>>> drawing[40:240, 130:150] = 255
>>> classifier.predict(drawing).digit
1
"""

import lazy_loader

# Each name is imported when it is asked for: torch takes seconds, and errors and settings do not need it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
