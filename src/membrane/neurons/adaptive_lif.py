"""Adaptive leaky integrate-and-fire neurons: a second state lowers the potential after spikes, and as it rises."""

import math
from collections.abc import Mapping, Sequence

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter, is_lazy

from membrane.errors import ConfigError

Range = Sequence[float]
NAMES = ("alpha", "beta", "a", "b")


class Adaptive(neuron.BaseNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,C,…] or [T,N,C,…] → spikes, the base of neurons with a potential u and an adaptation w.

    α and β, the shares of u and w that a timestep leaves, and a and b, by which u and spikes drive w, are learned for
    each of C channels. They are drawn from their ranges with the first input, which tells C, and held within them
    whenever they are used.

    Arguments:
        tau: the range of u's time constant in timesteps, [smallest, largest], above 0; α = exp(−1/τ).
        tau_w: that of w.
        a, b: the ranges of a and b.
        v_threshold: θ.
        surrogate_function: the spike's derivative; SpikingJelly's ATan if None.
    """

    learned_time_constants = ("alpha", "beta")
    alpha: nn.Parameter
    beta: nn.Parameter
    a: nn.Parameter
    b: nn.Parameter

    def __init__(
        self,
        tau: Range,
        tau_w: Range,
        a: Range,
        b: Range,
        v_threshold: float,
        surrogate_function: nn.Module | None,
    ) -> None:
        super().__init__(v_threshold, 0.0, surrogate_function or surrogate.ATan())
        for name, (low, high) in {"tau": tau, "tau_w": tau_w}.items():
            if not 0 < low <= high:
                raise ConfigError(f"{name} must be a range [smallest, largest] above 0, got {[low, high]}")
        decays = {"alpha": tau, "beta": tau_w}
        self.ranges: Mapping[str, Range] = {
            **{name: (math.exp(-1 / low), math.exp(-1 / high)) for name, (low, high) in decays.items()},
            "a": a,
            "b": b,
        }
        self.register_memory("w", 0.0)
        # drawn now, so that what is drawn with the first input depends on nothing that was drawn before it
        self.seed = int(torch.randint(2**62, (), device="cpu"))
        for name in NAMES:
            self.register_parameter(name, UninitializedParameter())

    def draw_parameters(self, x: Tensor) -> None:
        """Draw the parameters for the channels of x [N,C,…]."""
        generator = torch.Generator().manual_seed(self.seed)
        for name, (low, high) in self.ranges.items():
            parameter = getattr(self, name)
            parameter.materialize(x.shape[1:2])
            with torch.no_grad():
                parameter.copy_(low + (high - low) * torch.rand(x.shape[1], generator=generator, device="cpu"))

    def held(self, x: Tensor) -> list[Tensor]:
        """Return α, β, a and b within their ranges, to broadcast over x [N,C,…] → [C,…] each."""
        if is_lazy(self.alpha):
            self.draw_parameters(x)
        shape = (-1, *[1] * (x.dim() - 2))
        return [getattr(self, name).clamp(*self.ranges[name]).reshape(shape) for name in NAMES]

    def materialize_states(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], step_mode: str
    ) -> tuple[object, ...]:
        """Begin with w = 0 in the shape of u, in SpikingJelly's terms."""
        potential, adaptation, *others = super().materialize_states(inputs, states, step_mode)
        if not isinstance(adaptation, Tensor) or adaptation.shape != potential.shape:
            adaptation = torch.zeros_like(potential)
        return (potential, adaptation.to(potential), *others)


class AdLIF(Adaptive):
    """x [N,C,…] or [T,N,C,…] → spikes: adaptive LIF (Bittar, Garner 2022, doi:10.3389/fnins.2022.865897).

    w[t] = β·w[t−1] + a·u[t−1] + b·s[t−1], u[t] = α·(u[t−1] − θ·s[t−1]) + (1 − α)·(x[t] − w[t]), s[t] = Θ(u[t] − θ).
    With ``model.recurrent=lateral`` it is the authors' RadLIF. All states begin at 0, theirs at random.
    """

    def __init__(
        self,
        tau: Range = (5.0, 25.0),
        tau_w: Range = (30.0, 120.0),
        a: Range = (-1.0, 1.0),
        b: Range = (0.0, 2.0),
        v_threshold: float = 1.0,
        surrogate_function: nn.Module | None = None,
    ) -> None:
        super().__init__(tau, tau_w, a, b, v_threshold, surrogate_function)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run one timestep, in SpikingJelly's terms: (x [N,C,…],), (u, w) → (spikes [N,C,…],), (u, w)."""
        (x,), (u, w, *others) = inputs, states
        alpha, beta, a, b = self.held(x)
        before = self.surrogate_function(u - self.v_threshold)
        w = beta * w + a * u + b * before
        u = alpha * (u - self.v_threshold * before) + (1 - alpha) * (x - w)
        return (self.surrogate_function(u - self.v_threshold),), (u, w, *others)


class SEAdLIF(Adaptive):
    """x [N,C,…] or [T,N,C,…] → spikes: adaptive LIF in symplectic Euler steps (Baronig et al. 2024, arXiv:2408.07517).

    h[t] = α·u[t−1] + (1 − α)·(x[t] − w[t−1]), s[t] = Θ(h[t] − θ), u[t] = h[t]·(1 − s[t]) and, from the new u,
    w[t] = β·w[t−1] + (1 − β)·q·(a·u[t] + b·s[t]), which is stable where `AdLIF` is not.

    Arguments:
        tau, tau_w, a, b, v_threshold, surrogate_function: as `Adaptive`.
        q: scale of a and b, which are learned in ranges of order 1.
        detach_reset: let no gradient flow through the spike in the reset.
    """

    def __init__(
        self,
        tau: Range = (5.0, 25.0),
        tau_w: Range = (60.0, 300.0),
        a: Range = (0.0, 1.0),
        b: Range = (0.0, 2.0),
        q: float = 120.0,
        v_threshold: float = 1.0,
        surrogate_function: nn.Module | None = None,
        detach_reset: bool = False,
    ) -> None:
        super().__init__(tau, tau_w, a, b, v_threshold, surrogate_function)
        self.q = q
        self.detach_reset = detach_reset

    @torch.no_grad()
    def clamp_parameters(self) -> None:
        """Move parameters that left their ranges to the nearer end, after each optimiser step, as the authors do."""
        for name, (low, high) in self.ranges.items():
            getattr(self, name).clamp_(low, high)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Run one timestep, in SpikingJelly's terms: (x [N,C,…],), (u, w) → (spikes [N,C,…],), (u, w)."""
        (x,), (u, w, *others) = inputs, states
        alpha, beta, a, b = self.held(x)
        h = alpha * u + (1 - alpha) * (x - w)
        spike = self.surrogate_function(h - self.v_threshold)
        u = h * (1 - (spike.detach() if self.detach_reset else spike))
        w = beta * w + (1 - beta) * self.q * (a * u + b * spike)
        return (spike,), (u, w, *others)
