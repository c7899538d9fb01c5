"""Losses: outputs [T,N,K] and a batch → a scalar.

Losses on the prediction receive the readout at construction and apply it with the batch's lengths. Losses on each
timestep (TET, spike counts) use the outputs directly; every sample has the same weight, however long it is. A loss of
the form that torch's have, (prediction, y), is wrapped in `OfPrediction`.

Two classes with equal outputs cost log 2 for each sample:

>>> import torch
>>> outputs = torch.zeros(4, 3, 2)  # [T,N,K]
>>> index = torch.arange(3)
>>> batch = Batch(x=torch.zeros(3, 1, 8), y=torch.tensor([0, 1, 1]), lengths=None, recording=index, index=index)
>>> CrossEntropy(Mean())(outputs, batch)
tensor(0.6931)
"""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from membrane.data.feed.batch import Batch
from membrane.framework import Outputs, require_tensor
from membrane.readout import Mean, Readout, at_least_float32


class CrossEntropy:
    """outputs [T,N,K], y [N] or soft [N,K] → mean over N of −Σ_k y_k log softmax(prediction)_k."""

    def __init__(self, readout: Readout, label_smoothing: float = 0.0) -> None:
        self.readout = readout
        self.label_smoothing = label_smoothing

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        prediction = require_tensor(self.readout(outputs, batch.lengths))
        return functional.cross_entropy(prediction, batch.y, label_smoothing=self.label_smoothing)


class MSE:
    """outputs [T,N,K], y [N] or [N,K] → mean squared distance of the prediction from the one-hot label or target."""

    def __init__(self, readout: Readout) -> None:
        self.readout = readout

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        prediction = require_tensor(self.readout(outputs, batch.lengths))
        if batch.y.dim() == 2:  # half precision would round the targets before they are compared
            dtype = torch.promote_types(prediction.dtype, batch.y.dtype)
            return functional.mse_loss(prediction.to(dtype), batch.y.to(dtype))
        return functional.mse_loss(prediction, functional.one_hot(batch.y, prediction.shape[1]).to(prediction.dtype))


class TET:
    """outputs [T,N,K], y [N] or soft [N,K] → (1 − λ)·mean_t cross-entropy(outputs[t], y) + λ·mean (outputs − φ)².

    Temporal efficient training (Deng et al. 2022, arXiv:2202.11946). The first term asks every timestep to classify by
    itself; the second, with φ at the firing threshold, penalises outliers. ``lamb`` is λ.
    """

    def __init__(self, lamb: float = 0.05, phi: float = 1.0) -> None:
        self.lamb = lamb
        self.phi = phi

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        steps = at_least_float32(require_tensor(outputs))
        y = batch.y.repeat(len(steps), *[1] * (batch.y.dim() - 1))
        cross_entropy = functional.cross_entropy(steps.flatten(0, 1), y, reduction="none").reshape(steps.shape[:2])
        spread = (steps - self.phi).square().mean(2)
        return mean_over_time((1 - self.lamb) * cross_entropy + self.lamb * spread, batch.lengths).mean()


class SpikeCount:
    """outputs [T,N,K], y [N] or soft [N,K] → mean over n and k of (count − rate·T)²/T², count = Σ_t outputs.

    The target rate is ``correct_rate`` for the class, ``incorrect_rate`` for the others, in between for soft labels;
    T is the number of the sample's valid timesteps. This is the mean-square count loss of Eshraghian et al. 2023
    (doi:10.1109/JPROC.2023.3308088), made independent of T. Outputs that are not spikes are summed in the same way.
    """

    def __init__(self, correct_rate: float = 0.8, incorrect_rate: float = 0.2) -> None:
        self.correct_rate = correct_rate
        self.incorrect_rate = incorrect_rate

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        rates = mean_over_time(at_least_float32(require_tensor(outputs)), batch.lengths)
        y = batch.y if batch.y.dim() == 2 else functional.one_hot(batch.y, rates.shape[1])
        targets = self.incorrect_rate + (self.correct_rate - self.incorrect_rate) * y.to(rates.dtype)
        return functional.mse_loss(rates, targets)


class OfPrediction(nn.Module):
    """outputs [T,N,K], y [N] or [N,K] → ``loss(prediction, y)``, for a loss that knows of no timesteps."""

    def __init__(self, loss: Callable[..., Tensor], readout: Readout) -> None:
        super().__init__()
        self.loss = loss  # a module's parameters and buffers follow the learner
        self.readout = readout

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Read out [T,N,K] over the valid timesteps and compare with y → []."""
        return self.loss(require_tensor(self.readout(outputs, batch.lengths)), batch.y)


def takes_prediction(loss: Callable[..., Any]) -> bool:
    """Return whether a loss is called with (prediction, y): unless its second parameter is ``batch``, or a Batch."""
    called = loss.forward if isinstance(loss, nn.Module) else loss
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [each for each in signature(called).parameters.values() if each.kind in positional]
    if len(parameters) < 2:
        return False
    second = parameters[1]
    return second.name != "batch" and second.annotation not in (Batch, "Batch")


def mean_over_time(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Average [T,N,…] over the valid timesteps → [N,…]."""
    return require_tensor(Mean()(values, lengths))
