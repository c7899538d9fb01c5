"""Neurons that learn timestep by timestep: no gradient flows from one timestep to the one before.

They run in single-step mode only: SpikingJelly's multi-step LIF would carry the gradient through time. What is new at
timestep t is the gradient of the outputs at t alone. Summed over t, which is what one backward pass does, it is that of
the published algorithms where these update the weights once a batch. For them the loss is a mean over timesteps:
``loss=tet loss.lamb=0``.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.neurons import is_neuron

WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d)
"""The layers of weights that OTTT traces the inputs of."""


class SLTTLIF(neuron.SLTTLIFNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [N,…] → spikes [N,…]: LIF through whose potential no gradient flows back in time.

    Spatial learning through time (Meng et al. 2023, arXiv:2302.14311).
    """

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = True,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate_function: nn.Module | None = None,
    ) -> None:
        super().__init__(tau, decay_input, v_threshold, v_reset, surrogate_function or surrogate.Sigmoid())

    def supported_step_mode(self) -> tuple[str, ...]:
        """Return the one step mode, so that setting another raises ValueError."""
        return ("s",)


class OTTTLIF(SLTTLIF):
    """x [N,…] → spikes [N,…]: the same for online training through time (Xiao et al. 2022, arXiv:2210.04195).

    The layers of weights behind it learn from `InputTraces`; the stem learns from its input, as in the authors' code.
    """

    def __init__(
        self,
        tau: float = 2.0,
        decay_input: bool = False,
        v_threshold: float = 1.0,
        v_reset: float | None = None,
        surrogate_function: nn.Module | None = None,
    ) -> None:
        super().__init__(tau, decay_input, v_threshold, v_reset, surrogate_function)
        self.traces: dict[nn.Module, Tensor] = {}

    def reset(self) -> None:
        """Return to the state before the first timestep, without traces."""
        super().reset()
        self.traces.clear()


class InputTraces:
    """The traces â[t] = λ·â[t−1] + x[t] of the inputs x of layers of weights, from which these learn.

    In training such a layer puts out W·x[t] + b, while the gradient of W is that of W·â[t] + b. The gradient of x is as
    ever. λ is ``leak``, the share of its potential that a neuron keeps; ``traces`` holds â of each layer.
    """

    def __init__(self, leak: float, traces: dict[nn.Module, Tensor]) -> None:
        self.leak = leak
        self.traces = traces

    def replace_gradient(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        """Return a layer's output for x [N,…] with the gradient of its trace; outside training the output alone."""
        if not module.training or not torch.is_grad_enabled():
            return output
        x, traces = inputs[0], self.traces
        with torch.no_grad():
            traces[module] = self.leak * traces[module] + x if module in traces else x.detach()
        replace: Any = layer.ReplaceforGrad.apply  # (x, value) → value; the gradient goes to both
        result: Tensor = replace(type(module).forward(module, replace(x, traces[module])), output.detach())
        return result


@contextmanager
def learning_from_traces(model: nn.Module) -> Iterator[None]:
    """Let the layers of weights behind a model's first neuron learn from `InputTraces` inside the block.

    The traces begin with the block. Raises ConfigError as `common_leak`.
    """
    traces = InputTraces(common_leak(model), {})
    behind_neuron = False

    def begin(*_: object) -> None:
        nonlocal behind_neuron
        behind_neuron = False

    def pass_neuron(*_: object) -> None:
        nonlocal behind_neuron
        behind_neuron = True

    def learn(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return traces.replace_gradient(module, inputs, output) if behind_neuron else output

    with ExitStack() as hooks:
        hooks.enter_context(model.register_forward_pre_hook(begin))
        for module in model.modules():
            if is_neuron(module):
                hooks.enter_context(module.register_forward_hook(pass_neuron))
            elif isinstance(module, WEIGHTS):
                hooks.enter_context(module.register_forward_hook(learn))
        yield


def common_leak(model: nn.Module) -> float:
    """Return λ, the share of its potential that a neuron keeps from one timestep to the next.

    Raises ConfigError unless it is one constant for all of a model's neurons.
    """
    leaks = {leak_of(module) for module in model.modules() if is_neuron(module)}
    [leak, *others] = leaks or {None}
    if leak is None or others:
        raise ConfigError("framework=ottt needs neurons that all leak by the same constant: use neuron=lif or if")
    return leak


def leak_of(module: Any) -> float | None:
    """Return a neuron's λ; None if it is no constant, or if the neuron has traces of its own."""
    if type(module) is neuron.IFNode:
        return 1.0
    return 1 - 1 / module.tau if type(module) in (neuron.LIFNode, SLTTLIF) else None
