"""Figures of panels of a given size, written as PNG without white margins.

matplotlib's layouts measure every label three times, a third of the time that a small figure takes. Here the panels
have a fixed size, the margins are wider than any label, and what stays white is cut off: panels have the same size in
every run, whatever stands beside them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from membrane.files.durable import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
MARGIN = 1.0
"""Inches around the panels: more than their ticks and titles need."""
WHITE_MARGIN = 6
"""White pixels that are kept around the content."""


def panels(
    width: float,
    height: float,
    *,
    lines: int = 1,
    columns: int = 1,
    across: float = 1.1,
    down: float = 0.35,
    margin: float = 0.0,
) -> tuple["Figure", np.ndarray]:
    """Create a figure and its axes [lines,columns], each of ``width`` by ``height`` inches.

    Arguments:
        width: of each panel, in inches, as all lengths here.
        height: of each panel.
        lines: panels above one another.
        columns: panels beside one another.
        across: between two columns; the default has room for ticks, a label and short names.
        down: between two lines; the default has room for a title.
        margin: added on all sides for the longest name beside a panel, if any stands there.
    """
    from matplotlib.figure import Figure

    margin += MARGIN
    whole = columns * (width + across) - across + 2 * margin, lines * (height + down) - down + 2 * margin
    figure = Figure(figsize=whole, dpi=DPI)
    x, y = margin / whole[0], margin / whole[1]
    edges = {"left": x, "right": 1 - x, "bottom": y, "top": 1 - y}
    gaps = {"wspace": across / width, "hspace": down / height}
    return figure, figure.subplots(lines, columns, squeeze=False, gridspec_kw=edges | gaps)


def place_labels(axes: "Axes", under: float = 0.31, beside: float = 0.31) -> None:
    """Place labels at fixed distances from their axes, in inches; to place them itself matplotlib measures every tick.

    For the same reason titles are given a height, ``y=1``.
    """
    width, height = (extent / DPI for extent in axes.bbox.size)
    axes.xaxis.set_label_coords(0.5, -under / height)
    axes.yaxis.set_label_coords(-beside / width, 0.5)


def width_of(names: Iterable[str]) -> float:
    """Return an upper bound in inches of the names' width in 9.5 pt: an em for each letter."""
    return 9.5 / 72 * max(map(len, names))


def label_all(figure: "Figure", grid: np.ndarray, x: str, y: str) -> None:
    """Write one label under all panels and one to their left, half an inch away."""
    left, right = (box.get_position() for box in (grid[-1, 0], grid[0, -1]))
    width, height = figure.get_size_inches()
    centre = (left.x0 + right.x1) / 2, (left.y0 + right.y1) / 2
    figure.text(centre[0], left.y0 - 0.32 / height, x, ha="center", va="top", fontsize=10)
    figure.text(left.x0 - 0.55 / width, centre[1], y, ha="right", va="center", rotation="vertical", fontsize=10)


def write_png(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG without its white margins."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    ink = drawn.view(np.uint32)[..., 0] != np.iinfo(np.uint32).max  # four bytes of 255: white
    rows, columns = (content_slice(np.flatnonzero(ink.any(axis))) for axis in (1, 0))
    picture = Image.fromarray(drawn[rows, columns, :3])
    write_whole(path, lambda file: picture.save(file, format="PNG", dpi=(DPI, DPI), compress_level=3))


def content_slice(inked: np.ndarray) -> slice:
    """Return the slice from a margin before the first of the sorted indices to a margin after the last."""
    return slice(max(int(inked[0]) - WHITE_MARGIN, 0), int(inked[-1]) + WHITE_MARGIN + 1) if len(inked) else slice(None)
