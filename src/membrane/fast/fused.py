"""Neurons whose timesteps run fused on the CPU: IF, LIF, PLIF, Leaky, forward and gradient each one pass over memory.

SpikingJelly runs a handful of torch operations for each timestep, each a pass over memory. Here one autograd function
runs a whole layer. For the gradient it saves only its input, from which the membrane potential is computed again.
Spikes are equal in all bits, gradients to rounding.

The neuron keeps its class, name, hooks and state. `fuse` replaces the instance's forward methods, which fall back to
the class's if they do not apply: on a GPU, in float64, with ``store_v_seq``, under torch.compile, with a surrogate that
is not SpikingJelly's. Under autocast x and the spikes are bfloat16 and the membrane is float32 in both.
"""

from collections import Counter
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from membrane.fast import eager, kernels
from membrane.fast.dynamics import Dynamics, State, unroll
from membrane.fast.layout import empty_rows, is_dense, match_rows, match_step
from membrane.fast.repetition import repeated
from membrane.fast.surrogate_gradients import derivative_parameters
from membrane.neurons import is_neuron
from membrane.neurons.leaky import Leaky

CHARGES = {
    neuron.IFNode: "integrate",
    neuron.HalfThresholdIFNode: "integrate",
    neuron.LIFNode: "leak",
    neuron.ParametricLIFNode: "learned",
    Leaky: "reset_late",
}
DTYPES = (torch.float32, torch.bfloat16)
HALF = (torch.bfloat16, torch.float16)


def fuse(model: nn.Module) -> list[str]:
    """Let every neuron in a model that can run fused do so; return their dotted names."""
    names = []
    for name, module in model.named_modules():
        if type(module) in CHARGES:
            module.multi_step_forward = MethodType(multi_step_forward, module)
            module.single_step_forward = MethodType(single_step_forward, module)
            names.append(name)
    return names


def describe_neurons(model: nn.Module, dtype: torch.dtype) -> str:
    """Describe in a line how many neurons of a model run in which way on the CPU, for input of that dtype."""
    ways = Counter(implementation(module, dtype) for module in model.modules() if is_neuron(module))
    return "neurons: " + (", ".join(f"{count} {way}" for way, count in sorted(ways.items())) or "none")


def implementation(module: Any, dtype: torch.dtype) -> str:
    """Return ``compiled``, ``in place`` (fused in torch's operations) or ``step by step`` (SpikingJelly's)."""
    if steps_alone(module, dtype):
        return "step by step"
    dynamics = dynamics_of(module)
    assert dynamics is not None
    return "compiled" if kernels.kernel_for(kernels.form_of(dynamics, dtype)) else "in place"


def steps_alone(module: Any, dtype: torch.dtype) -> bool:
    """Return whether a neuron runs timestep by timestep, in SpikingJelly's code, for input of that dtype."""
    return "multi_step_forward" not in module.__dict__ or dtype not in DTYPES or dynamics_of(module) is None


