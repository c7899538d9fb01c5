"""The time constants and thresholds that neurons learn, by the class of the neuron.

Not among them are KLIF's slope k, what else GLIF learns (gates, conductances, a linear decay, a reset) and the
weights of a PSN, which mix timesteps.
"""

from collections.abc import Iterator, Mapping

from spikingjelly.activation_based import neuron
from torch import nn

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
        names = [name for each, listed in table.items() if isinstance(module, each) for name in listed]
        for name in dict.fromkeys([*names, *getattr(type(module), attribute, ())]):
            parameter = getattr(module, name, None)
            if isinstance(parameter, nn.Parameter):  # a DSR threshold, for one, need not be learned
                yield parameter
