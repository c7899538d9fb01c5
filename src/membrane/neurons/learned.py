"""The time constants and thresholds that neurons learn, by the class of the neuron.

Not among them are KLIF's slope k, what else GLIF learns (gates, conductances, a linear decay, a reset) and the
weights of a PSN, which mix timesteps.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spikingjelly.activation_based import neuron
from torch import Tensor, nn

TIME_CONSTANTS: Mapping[type, tuple[str, ...]] = {
    neuron.ParametricLIFNode: ("w",),
    neuron.GatedLIFNode: ("tau",),
}
"""SpikingJelly's neuron → its parameters from which τ is computed."""
THRESHOLDS: Mapping[type, tuple[str, ...]] = {
    neuron.GatedLIFNode: ("v_threshold",),
    neuron.DSRIFNode: ("v_threshold",),
    neuron.DSRLIFNode: ("v_threshold",),
    neuron.MPBNBaseNode: ("a",),
    neuron.PSN: ("bias",),
    neuron.MaskedPSN: ("bias",),
    neuron.SlidingPSN: ("bias",),
}
"""SpikingJelly's neuron → its parameters from which the threshold is computed, of a PSN the threshold's negative."""

VALUES: Mapping[tuple[type, str], Callable[[Any], Tensor]] = {
    (neuron.ParametricLIFNode, "w"): lambda plif: 1 / plif.w.sigmoid(),
    # v decays by 1 − α(1 − σ(tau)), where a LIF's decays by 1 − 1/τ
    (neuron.GatedLIFNode, "tau"): lambda glif: 1 / (glif.alpha.sigmoid() * (1 - glif.tau.sigmoid())),
    (neuron.GatedLIFNode, "v_threshold"): lambda glif: glif.v_threshold.sigmoid(),
    (neuron.MPBNBaseNode, "a"): lambda mpbn: mpbn.a.exp(),
    (neuron.PSN, "bias"): lambda psn: -psn.bias,
    (neuron.MaskedPSN, "bias"): lambda psn: -psn.bias,
    (neuron.SlidingPSN, "bias"): lambda psn: -psn.bias,
}
"""SpikingJelly's neuron and a parameter → τ in timesteps, or the threshold, that it stands for."""


def learned_time_constants(model: nn.Module) -> list[nn.Parameter]:
    """Return what a model's neurons learn as time constants.

    Another class than SpikingJelly's names them itself: ``learned_time_constants = ("tau",)``.
    """
    return list(parameters_of_classes(model, TIME_CONSTANTS, "learned_time_constants"))


def learned_thresholds(model: nn.Module) -> list[nn.Parameter]:
    """Return what a model's neurons learn as thresholds.

    Another class than SpikingJelly's names them itself: ``learned_thresholds = ("v_threshold",)``.
    """
    return list(parameters_of_classes(model, THRESHOLDS, "learned_thresholds"))


def parameters_of_classes(
    model: nn.Module, table: Mapping[type, tuple[str, ...]], attribute: str
) -> Iterator[nn.Parameter]:
    """Yield the parameters that the table names for a module's class, and those that the class's attribute names."""
    for module in model.modules():
        yield from (parameter for _, parameter in parameters_of_module(module, table, attribute))


def parameters_of_module(
    module: nn.Module, table: Mapping[type, tuple[str, ...]], attribute: str
) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield name and parameter of what the table, or the attribute of a module's class, names."""
    names = [name for each, listed in table.items() if isinstance(module, each) for name in listed]
    for name in dict.fromkeys([*names, *getattr(type(module), attribute, ())]):
        parameter = getattr(module, name, None)
        if isinstance(parameter, nn.Parameter):  # a DSR threshold, for one, need not be learned
            yield name, parameter


def learned_values(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the time constants in timesteps and the thresholds that a model learns, each by the neuron's dotted name.

    Of a parameter that another class names itself it is the parameter as it is, the first that it names.
    """
    found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    kinds = ((TIME_CONSTANTS, "learned_time_constants"), (THRESHOLDS, "learned_thresholds"))
    for values, (table, attribute) in zip(found, kinds, strict=True):
        for layer, module in model.named_modules():
            for name, parameter in parameters_of_module(module, table, attribute):
                values.setdefault(layer, value_of(module, name, parameter))
    return found


def value_of(module: nn.Module, name: str, parameter: nn.Parameter) -> Tensor:
    """Return what a parameter of a neuron stands for, detached."""
    convert = next((each for (kind, of), each in VALUES.items() if of == name and isinstance(module, kind)), None)
    return (parameter if convert is None else convert(module)).detach()
