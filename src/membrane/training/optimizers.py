"""The optimiser, with groups of parameters that have a rate of their own or are spared by weight decay."""

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

from spikingjelly.activation_based import layer
from torch import nn
from torch.optim import Optimizer

from membrane.config.admission import admitted_class
from membrane.config.build import build_instance
from membrane.errors import ConfigError
from membrane.models.delays import learned_delays
from membrane.neurons import is_neuron
from membrane.neurons.learned import learned_thresholds, learned_time_constants
from membrane.schema import Config
from membrane.schema.optimizer import Optimizer as Settings

SHAPED_NORMS = (nn.LayerNorm, nn.RMSNorm, layer.NeuNorm)
"""Norms whose parameters may have more than one dimension."""
OWN_RATES: dict[str, tuple[Callable[[nn.Module], list[nn.Parameter]], str]] = {
    "lr_tau": (learned_time_constants, "no neuron of the model learns a time constant: use neuron=plif"),
    "lr_threshold": (learned_thresholds, "no neuron of the model learns a threshold: use neuron=ifsrl"),
    "lr_delay": (learned_delays, "no layer of the model learns delays: use model=smlp model.max_delay=10"),
}
"""Setting → the parameters of a model whose rate it is, and what to say if there are none."""


def build_optimizer(config: Config, module: nn.Module) -> Optimizer:
    """Build the optimiser of a module's parameters, fused on a GPU if it is one of torch's that can be.

    Not with clipping: Lightning takes a fused optimiser for one that unscales gradients by itself, and refuses.
    Raises ConfigError as `parameter_groups`, and for a user's optimiser that knows no weight decay to spare from.
    """
    groups = parameter_groups(config.optimizer, module)
    arguments = signature(admitted_class(config.optimizer.target, config.trust)).parameters
    fusible = config.optimizer.choice and "fused" in arguments and config.trainer.clip_norm is None
    fused = {"fused": True} if fusible and all(each.is_cuda for each in module.parameters()) else {}
    params = groups[0]["params"] if len(groups) == 1 else groups
    optimizer = build_instance(Optimizer, config.optimizer, config.trust, params=params, **fused)
    if config.optimizer.weight_decay_on == "weights" and "weight_decay" not in optimizer.defaults:
        raise ConfigError(f"{config.optimizer.target} has no weight_decay: leave optimizer.weight_decay_on out")
    if len(groups) > 1:
        keep_ratios(optimizer)
    hold_in_ranges(optimizer, module)
    return optimizer


def parameter_groups(settings: Settings, module: nn.Module) -> list[dict[str, Any]]:
    """Divide a module's parameters into groups in torch's terms, of which the first has the settings' own rate.

    Raises ConfigError if a rate is set for which the module has no parameters.
    """
    own = own_rates(settings, module)
    spared = set(undecayed(module)) if settings.weight_decay_on == "weights" else set()
    delays = set() if settings.lr_delay is None else set(learned_delays(module))
    groups: dict[tuple[float | None, bool, bool], list[nn.Parameter]] = {(None, True, False): []}
    for parameter in module.parameters():
        key = (own.get(parameter), parameter not in spared, parameter in delays)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters}
        | ({} if rate is None else {"lr": rate})
        | ({} if decays else {"weight_decay": 0.0})
        | ({"delays": True} if delayed else {})
        for (rate, decays, delayed), parameters in groups.items()
    ]


def own_rates(settings: Settings, module: nn.Module) -> dict[nn.Parameter, float]:
    """Return the rates of the parameters that have one of their own. Raises ConfigError as `parameter_groups`."""
    rates: dict[nn.Parameter, float] = {}
    for name, (parameters_of, none_line) in OWN_RATES.items():
        rate = getattr(settings, name)
        if rate is None:
            continue
        parameters = parameters_of(module)
        if not parameters:
            raise ConfigError(f"optimizer.{name}={rate}: {none_line}, or leave it out")
        rates |= dict.fromkeys(parameters, rate)
    return rates


def undecayed(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield biases, the parameters of norms, delays, and all that neurons learn.

    Biases, and the scales and shifts of norms, are what has fewer than two dimensions.
    """
    for each in module.modules():
        if is_neuron(each) or isinstance(each, SHAPED_NORMS):
            yield from each.parameters()
    yield from learned_delays(module)
    yield from (parameter for parameter in module.parameters() if parameter.dim() < 2)


def keep_ratios(optimizer: Optimizer) -> None:
    """Let every step begin by setting all rates, so that they have to the first group's the ratio that they have now.

    A schedule then scales all groups alike, also one with rates of its own, as a cycle's top or a cosine's end.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    ratios = [rate / rates[0] for rate in rates]

    def scale(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        first = optimizer.param_groups[0]["lr"]
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = first * ratio

    optimizer.register_step_pre_hook(scale)


def hold_in_ranges(optimizer: Optimizer, module: nn.Module) -> None:
    """Let every step end with ``clamp_parameters()`` of the layers that have it, as learned delays and `SEAdLIF` do.

    A parameter that a step took out of its range is moved to its end, from which its gradient can bring it back. That
    of `AdLIF`, which clamps what it uses and no more, as its authors do, has no gradient outside.
    """
    modules = module.modules()
    clamps = [clamp for each in modules if callable(clamp := getattr(each, "clamp_parameters", None))]
    if not clamps:
        return

    def hold(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for clamp in clamps:
            clamp()

    optimizer.register_step_post_hook(hold)


def describe_groups(groups: list[dict[str, Any]]) -> str:
    """Return how many tensors each group has, with the rate or the weight decay that is not the first group's."""
    parts = []
    for group in groups:
        rate = f" at a rate of {group['lr']:g}" if "lr" in group else ""
        spared = " without weight decay" if "weight_decay" in group else ""
        count = len(group["params"])
        parts.append(f"{count} tensor{'' if count == 1 else 's'}{rate}{spared}")
    return "; ".join(parts)
