"""Image processing: pixels and strokes, from a picture to the 28x28 input."""
