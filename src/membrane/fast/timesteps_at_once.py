"""All timesteps of a single-step model at once, layer by layer, where they are the same bits as T calls of the model.

A layer of neurons then runs fused, a convolution runs on T·N images, and what stands before the first neuron runs once
if the input is repeated. Batch norm normalises each timestep by itself (`batch_norm_steps`). Whether a layer that sums
gives the same bits for T·N rows as T times for N is tried on random numbers, once for each shape: the libraries behind
torch choose their order of summation by the number of rows. Where it does not, the layer is called T times.

Outputs, running statistics and the neurons' state equal those of T calls in all bits, gradients to rounding. With a
hook, or a layer that is not listed here, the model is called T times.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import Tensor, nn

from membrane.fast import max_pool, stem_once
from membrane.fast.batch_norm_steps import normalise_steps, repeat_update
from membrane.fast.fused import steps_alone
from membrane.fast.hooks import has_own_hooks
from membrane.fast.layout import is_dense, same_layout, with_own_stride
from membrane.fast.surrogate_gradients import HOMES
from membrane.models.delays import DelayedLinear
from membrane.models.norms import TemporalEffectiveBatchNorm
from membrane.models.padding import ValidForward
from membrane.neurons import adaptive_lif, analog_lif, leaky, learnable_threshold

log = logging.getLogger(__name__)

SUMS = (layer.Conv1d, layer.Conv2d, layer.Linear, layer.GroupNorm)
BATCH_NORM = (layer.BatchNorm1d, layer.BatchNorm2d)
STEPS_ITSELF = (
    layer.ElementWiseRecurrentContainer,
    layer.LinearRecurrentContainer,
    layer.BatchNormThroughTime1d,
    layer.BatchNormThroughTime2d,
    layer.SynapseFilter,
    DelayedLinear,
)
"""Layers with a memory, and containers, that run timestep by timestep."""
NEURONS = (
    neuron.IFNode,
    neuron.HalfThresholdIFNode,
    neuron.LIFNode,
    neuron.ParametricLIFNode,
    neuron.KLIFNode,
    neuron.QIFNode,
    neuron.EIFNode,
    neuron.CUBALIFNode,
    adaptive_lif.AdLIF,
    adaptive_lif.SEAdLIF,
    analog_lif.LIAF,
    leaky.Leaky,
    learnable_threshold.IFSRL,
    learnable_threshold.ATIF,
)
LAYERS = (
    *SUMS,
    *BATCH_NORM,
    layer.MaxPool1d,
    layer.MaxPool2d,
    layer.AvgPool1d,
    layer.AvgPool2d,
    layer.AdaptiveAvgPool1d,
    layer.AdaptiveAvgPool2d,
    layer.Flatten,
    layer.Dropout,
    layer.VotingLayer,
    TemporalEffectiveBatchNorm,
    nn.Identity,
    nn.ReLU,
)
WRAPPED = (*SUMS, *BATCH_NORM, *STEPS_ITSELF, *NEURONS, layer.Flatten)
"""Layers that compute another thing in step mode 'm' than in T calls, or the same in another layout of memory."""
TREES = (
    "membrane.models.",
    "spikingjelly.activation_based.model.spiking_resnet.",
    "spikingjelly.activation_based.model.sew_resnet.",
)
"""Modules whose classes without a step mode only chain, add and pool what their layers put out."""
ALIGNMENT = 64
"""Of torch's memory on the CPU, in bytes."""


class AtOnce:
    """The memory of a model: which shapes of which layers give the same bits at once, and which lines were logged."""

    def __init__(self) -> None:
        self.same_bits: dict[Any, bool] = {}
        self.logged: set[str] = set()

    def report(self, line: str) -> None:
        """Log a line unless it was logged."""
        if line not in self.logged:
            self.logged.add(line)
            log.info(line)


def run_timesteps_at_once(model: nn.Module) -> None:
    """Let single-step frameworks run all timesteps of a model at once; classes, names and state stay as they are."""
    model.timesteps_at_once = AtOnce()  # type: ignore[assignment]  # torch types it as tensor or module


