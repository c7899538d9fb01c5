"""One recording of an event camera."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Events(NamedTuple):
    """One recording: t [n] in µs, x [n] (column), y [n] (row), p [n] (polarity: 0 OFF, 1 ON); any integer type."""

    t: NDArray[np.integer]
    x: NDArray[np.integer]
    y: NDArray[np.integer]
    p: NDArray[np.integer]
