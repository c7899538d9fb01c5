"""Losses on the prediction: each receives the readout at construction and applies it with the batch's lengths."""

import torch
from torch import Tensor
from torch.nn import functional

from membrane.data.batch import Batch
from membrane.framework import Outputs
from membrane.readout import Readout


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


def single(prediction: Outputs) -> Tensor:
    """The prediction [N,K] as it is; ValueError for a dict, in which no part is the one to compare with y."""
    if isinstance(prediction, dict):
        raise ValueError(f"this loss needs one prediction, the model returned several: {', '.join(prediction)}")
    return prediction
