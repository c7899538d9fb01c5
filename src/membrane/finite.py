"""Whether training is still among the finite numbers, asked without making a GPU wait."""

import math
from collections import deque
from typing import Any

import torch
from torch import Tensor

from membrane.errors import NotFinite

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
