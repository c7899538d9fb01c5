"""The time that each part of a training step takes: `trainer=profile`."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import Profiler
from rich import box
from rich.table import Table
from rich.text import Text

from membrane.analysis.layers import named_layers
from membrane.analysis.listening import listening
from membrane.learner import Learner
from membrane.report.terminal import console

BEFORE: dict[str, tuple[str, ...]] = {
    "data": ("train_dataloader_next",),
    "transfer": ("batch_to_device", "batch_transfer"),
    "augmentation": ("augmentation",),
    "encoder": ("encoder",),
}
AFTER: dict[str, tuple[str, ...]] = {
    "loss, readout, running metrics": ("training_step",),
    "backward": ("backward",),
    "optimiser": ("optimizer_step", "zero_grad", "clip", "lr_scheduler_step"),
    "logging, checkpoints, callbacks": ("[Callback]", "save_checkpoint"),
}
"""Part of a step before and after the forward → Lightning's names of its actions, or pieces of them."""
OTHER = "Lightning"
LAYER, FORWARD = "layer ", "forward, between layers"
NOT_TRAINING = ("val_next", "validation", "sanity")
"""Pieces of the names of actions that are no part of a training step, nor is anything inside them."""


class StepProfile(Profiler):
    """Sums up the seconds of each part without those of the parts inside it, so that they add up to the step's.

    The first step, a warm-up, does not count. On CUDA the begin and end of every part wait for the device, so that the
    whole part is measured and the step is slower.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)
        self.steps = -1  # the warm-up does not count
        self.open: list[str] = []
        self.since = 0.0
        self.hooks = ExitStack()
        self.wait: Callable[[], None] = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None

    def start(self, action_name: str) -> None:
        """Begin an action inside the innermost open one."""
        self.turn()
        self.open.append(action_name)

    def stop(self, action_name: str) -> None:
        """End an action and those left open inside it, as after an exception; nothing if it is not open."""
        self.turn()
        if action_name in self.open:
            while self.open.pop() != action_name:
                pass
        if action_name == "run_training_batch":
            self.steps += 1

    def turn(self) -> None:
        """Add the time since the last turn to the innermost open action, if that is part of a training step."""
        self.wait()
        now = perf_counter()
        if (
            "run_training_epoch" in self.open
            and self.steps >= 0
            and not any(word in action for action in self.open for word in NOT_TRAINING)
        ):
            self.seconds[self.open[-1]] += now - self.since
        self.since = now

    def watch(self, learner: Learner) -> None:
        """Time augmentation, encoder, framework and the forward of every layer too."""
        self.framework = learner.framework
        learner.augmented = self.timed("augmentation", learner.augmented)  # type: ignore[method-assign]
        if learner.encoding is not None:
            learner.encoded = self.timed("encoder", learner.encoded)  # type: ignore[method-assign]
        learner.framework = self.timed(FORWARD, learner.framework)
        layers = {f"{LAYER}{name or '(model)'}": layer for name, layer in named_layers(learner.model)}
        self.hooks.enter_context(listening(layers, lambda action, *_: self.stop(action), begin=self.start))

    def leave(self, learner: Learner) -> None:
        """Restore the learner."""
        del learner.augmented  # uncovers the method of the class
        if learner.encoding is not None:
            del learner.encoded
        learner.framework = self.framework
        self.hooks.close()

    def timed(self, action: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the call as an action."""

        def timed(*args: Any) -> Any:
            with self.profile(action):
                return call(*args)

        return timed

    def parts(self) -> dict[str, float]:
        """Return part → seconds in all, in the order of a step, without parts that took none; every layer is a part."""
        layers = [action for action in self.seconds if action.startswith(LAYER)]
        sums = dict.fromkeys([*BEFORE, *layers, FORWARD, *AFTER, OTHER], 0.0)
        for action, seconds in self.seconds.items():
            sums[part_of(action)] += seconds
        return {name: seconds for name, seconds in sums.items() if seconds}

    def table(self) -> Table:
        """Build a row for each part: milliseconds a step, and its share."""
        parts, steps = self.parts(), max(self.steps, 1)
        total = sum(parts.values()) or 1.0
        table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
        table.add_column("part of a training step", footer=f"{self.steps} steps")
        table.add_column("ms", footer=f"{1e3 * total / steps:.2f}", justify="right")
        table.add_column("share", footer="100 %", justify="right")
        for name, seconds in parts.items():
            table.add_row(Text(name), f"{1e3 * seconds / steps:.3f}", f"{100 * seconds / total:.1f} %")
        return table


def part_of(action: str) -> str:
    """Return the part that one of Lightning's actions belongs to, ``Lightning`` for all others."""
    if action.startswith(LAYER) or action == FORWARD:
        return action
    return next((part for part, words in (BEFORE | AFTER).items() if any(word in action for word in words)), OTHER)


class Profiling(Callback):
    """Profiles the fit, and prints the table at its end."""

    def __init__(self) -> None:
        self.profile = StepProfile()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Replace Lightning's profiler."""
        assert isinstance(pl_module, Learner)
        trainer.profiler = self.profile  # type: ignore[attr-defined]
        self.profile.watch(pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the learner, which is tested next, and print the table."""
        assert isinstance(pl_module, Learner)
        self.profile.leave(pl_module)
        console().print(self.profile.table())
