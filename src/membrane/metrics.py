"""Metrics of predictions, weighted by samples over a whole part, so that a short last batch causes no bias."""

from collections.abc import Mapping
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
    MulticlassStatScores,
)
from torchmetrics.regression import (
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    PearsonCorrCoef,
)
from torchmetrics.utilities import dim_zero_cat

from membrane.scores import PRINCIPAL

MOST_KEPT = 2**22
"""Values of predictions that are kept until they are scored, all at once: a score costs little more than a call."""


class Measures(nn.Module):
    """Accumulates metrics of prediction [N,K] and y, and the batches' mean loss.

    ``scored`` names the metric that training shows beside the loss.
    """

    scored: str

    def __init__(self, scores: Mapping[str, Metric | MetricCollection], *alike: list[str]) -> None:
        """Take the scores by name; those that are ``alike`` in what they count are updated once for all."""
        super().__init__()
        self.scores = MetricCollection(dict(scores), compute_groups=list(alike))
        self.loss = MeanMetric(nan_strategy=nan)  # the default would leave out a loss that is NaN
        self.names = ["loss", *scores]
        """The metrics in the order of their columns, which the collection would sort."""

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Score prediction [N,K] against y → each sample's [N] term of the mean ``scored``."""
        raise NotImplementedError

    def target(self, y: Tensor) -> Tensor:
        """Convert y to what predictions are compared with."""
        return y

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor, recording: Tensor | None = None) -> None:
        """Add a batch: prediction [N,K], y [N] or [N,K], its mean loss [], and the samples' recordings [N]."""
        self.scores.update(prediction, self.target(y), recording=recording)
        self.loss.update(loss.detach(), weight=len(y))

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics of all batches since the last reset."""
        values: dict[str, Tensor] = {**self.scores.compute(), "loss": self.loss.compute()}
        return {name: values[name] for name in self.names}

    def reset(self) -> None:
        """Start anew."""
        self.scores.reset()
        self.loss.reset()


class Classification(Measures):
    """prediction [N,K], y [N] (or soft [N,K]) → ``loss``, ``acc``, ``balanced_acc``, ``precision``, ``recall``, ``f1``.

    ``acc`` is over samples. ``precision``, ``recall`` and ``f1`` are macro averages, over the classes that occur in y
    or are predicted; 0/0, as the precision of a class that is never predicted, counts as 0. ``balanced_acc`` is the
    mean recall over the classes that occur in y: it equals ``recall`` where all of them do. With ten classes or more
    there is ``top5`` too.
    """

    scored = PRINCIPAL["classification"]

    def __init__(self, classes: int) -> None:
        scores: dict[str, Metric | MetricCollection] = {
            "acc": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "balanced_acc": BalancedAccuracy(classes, average="none", validate_args=False),
            "precision": MulticlassPrecision(classes, average="macro", validate_args=False),
            "recall": MulticlassRecall(classes, average="macro", validate_args=False),
            "f1": MulticlassF1Score(classes, average="macro", validate_args=False),
        }
        if classes >= 10:
            scores["top5"] = MulticlassAccuracy(classes, average="micro", top_k=5, validate_args=False)
        super().__init__(scores, ["balanced_acc", "precision", "recall", "f1"])
        self.unscored: list[tuple[Tensor, ...]] = []
        self.kept = 0

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor, recording: Tensor | None = None) -> None:
        """Add a batch; what is counted is counted later, of many batches at once."""
        self.loss.update(loss.detach(), weight=len(y))
        self.unscored.append((prediction.detach(), self.target(y), *(() if recording is None else (recording,))))
        self.kept += prediction.numel()
        if self.kept >= MOST_KEPT:
            self.score_kept()

    def score_kept(self) -> None:
        """Count what was kept."""
        if self.unscored:
            prediction, y, *recording = (torch.cat(column) for column in zip(*self.unscored, strict=True))
            self.scores.update(prediction, y, recording=recording[0] if recording else None)
        self.unscored, self.kept = [], 0

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics of all batches since the last reset."""
        self.score_kept()
        return super().compute()

    def reset(self) -> None:
        """Start anew."""
        self.unscored, self.kept = [], 0
        super().reset()

    def score_recordings(self) -> None:
        """Measure ``acc_recording`` too, the accuracy of recordings of which each has one label."""
        self.scores.add_metrics({"acc_recording": RecordingAccuracy()})
        self.names.append("acc_recording")

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Compare the largest of prediction [N,K] with the class y [N] (or soft [N,K]) → right or not [N]."""
        return prediction.argmax(1) == self.target(y)

    def target(self, y: Tensor) -> Tensor:
        """Convert y [N], or soft [N,K], to classes [N]: of a soft label the one with the largest share."""
        return y.argmax(1) if y.dim() == 2 else y


class Regression(Measures):
    """prediction [N,K], y [N,K] → ``loss``, ``mse``, ``mae``, ``mape``, ``corr``.

    ``mse`` and ``mae`` are means over samples and outputs, in (squared) units of y. ``mape`` is the mean of
    |prediction − y| / max(|y|, 1.17e-6), a fraction that may exceed 1, 0.1 for 10 %: targets at or near 0 outweigh all
    others, so that it is for targets that stay away from 0. ``corr`` is Pearson's correlation over the samples,
    averaged over the K outputs; that of a constant prediction, 0/0, counts as 0.
    """

    scored = PRINCIPAL["regression"]

    def __init__(self, outputs: int) -> None:
        errors = {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "mape": MeanAbsolutePercentageError()}
        super().__init__({**errors, "corr": PearsonCorrCoef(outputs)})

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Average |prediction − y| [N,K] over the outputs → [N]."""
        return (prediction.to(y.dtype) - y).abs().mean(1)

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor, recording: Tensor | None = None) -> None:
        """Add a batch; predictions in half precision are compared in y's precision."""
        super().update(prediction.to(y.dtype), y, loss, recording)

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics of all batches since the last reset."""
        values = super().compute()
        corr = torch.where(values["mse"].isfinite(), values["corr"].nan_to_num(0.0), torch.nan)
        return {**values, "corr": corr.mean()}


BY_TASK: Mapping[str, type[Classification | Regression]] = {
    "classification": Classification,
    "regression": Regression,
}


class BalancedAccuracy(MulticlassStatScores):
    """prediction [N,K], y [N] → the mean recall over the classes that occur in y.

    torchmetrics' own counts a recall of 0 for a class that is predicted but does not occur.
    """

    def compute(self) -> Tensor:
        """Return the mean of true positives / support over the classes with support."""
        scores: Tensor = super().compute()
        hits, support = scores[:, 0], scores[:, 4]
        return (hits[support > 0] / support[support > 0]).mean()


class RecordingAccuracy(Metric):
    """prediction [N,K], y [N], recording [N] → the share of recordings whose mean prediction is right.

    Samples of one recording have one label. Predictions are kept until all are there, and added in float64 on the
    CPU, so that neither batches nor a GPU's order of summation change the result.
    """

    columns = ("prediction", "y", "recording")

    def __init__(self) -> None:
        super().__init__()
        for column in self.columns:
            self.add_state(column, [], dist_reduce_fx="cat")

    def update(self, prediction: Tensor, y: Tensor, recording: Tensor) -> None:
        """Add a batch."""
        for column, values in zip(self.columns, (prediction, y, recording), strict=True):
            getattr(self, column).append(values.detach())

    def compute(self) -> Tensor:
        """Compare the largest of each recording's summed predictions, which is that of their mean, with its label."""
        prediction, y, recording = (dim_zero_cat(getattr(self, column)).cpu() for column in self.columns)
        numbers, position = torch.unique(recording, return_inverse=True)
        sums = torch.zeros(len(numbers), prediction.shape[1], dtype=torch.float64)
        sums.index_add_(0, position, prediction.double())
        labels = y.new_zeros(len(numbers)).scatter_(0, position, y)
        return (sums.argmax(1) == labels).float().mean()


