"""Models that keep time to themselves: their layers run in step mode 'm' alone, whatever the framework asks for."""

from abc import abstractmethod

from spikingjelly.activation_based import base
from torch import Tensor


class OwnsTime(base.StepModule):  # type: ignore[misc]
    """[N,C,H,W] → [N,K] in step mode 's', [T,N,C,H,W] → [T,N,K] in 'm'; every layer inside stays in 'm'.

    SpikingJelly's transformers and its MS-ResNet are written for step mode 'm', repeat a 4-D input over T by
    themselves, and some average over T. Here the framework alone repeats, and the readout alone averages: behind a
    linear head the mean of the outputs is the output of the mean. A single step is a sequence of one timestep, and
    neurons keep their state from call to call, so the two step modes are one function.

    To be named before SpikingJelly's class: ``class Spikformer(OwnsTime, spikformer.Spikformer)``.
    """

    _step_mode = "m"

    @abstractmethod
    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """[T,N,C,H,W] → [T,N,K]."""

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] → [N,K] in 's', [T,N,C,H,W] → [T,N,K] in 'm'. ValueError for another rank."""
        single = self.step_mode == "s"
        expected = "[N,C,H,W]" if single else "[T,N,C,H,W]"
        if x.dim() != (4 if single else 5):
            raise ValueError(f"in step mode {self.step_mode!r} the input must be {expected}, got {list(x.shape)}")
        return self.sequence_forward(x.unsqueeze(0))[0] if single else self.sequence_forward(x)
