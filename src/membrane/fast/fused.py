"""Neurons whose timesteps run fused on the CPU: IF, LIF and PLIF, forward and gradient each in one pass over memory.

SpikingJelly steps through time with a handful of torch operations for each timestep, each a pass over memory. Here one
autograd function does a whole layer: what it keeps for the gradient is its input alone, from which the membrane
potential is computed a second time. Spikes are equal in all bits, gradients within rounding.

The neuron stays what it is: its class, name, hooks and state. `fuse` gives the instance its own way through time, which
falls back to the class's wherever it does not apply: on a GPU, in float64, with ``store_v_seq``, under torch.compile,
with a surrogate that is not SpikingJelly's. Under autocast x and the spikes are bfloat16, the membrane stays float32
either way.
"""

from collections import Counter
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from membrane.fast import eager
from membrane.fast import kernels as compiled
from membrane.fast.dynamics import Dynamics, State, unrolled
from membrane.fast.layout import as_rows_of, as_step_of, dense
from membrane.fast.surrogate_gradients import compiled as surrogate_parameters
from membrane.neurons import is_neuron

CHARGES = {
    neuron.IFNode: "integrate",
    neuron.HalfThresholdIFNode: "integrate",
    neuron.LIFNode: "leak",
    neuron.ParametricLIFNode: "learned",
}
DTYPES = (torch.float32, torch.bfloat16)
HALF = (torch.bfloat16, torch.float16)


def fuse(model: nn.Module) -> list[str]:
    """Let every neuron in a model that can run fused do so; their dotted names."""
    names = []
    for name, module in model.named_modules():
        if type(module) in CHARGES:
            module.multi_step_forward = MethodType(multi_step_forward, module)
            module.single_step_forward = MethodType(single_step_forward, module)
            names.append(name)
    return names


def summary(model: nn.Module, dtype: torch.dtype) -> str:
    """How the neurons of a model run on the CPU on input of that type, in a line for the log."""
    ways = Counter(way(module, dtype) for module in model.modules() if is_neuron(module))
    return "neurons: " + (", ".join(f"{count} {way}" for way, count in sorted(ways.items())) or "none")


def way(module: Any, dtype: torch.dtype) -> str:
    """``compiled``, ``in place`` (torch's operations, fused all the same), or ``step by step``, SpikingJelly's own."""
    own = module.__dict__.get("multi_step_forward")
    dynamics = dynamics_of(module) if own is not None and dtype in DTYPES else None
    if dynamics is None:
        return "step by step"
    return "compiled" if compiled.kernel(compiled.form(dynamics, dtype)) else "in place"


def multi_step_forward(self: Any, x_seq: Tensor, *args: Any, **kwargs: Any) -> Any:
    """x [T,N,…] → spikes [T,N,…]."""
    dynamics = None if args or kwargs or not suits(x_seq, 2) else dynamics_of(self)
    if dynamics is None:
        return in_float32(type(self).multi_step_forward, self, x_seq, *args, **kwargs)
    return advance(self, dynamics, x_seq, single=False)


def single_step_forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """x [N,…] → spikes [N,…]."""
    dynamics = None if args or kwargs or not suits(x, 1) else dynamics_of(self)
    if dynamics is None:
        return in_float32(type(self).single_step_forward, self, x, *args, **kwargs)
    return advance(self, dynamics, x, single=True)


