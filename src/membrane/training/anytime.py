"""A checkpoint measured at 1 to T timesteps in one pass, and with samples that stop early."""

import copy
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from membrane.analysis.anytime import cheapest_exit, confidences, exit_curve, exit_point, prefix_predictions
from membrane.config.build import build_instance
from membrane.data.feed.batch import Batch
from membrane.data.feed.module import DataModule
from membrane.data.feed.part import Part
from membrane.encoders.encoder import Encoder
from membrane.encoders.encoding import Encoding
from membrane.errors import ConfigError, DataError
from membrane.framework import TBPTT, MultiStepTID, SingleStep, SingleStepTID, require_tensor
from membrane.learner import EVALUATION, Learner
from membrane.neurons import is_snn
from membrane.schema import Config
from membrane.schema.augmentation import Augmentation, Normalise
from membrane.schema.encoder import Lines
from membrane.schema.event_datasets import EventDataset
from membrane.schema.sound_datasets import SoundDataset
from membrane.tracking.log import silence_libraries
from membrane.training.assembly import build_trainer
from membrane.training.evaluation import CheckpointTest, measure_checkpoint, restored, test_checkpoint
from membrane.training.padding import sees_later_timesteps

log = logging.getLogger(__name__)
TOLERANCE = 1e-4
"""Difference of outputs that counts as another one: rounding changes with the number of timesteps."""
RARE = 0.05
"""Share of outputs that may differ all the same: rounding can make a spike come a timestep later."""
RULE = "the fewest passes at which no accuracy is lost on the part that chooses"


@dataclass(frozen=True)
class PartOutputs:
    """The outputs [T,n,K] of all samples of a part, in order, with y and recording [n] and lengths [n], if any."""

    outputs: Tensor
    y: Tensor
    recording: Tensor
    lengths: Tensor | None

    def batches(self, size: int) -> "list[PartOutputs]":
        """Return them in batches of so many samples."""
        columns = [self.outputs.transpose(0, 1), self.y, self.recording]
        split = [torch.split(column, size) for column in columns]
        lengths = [None] * len(split[1]) if self.lengths is None else torch.split(self.lengths, size)
        rows = zip(*split, lengths, strict=True)
        return [PartOutputs(outputs.transpose(0, 1), *rest) for outputs, *rest in rows]


@dataclass(frozen=True)
class Anytime:
    """Scores at several numbers of timesteps, and of samples that stop early.

    Arguments:
        curve: ``timesteps``, in rising order, and for each of them ``test/acc``, ``test/confidence`` and so on.
        why_in_turn: why each was measured on its own; empty if all were in one pass.
        early_exit: which part chose the threshold, the curve on it, and the points on it and on the test set; None
            where samples cannot stop early.
        tested: the checkpoint's usual test at T.
    """

    curve: dict[str, list[float]]
    why_in_turn: str
    early_exit: dict[str, Any] | None
    tested: CheckpointTest

    @property
    def metrics(self) -> dict[str, float]:
        """The scores of the test at T, and accuracy and mean passes of samples that stop early."""
        metrics = {f"test/{name}": value for name, value in self.tested.metrics.items()}
        if self.early_exit is not None:
            metrics |= {f"test/{name}_early_exit": self.early_exit["test"][name] for name in ("acc", "passes")}
        return metrics


def measure_anytime(checkpoint: Path, config: Config, at: Callable[[int], Config]) -> Anytime:
    """Measure a checkpoint at every number of timesteps up to the configuration's; ``at`` gives that of a number.

    It is done in one pass where the first T′ of T outputs are those of T′ timesteps, otherwise in turn, without those
    that are refused. Raises ConfigError for what gives one answer alone, and if no other number can be measured.
    """
    learner, data = restored(checkpoint, config)
    refuse_single_answer(config, learner)
    learner.collect_outputs = "all"
    with silence_libraries():
        trainer = build_trainer(config, checkpoint.parent)
        tested = test_checkpoint(trainer, learner, data, checkpoint)
        test = collected_outputs(learner, data.parts["test"])
        mixing, other_data = prefix_reasons(learner.eval().to(trainer.strategy.root_device), config, data)
        early_exit = None
        if config.dataset.task == "classification" and not mixing:
            name = "val" if len(data.parts["val"]) else "train"
            trainer.test(learner, dataloaders=data.batches(name), verbose=False)
            early_exit = early_exits(learner, collected_outputs(learner, data.parts[name]), test, name)
    if why := mixing or other_data:
        return Anytime(scores_in_turn(checkpoint, config, at, tested, why), why, early_exit, tested)
    return Anytime(prefix_scores(learner, test, config.batch_size), "", early_exit, tested)


