"""Predictions for single files by one run or several, of which an ensemble takes the mean of the probabilities."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from membrane.analysis.anytime import confidences, prefix_predictions
from membrane.config.build import build
from membrane.data.array_file import array_entries
from membrane.data.array_names import names_of_classes
from membrane.data.file_samples import FileReader
from membrane.errors import ConfigError, DataError
from membrane.framework import require_tensor
from membrane.learner import Learner
from membrane.report.predictions import Prediction
from membrane.runs.contents import require_own_entries
from membrane.schema import Config
from membrane.training.assembly import set_arithmetic
from membrane.training.loading import load_with_config

log = logging.getLogger(__name__)
MOST_NAMES = 1 << 24
"""Bytes of the names of classes, at most."""


@dataclass(frozen=True)
class Predictor:
    """A run, ready to predict: its learner, how it reads a file, and the names of its classes if they have any."""

    learner: Learner
    config: Config
    reader: FileReader
    classes: list[str] | None

    def predictions(self, path: Path) -> Tensor:
        """Return predictions [T,n,K] of the n recordings of a file at 1 to T timesteps: probabilities of classes.

        In regression they are targets. Samples of a recording are averaged before. Raises DataError as `FileReader`.
        """
        samples = self.reader.read(path)
        index = torch.arange(len(samples.x))
        pieces = []
        with torch.no_grad():
            for at in torch.split(index, self.config.batch_size):
                lengths = None if samples.lengths is None else samples.lengths[at]
                outputs, batch = self.learner.run_network(samples.x[at], lengths, at)
                pieces.append(prefix_predictions(self.learner.readout, require_tensor(outputs), batch.lengths))
        means = recording_means(torch.cat(pieces, dim=1), samples.recording)
        return confidences(means) if self.config.dataset.task == "classification" else means


def recording_means(predictions: Tensor, recording: Tensor) -> Tensor:
    """Average predictions [T,n,K] over the samples of each recording [n], in the order of their numbers → [T,k,K]."""
    numbers, position = torch.unique(recording, return_inverse=True)
    sums = predictions.new_zeros(len(predictions), len(numbers), predictions.shape[2])
    counts = torch.bincount(position, minlength=len(numbers)).to(predictions.dtype)
    return sums.index_add(1, position, predictions) / counts[:, None]


def load_predictor(run: Path, trust: Sequence[str] = ()) -> Predictor:
    """Load a run's folder or a checkpoint. Raises DataError or ConfigError as `load`."""
    learner, config = load_with_config(run, trust)
    set_arithmetic(config)
    dataset = config.dataset
    timesteps = config.timesteps if dataset.timesteps_in_data else None
    built = build(dataset, config.trust)
    reader = FileReader(built, dataset.name, list(dataset.shape), timesteps, learner.scale)
    return Predictor(learner, config, reader, class_names_of(run, built, dataset.classes))


def class_names_of(run: Path, dataset: object, classes: int) -> list[str] | None:
    """Return the names of so many classes: those in a run's outputs, else those of the data set's class, else None."""
    in_run = run.is_dir() or run.resolve().parent.name == "checkpoints"
    folder = run if run.is_dir() else run.resolve().parent.parent
    outputs = folder / "outputs" / "test.npz"
    names: object = getattr(dataset, "classes", None)
    try:
        if in_run and outputs.is_file():
            require_own_entries(folder)
            entry = array_entries(outputs).get("classes")
            names = names if entry is None or entry.nbytes > MOST_NAMES else names_of_classes(entry)
    except DataError as error:
        log.warning("%s: the names of the classes cannot be read: %s", run, error)
    named = isinstance(names, list | tuple) and len(names) == classes
    return [str(name) for name in names] if named else None  # type: ignore[attr-defined]


def load_predictors(runs: Sequence[Path], trust: Sequence[str] = ()) -> list[Predictor]:
    """Load several runs. Raises ConfigError if they do not predict the same."""
    predictors = [load_predictor(run, trust) for run in runs]
    for run, other in zip(runs[1:], predictors[1:], strict=True):
        require_alike(run, predictors[0], other)
    return predictors


def require_alike(run: Path, first: Predictor, other: Predictor) -> None:
    """Raise ConfigError unless two predict the same; ``run`` is where the other lies."""
    one, two = first.config.dataset, other.config.dataset
    pairs = {
        "task": (one.task, two.task),
        "number of classes": (one.classes, two.classes),
        "classes": (first.classes or other.classes, other.classes or first.classes),
    }
    for what, (here, there) in pairs.items():
        if here != there:
            raise ConfigError(f"{run}: an ensemble needs the same {what} in all runs, {there} is not {here}")


def predict_file(predictors: Sequence[Predictor], path: Path, timesteps: bool = False) -> list[Prediction]:
    """Return what one run predicts for a file, or the mean of several, a prediction for each recording in it.

    With ``timesteps`` each holds the answers after 1 to T of them. Raises DataError if the file cannot be read,
    ConfigError if runs have other timesteps then, or see other numbers of samples.
    """
    each = [predictor.predictions(path) for predictor in predictors]
    if not timesteps:
        each = [predictions[-1:] for predictions in each]
    for what, axis in (("samples", 1), ("timesteps", 0)):
        if len(counts := {predictions.shape[axis] for predictions in each}) > 1:
            several = " and ".join(map(str, sorted(counts)))
            raise ConfigError(f"{path}: the runs have {several} {what} of it, of which no mean can be taken")
    mean = torch.stack(each).mean(0)
    classified = predictors[0].config.dataset.task == "classification"
    classes = next((predictor.classes for predictor in predictors if predictor.classes), None)
    return [
        Prediction(str(path), sample, values.tolist(), classified, classes)
        for sample, values in enumerate(mean.unbind(1))
    ]
