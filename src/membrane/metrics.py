"""What a classifier is judged by, sample-weighted over a whole part: a short last batch biases nothing."""

from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassRecall


class Classification(nn.Module):
    """Accumulates prediction [N,K], y [N] (or soft [N,K]) and the batch's mean loss.

    ``acc`` is over samples, ``balanced_acc`` the mean of the classes' recalls, ``f1`` their mean F1 score; ``top5``
    exists from ten classes on.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        scores: dict[str, Metric | MetricCollection] = {
            "acc": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "balanced_acc": MulticlassRecall(classes, average="macro", validate_args=False),
            "f1": MulticlassF1Score(classes, average="macro", validate_args=False),
        }
        if classes >= 10:
            scores["top5"] = MulticlassAccuracy(classes, average="micro", top_k=5, validate_args=False)
        self.scores = MetricCollection(scores, compute_groups=False)
        self.loss = MeanMetric()

    @property
    def names(self) -> list[str]:
        """The metrics in the order of their columns."""
        return ["loss", *map(str, self.scores.keys())]

    def update(self, prediction: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add one batch."""
        hard = y.argmax(1) if y.dim() == 2 else y
        self.scores.update(prediction, hard)
        self.loss.update(loss.detach(), weight=len(y))

    def compute(self) -> dict[str, Tensor]:
        """The metrics of all that was added since the last reset."""
        values: dict[str, Tensor] = self.scores.compute()
        return {"loss": self.loss.compute(), **values}

    def reset(self) -> None:
        """Forget all that was added."""
        self.scores.reset()
        self.loss.reset()
