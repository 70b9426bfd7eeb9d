"""Takes the pictures of the draw page in docs/ anew, from a dashboard of its own: `python -m tests.pictures`."""

import io
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.browser.conftest import DrawPage, idle, installed_browser, new_context, running_dashboard
from tests.paths import ROOT

STILL, MOVING = ROOT / "docs" / "draw.png", ROOT / "docs" / "draw.gif"
_WINDOW = (1280, 880)
_WIDTH = 960  # pixels of the moving picture
_COLOURS = 128
_STEP_MS, _REST_MS, _LAST_MS = 90, 900, 2500  # how long a frame stands: of a stroke, after it, at the end
_STEP = 22  # pixels of the canvas between two frames

# A 4 in two strokes, and a 2 that makes it a number; in pixels of a canvas of 336.
_STROKES = [
    [(62, 78), (56, 110), (48, 145), (40, 180), (60, 182), (90, 182), (132, 180)],
    [(104, 110), (102, 160), (100, 210), (98, 262)],
    [(190, 120), (204, 95), (232, 80), (264, 90), (280, 112), (274, 142), (258, 172), (230, 208), (194, 248),
     (240, 250), (296, 248)],
]  # fmt: skip


def frames(draw_page: DrawPage) -> Iterator[tuple[bytes, int]]:
    """Screenshots as PNG while the strokes are drawn, each with how long it stands, in milliseconds."""
    yield _screenshot(draw_page.page), _REST_MS
    for count, stroke in enumerate(_STROKES, start=1):
        start, *others = draw_page.in_window(_in_steps(stroke))
        draw_page.page.mouse.move(*start)
        draw_page.page.mouse.down()
        for point in others:
            draw_page.page.mouse.move(*point)
            yield _screenshot(draw_page.page), _STEP_MS
        draw_page.page.mouse.up()
        draw_page.wait_for_strokes(count)
        idle(draw_page.page)
        yield _screenshot(draw_page.page), _LAST_MS if count == len(_STROKES) else _REST_MS


def _in_steps(points: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """The points of a stroke and others between them, none further apart than a step."""
    steps: list[tuple[float, float]] = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        count = max(1, round(max(abs(x1 - x0), abs(y1 - y0)) / _STEP))
        steps += [(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(1, count + 1)]
    return steps


def _screenshot(page: Page) -> bytes:
    return page.screenshot(animations="disabled", caret="hide")


def write_moving_picture(pictures: list[tuple[bytes, int]], path: Path) -> None:
    """Writes PNGs with their times as one GIF, reduced and with few colours."""
    images = [Image.open(io.BytesIO(png)).convert("RGB") for png, _ in pictures]
    size = (_WIDTH, round(images[0].height * _WIDTH / images[0].width))
    images = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
    palette = _stacked(images[:: max(1, len(images) // 4)]).quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    times = [time for _, time in pictures]
    first.save(path, save_all=True, append_images=others, duration=times, loop=0, optimize=True)


def _stacked(images: list[Image.Image]) -> Image.Image:
    """One above the other, so that they share a palette."""
    width, height = images[0].size
    stack = Image.new("RGB", (width, height * len(images)))
    for i, image in enumerate(images):
        stack.paste(image, (0, height * i))
    return stack


def main() -> None:
    """Draws in a browser, and writes both pictures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_dashboard(Path(folder)) as address,
        installed_browser() as browser,
    ):
        width, height = _WINDOW
        context = new_context(browser, width=width, height=height)
        pictures = list(frames(DrawPage(context.new_page()).open(address)))
        context.close()
    Image.open(io.BytesIO(pictures[-1][0])).quantize(256).save(STILL, optimize=True)
    write_moving_picture(pictures, MOVING)


if __name__ == "__main__":
    main()
