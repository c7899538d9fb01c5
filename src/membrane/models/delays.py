"""Synapses with learned delays: a linear layer each of whose weights sees its input some timesteps late.

Hammouamri, Khalfaoui-Hassani, Masquelier 2024, arXiv:2306.17670. As in the authors' code (Thvnvtos/SNN-delays, GitHub)
delays are positions in a kernel over time, spread by a Gaussian in training and rounded in evaluation. There positions
count from the middle of the kernel, a delay begins as the longest one with a probability of 1/(D+1), and every layer
appends D/2 timesteps without input; here the sequence keeps its length.
"""

import torch
from spikingjelly.activation_based import base, layer
from torch import Tensor, nn
from torch.nn import functional

from membrane.models.geometry import require_at_least
from membrane.neurons.learned import parameters_of_classes

FLOOR, SHARPEST = 0.27, 0.5
"""Of the width: what is added to the share that shrinks, as in the authors' code, and the width that is reached."""


class DelayedLinear(base.MemoryModule):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,I] or [T,N,I] → y[t] = Σ_k K[:,:,k]·x[t−k] + b, [N,O] or [T,N,O]; x is 0 before the first timestep.

    In evaluation the kernel K [O,I,D+1] has each weight w at the tap k that is nearest to its delay d. In training w is
    spread over the taps, K[k] = w·g[k]/Σ_j g[j] with g[k] = exp(−(k − d)²/2σ²), so that d has a gradient. σ shrinks
    from epoch to epoch (`width`), and delays are held in [0, D] by moving them there after each optimiser step.

    Arguments:
        in_features, out_features: I and O.
        bias: add b.
        max_delay: D, the longest delay in timesteps.
        epochs: after which σ is half a timestep.
    """

    learned_delays = ("delay",)
    sigma: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool, max_delay: int, epochs: int) -> None:
        super().__init__()
        require_at_least(1, max_delay=max_delay, delay_epochs=epochs)
        self.in_features = in_features
        self.out_features = out_features
        self.max_delay = max_delay
        self.epochs = epochs
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.delay = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        nn.init.uniform_(self.delay, 0, max_delay)
        # a buffer, because a compiled model is not compiled anew when its values change
        self.register_buffer("sigma", torch.tensor(width(0, max_delay, epochs)), persistent=False)
        self.register_memory("past", None)

    def extra_repr(self) -> str:
        """Return the sizes and the longest delay, for the module's text."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        return f"{sizes}, max_delay={self.max_delay}, {super().extra_repr()}"

    def set_epoch(self, epoch: int) -> None:
        """Take the σ of an epoch of training, which counts from 0."""
        self.sigma.fill_(width(epoch, self.max_delay, self.epochs))

    @torch.no_grad()
    def clamp_parameters(self) -> None:
        """Move delays that left [0, D] to its nearer end."""
        self.delay.clamp_(0, self.max_delay)

    def kernel(self) -> Tensor:
        """Return K [O,I,D+1], of which tap k is the weight of the input k timesteps before."""
        taps = torch.arange(self.max_delay + 1, device=self.delay.device)
        if not self.training:
            nearest = self.delay.round().clamp(0, self.max_delay)
            return self.weight[..., None] * (taps == nearest[..., None])
        distances = (taps - self.delay[..., None]) / self.sigma
        return self.weight[..., None] * (-0.5 * distances.square()).softmax(-1)

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor | None, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run all timesteps, in SpikingJelly's terms: (x [T,N,I],), (past [D,N,I],) → (y [T,N,O],), (past,)."""
        (x,), (past,) = inputs, states
        if past is None:
            past = x.new_zeros(self.max_delay, *x.shape[1:])
        window = torch.cat((past, x))
        y = functional.conv1d(window.permute(1, 2, 0), self.kernel().flip(-1), self.bias)
        return (y.permute(2, 0, 1),), (window[-self.max_delay :],)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor | None, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run one timestep, in SpikingJelly's terms: (x [N,I],), (past [D,N,I],) → (y [N,O],), (past,)."""
        (y,), states_after = self.multi_step_functional_forward((inputs[0][None],), states)
        return (y[0],), states_after


def width(epoch: int, max_delay: int, epochs: int) -> float:
    """Return σ in an epoch: from about half the longest delay it falls exponentially to ½, over so many epochs."""
    begin, end = max_delay / 2, SHARPEST - FLOOR
    fallen: float = (end / begin) ** (min(epoch, epochs) / epochs)
    return FLOOR + begin * fallen


def make_linear(inputs: int, outputs: int, bias: bool, max_delay: int | None, epochs: int) -> nn.Module:
    """Build a linear layer, with learned delays if there is a longest one.

    Raises ConfigError unless that, and the epochs in which they sharpen, are 1 or more.
    """
    linear: nn.Module
    if max_delay is None:
        linear = layer.Linear(inputs, outputs, bias)
    else:
        linear = DelayedLinear(inputs, outputs, bias, max_delay, epochs)
    return linear


def learned_delays(model: nn.Module) -> list[nn.Parameter]:
    """Return what a model's layers learn as delays: the parameters that ``learned_delays`` of a class names."""
    return list(parameters_of_classes(model, {}, "learned_delays"))
