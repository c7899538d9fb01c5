"""Levels to spikes: where a signal crosses a threshold above or below the last one that it crossed."""

import numpy as np
from numpy.typing import NDArray


def threshold_crossings(levels: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Count crossings in levels [F,bands] → [F,2,bands], up and down.

    Thresholds are the multiples of ``threshold``. What was reached, 0 at first, moves by as many thresholds as lie
    between it and the signal, so that a signal that wavers about one of them crosses it once. Spikes up minus spikes
    down, summed up to a frame, times the threshold, are within a threshold of the signal. Send-on-delta: Miskowicz
    2006, Sensors 6.
    """
    crossings = np.zeros((len(levels), 2, levels.shape[1]), np.int64)
    reached = np.zeros(levels.shape[1])
    for frame, level in enumerate(levels / threshold):
        steps = np.trunc(level - reached).astype(np.int64)
        reached += steps
        crossings[frame] = np.maximum(steps, 0), np.maximum(-steps, 0)
    return crossings
