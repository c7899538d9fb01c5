"""The augmentations of a run, in order, on a batch."""

from collections.abc import Callable
from typing import Literal, Self

from torch import Tensor, nn

from membrane import randomness
from membrane.augment.augmentation import Augmentation
from membrane.data.feed.batch import Batch
from membrane.errors import ConfigError


class Pipeline(nn.Module):
    """Batch with x [N,…] or, with timesteps in the data, [N,T,…] → the same, augmented.

    Draws are a function of (seed, the augmentation's name, where, epoch, step): adding one changes no other's.
    ConfigError for an entry that is not an `Augmentation`: a library's draws what it likes for each frame, and that
    tears a recording apart.
    """

    def __init__(
        self, augmentations: dict[str, Augmentation], classes: int, timesteps_in_data: bool, seed: int
    ) -> None:
        super().__init__()
        for name, augmentation in augmentations.items():
            if not isinstance(augmentation, Augmentation):
                kind = augmentation if isinstance(augmentation, type) else type(augmentation)
                raise ConfigError(
                    f"augmentation.{name}: {kind.__module__}.{kind.__qualname__} is not an Augmentation; it needs draw "
                    "and apply apart: wrap it in a subclass of membrane.augment.augmentation.Augmentation"
                )
        try:
            self.augmentations = nn.ModuleDict(augmentations)
        except KeyError as error:
            raise ConfigError(f"augmentation: a name that cannot be used, choose another: {error.args[0]}") from error
        self.classes, self.timesteps_in_data, self.seed = classes, timesteps_in_data, seed

    def run(self, batch: Batch, where: Literal["before", "after"], training: bool, epoch: int, step: int) -> Batch:
        """The batch after all augmentations of this place; x stays on its device, the draws are made on the CPU."""
        for name, augmentation in self.entries():
            if getattr(augmentation, where) and (training or augmentation.evaluate):
                generator = randomness.generator(self.seed, f"augmentation.{name}.{where}", epoch, step)
                parameters = augmentation.draw(len(batch.x), generator)
                check(name, batch.x, parameters)
                device, ahead = batch.x.device, batch.x.is_cuda  # ahead: a GPU is not waited for
                parameters = {key: value.to(device, non_blocking=ahead) for key, value in parameters.items()}
                batch = self.augment(batch, augmentation, parameters)
        return batch

    def augment(self, batch: Batch, augmentation: Augmentation, parameters: dict[str, Tensor]) -> Batch:
        """x [N,…] or [N,T,…] with parameters [N,…]; time is merged into the batch where the augmentation knows none."""
        if self.timesteps_in_data and augmentation.collapse_timesteps:
            samples, timesteps = batch.x.shape[:2]
            repeated = {key: value.repeat_interleave(timesteps, 0) for key, value in parameters.items()}
            x = augmentation.apply(batch.x.flatten(0, 1), repeated)
            x = x.reshape(samples, timesteps, *x.shape[1:])
        else:
            x = augmentation.apply(batch.x, parameters)
        y = augmentation.labels(batch.y, parameters, self.classes)
        lengths = None if batch.lengths is None else augmentation.lengths(batch.lengths, parameters)
        return batch._replace(x=x, y=y, lengths=lengths)

    def fit(self, x: Tensor, scale: float) -> None:
        """Let every augmentation learn from the training part as it is at rest, [n,…] or [n,T,…]."""
        for _, augmentation in self.entries():
            augmentation.fit(x, scale, self.timesteps_in_data)

    def describe(self) -> str:
        """The effective pipeline, one line an augmentation."""
        lines = []
        for name, augmentation in self.entries():
            where = " and ".join(place for place in ("before", "after") if getattr(augmentation, place))
            when = "training and evaluation" if augmentation.evaluate else "training only"
            drawn = augmentation.drawn(self.timesteps_in_data)
            lines.append(f"{name}({augmentation.extra_repr()}) {where}, {when}, {drawn}")
        return "\n→ ".join(lines) or "no augmentation"

    def entries(self) -> list[tuple[str, Augmentation]]:
        """Names and augmentations in order."""
        return [(name, entry) for name, entry in self.augmentations.items() if isinstance(entry, Augmentation)]

    def apply(self, fn: Callable[[nn.Module], object]) -> Self:
        """nn.Module.apply that ends here: Augmentation.apply is another function of that name."""
        fn(self)
        return self


def check(name: str, x: Tensor, parameters: dict[str, Tensor]) -> None:
    """ValueError unless x [N,…] is floating point and every parameter has N rows.

    Whole numbers would swallow a weight or a mean, one draw for a whole batch would pass by broadcasting.
    """
    if not x.is_floating_point():
        raise ValueError(f"augmentation.{name}: x must be floating point (x.float() * scale), got {x.dtype}")
    for key, value in parameters.items():
        if value.shape[:1] != x.shape[:1]:
            expected, got = f"[{len(x)},…]", list(value.shape)
            raise ValueError(f"augmentation.{name}: {key} must have one row a sample, {expected}, got {got}")