def at_once(model: Any, x: Tensor) -> Any:
    """Run a single-step model on x [T,N,…] → outputs [T,N,…]; None if it must be called at each timestep.

    Every layer is in step mode 's' before and after. In training a line says what ran.
    """
    memory = model.__dict__.get("timesteps_at_once")
    if memory is None or len(x) < 2:
        return None
    reason = obstacle(model, x)
    if model.training:
        memory.report(
            f"single-step: {'all timesteps at once, layer by layer' if reason is None else f'step by step, {reason}'}"
        )
    if reason is not None:
        return None
    with timesteps_together(model, memory, x):
        return model(x)


def obstacle(model: nn.Module, x: Tensor) -> str | None:
    """Return why a model must be called at each timestep, None if nothing is in the way."""
    if type(x) is not Tensor or x.device.type != "cpu":
        return "for x is not on the CPU"
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return "for torch records it"
    # private to torch 2.11.0, which has no public function that knows of hooks for all modules
    if torch.nn.modules.module._has_any_global_hook():  # type: ignore[no-untyped-call]
        return "for hooks listen to all layers"
    if any(map(has_own_hooks, model.modules())):
        name = next(name for name, module in model.named_modules() if has_own_hooks(module))
        return f"for a hook listens to {name or 'the model'}"
    if is_shared(model):
        return "for a layer is called twice"
    for module in outer_layers(model):
        if isinstance(module.__dict__.get("forward"), ValidForward):
            return "for batch norm leaves out padding"
        if not runs_at_once(module):
            return f"for {type(module).__name__} is not known to give the same bits at once"
    return None


def is_shared(model: nn.Module) -> bool:
    """Return whether a layer stands in a model twice, so that its state goes back and forth at every timestep."""
    layers = [each for _, each in model.named_modules(remove_duplicate=False) if isinstance(each, base.StepModule)]
    return len(layers) != len(set(layers))


def outer_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and those in it, but not what runs step by step inside a neuron or container."""
    yield module
    if not isinstance(module, (*STEPS_ITSELF, *NEURONS)):
        for child in module.children():
            yield from outer_layers(child)


def runs_at_once(module: Any) -> bool:
    """Return whether a module is one of those whose timesteps may run together."""
    module_class = type(module)
    replaced = module.__dict__.get("forward")
    if replaced is not None and not is_stem_once(replaced) and not is_pool_in_one_pass(replaced):
        return False
    if module_class in NEURONS:
        return type(module.surrogate_function).__module__ in HOMES
    if module_class in STEPS_ITSELF:
        return all(runs_at_once(child) for child in module.children() if isinstance(child, NEURONS))
    if module_class in LAYERS:
        return not stem_once.works_in_place(module)
    chains = module_class.forward is nn.Sequential.forward or f"{module_class.__module__}.".startswith(TREES)
    return chains and not isinstance(module, base.StepModule)


def is_stem_once(forward: Any) -> bool:
    """Return whether a layer's forward is the one that computes repeated input once."""
    return getattr(forward, "__func__", None) is stem_once.forward


def is_pool_in_one_pass(forward: Any) -> bool:
    """Return whether a layer's forward is that of a max pool in one pass."""
    return getattr(forward, "__func__", None) is max_pool.forward


@contextmanager
def timesteps_together(model: nn.Module, memory: AtOnce, x: Tensor) -> Iterator[None]:
    """Let every layer take [T,N,…] and compute what it computes in T calls of the model on x [T,N,…]."""
    layers = [module for module in outer_layers(model) if type(module) in WRAPPED]
    replaced = [(module, module.__dict__.get("forward")) for module in layers]
    try:
        functional.set_step_mode(model, "m")
        for number, (module, _) in enumerate(replaced):
            module.__dict__["forward"] = StepsForward(module, number, memory, x)
        yield
    finally:
        for module, before in replaced:
            module.__dict__.pop("forward", None)
            if before is not None:
                module.__dict__["forward"] = before
        functional.set_step_mode(model, "s")