def multi_step_forward(self: Any, x_seq: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Run x [T,N,…] → spikes [T,N,…], fused if possible."""
    dynamics = None if args or kwargs or not can_fuse(x_seq, 2) else dynamics_of(self)
    if dynamics is None:
        return run_in_float32(type(self).multi_step_forward, self, x_seq, *args, **kwargs)
    return run_fused(self, dynamics, x_seq, single=False)


def single_step_forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Run x [N,…] → spikes [N,…], fused if possible."""
    dynamics = None if args or kwargs or not can_fuse(x, 1) else dynamics_of(self)
    if dynamics is None:
        return run_in_float32(type(self).single_step_forward, self, x, *args, **kwargs)
    return run_fused(self, dynamics, x, single=True)


def run_in_float32(forward: Callable[..., Any], module: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Call the class's forward with a float32 membrane, though x and the spikes may be in half precision."""
    if type(x) is not Tensor or x.dtype not in HALF:
        return forward(module, x, *args, **kwargs)
    return forward(module, x.float(), *args, **kwargs).to(x.dtype)


def can_fuse(x: Tensor, least: int) -> bool:
    """Return whether x is a plain CPU tensor with ``least`` axes or more, and torch is not recording operations."""
    if type(x) is not Tensor or x.device.type != "cpu" or x.dtype not in DTYPES:
        return False
    if x.dim() < least or not x.numel():
        return False
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def dynamics_of(module: Any) -> Dynamics | None:
    """Return the neuron's present dynamics; None if only its class can compute them."""
    # private to SpikingJelly 2.0.0: _neuron_precision, which its precision.convert sets, has no public name; _memories
    # holds the state, which module.v would search for through nn.Module, for every layer at every step
    if module.store_v_seq or module._neuron_precision is not None or not is_cpu_state(module._memories["v"]):
        return None
    parameters = derivative_parameters(module.surrogate_function)
    charge = CHARGES[type(module)]
    if charge == "reset_late" and module.analog:
        return None
    if parameters is None or (charge == "learned" and (module.w.dtype != torch.float32 or module.w.dim())):
        return None
    return Dynamics(
        charge,
        charge in ("leak", "learned") and module.decay_input,
        module.tau if charge == "leak" else 1.0,
        module.v_threshold,
        module.v_reset,
        module.detach_reset,
        module.surrogate_function,
        parameters,
        module.beta if charge == "reset_late" else 0.0,
    )


def is_cpu_state(v: Tensor | float) -> bool:
    """Return whether the potential is a number, or a CPU tensor of a dtype that float32 contains."""
    return not isinstance(v, Tensor) or (v.device.type == "cpu" and v.dtype in DTYPES)


def run_fused(module: Any, dynamics: Dynamics, x: Tensor, single: bool) -> Tensor:
    """Run x [T,N,…] → spikes [T,N,…], or a ``single`` timestep [N,…] → [N,…], and update the neuron's potential."""
    v = module._memories["v"]  # private to SpikingJelly 2.0.0, as in `dynamics_of`
    before, start = None, v
    if isinstance(v, Tensor):
        # a potential of another batch's shape is started anew, as by SpikingJelly
        before = v.float() if v.shape == (x.shape if single else x.shape[1:]) else None
        half = isinstance(module, neuron.HalfThresholdIFNode)
        start = dynamics.v_threshold / 2 if half else dynamics.rest
    rate = module.w.sigmoid() if dynamics.charge == "learned" else None
    apply: Callable[..., tuple[Tensor, Tensor]] = Fused.apply
    once = None if single else repeated(x)
    steps = 1 if single else 0 if once is None else len(x)
    spikes, after = apply(x if once is None else once, before, rate, dynamics, start, steps)
    module._memories["v"] = after
    return spikes


class Fused(torch.autograd.Function):
    """x [T,N,…], v [N,…] or None, 1/τ or None → spikes [T,N,…] and the last v [N,…].

    With ``steps`` x is [N,…], the input of each of so many timesteps; of 1 timestep the spikes are [N,…] too.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        before: Tensor | None,
        rate: Tensor | None,
        dynamics: Dynamics,
        start: float,
        steps: int,
    ) -> tuple[Tensor, Tensor]:
        """Run x in one pass; ``start`` is the potential at which all neurons start if ``before`` is None."""
        ctx.dynamics, ctx.start, ctx.steps = dynamics, start, steps
        ctx.kernel = kernels.kernel_for(kernels.form_of(dynamics, x.dtype)) or eager
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, before, rate)
        x = with_time_axis(x, steps)
        spikes, after = ctx.kernel.forward(dynamics, x, initial_state(x, before, start), rate)
        return spikes[0] if steps == 1 else spikes, after

    @staticmethod
    def backward(ctx: Any, g_spikes: Tensor | None, g_after: Tensor | None) -> Any:
        """Compute the gradients in one pass back over x and the gradient of the spikes."""
        if g_spikes is None and g_after is None:
            return (None,) * 6
        if torch.is_grad_enabled():
            return differentiable_gradients(ctx, g_spikes, g_after)
        x, before, rate = ctx.saved_tensors
        x = with_time_axis(x, ctx.steps)
        if g_spikes is None:
            g_spikes = empty_rows(x).zero_()
        g_spikes = match_rows(x, g_spikes[None] if g_spikes.dim() < x.dim() else g_spikes)
        g_after = None if g_after is None else match_step(x, g_after)
        g_x, g_before, g_rate = ctx.kernel.backward(
            ctx.dynamics, x, initial_state(x, before, ctx.start), rate, g_spikes, g_after, ctx.steps > 1
        )
        return g_x[0] if ctx.steps else g_x, None if before is None else g_before, g_rate, None, None, None


def with_time_axis(x: Tensor, steps: int) -> Tensor:
    """Give x a time axis, [N,…] → [T,N,…] with ``steps`` timesteps, unless that is 0; copy x if it is not dense."""
    if not steps:
        return x if is_dense(x) else x.contiguous()
    x = x[None]
    return (x if is_dense(x) else x.contiguous()).expand(steps, *x.shape[1:])


def initial_state(x: Tensor, before: Tensor | None, start: float) -> State:
    """Return the state before the first timestep, laid out as x [T,N,…]."""
    return None if before is None else match_step(x, before), start


def differentiable_gradients(ctx: Any, g_spikes: Tensor | None, g_after: Tensor | None) -> Any:
    """Return the gradients of `Fused` in operations that can be differentiated again (``create_graph=True``)."""
    saved: tuple[Tensor | None, ...] = ctx.saved_tensors
    inputs = [tensor for tensor in saved if tensor is not None and tensor.requires_grad]
    x, before, rate = ctx.saved_tensors
    with torch.enable_grad():
        x = x.expand(ctx.steps, *x.shape) if ctx.steps else x
        spikes, after = unroll(ctx.dynamics, x, (before, ctx.start), rate)
        outputs = (spikes[0] if ctx.steps == 1 else spikes, after)
        pairs = [(output, g) for output, g in zip(outputs, (g_spikes, g_after), strict=True) if g is not None]
        used, g_used = zip(*pairs, strict=True)
        g_inputs = torch.autograd.grad(used, inputs, g_used, create_graph=True, allow_unused=True)
    gradients = dict(zip(map(id, inputs), g_inputs, strict=True))
    return *(gradients.get(id(tensor)) for tensor in saved), None, None, None
