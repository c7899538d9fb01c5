"""The augmentations of a run, applied to a batch in order."""

from collections.abc import Callable, Iterable
from typing import Literal, Self

import torch
from torch import Tensor, nn

from membrane import randomness
from membrane.augment.augmentation import Augmentation
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError


class Pipeline(nn.Module):
    """Batch with x [N,…] or, with timesteps in the data, [N,T,…] → the same, augmented.

    Draws are a function of (seed, the augmentation's name, where, epoch, step), so that adding an augmentation changes
    no draw of another. ``classes`` is the K of soft labels. Raises ConfigError for an entry that is not an
    `Augmentation`: a library's augmentation would draw anew for each frame of a recording.
    """

    def __init__(
        self, augmentations: dict[str, Augmentation], classes: int, timesteps_in_data: bool, seed: int
    ) -> None:
        super().__init__()
        for name, augmentation in augmentations.items():
            require_augmentation(name, augmentation)
        try:
            self.augmentations = nn.ModuleDict(augmentations)
        except KeyError as error:
            raise ConfigError(f"augmentation: a name that cannot be used, choose another: {error.args[0]}") from error
        self.classes, self.timesteps_in_data, self.seed = classes, timesteps_in_data, seed

    def run(self, batch: Batch, where: Literal["before", "after"], training: bool, epoch: int, step: int) -> Batch:
        """Apply the augmentations ``before`` or ``after`` the transfer; x stays on its device, draws are on the CPU."""
        for name, augmentation in self.entries():
            if getattr(augmentation, where) and (training or augmentation.evaluate):
                generator = randomness.generator(self.seed, f"augmentation.{name}.{where}", epoch, step)
                parameters = augmentation.draw(len(batch.x), generator)
                check_parameters(name, batch.x, parameters)
                device, asynchronous = batch.x.device, batch.x.is_cuda
                parameters = {key: value.to(device, non_blocking=asynchronous) for key, value in parameters.items()}
                batch = self.augment(batch, augmentation, parameters)
        return batch

    def augment(self, batch: Batch, augmentation: Augmentation, parameters: dict[str, Tensor]) -> Batch:
        """Augment a batch, x [N,…] or [N,T,…], with parameters [N,…], in the augmentation's view.

        What looks at several frames, or at several samples, finds zeros behind the end of a sample: mixup lets a longer
        one go on with half of what stands there.
        """
        timesteps = self.timesteps_in_data
        view = augmentation.view or ("frames" if augmentation.collapse_timesteps else "samples")
        if timesteps and batch.lengths is not None and view != "frames":
            batch = batch._replace(x=without_padding(batch.x, batch.lengths))
        x = seen(batch.x, "samples" if view == "frames" else view, timesteps)
        valid = valid_steps(batch, timesteps)
        parameters = augmentation.resolve(x, valid, parameters)
        if view == "frames" and timesteps:
            frames = batch.x.shape[1]
            repeated = {key: value.repeat_interleave(frames, 0) for key, value in parameters.items()}
            x = augmentation.apply(seen(batch.x, view, timesteps), repeated)
        else:
            x = augmentation.apply(x, parameters)
        y = augmentation.labels(batch.y, parameters, self.classes)
        keeps_all = batch.lengths is None and not augmentation.shortens
        lengths = None if keeps_all else augmentation.lengths(valid, parameters)
        return batch._replace(x=as_batch(x, batch.x, view, timesteps), y=y, lengths=lengths)

    def fit(self, x: Iterable[Tensor], scale: float) -> None:
        """Fit every augmentation to the training part x, some [k,…] or [k,T,…] at a time, in units of ``scale``."""
        for _, augmentation in self.entries():
            augmentation.fit(x, scale, self.timesteps_in_data)

    def describe(self) -> str:
        """Describe the pipeline, a line for each augmentation."""
        lines = []
        for name, augmentation in self.entries():
            where = " and ".join(side for side in ("before", "after") if getattr(augmentation, side))
            when = "training and evaluation" if augmentation.evaluate else "training only"
            drawn = augmentation.drawn(self.timesteps_in_data)
            lines.append(f"{name}({augmentation.extra_repr()}) {where}, {when}, {drawn}")
        return "\n→ ".join(lines) or "no augmentation"

    def entries(self) -> list[tuple[str, Augmentation]]:
        """Return names and augmentations in order."""
        return [(name, entry) for name, entry in self.augmentations.items() if isinstance(entry, Augmentation)]

    def apply(self, fn: Callable[[nn.Module], object]) -> Self:
        """Apply ``fn`` as nn.Module does, but not to the augmentations, whose ``apply`` is another function."""
        fn(self)
        return self


def seen(x: Tensor, view: str, timesteps: bool) -> Tensor:
    """Return x [N,…], or with timesteps in the data [N,T,…], as an augmentation with this view receives it."""
    if not timesteps:
        return x.movedim(-1, 1) if view == "time" else x
    if view == "frames":
        return x.flatten(0, 1)
    return x.flatten(1, 2) if view == "channels" else x


def as_batch(x: Tensor, before: Tensor, view: str, timesteps: bool) -> Tensor:
    """Return x from a view in the order of axes that the batch had ``before``."""
    if not timesteps:
        return x.movedim(1, -1) if view == "time" else x
    samples, frames, channels = before.shape[:3]
    if view == "frames":
        return x.reshape(samples, frames, *x.shape[1:])
    return x.reshape(samples, frames, channels, *x.shape[2:]) if view == "channels" else x


def without_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Return x [N,T,…] with zeros behind the valid timesteps [N]."""
    behind = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
    return torch.where(behind.reshape(*behind.shape, *[1] * (x.dim() - 2)), 0, x)  # masked_fill takes ten times as long


def valid_steps(batch: Batch, timesteps: bool) -> Tensor:
    """Return the valid steps of time [N] of each sample: all of its axis T, or else the last, without ``lengths``."""
    if batch.lengths is not None:
        return batch.lengths
    return torch.full((len(batch.x),), batch.x.shape[1 if timesteps else -1], device=batch.x.device)


def require_augmentation(name: str, entry: object) -> None:
    """Raise ConfigError unless an entry of the pipeline is an `Augmentation`."""
    if not isinstance(entry, Augmentation):
        entry_class = entry if isinstance(entry, type) else type(entry)
        raise ConfigError(
            f"augmentation.{name}: {entry_class.__module__}.{entry_class.__qualname__} is not an Augmentation; it "
            "needs draw and apply apart: wrap it in a subclass of membrane.augment.augmentation.Augmentation"
        )


def check_parameters(name: str, x: Tensor, parameters: dict[str, Tensor]) -> None:
    """Raise ValueError unless x [N,…] is floating point and every parameter has N rows.

    Integers would truncate weights and means; one draw for a whole batch would be broadcast unnoticed.
    """
    if not x.is_floating_point():
        raise ValueError(f"augmentation.{name}: x must be floating point (x.float() * scale), got {x.dtype}")
    for key, value in parameters.items():
        if value.shape[:1] != x.shape[:1]:
            expected, got = f"[{len(x)},…]", list(value.shape)
            raise ValueError(f"augmentation.{name}: {key} must have one row a sample, {expected}, got {got}")
