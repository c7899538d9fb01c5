"""Models whose layers stay in step mode 'm' under every framework."""

from abc import abstractmethod

from spikingjelly.activation_based import base
from torch import Tensor


class OwnsTime(base.StepModule):  # type: ignore[misc]
    """[N,C,H,W] → [N,K] in step mode 's', [T,N,C,H,W] → [T,N,K] in 'm'; every layer inside stays in 'm'.

    SpikingJelly's transformers and its MS-ResNet are written for step mode 'm'. They repeat a 4-D input over T; some
    average over T. Here only the framework repeats and only the readout averages, which behind a linear head gives the
    same mean. A single step is a sequence of one timestep, and neurons keep their state from call to call, so that both
    step modes compute the same function.

    This class comes first among the bases: ``class Spikformer(OwnsTime, spikformer.Spikformer)``.
    """

    # private to SpikingJelly 2.0.0: where StepModule keeps ``step_mode``; it has no constructor that would set it
    _step_mode = "m"

    @abstractmethod
    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        """Classify [T,N,C,H,W] → [T,N,K]."""

    def forward(self, x: Tensor) -> Tensor:
        """Classify [N,C,H,W] → [N,K] in 's', [T,N,C,H,W] → [T,N,K] in 'm'. Raises ValueError for another rank."""
        single = self.step_mode == "s"
        expected = "[N,C,H,W]" if single else "[T,N,C,H,W]"
        if x.dim() != (4 if single else 5):
            raise ValueError(f"in step mode {self.step_mode!r} the input must be {expected}, got {list(x.shape)}")
        return self.sequence_forward(x.unsqueeze(0)).squeeze(0) if single else self.sequence_forward(x)