class TrainingMetrics:
    """Training loss and score since they were last read. They stay on the device until then, so that no step waits."""

    def __init__(self, measures: Measures) -> None:
        self.score = measures.score
        self.names = ["train/loss", f"train/{measures.scored}"]
        self.unread: list[tuple[Tensor, Tensor, int]] = []
        self.sums = [0.0, 0.0, 0.0]
        """Sums of loss and score over the samples, and their number, as in ``epoch_sums``."""
        self.epoch_sums = [0.0, 0.0, 0.0]

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add a batch: prediction [N,K], y [N] (or [N,K]: soft, or targets), mean loss []."""
        self.unread.append((loss.detach(), self.score(prediction.detach(), y).sum(), len(y)))

    def read(self) -> dict[str, float]:
        """Return `train/loss` and the score since the last call; an empty dict if no batch was added."""
        self.add_up()
        sums, self.sums = self.sums, [0.0, 0.0, 0.0]
        self.epoch_sums = [total + value for total, value in zip(self.epoch_sums, sums, strict=True)]
        return self.means(sums) if sums[-1] else {}

    def read_epoch(self) -> dict[str, float]:
        """Return `train/loss` and the score of all that `read` has returned since the last call."""
        sums, self.epoch_sums = self.epoch_sums, [0.0, 0.0, 0.0]
        return self.means(sums)

    def add_up(self) -> None:
        """Fetch what lies on the device and add it one batch at a time: the sums do not depend on when this is done."""
        if self.unread:
            losses, scores, counts = zip(*self.unread, strict=True)
            self.unread.clear()
            for loss, score, count in zip(
                torch.stack(losses).tolist(), torch.stack(scores).tolist(), counts, strict=True
            ):
                terms = (loss * count, score, count)
                self.sums = [total + term for total, term in zip(self.sums, terms, strict=True)]

    def means(self, sums: list[float]) -> dict[str, float]:
        """Divide the sums by their number of samples."""
        *totals, count = sums
        return {name: total / count for name, total in zip(self.names, totals, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums since the last `read`, and those of the epoch before that."""
        self.add_up()
        return {"sums": self.sums, "epoch_sums": self.epoch_sums}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the sums; earlier versions kept them in a tensor, or None if there were none."""
        sums = state_dict["sums"]
        self.sums = [0.0] * 3 if sums is None else [float(value) for value in sums]
        self.epoch_sums = list(state_dict["epoch_sums"])
