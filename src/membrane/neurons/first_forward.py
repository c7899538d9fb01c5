"""The first forward pass of a model: it tells neurons their channels and finds the layers of weights behind them."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from membrane.neurons import is_neuron
from membrane.neurons.integer_lif import sends_binary_spikes, sum_over_slots
from membrane.neurons.online import OTTTLIF, WEIGHTS, InputTraces


def needs_first_forward(model: nn.Module) -> bool:
    """Return whether `complete_neurons` has something to do."""
    neurons = any(isinstance(module, OTTTLIF) or sends_binary_spikes(module) for module in model.modules())
    return neurons or any(is_lazy(parameter) for parameter in model.parameters())


def complete_neurons(model: nn.Module, forward: Callable[[], object]) -> None:
    """Run a model once, before an optimiser sees it.

    The batch norms of MPBN's neurons get their shapes; layers of weights behind OTTT's and ILIF's get their hooks.
    """
    layers = weights_behind_neurons(model, forward)
    traced = [module for module in model.modules() if isinstance(module, OTTTLIF)]
    if traced:
        first = traced[0]  # keeps the traces, so that the framework resets them
        register_hook(layers, InputTraces(1 - 1 / first.tau, first.traces).replace_gradient)
    if any(sends_binary_spikes(module) for module in model.modules()):
        register_hook(layers, sum_over_slots)


def register_hook(layers: list[nn.Module], hook: Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]) -> None:
    """Register a forward hook with every layer."""
    for module in layers:
        module.register_forward_hook(hook)


def weights_behind_neurons(model: nn.Module, forward: Callable[[], object]) -> list[nn.Module]:
    """Return the layers of weights that run after the first neuron in a forward pass: all but those of the stem."""
    called: list[nn.Module] = []
    watched = [module for module in model.modules() if is_neuron(module) or isinstance(module, WEIGHTS)]
    hooks = [module.register_forward_pre_hook(lambda module, _: called.append(module)) for module in watched]
    forward()
    for hook in hooks:
        hook.remove()
    order = list(dict.fromkeys(called))
    first = next((index for index, module in enumerate(order) if is_neuron(module)), len(order))
    return [module for module in order[first:] if isinstance(module, WEIGHTS)]