def refuse_single_answer(config: Config, learner: Learner) -> None:
    """Raise ConfigError if there is one timestep, or an ANN that runs once for all of them."""
    if config.timesteps == 1:
        raise ConfigError("timesteps=1..T: T is 1 here; timesteps=1..8 says how far")
    if not is_snn(learner.model) and not config.framework.timesteps_in_data:
        raise ConfigError("timesteps=1..T: an ANN answers in one pass; a spiking network answers more than once")


def collected_outputs(learner: Learner, part: Part) -> PartOutputs:
    """Return what a test of a part has collected."""
    columns = {name: torch.cat([batch[name] for batch in learner.collected]) for name in learner.collected[0]}
    lengths = None if part.lengths is None else part.lengths.cpu()
    return PartOutputs(columns["outputs"].transpose(0, 1), columns["label"], columns["recording"], lengths)


def prefix_scores(learner: Learner, part: PartOutputs, batch_size: int) -> dict[str, list[float]]:
    """Return every score of each prefix of T, as a test at so many timesteps measures it, and the mean confidence."""
    measures = copy.deepcopy(learner.test_metrics).cpu()
    curve: dict[str, list[float]] = {}
    for steps in range(1, len(part.outputs) + 1):
        measures.reset()
        predictions = []
        for batch in part.batches(batch_size):
            lengths = None if batch.lengths is None else batch.lengths.clamp(max=steps)
            outputs = batch.outputs[:steps]
            fed = Batch(outputs[:0], batch.y, lengths, batch.recording, torch.arange(len(batch.y)))
            predictions.append(require_tensor(learner.readout(outputs, lengths)))
            measures.update(predictions[-1], batch.y, learner.loss(outputs, fed), batch.recording)
        scores = {name: value.item() for name, value in measures.compute().items()}
        add_scores(curve, steps, scores, torch.cat(predictions) if "acc" in scores else None)
    return curve


def add_scores(curve: dict[str, list[float]], steps: int, scores: dict[str, float], predictions: Tensor | None) -> None:
    """Add the scores at a number of timesteps to a curve, and the mean confidence of predictions [n,K] of classes."""
    scores = {f"test/{name}": value for name, value in scores.items()}
    if predictions is not None:
        scores["test/confidence"] = confidences(predictions).amax(1).mean().item()
    for name, value in {"timesteps": steps, **scores}.items():
        curve.setdefault(name, []).append(value)


def scores_in_turn(
    checkpoint: Path, config: Config, at: Callable[[int], Config], tested: CheckpointTest, why: str
) -> dict[str, list[float]]:
    """Return every score at each number of timesteps, measured one after the other; what is refused is left out.

    Raises ConfigError, with ``why``, if all are.
    """
    curve: dict[str, list[float]] = {}
    refused: dict[int, Exception] = {}
    log.info("%s: each number of timesteps is measured on its own", why)
    for steps in range(1, config.timesteps + 1):
        try:
            test = tested if steps == config.timesteps else measure_checkpoint(checkpoint, at(steps))[0]
        except (ConfigError, DataError) as error:
            refused[steps] = error
            continue
        output = torch.from_numpy(test.outputs["output"]) if "acc" in test.metrics else None
        add_scores(curve, steps, test.metrics, output)
    first = next(iter(refused.values()), None)
    if len(curve["timesteps"]) == 1:
        raise ConfigError(f"timesteps=1..T: {why}, and all other numbers of timesteps are refused: {first}")
    if refused:
        log.warning("timesteps=%s: left out: %s", ",".join(map(str, refused)), first)
    return curve


def early_exits(learner: Learner, choosing: PartOutputs, test: PartOutputs, name: str) -> dict[str, Any]:
    """Return the curve over thresholds on the part that chooses, the point chosen there, and that point on the test."""
    predictions = prefix_predictions(learner.readout, choosing.outputs, choosing.lengths)
    curve = exit_curve(predictions, choosing.y, choosing.lengths)
    chosen = cheapest_exit(curve)
    predictions = prefix_predictions(learner.readout, test.outputs, test.lengths)
    return {
        "part": name,
        "samples": len(choosing.y),
        "rule": RULE,
        "curve": [asdict(point) for point in curve],
        "chosen": asdict(chosen),
        "test": asdict(exit_point(predictions, test.y, chosen.threshold, test.lengths)),
        "test_never": asdict(exit_point(predictions, test.y, None, test.lengths)),
    }


