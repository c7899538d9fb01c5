"""Figures as a reader sees them, for tests."""

import csv
import io

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

COLUMNS = "epoch,step,seconds,lr,train/loss,train/acc,val/loss,val/acc,rate/a.spikes,rate/b.spikes"
ROWS = """
0,1,1,0.1,2.0,0.2,,,,
0,2,2,0.1,1.0,0.4,,,,
0,2,3,0.1,,,1.6,0.35,0.25,0
1,3,4,0.1,0.8,0.6,,,,
1,4,5,0.1,0.6,0.8,,,,
1,4,6,0.1,,,1.1,0.65,0.125,0.995
2,5,7,0.1,0.5,0.9,,,,
2,6,8,0.1,,,0.9,0.55,0.0625,0.5
"""
"""A metrics.csv of three epochs, worked out by hand."""


def rows() -> list[dict[str, float]]:
    """Return the rows of that metrics.csv, each without its empty cells."""
    lines = csv.DictReader([COLUMNS, *ROWS.split()])
    return [{name: float(cell) for name, cell in line.items() if cell} for line in lines]


def curve(axes: Axes, label: str) -> dict[float, float]:
    """Return epoch → value of the line with that label."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return {float(x): float(y) for x, y in line.get_xydata()}


def texts(figure: Figure) -> list[str]:
    """Return all that is written."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


def whole(figure: Figure, dpi: int = 150) -> np.ndarray:
    """Return the figure with its margins as matplotlib saves it [h,w,3], 1 where it is white."""
    saved = io.BytesIO()
    figure.savefig(saved, dpi=dpi)
    saved.seek(0)
    return np.asarray(matplotlib.image.imread(saved))[..., :3]


def size_in_inches(axes: Axes) -> tuple[float, float]:
    """Return a panel's width and height."""
    box, figure = axes.get_position(), axes.get_figure()
    assert figure is not None
    width, height = figure.get_size_inches()
    return round(box.width * width, 6), round(box.height * height, 6)


def gaps_in_inches(figure: Figure) -> tuple[float, float]:
    """Return the distance of the first panel from the one to its right, and from the one below; 0 if there is none."""
    width, height = figure.get_size_inches()
    first, *others = [axes.get_position() for axes in figure.axes]
    across = min((box.x0 - first.x1 for box in others if box.x0 > first.x0), default=0.0)
    down = min((first.y0 - box.y1 for box in others if box.y0 < first.y0), default=0.0)
    return round(across * width, 6), round(down * height, 6)


def title_is_above(axes: Axes) -> bool:
    """Return whether a panel's titles stand directly above it."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    written = {axes.get_title(loc=side) for side in ("left", "center", "right")} - {""}
    titles = [text for text in axes.get_children() if isinstance(text, Text) and text.get_text() in written]
    above = [text.get_window_extent().y0 - axes.bbox.y1 for text in titles]
    return len(above) == len(written) > 0 and all(0 <= distance < 0.15 * figure.dpi for distance in above)


def is_cut(figure: Figure) -> bool:
    """Return whether ink reaches the edge of the whole figure."""
    image = whole(figure, dpi=60)
    return any((edge < 1).any() for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]))
