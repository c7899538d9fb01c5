"""Neurons whose timesteps run fused on the CPU: IF, LIF and PLIF, forward and gradient each in one pass over memory.

SpikingJelly steps through time with a handful of torch operations for each timestep, each a pass over memory. Here one
autograd function does a whole layer: what it keeps for the gradient is its input alone, from which the membrane
potential is computed a second time. Spikes are equal in all bits, gradients within rounding.

The neuron stays what it is: its class, name, hooks and state. `fuse` gives the instance its own way through time, which
falls back to the class's wherever it does not apply: on a GPU, in float64, with ``store_v_seq``, under torch.compile,
with a surrogate that is not SpikingJelly's. Under autocast x and the spikes are bfloat16, the membrane stays float32.
"""

from types import MethodType
from typing import Any

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from membrane.neurons import compiled, eager
from membrane.neurons.dynamics import Dynamics, State, unrolled
from membrane.neurons.layout import as_rows_of, dense
from membrane.neurons.surrogate_gradients import compiled as surrogate_parameters

CHARGES = {
    neuron.IFNode: "integrate",
    neuron.HalfThresholdIFNode: "integrate",
    neuron.LIFNode: "leak",
    neuron.ParametricLIFNode: "learned",
}
DTYPES = (torch.float32, torch.bfloat16)


def fuse(model: nn.Module) -> list[str]:
    """Let every neuron in a model that can run fused do so; their dotted names."""
    names = []
    for name, module in model.named_modules():
        if type(module) in CHARGES:
            module.multi_step_forward = MethodType(multi_step_forward, module)
            module.single_step_forward = MethodType(single_step_forward, module)
            names.append(name)
    return names


def multi_step_forward(self: Any, x_seq: Tensor, *args: Any, **kwargs: Any) -> Any:
    """x [T,N,…] → spikes [T,N,…]."""
    dynamics = None if args or kwargs else dynamics_of(self, x_seq)
    if dynamics is None or x_seq.dim() < 2:
        return type(self).multi_step_forward(self, x_seq, *args, **kwargs)
    return advance(self, dynamics, x_seq)


def single_step_forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """x [N,…] → spikes [N,…]."""
    dynamics = None if args or kwargs else dynamics_of(self, x)
    if dynamics is None or x.dim() < 1:
        return type(self).single_step_forward(self, x, *args, **kwargs)
    return advance(self, dynamics, x.unsqueeze(0)).squeeze(0)


def dynamics_of(module: Any, x: Tensor) -> Dynamics | None:
    """What the neuron computes, read anew at every call; None where only its own way through time does that."""
    if type(x) is not Tensor or x.device.type != "cpu" or x.dtype not in DTYPES or not x.numel():
        return None
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return None
    if module.store_v_seq or module._neuron_precision is not None or not plain(module._memories["v"]):
        return None
    parameters = surrogate_parameters(module.surrogate_function)
    charge = CHARGES[type(module)]
    if parameters is None or (charge == "learned" and module.w.dtype != torch.float32):
        return None
    return Dynamics(
        charge,
        charge != "integrate" and module.decay_input,
        module.tau if charge == "leak" else 1.0,
        module.v_threshold,
        module.v_reset,
        module.detach_reset,
        module.surrogate_function,
        parameters,
    )


def plain(v: Tensor | float) -> bool:
    """Whether the membrane potential is a number, or lies in this machine's memory in a type that fits float32."""
    return not isinstance(v, Tensor) or (v.device.type == "cpu" and v.dtype in DTYPES)


def advance(module: Any, dynamics: Dynamics, x: Tensor) -> Tensor:
    """x [T,N,…] → spikes [T,N,…]; the neuron's potential moves on by T timesteps."""
    v = module._memories["v"]
    before, start = None, v
    if isinstance(v, Tensor):
        # Of another batch: SpikingJelly starts anew, without a word.
        before = v.float() if v.shape == x.shape[1:] else None
        half = isinstance(module, neuron.HalfThresholdIFNode)
        start = dynamics.v_threshold / 2 if half else dynamics.rest
    rate = module.w.sigmoid() if dynamics.charge == "learned" else None
    spikes, after = Fused.apply(x if dense(x) else x.contiguous(), before, rate, dynamics, start)
    module._memories["v"] = after
    return spikes  # type: ignore[no-any-return]


class Fused(torch.autograd.Function):
    """x [T,N,…], dense in each timestep, v [N,…] or None, 1/τ or None → spikes [T,N,…], the last v [N,…]."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, before: Tensor | None, rate: Tensor | None, dynamics: Dynamics, start: float
    ) -> tuple[Tensor, Tensor]:
        """One pass over x."""
        kernel = compiled.kernel(compiled.form(dynamics, x.dtype)) or eager
        ctx.save_for_backward(x, before, rate)
        ctx.dynamics, ctx.start, ctx.kernel = dynamics, start, kernel
        ctx.set_materialize_grads(False)
        return kernel.forward(dynamics, x, state_for(x, before, start), rate)

    @staticmethod
    def backward(ctx: Any, g_spikes: Tensor | None, g_after: Tensor | None) -> Any:  # type: ignore[override]
        """One pass back over x and the gradient of the spikes."""
        x, before, rate = ctx.saved_tensors
        state = state_for(x, before, ctx.start)
        if g_spikes is None and g_after is None:
            return (None,) * 5
        if torch.is_grad_enabled():
            return differentiable(ctx, g_spikes, g_after)
        g_spikes = torch.zeros_like(x) if g_spikes is None else as_rows_of(x, g_spikes, x.dtype)
        if g_after is not None:
            g_after = as_rows_of(x[:1], g_after[None], torch.float32)[0]
        g_x, g_before, g_rate = ctx.kernel.backward(ctx.dynamics, x, state, rate, g_spikes, g_after)
        return g_x, None if before is None else g_before, g_rate, None, None


def state_for(x: Tensor, before: Tensor | None, start: float) -> State:
    """The state before the first timestep, laid out as x."""
    return None if before is None else as_rows_of(x[:1], before[None], torch.float32)[0], start


def differentiable(ctx: FunctionCtx, g_spikes: Tensor | None, g_after: Tensor | None) -> Any:
    """The gradients as `Fused` has them, in operations that can be derived once more (``create_graph=True``)."""
    saved: tuple[Tensor | None, ...] = ctx.saved_tensors  # type: ignore[attr-defined]
    x, before, rate = saved
    wanted = [tensor for tensor in saved if tensor is not None and tensor.requires_grad]
    with torch.enable_grad():
        outputs = unrolled(ctx.dynamics, x, (before, ctx.start), rate)  # type: ignore[attr-defined,arg-type]
        pairs = [
            (output, given) for output, given in zip(outputs, (g_spikes, g_after), strict=True) if given is not None
        ]
        found = torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [given for _, given in pairs],
            create_graph=True,
            allow_unused=True,
        )
    gradients = dict(zip(map(id, wanted), found, strict=True))
    return (*(gradients.get(id(tensor)) for tensor in saved), None, None)