class StepsForward:
    """Calls a layer in step mode 'm', so that it computes what it computes in T calls.

    Arguments:
        module: the layer.
        number: of the layer in the model.
        memory: of the model.
        model_input: what the model is called on, [T,N,…].
    """

    def __init__(self, module: Any, number: int, memory: AtOnce, model_input: Tensor) -> None:
        self.module, self.forward = module, module.forward
        self.number, self.memory = number, memory
        self.model_input = model_input

    def __call__(self, x: Tensor) -> Tensor:
        """Run x [T,N,…] → [T,N,…]."""
        x = with_own_stride(x)
        outputs = self.together(x)
        return stack_dense(self.step_by_step(x, x)) if outputs is None else outputs

    def together(self, x: Tensor) -> Tensor | None:
        """Run all timesteps together; None if the layer must be called at each."""
        module = self.module
        if isinstance(module, STEPS_ITSELF) or (isinstance(module, NEURONS) and steps_alone(module, x.dtype)):
            return None
        once = x.stride(0) == 0 and is_stem_once(self.forward)
        if isinstance(module, layer.Flatten) and not once:
            return x.flatten(2) if (module.start_dim, module.end_dim) == (1, -1) else None
        if isinstance(module, BATCH_NORM) and (module.training or module.running_mean is None):
            return self.normalise_once(x) if once else normalise_steps(module, x)
        tried = once or not isinstance(module, (*SUMS, *BATCH_NORM)) or self.gives_same_bits(x)
        outputs: Tensor | None = self.forward(x) if tried else None
        return outputs

    def normalise_once(self, x: Tensor) -> Tensor:
        """Normalise x [T,N,C,…], which repeats [N,C,…], once."""
        once = self.single(x[0])
        repeat_update(self.module, x[0], len(x) - 1)
        return once.unsqueeze(0).expand(len(x), *once.shape)

    def single(self, x: Tensor) -> Tensor:
        """Run one timestep [N,…] → [N,…]."""
        self.module.step_mode = "s"
        try:
            result: Tensor = self.forward(x)
        finally:
            self.module.step_mode = "m"
        return result

    def step_by_step(self, values: Tensor, x: Tensor) -> list[Tensor]:
        """Run the timesteps of values [T,N,…], which lie in memory as x does, one at a time → T times [N,…].

        In T calls of the model those of its input begin where they do here; what layers put out is memory of its own.
        """
        of_input = x.untyped_storage().data_ptr() == self.model_input.untyped_storage().data_ptr()
        return [self.single(frame if of_input else aligned(frame)) for frame in values]

    def gives_same_bits(self, x: Tensor) -> bool:
        """Return whether x [T,N,…] at once gives the bits of one timestep at a time, tried with random numbers.

        In one layout too: layers behind that sum, or draw, do so in the order of memory. With gradients enabled as they
        are: under autocast torch keeps the weights that are cast here for the step.
        """
        if x.data_ptr() % ALIGNMENT:
            return False
        key = (self.number, x.shape, x.stride(), x.dtype, torch.get_num_threads(), torch.is_autocast_enabled("cpu"))
        if key not in self.memory.same_bits:
            tried = random_like(x)
            alone, together = self.step_by_step(tried, x), self.forward(tried)
            layouts = alone[0].shape, alone[0].stride(), together[0].stride()
            self.memory.same_bits[key] = same_layout(*layouts) and torch.equal(together, torch.stack(alone))
        return self.memory.same_bits[key]


def random_like(x: Tensor) -> Tensor:
    """Draw numbers that lie in memory as x [T,N,…] does, which may repeat one timestep → [T,N,…]."""
    frames = x[:1] if x.stride(0) == 0 else x
    drawn = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    return torch.empty_strided(frames.shape, frames.stride(), dtype=x.dtype).copy_(drawn).expand(x.shape)


def aligned(frame: Tensor) -> Tensor:
    """Copy a frame [N,…] that begins where no new memory would, or has gaps: products of matrices depend on both."""
    return frame.clone() if frame.data_ptr() % ALIGNMENT or not is_dense(frame[None]) else frame


def stack_dense(frames: list[Tensor]) -> Tensor:
    """Stack T frames [N,…] → [T,N,…], each with its axes in memory in the order that they have."""
    strides = frames[0].stride()
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    stacked = torch.stack([frame.permute(order) for frame in frames])
    return stacked.permute(0, *(1 + order.index(axis) for axis in range(len(order))))