def prefix_reasons(learner: Learner, config: Config, data: DataModule) -> tuple[str, str]:
    """Return why outputs depend on later timesteps, and why the input at T′ timesteps is another; empty if it is not.

    The model and the encoder are tried on a batch of the test set, at half of the timesteps; no label is looked at.
    """
    batch = data.transfer_batch_to_device(next(iter(data.batches("test"))), learner.device, 0)
    batch = learner.augmentation.run(batch._replace(x=batch.x.to(learner.dtype)), "after", False, EVALUATION, 0)
    steps = config.timesteps // 2
    with torch.no_grad():
        mixing = mixing_line(learner, learner.encoded(batch, False, EVALUATION, 0), config, steps)
        return mixing, rebinned_line(config) or encoder_line(learner, batch, config, steps)


def mixing_line(learner: Learner, batch: Batch, config: Config, steps: int) -> str:
    """Return that the model mixes timesteps if its first outputs for a batch change with what follows, if anything."""
    repeats = not config.framework.timesteps_in_data
    x = batch.x.unsqueeze(1).expand(-1, config.timesteps, *batch.x.shape[1:]) if repeats else batch.x
    silent = x.clone()
    silent[:, steps:] = 0
    outputs = outputs_at(learner, batch, x, config.timesteps)[:steps]
    mixes = sees_later_timesteps(config.neuron)  # one that hardly spikes yet shows it too rarely
    mixes = mixes or differ(outputs, outputs_at(learner, batch, silent, config.timesteps)[:steps])
    with suppress(RuntimeError, ValueError, AssertionError):  # weights may be of T timesteps, and of no fewer
        mixes = mixes or differ(outputs, outputs_at(learner, batch, x[:, :steps], steps))
    names = f"model={config.model.name_of_choice} neuron={config.neuron.name_of_choice}"
    return f"{names} mixes timesteps: outputs depend on those that follow" if mixes else ""


def outputs_at(learner: Learner, batch: Batch, x: Tensor, steps: int) -> Tensor:
    """Return the outputs [steps,N,K] for x [N,steps,…], the model called as the run's framework does."""
    single = isinstance(learner.framework, SingleStep | SingleStepTID | TBPTT)
    lengths = None if batch.lengths is None else batch.lengths.clamp(max=steps)
    return require_tensor((SingleStepTID if single else MultiStepTID)(steps)(learner.model, x, lengths))


def differ(outputs: Tensor, others: Tensor) -> bool:
    """Return whether more outputs are others than rounding can explain."""
    unequal = (outputs - others).abs() > TOLERANCE * (1 + outputs.abs())
    return unequal.double().mean().item() > RARE


def of_whole_samples(augmentation: Augmentation) -> bool:
    """Return whether an augmentation works in evaluation, and not on each timestep alone as normalisation does."""
    return bool(getattr(augmentation, "evaluate", True)) and not isinstance(augmentation, Normalise)


def rebinned_line(config: Config) -> str:
    """Return that the data set gives other data for another number of timesteps, if it does."""
    dataset = config.dataset
    if not dataset.timesteps_in_data:
        return ""
    if drawn := [name for name, each in config.augmentation.items() if of_whole_samples(each)]:
        return f"augmentation={drawn[0]} sees all timesteps in evaluation"
    if isinstance(dataset, EventDataset):
        if dataset.samples == "all":
            return f"dataset {dataset.name} cuts its recordings into samples of T frames"
        prefix = dataset.duration is not None or dataset.frames is not None
        return "" if prefix else f"dataset {dataset.name} puts all events into T frames, whatever T is"
    if isinstance(dataset, SoundDataset):
        return f"dataset {dataset.name} puts all of a recording into T timesteps, whatever T is"
    return f"dataset {dataset.name} is your own and may give other data for another T" if not dataset.choice else ""


def encoder_line(learner: Learner, batch: Batch, config: Config, steps: int) -> str:
    """Return that the encoder gives other inputs for fewer timesteps, if it does; lines have no fewer."""
    if config.encoder is None or isinstance(config.encoder, Lines):
        return ""
    line = f"encoder={config.encoder.name_of_choice} gives other inputs for another T"
    try:
        encoder = build_instance(Encoder, config.encoder, config.trust, timesteps=steps)
        fewer = Encoding(encoder, config.seed).run(batch.x, batch.index, False, EVALUATION, 0)
    except ConfigError:
        return line
    whole = learner.encoded(batch, False, EVALUATION, 0).x[:, :steps]
    return "" if fewer.shape == whole.shape and torch.equal(fewer, whole) else line