def in_float32(way: Callable[..., Any], module: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The class's own way; x in half precision and spikes as x, but the membrane stays float32."""
    if type(x) is not Tensor or x.dtype not in HALF:
        return way(module, x, *args, **kwargs)
    return way(module, x.float(), *args, **kwargs).to(x.dtype)


def suits(x: Tensor, least: int) -> bool:
    """Whether x is a plain tensor of numbers here, with that many axes at least, and nobody records the operations."""
    if type(x) is not Tensor or x.device.type != "cpu" or x.dtype not in DTYPES:
        return False
    if x.dim() < least or not x.numel():
        return False
    return not (torch.compiler.is_compiling() or torch._C._get_tracing_state())


def dynamics_of(module: Any) -> Dynamics | None:
    """What the neuron computes, read anew at every call; None where only its own way through time does that."""
    if module.store_v_seq or module._neuron_precision is not None or not plain(module._memories["v"]):
        return None
    parameters = surrogate_parameters(module.surrogate_function)
    charge = CHARGES[type(module)]
    if parameters is None or (charge == "learned" and (module.w.dtype != torch.float32 or module.w.dim())):
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


def advance(module: Any, dynamics: Dynamics, x: Tensor, single: bool) -> Tensor:
    """x [T,N,…] → spikes [T,N,…], or [N,…] → [N,…] of a ``single`` timestep; the neuron's potential moves on."""
    v = module._memories["v"]
    before, start = None, v
    if isinstance(v, Tensor):
        # Of another batch: SpikingJelly starts anew, without a word.
        before = v.float() if v.shape == (x.shape if single else x.shape[1:]) else None
        half = isinstance(module, neuron.HalfThresholdIFNode)
        start = dynamics.v_threshold / 2 if half else dynamics.rest
    rate = module.w.sigmoid() if dynamics.charge == "learned" else None
    apply: Callable[..., tuple[Tensor, Tensor]] = Fused.apply
    spikes, after = apply(x, before, rate, dynamics, start, single)
    module._memories["v"] = after
    return spikes


class Fused(torch.autograd.Function):
    """x [T,N,…], v [N,…] or None, 1/τ or None → spikes [T,N,…] and the last v [N,…]; without the T if ``single``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        before: Tensor | None,
        rate: Tensor | None,
        dynamics: Dynamics,
        start: float,
        single: bool,
    ) -> tuple[Tensor, Tensor]:
        """One pass over x."""
        ctx.dynamics, ctx.start, ctx.single = dynamics, start, single
        ctx.kernel = compiled.kernel(compiled.form(dynamics, x.dtype)) or eager
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, before, rate)
        x = steps(x, single)
        spikes, after = ctx.kernel.forward(dynamics, x, state_for(x, before, start), rate)
        return spikes[0] if single else spikes, after

    @staticmethod
    def backward(ctx: Any, g_spikes: Tensor | None, g_after: Tensor | None) -> Any:
        """One pass back over x and the gradient of the spikes."""
        if g_spikes is None and g_after is None:
            return (None,) * 6
        if torch.is_grad_enabled():
            return differentiable(ctx, g_spikes, g_after)
        x, before, rate = ctx.saved_tensors
        x = steps(x, ctx.single)
        if g_spikes is None:
            g_spikes = torch.zeros_like(x)
        g_spikes = as_rows_of(x, g_spikes[None] if g_spikes.dim() < x.dim() else g_spikes)
        g_after = None if g_after is None else as_step_of(x, g_after)
        g_x, g_before, g_rate = ctx.kernel.backward(
            ctx.dynamics, x, state_for(x, before, ctx.start), rate, g_spikes, g_after
        )
        return g_x[0] if ctx.single else g_x, None if before is None else g_before, g_rate, None, None, None


def steps(x: Tensor, single: bool) -> Tensor:
    """x [T,N,…], or [N,…] of a single timestep → [T,N,…], dense in each timestep: a copy only where it is not."""
    x = x[None] if single else x
    return x if dense(x) else x.contiguous()


def state_for(x: Tensor, before: Tensor | None, start: float) -> State:
    """The state before the first timestep, laid out as x [T,N,…]."""
    return None if before is None else as_step_of(x, before), start


def differentiable(ctx: Any, g_spikes: Tensor | None, g_after: Tensor | None) -> Any:
    """The gradients as `Fused` has them, in operations that can be derived once more (``create_graph=True``)."""
    saved: tuple[Tensor | None, ...] = ctx.saved_tensors
    wanted = [each for each in saved if each is not None and each.requires_grad]
    x, before, rate = ctx.saved_tensors
    with torch.enable_grad():
        spikes, after = unrolled(ctx.dynamics, x[None] if ctx.single else x, (before, ctx.start), rate)
        outputs = (spikes[0] if ctx.single else spikes, after)
        pairs = [(each, given) for each, given in zip(outputs, (g_spikes, g_after), strict=True) if given is not None]
        given = [given for _, given in pairs]
        found = torch.autograd.grad([each for each, _ in pairs], wanted, given, create_graph=True, allow_unused=True)
    gradients = dict(zip(map(id, wanted), found, strict=True))
    return *(gradients.get(id(each)) for each in saved), None, None, None
