"""Losses: of a batch's outputs [T,N,K], a number.

Those on the prediction receive the readout at construction and apply it with the batch's lengths. Those on each
timestep (TET, spike counts) use the outputs as they are; every sample weighs the same, however long it is.
"""

import torch
from torch import Tensor
from torch.nn import functional

from membrane.data.feed.batch import Batch
from membrane.framework import Outputs, single
from membrane.readout import Mean, Readout


class CrossEntropy:
    """outputs [T,N,K], y [N] or soft [N,K] → the mean over N of −Σ_k y_k log softmax(readout)_k."""

    def __init__(self, readout: Readout, label_smoothing: float = 0.0) -> None:
        self.readout = readout
        self.label_smoothing = label_smoothing

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        prediction = single(self.readout(outputs, batch.lengths))
        return functional.cross_entropy(prediction, batch.y, label_smoothing=self.label_smoothing)


class MSE:
    """outputs [T,N,K], y [N] or [N,K] → mean squared distance of the readout to the one-hot label or the target."""

    def __init__(self, readout: Readout) -> None:
        self.readout = readout

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        prediction = single(self.readout(outputs, batch.lengths))
        if batch.y.dim() == 2:  # half precision would round the targets before they are compared
            dtype = torch.promote_types(prediction.dtype, batch.y.dtype)
            return functional.mse_loss(prediction.to(dtype), batch.y.to(dtype))
        return functional.mse_loss(prediction, functional.one_hot(batch.y, prediction.shape[1]).to(prediction.dtype))


class TET:
    """outputs [T,N,K], y [N] or soft [N,K] → (1 − λ)·mean_t cross-entropy(outputs[t], y) + λ·mean (outputs − φ)².

    Temporal efficient training (Deng et al. 2022, arXiv:2202.11946): every timestep is to be right by
    itself, and the second term, with φ at the firing threshold, keeps outliers down. ``lamb`` is λ.
    """

    def __init__(self, lamb: float = 0.05, phi: float = 1.0) -> None:
        self.lamb = lamb
        self.phi = phi

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        steps = in_full(single(outputs))
        y = batch.y.repeat(len(steps), *[1] * (batch.y.dim() - 1))
        right = functional.cross_entropy(steps.flatten(0, 1), y, reduction="none").reshape(steps.shape[:2])
        spread = (steps - self.phi).square().mean(2)
        return mean_over_time((1 - self.lamb) * right + self.lamb * spread, batch.lengths).mean()


class SpikeCount:
    """outputs [T,N,K], y [N] or soft [N,K] → mean over n and k of (count − rate·T)²/T², count = Σ_t outputs.

    The target rate is ``correct_rate`` for the class, ``incorrect_rate`` for the others, in between for soft labels;
    T is the number of the sample's valid timesteps. It is the MSE of count losses (Eshraghian et al. 2023,
    doi:10.1109/JPROC.2023.3308088), made independent of T. Outputs that are no spikes are summed all the same.
    """

    def __init__(self, correct_rate: float = 0.8, incorrect_rate: float = 0.2) -> None:
        self.correct_rate = correct_rate
        self.incorrect_rate = incorrect_rate

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        rates = mean_over_time(in_full(single(outputs)), batch.lengths)
        y = batch.y if batch.y.dim() == 2 else functional.one_hot(batch.y, rates.shape[1])
        targets = self.incorrect_rate + (self.correct_rate - self.incorrect_rate) * y.to(rates.dtype)
        return functional.mse_loss(rates, targets)


def in_full(outputs: Tensor) -> Tensor:
    """Outputs in single precision at least: sums over T in half precision would round."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def mean_over_time(values: Tensor, lengths: Tensor | None) -> Tensor:
    """[T,N,…] → [N,…] over the valid timesteps."""
    return Mean().reduce(values, lengths)
