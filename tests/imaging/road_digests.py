"""A program that prints digests of all that the road from a picture to the 28x28 input computes, as JSON.

`python tests/imaging/road_digests.py PICTURES STEP`: digests of so many made pictures of all kinds, and of
every STEP-th pen digit where the strokes are on this machine. The pictures are made of whole numbers alone,
so they are the same on every machine; those saved as JPEG, whose names say so, only with the same JPEG library.
"""

import hashlib
import io
import json
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_info

from digitcore.data.datasets import is_available, load_digits
from digitcore.data.pen_digits import JUDGING_WRITERS, draw_at_random, load_pen_digits
from digitcore.imaging.canvas_json import render_object
from digitcore.imaging.preprocessing import extract_ink, preprocess_ink
from digitcore.imaging.seams import find_parts
from digitcore.imaging.segmentation import find_lines
from digitcore.imaging.strokes import render_strokes

SIDES = (1, 2, 3, 5, 8, 13, 20, 28, 45, 64, 112, 200, 280, 336, 500, 1200)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F")
KINDS = ("clean", "photograph", "ruled", "noise", "soft")


def pictures(count: int) -> Iterator[tuple[str, Image.Image]]:
    """Pictures of all kinds, sizes, modes, polarities and formats, each with its name."""
    for i in range(count):
        generator = np.random.default_rng(i)
        kind, mode = KINDS[i % len(KINDS)], MODES[i // len(KINDS) % len(MODES)]
        side = int(SIDES[generator.integers(len(SIDES))])
        ink = _ink(generator, side)
        grey = _ground(kind, generator, side)
        grey = grey + (255 - grey) * ink // 255 if generator.integers(2) else grey * (255 - ink * 4 // 5) // 255
        if kind == "soft":
            grey = np.asarray(Image.fromarray(grey.astype(np.uint8)).resize((side, max(1, side * 3 // 4))))
        image = _in_mode(grey.astype(np.uint8), mode)
        if i % 3 == 0:
            image = _saved(image, int(generator.integers(50, 96)))
        yield f"{i} {kind} {mode} {side} {image.format or 'unsaved'}", image


def _ink(generator: np.random.Generator, side: int) -> NDArray[np.int64]:
    count = int(generator.integers(1, 4))
    strokes = [generator.integers(side // 6, side - side // 6 + 1, (5, 2)).astype(np.float32) for _ in range(count)]
    return render_strokes(strokes, side=side, brush=max(1, side // int(generator.integers(8, 30)))).astype(np.int64)


def _ground(kind: str, generator: np.random.Generator, side: int) -> NDArray[np.int64]:
    rows, columns = np.mgrid[:side, :side]
    if kind == "clean":
        return np.full((side, side), generator.integers(150, 256), dtype=np.int64)
    if kind == "noise":
        return generator.integers(0, 256, (side, side))
    light = 130 + 90 * rows // side + 30 * columns // side - generator.integers(0, 20, (side, side))
    if kind == "ruled":
        light = np.where(rows % max(4, side // 9) == 0, light * 3 // 4, light)
    return light.clip(0, 255)


def _in_mode(grey: NDArray[np.uint8], mode: str) -> Image.Image:
    image = Image.fromarray(grey)
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32))
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(255 - grey // 3))
        return image.convert(mode)
    return image.convert(mode)


def _saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    if image.mode in ("L", "RGB", "CMYK", "YCbCr"):
        image.save(buffer, "JPEG", quality=quality)
    else:
        image.save(buffer, "TIFF")
    return Image.open(io.BytesIO(buffer.getvalue()))


def _digest_of_picture(image: Image.Image) -> str:
    ink = extract_ink(image)
    digest = hashlib.sha256(ink.tobytes())
    if ink.any():
        stages = preprocess_ink(ink)
        for array in (stages.left_out, stages.fitted, stages.model_input):
            digest.update(array.tobytes())
        for digit in [digit for line in find_lines(ink) for digit in line][:4]:
            digest.update(str(digit.box).encode() + digit.ink.tobytes())
            if max(ink.shape) <= 336:
                digest.update(str([(part.start, part.end, part.digit.box) for part in find_parts(digit)]).encode())
    return digest.hexdigest()


def _digest_of_canvas() -> str:
    """Of strokes on the drawing canvas that were turned, stretched and flipped."""
    digest = hashlib.sha256()
    for i in range(12):
        numbers = np.random.default_rng(i).integers(10, 300, 14).tolist()
        stroke = {
            "type": "Path", "strokeWidth": 6 + i, "left": numbers[0], "top": numbers[1], "angle": 30 * i,
            "scaleX": 1 + i / 7, "scaleY": 1 + i / 9, "flipX": bool(i % 2),
            "path": [["M", *numbers[2:4]], ["Q", *numbers[4:8]], ["Q", *numbers[8:12]], ["L", *numbers[12:14]]],
        }  # fmt: skip
        digest.update(render_object(stroke, side=336, pieces=3).tobytes())
    return digest.hexdigest()


def _digest_of_pen_digits(step: int) -> str:
    generator = np.random.default_rng(0)
    strokes = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS][::step]
    digest = hashlib.sha256()
    for i, digit in enumerate(strokes):
        drawing = draw_at_random(digit, brush=(8, 16, 28)[i % 3], generator=generator)
        digest.update(drawing.tobytes() + preprocess_ink(drawing).model_input.tobytes())
    return digest.hexdigest()


def main() -> None:
    """Prints the digests and what computed them."""
    count, step = (int(argument) for argument in sys.argv[1:])
    digests = {name: _digest_of_picture(image) for name, image in pictures(count)}
    digests["canvas"] = _digest_of_canvas()
    digests["uci-digits"] = load_digits("uci-digits").digest
    if is_available("pen-digits"):
        digests["pen-digits"] = _digest_of_pen_digits(step)
    libraries = [library for library in threadpool_info() if library["internal_api"] == "openblas"]
    architectures = sorted({library["architecture"] for library in libraries})
    threads = sorted({library["num_threads"] for library in libraries})
    features = np.show_config(mode="dicts")["SIMD Extensions"]  # type: ignore[call-overload]
    print(json.dumps({"digests": digests, "architectures": architectures, "threads": threads, "simd": features}))


if __name__ == "__main__":
    main()
