"""What predictions are judged by, sample-weighted over a whole part: a short last batch biases nothing."""

from collections.abc import Mapping
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassStatScores
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, PearsonCorrCoef

from membrane.scores import PRINCIPAL


class Measures(nn.Module):
    """Accumulates prediction [N,K], y and the batch's mean loss.

    ``scored`` names the metric that training shows beside the loss.
    """

    scored: str

    def __init__(self, scores: Mapping[str, Metric | MetricCollection]) -> None:
        super().__init__()
        self.scores = MetricCollection(dict(scores), compute_groups=False)
        self.loss = MeanMetric(nan_strategy=nan)  # it would leave a loss that is no number out
        self.names = ["loss", *scores]
        """The metrics in the order of their columns: the collection would sort them."""

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """prediction [N,K], y → what each sample [N] adds to the mean ``scored``."""
        raise NotImplementedError

    def target(self, y: Tensor) -> Tensor:
        """y as predictions are compared with it."""
        return y

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add one batch."""
        self.scores.update(prediction, self.target(y))
        self.loss.update(loss.detach(), weight=len(y))

    def compute(self) -> dict[str, Tensor]:
        """The metrics of all that was added since the last reset."""
        values: dict[str, Tensor] = {**self.scores.compute(), "loss": self.loss.compute()}
        return {name: values[name] for name in self.names}

    def reset(self) -> None:
        """Forget all that was added."""
        self.scores.reset()
        self.loss.reset()


class Classification(Measures):
    """prediction [N,K], y [N] (or soft [N,K]) → ``loss``, ``acc``, ``balanced_acc``, ``f1``.

    ``acc`` is over samples, ``balanced_acc`` the mean of the classes' recalls, ``f1`` their mean F1 score; ``top5``
    exists from ten classes on.
    """

    scored = PRINCIPAL["classification"]

    def __init__(self, classes: int) -> None:
        scores: dict[str, Metric | MetricCollection] = {
            "acc": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "balanced_acc": BalancedAccuracy(classes, average="none", validate_args=False),
            "f1": MulticlassF1Score(classes, average="macro", validate_args=False),
        }
        if classes >= 10:
            scores["top5"] = MulticlassAccuracy(classes, average="micro", top_k=5, validate_args=False)
        super().__init__(scores)

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """prediction [N,K], y [N] (or soft [N,K]) → whether each sample [N] is right."""
        return prediction.argmax(1) == self.target(y)

    def target(self, y: Tensor) -> Tensor:
        """y [N] or soft [N,K] → the class [N], of a soft label that with the largest share."""
        return y.argmax(1) if y.dim() == 2 else y


class BalancedAccuracy(MulticlassStatScores):
    """prediction [N,K], y [N] → the mean recall of the classes that occur; torchmetrics counts 0 for a class that is
    predicted and does not.
    """

    def compute(self) -> Tensor:
        """The mean over classes with support of true positives / support."""
        scores: Tensor = super().compute()
        hits, support = scores[:, 0], scores[:, 4]
        return (hits[support > 0] / support[support > 0]).mean()


class Regression(Measures):
    """prediction [N,K], y [N,K] → ``loss``, ``mse``, ``mae``, ``corr``.

    ``mse`` and ``mae`` are means over samples and outputs, in units of y; ``corr`` is Pearson's correlation over the
    samples, the mean of the K outputs'. A constant prediction has none by the formula (0/0): here it counts 0.
    """

    scored = PRINCIPAL["regression"]

    def __init__(self, outputs: int) -> None:
        super().__init__({"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "corr": PearsonCorrCoef(outputs)})

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """prediction [N,K], y [N,K] → each sample's [N] mean absolute error over the outputs."""
        return (prediction.to(y.dtype) - y).abs().mean(1)

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add one batch; half-precision predictions are compared in y's precision."""
        super().update(prediction.to(y.dtype), y, loss)

    def compute(self) -> dict[str, Tensor]:
        """The metrics of all that was added since the last reset."""
        values = super().compute()
        corr = torch.where(values["mse"].isfinite(), values["corr"].nan_to_num(0.0), torch.nan)
        return {**values, "corr": corr.mean()}


BY_TASK: Mapping[str, type[Classification | Regression]] = {
    "classification": Classification,
    "regression": Regression,
}


class Running:
    """Loss and the task's score in training since last read, left on the device until then: no step waits for them."""

    def __init__(self, judge: Measures) -> None:
        self.score = judge.score
        self.names = ["train/loss", f"train/{judge.scored}"]
        self.unread: list[tuple[Tensor, Tensor, int]] = []
        self.sums = [0.0, 0.0, 0.0]
        self.epoch_sums = [0.0, 0.0, 0.0]

    def state_dict(self) -> dict[str, Any]:
        """What was summed up since it was last read, and in the epoch before that."""
        self.add_up()
        return {"sums": self.sums, "epoch_sums": self.epoch_sums}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; earlier versions kept the sums in a tensor, or None where there were none."""
        sums = state_dict["sums"]
        self.sums = [0.0] * 3 if sums is None else [float(each) for each in sums]
        self.epoch_sums = list(state_dict["epoch_sums"])

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add a batch: prediction [N,K], y [N] (or [N,K]: soft, or targets)."""
        self.unread.append((loss.detach(), self.score(prediction.detach(), y).sum(), len(y)))

    def add_up(self) -> None:
        """Sum up what lies on the device, batch after batch, so that it does not matter when."""
        if self.unread:
            losses, scores, counts = zip(*self.unread, strict=True)
            self.unread.clear()
            for loss, score, count in zip(
                torch.stack(losses).tolist(), torch.stack(scores).tolist(), counts, strict=True
            ):
                self.sums = [total + each for total, each in zip(self.sums, (loss * count, score, count), strict=True)]

    def read(self) -> dict[str, float]:
        """`train/loss` and the score since the last call; nothing where no batch came."""
        self.add_up()
        sums, self.sums = self.sums, [0.0, 0.0, 0.0]
        self.epoch_sums = [total + each for total, each in zip(self.epoch_sums, sums, strict=True)]
        return self.means(sums) if sums[-1] else {}

    def read_epoch(self) -> dict[str, float]:
        """`train/loss` and the score over all that was read since the last call."""
        sums, self.epoch_sums = self.epoch_sums, [0.0, 0.0, 0.0]
        return self.means(sums)

    def means(self, sums: list[float]) -> dict[str, float]:
        """Sums of loss and of scores over a number of samples as means."""
        *totals, count = sums
        return {name: total / count for name, total in zip(self.names, totals, strict=True)}
