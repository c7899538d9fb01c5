"""Values that an encoder clips: told of the training part, before training."""

import logging
import math
from collections.abc import Callable

import torch

from membrane.data.feed.part import Part
from membrane.learner import Learner

log = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Share of the distance between the bounds by which roundings may lie outside."""


def warn_of_clipping(learner: Learner, part: Part) -> None:
    """Warn if the encoder clips values of the training part.

    Values are those that evaluation sees; what augmentations for training alone put outside is clipped unnoticed.
    """
    bounds = None if learner.encoding is None else learner.encoding.encoder.bounds
    if bounds is None:
        return
    share, least, most = clipped_share(learner, part, bounds)
    if not share:
        return
    shown = f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"
    clipped = f"{shown} of the training values lie outside encoder.bounds=[{bounds[0]:g},{bounds[1]:g}] and are clipped"
    way_out = f"encoder.bounds=[{rounded(least, most, math.floor)},{rounded(most, least, math.ceil)}] takes all"
    log.warning("encoder: %s: %s", clipped, way_out)


def clipped_share(learner: Learner, part: Part, bounds: tuple[float, float]) -> tuple[float, float, float]:
    """Return the share of the part's values outside the bounds, the least and the largest value."""
    low, high = bounds
    margin = TOLERANCE * (high - low)
    outside, count, least, most = 0, 0, low, high
    for piece in part.valid_x():
        x = learner.augmented_in_evaluation(piece.float() * part.scale).x
        outside += int(((x < low - margin) | (x > high + margin)).sum())
        count += x.numel()
        lowest, highest = torch.aminmax(x)
        least, most = min(least, lowest.item()), max(most, highest.item())
    return outside / count, least, most


def rounded(value: float, other: float, outwards: Callable[[float], int]) -> str:
    """Return a bound with the digits that two bounds need to be told apart, and two more, rounded ``outwards``."""
    digits = 2 - math.floor(math.log10(abs(value - other)))
    return f"{outwards(value * 10.0**digits) / 10.0**digits:g}"
