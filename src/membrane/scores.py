"""The scores of a run: which way is better, how each is shown, and the one that a run is known by.

Imports no library, so that the schema, the commands and the reports read the same table. In files a score stands under
``part/name``, such as ``test/acc``; the name may end with how it was taken, as in ``acc_mean_last10``.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """The properties of a score; the defaults are those of one that is unknown.

    Arguments:
        title: its name in figures.
        lower_is_better: whether its best value is the smallest.
        percent: whether it is a fraction, 1 for 100 %, that is shown in percent.
        counted: whether it is a share of samples, which has a binomial confidence interval.
        compared: whether papers report its best and its last epochs on the test set.
    """

    title: str = ""
    lower_is_better: bool = False
    percent: bool = False
    counted: bool = False
    compared: bool = False


SCORES: Mapping[str, Score] = {
    "loss": Score("loss", lower_is_better=True),
    "acc": Score("accuracy", percent=True, counted=True, compared=True),
    "balanced_acc": Score("balanced accuracy", percent=True),
    "precision": Score("macro precision", percent=True),
    "recall": Score("macro recall", percent=True),
    "f1": Score("F1 score", percent=True),
    "top5": Score("top-5 accuracy", percent=True, counted=True),
    "acc_recording": Score("accuracy per recording", percent=True),
    "mse": Score("mean squared error", lower_is_better=True),
    "mae": Score("mean absolute error", lower_is_better=True, compared=True),
    "mape": Score("mean absolute percentage error", lower_is_better=True, percent=True),
    "corr": Score("correlation", compared=True),
    "confidence": Score("mean confidence", percent=True),
    "passes": Score("mean passes per sample", lower_is_better=True),
    "rate": Score("firing rate", percent=True),
}
PRINCIPAL = {"classification": "acc", "regression": "mae"}
"""Task → the score that training shows beside the loss, and that a run is known by."""
MONITORS = {
    "classification": (
        "val/acc",
        "val/loss",
        "val/balanced_acc",
        "val/precision",
        "val/recall",
        "val/f1",
        "val/acc_recording",
    ),
    "regression": ("val/loss", "val/mse", "val/mae", "val/mape", "val/corr"),
}
"""Task → the scores that can select a checkpoint or stop a run; the first is the default.

``val/acc_recording`` only where recordings of the validation part give several samples, which the data tell."""
SILENT, SATURATED = 0.001, 0.99
"""Firing rates below and above which a layer is worth a warning."""


def score_of(key: str) -> Score:
    """Return the score that ``test/acc``, ``acc`` or ``test/acc_mean_last10`` names."""
    name = key.rpartition("/")[2]
    while name and name not in SCORES:
        name = name.rpartition("_")[0]
    return SCORES.get(name, Score())


def score_text(key: str, value: float) -> str:
    """Return ``94.17 %`` for a fraction, else four decimals."""
    return f"{value * 100:.2f} %" if score_of(key).percent else f"{value:.4f}"


def principal_score(metrics: Mapping[str, float]) -> tuple[str, float] | None:
    """Return the key and the value that a run is known by, such as ``test/acc``; None if it has none."""
    keys = (f"test/{name}" for name in PRINCIPAL.values())
    return next(((key, metrics[key]) for key in keys if key in metrics), None)
