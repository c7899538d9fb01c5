"""The one LightningModule: a batch's way from x to the loss. Everything that varies is handed in."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from inspect import signature
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from membrane.augment.pipeline import Pipeline
from membrane.data.feed.batch import Batch
from membrane.errors import NotFinite
from membrane.framework import Framework, Outputs, single
from membrane.metrics import Measures, Running
from membrane.randomness import reseed
from membrane.readout import Readout
from membrane.regularizer import Regularizer

EVALUATION = -1
"""The epoch from which evaluation draws, so that it shares nothing with training."""

Loss = Callable[[Outputs, Batch], Tensor]


class Learner(L.LightningModule):
    """x [N,…] or [N,T,…] → augmentation → framework → outputs [T,N,K] → loss; the readout gives predictions [N,K].

    ``validation`` is the prefix of what is measured after every epoch (``val``, or ``oracle`` where that is the test
    set). ``regularizer`` adds to the loss in training, and so to `train/loss`, but to no evaluation's.
    ``optimize(parameters)`` gives the optimiser, ``schedule(optimizer, steps, epochs)`` Lightning's description of a
    schedule, ``metrics()`` what predictions are judged by. ``collect_outputs`` is ``readout`` or ``all`` (every
    timestep). A batch comes in so many ``pieces``, whose losses add up to its own.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        framework: Framework,
        readout: Readout,
        loss: Loss,
        augmentation: Pipeline,
        metrics: Callable[[], Measures],
        seed: int,
        regularizer: Regularizer | None = None,
        optimize: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer, int, int], dict[str, Any]],
        validation: str = "val",
        collect_outputs: str = "readout",
        pieces: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.framework = framework
        self.readout = readout
        self.loss = loss
        self.regularizer = regularizer
        self.augmentation = augmentation
        self.seed = seed
        self.optimize = optimize
        self.schedule = schedule
        self.validation = validation
        self.collect_outputs = collect_outputs
        self.pieces = pieces
        self.finite = FiniteLoss()
        self.validation_metrics, self.test_metrics = metrics(), metrics()
        self.training_metrics = Running(self.validation_metrics)
        self.collected: list[dict[str, Tensor]] = []

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x [N,…] or [N,T,…], as the data set gives it → prediction [N,K]; evaluation's augmentation is applied."""
        none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        batch = Batch(x, none, lengths, none, none)
        for where in ("before", "after"):
            batch = self.augmentation.run(batch, where, False, EVALUATION, 0)
        return single(self.readout(self.framework(self.model, batch.x, batch.lengths), batch.lengths))

    def augmented(self, batch: Batch, training: bool, epoch: int, step: int) -> Batch:
        """The batch after what runs on the accelerator."""
        return self.augmentation.run(batch, "after", training, epoch, step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One loss [] of a batch; dropout draws from the stream (seed, model, epoch, step)."""
        epoch = self.current_epoch
        batch = self.augmented(batch, True, epoch, batch_idx)
        listening = self.regularizer.listening(batch.lengths) if self.regularizer else nullcontext()
        reseed(self.seed, "model", epoch, batch_idx)
        with listening as penalty:
            outputs = self.framework(self.model, batch.x, batch.lengths)
        loss = self.loss(outputs, batch)
        if penalty is not None:
            loss = loss + penalty()
        self.finite.look(loss, epoch, batch_idx, batch.index)
        self.training_metrics.update(single(self.readout(outputs, batch.lengths)), batch.y, loss)
        # Lightning divides by the number of pieces: with their shares the sum is the whole batch's mean
        return loss if self.pieces == 1 else loss * self.trainer.datamodule.share(batch_idx, len(batch.y))  # type: ignore[attr-defined]

    training_step.__signature__ = signature(training_step)  # type: ignore[attr-defined]  # asked for at every step

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to what is measured after the epoch."""
        self.measure(batch, batch_idx, self.validation_metrics)

    def on_validation_epoch_end(self) -> None:
        """Publish `val/*` (or `oracle/*`) for callbacks and loggers."""
        values = self.validation_metrics.compute()
        self.log_dict({f"{self.validation}/{name}": value for name, value in values.items()})
        self.validation_metrics.reset()

    def on_test_epoch_start(self) -> None:
        """Forget an earlier evaluation."""
        self.collected.clear()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test's measures and keep its outputs."""
        batch, outputs = self.measure(batch, batch_idx, self.test_metrics)
        kept = {
            "index": batch.index,
            "recording": batch.recording,
            "label": batch.y,
            "output": single(self.readout(outputs, batch.lengths)),
        }
        if self.collect_outputs == "all":
            kept["outputs"] = single(outputs).transpose(0, 1)
        self.collected.append(
            {name: value.float().cpu() if value.is_floating_point() else value.cpu() for name, value in kept.items()}
        )

    def on_test_epoch_end(self) -> None:
        """Publish `test/*`."""
        self.log_dict({f"test/{name}": value for name, value in self.test_metrics.compute().items()})
        self.test_metrics.reset()

    def measure(self, batch: Batch, step: int, metrics: Measures) -> tuple[Batch, Outputs]:
        """Evaluate a batch: what it became, and its outputs [T,N,…]."""
        batch = self.augmented(batch, False, EVALUATION, step)
        outputs = self.framework(self.model, batch.x, batch.lengths)
        metrics.update(single(self.readout(outputs, batch.lengths)), batch.y, self.loss(outputs, batch))
        return batch, outputs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what training has summed up and nobody has read yet."""
        checkpoint["training_metrics"] = self.training_metrics.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on summing."""
        self.training_metrics.load_state_dict(checkpoint["training_metrics"])

    def configure_optimizers(self) -> Any:
        """The optimiser, and its schedule over the whole training."""
        optimizer = self.optimize(self.parameters())
        steps, epochs = int(self.trainer.estimated_stepping_batches), int(self.trainer.max_epochs or 1)
        return {"optimizer": optimizer, "lr_scheduler": self.schedule(optimizer, steps, epochs)}


WAY_OUT = "the last finite checkpoint is kept; lower optimizer.lr, set trainer.clip_norm, or look at these samples"


SHOWN = 8


class FiniteLoss:
    """Looks at each step's loss: on the CPU at once, on a GPU as soon as it is known, so that no step waits for it."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Tensor, Any, int, int, Tensor]] = deque()

    def look(self, loss: Tensor, epoch: int, batch: int, index: Tensor) -> None:
        """The loss [] of a batch of an epoch, and its samples [N]. NotFinite names the first that is no number."""
        value, known = loss.detach(), None
        if value.is_cuda:
            value = value.to("cpu", non_blocking=True)
            known = torch.cuda.Event()  # type: ignore[no-untyped-call]
            known.record()
        self.waiting.append((value, known, epoch, batch, index))
        while self.waiting and (self.waiting[0][1] is None or self.waiting[0][1].query()):
            self.refuse(*self.waiting.popleft())

    def refuse(self, value: Tensor, known: Any, epoch: int, batch: int, index: Tensor) -> None:
        """NotFinite where the loss is none."""
        if not math.isfinite(value.item()):
            numbers = index.tolist()
            named = ", ".join(map(str, numbers[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")
            where = f"epoch {epoch + 1}, batch {batch + 1} of the epoch"
            raise NotFinite(f"the loss is {value.item()} in {where}, samples {named}; {WAY_OUT}")
