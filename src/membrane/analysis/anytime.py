"""Answers before all timesteps are over: the readout of every prefix of T, its confidence, and where to stop.

The outputs of a network at t do not depend on what comes later, unless a layer mixes timesteps: then the readout of
the first T′ outputs is the prediction that T′ timesteps give, and one pass measures all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from membrane.framework import require_tensor
from membrane.readout import Readout

LEVELS = 33
"""Thresholds that are tried: quantiles of the margins, equally far apart."""


@dataclass(frozen=True)
class ExitPoint:
    """A threshold of the margin, None for never, with mean passes per sample and the accuracy that result from it."""

    threshold: float | None
    passes: float
    acc: float


def prefix_predictions(readout: Readout, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Read out each prefix of outputs [T,N,K] → predictions [T,N,K]; row t is of the first t + 1 timesteps.

    ``lengths`` [N] are the valid timesteps: behind them a sample keeps its last prediction. None: all.
    """
    until = range(1, len(outputs) + 1)
    clamped = (None if lengths is None else lengths.clamp(max=steps) for steps in until)
    pairs = zip(until, clamped, strict=True)
    return torch.stack([require_tensor(readout(outputs[:steps], valid)) for steps, valid in pairs])


def confidences(predictions: Tensor) -> Tensor:
    """Return softmax(predictions) over the classes in float64 [T,N,K]: what cross-entropy takes for probabilities."""
    return predictions.double().softmax(-1)


def margins(predictions: Tensor) -> Tensor:
    """Return the largest minus the second largest confidence of predictions [T,N,K] → [T,N]."""
    largest = confidences(predictions).topk(2, dim=-1).values
    return largest[..., 0] - largest[..., 1]


def exit_times(margin: Tensor, threshold: float | None, lengths: Tensor | None = None) -> Tensor:
    """Return after how many timesteps each sample stops [N]: where its margin [T,N] reaches the threshold, or ends.

    A sample that never does takes all its valid timesteps. None: all samples do.
    """
    steps, samples = margin.shape
    end = torch.full((samples,), steps) if lengths is None else lengths.clamp(max=steps)
    if threshold is None:
        return end
    reached = margin >= threshold
    first = torch.where(reached.any(0), reached.int().argmax(0) + 1, steps)
    return torch.minimum(first, end)


def exit_point(
    predictions: Tensor, y: Tensor, threshold: float | None, lengths: Tensor | None = None, margin: Tensor | None = None
) -> ExitPoint:
    """Measure predictions of prefixes [T,N,K] against classes y [N] where each sample stops at a threshold."""
    times = exit_times(margins(predictions) if margin is None else margin, threshold, lengths)
    stopped = predictions[times - 1, torch.arange(len(y))]
    right = stopped.argmax(1) == y
    return ExitPoint(threshold, times.double().mean().item(), right.double().mean().item())


def exit_curve(predictions: Tensor, y: Tensor, lengths: Tensor | None = None) -> list[ExitPoint]:
    """Return a point for each of LEVELS thresholds, quantiles of the margins in rising order, and for never at last.

    There are always as many, so that the curves of several seeds can be averaged point by point.
    """
    margin = margins(predictions)
    valid = margin.flatten() if lengths is None else margin[torch.arange(len(margin))[:, None] < lengths]
    levels = valid.sort().values[torch.linspace(0, len(valid) - 1, LEVELS).long()].tolist()
    return [exit_point(predictions, y, threshold, lengths, margin) for threshold in (*levels, None)]


def cheapest_exit(curve: Sequence[ExitPoint]) -> ExitPoint:
    """Return the point of the fewest passes that is no less accurate than never stopping, the last of the curve."""
    return min((point for point in curve if point.acc >= curve[-1].acc), key=lambda point: point.passes)
