"""Fused neurons in torch's own operations, in place: for machines without a compiler, and surrogates not in C.

A piece of the layer goes through all timesteps before the next piece does, so that its state stays in the cache.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from membrane.fast.dynamics import Dynamics, State
from membrane.fast.layout import empty_rows, empty_step, row_view
from membrane.fast.surrogate_gradients import derivative

PIECE = 2**17
"""Neurons in a piece: half a mebibyte for each timestep. With fewer, torch's overhead for each call dominates."""


def pieces(neurons: int) -> Iterator[slice]:
    """Yield slices of the neurons."""
    for first in range(0, neurons, PIECE):
        yield slice(first, first + PIECE)


def forward(dynamics: Dynamics, x: Tensor, state: State, rate: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run x [T,N,…], dense in each timestep → spikes [T,N,…] and the last v [N,…], laid out as x."""
    spikes, after = empty_rows(x), empty_step(x)
    inputs, outputs, potentials = row_view(x), row_view(spikes), row_view(after[None])[0]
    for piece in pieces(inputs.shape[1]):
        v = fill_start(potentials[piece], state, piece)
        for t in range(len(x)):
            charge_(dynamics, inputs[t, piece], v, rate)
            reset_(dynamics, v, fire(dynamics, v, outputs[t, piece]))
    return spikes, after


def fill_start(v: Tensor, state: State, piece: slice) -> Tensor:
    """Fill v with the potentials at which the neurons of a piece start."""
    before, start = state
    return v.fill_(start) if before is None else v.copy_(row_view(before[None])[0, piece])


def charge_(dynamics: Dynamics, x: Tensor, v: Tensor, rate: Tensor | None) -> Tensor:
    """Charge v with x, in place, rounding as SpikingJelly's formula does."""
    if dynamics.charge == "integrate":
        return v.add_(x)
    if dynamics.charge == "reset_late":
        fired = v.ge(dynamics.v_threshold).to(v.dtype)
        return v.mul_(dynamics.beta).add_(x).sub_(fired, alpha=dynamics.v_threshold)
    leaking = v - dynamics.rest
    if dynamics.decay_input:
        torch.sub(x, leaking, out=leaking)
    leaked = leaking.div_(dynamics.tau) if rate is None else leaking.mul_(rate)
    return v.add_(leaked) if dynamics.decay_input else v.sub_(leaked).add_(x)


def fire(dynamics: Dynamics, h: Tensor, out: Tensor) -> Tensor:
    """Write the spikes of h to ``out``, and return them as float32."""
    if out.dtype == h.dtype:
        return torch.ge(h, dynamics.v_threshold, out=out)
    spike = torch.ge(h, dynamics.v_threshold, out=torch.empty_like(h))
    out.copy_(spike)
    return spike


def reset_(dynamics: Dynamics, h: Tensor, spike: Tensor) -> Tensor:
    """Reset h, in place; a late reset comes with the next charge."""
    if dynamics.charge == "reset_late":
        return h
    if dynamics.v_reset is None:
        return h.sub_(spike, alpha=dynamics.v_threshold)
    h.addcmul_(h, spike, value=-1)
    return h.add_(spike, alpha=dynamics.v_reset) if dynamics.v_reset else h


def backward(
    dynamics: Dynamics,
    x: Tensor,
    state: State,
    rate: Tensor | None,
    g_spikes: Tensor,
    g_after: Tensor | None,
    repeated: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Convert gradients of spikes [T,N,…] and the last v (or None) to those of x, the first v and the rate.

    Arguments:
        dynamics, state, rate: as in the forward pass.
        x: [T,N,…], dense in each timestep.
        g_spikes, g_after: gradients, laid out as x.
        repeated: x is the same at every timestep; its gradient is [1,N,…], summed over them. Not by default.
    """
    g_x, g_before = empty_rows(x), empty_step(x)
    inputs, arriving, leaving = row_view(x), row_view(g_spikes), row_view(g_x)
    carried = row_view(g_before[None])[0]
    share = 1 / dynamics.tau if rate is None else float(rate)
    g_rate = None if rate is None else torch.zeros((), dtype=torch.float64)
    for piece in pieces(inputs.shape[1]):
        carry = carried[piece]
        carry.zero_() if g_after is None else carry.copy_(row_view(g_after[None])[0, piece])
        x_piece = inputs[:, piece]
        v, h, s = replay(dynamics, x_piece, state, rate, piece)
        for t in reversed(range(len(x))):
            g = backward_step_(dynamics, h[t], s[t], arriving[t, piece], carry)
            if g_rate is not None:
                moved = v[t] - dynamics.rest
                g_rate += (g * (x_piece[t] - moved if dynamics.decay_input else moved.neg_())).sum(dtype=torch.float64)
            if dynamics.charge in ("integrate", "reset_late"):
                leaving[t, piece] = g
                if dynamics.charge == "reset_late":
                    carry.mul_(dynamics.beta)
                continue
            shared = g * share
            leaving[t, piece] = shared if dynamics.decay_input else g
            carry.sub_(shared)
    return (
        g_x.sum(0, keepdim=True) if repeated else g_x,
        g_before,
        None if rate is None or g_rate is None else g_rate.to(rate.dtype),
    )


def replay(
    dynamics: Dynamics, x: Tensor, state: State, rate: Tensor | None, piece: slice
) -> tuple[list[Tensor], Tensor, Tensor]:
    """Run x [T,n] of a piece again → v before each timestep (if a rate is learned), h [T,n] and spikes [T,n]."""
    h, s = x.new_empty(x.shape, dtype=torch.float32), x.new_empty(x.shape, dtype=torch.float32)
    befores, v = [], fill_start(h.new_empty(x.shape[1]), state, piece)
    for t in range(len(x)):
        if rate is not None:
            befores.append(v.clone())
        h[t] = charge_(dynamics, x[t], v, rate)
        reset_(dynamics, v, fire(dynamics, v, s[t]))
    return befores, h, s


def backward_step_(dynamics: Dynamics, h: Tensor, spike: Tensor, g_spike: Tensor, carry: Tensor) -> Tensor:
    """Turn ``carry``, the gradient of v after the reset, into that of h, in place; h and spike are overwritten."""
    away = None if dynamics.v_reset is None or dynamics.detach_reset else dynamics.v_reset - h
    slope = derivative(dynamics.surrogate, h.sub_(dynamics.v_threshold))
    if dynamics.v_reset is not None:
        through = spike.neg_().add_(1)
        carry.mul_(through if away is None else through.addcmul_(away, slope))
    elif not dynamics.detach_reset and dynamics.charge != "reset_late":
        carry.addcmul_(carry, slope, value=-dynamics.v_threshold)
    return carry.addcmul_(g_spike.float(), slope)
