"""Refusals of what does not go with a framework that cuts the gradient in time, or learns from traces."""

from collections.abc import Callable

from membrane.schema import Config
from membrane.schema.framework import OTTT, CutInTime
from membrane.schema.neuron import IF, LIF
from membrane.schema.neuron_variants import SLTTLIF

CONSTANT_LEAK = (IF, LIF, SLTTLIF)
"""The neurons that all leak by one constant; subclasses among their settings do not."""


def refuse_regularizer_without_graph(config: Config) -> str | None:
    """Refuse a regulariser, which needs gradients of what layers put out, where a forward keeps no graph."""
    if config.regularizer is None or not isinstance(config.framework, CutInTime) or config.framework.keep_graph:
        return None
    keeps = f"framework={config.framework.name_of_choice} keeps no graph of a forward"
    needs = f"which regularizer={config.regularizer.name_of_choice} needs"
    return f"{keeps}, {needs}: use framework.keep_graph=true or regularizer=none"


def refuse_recomputed_truncation(config: Config) -> str | None:
    """Refuse to say how many timesteps run again where the truncation says so."""
    chunks, framework = config.trainer.recompute, config.framework.name_of_choice
    if chunks is None or not isinstance(config.framework, CutInTime):
        return None
    return f"trainer.recompute={chunks}: framework={framework} runs each truncation again by itself: leave it out"


def refuse_compiled_truncation(config: Config) -> str | None:
    """Refuse to compile a model that is run step by step, with state that is detached in between."""
    if not config.trainer.compile or not isinstance(config.framework, CutInTime):
        return None
    framework = config.framework.name_of_choice
    return f"trainer.compile is for all timesteps together, framework={framework} runs each: use trainer.compile=false"


def refuse_neuron_of_traces(config: Config) -> str | None:
    """Refuse traces for neurons that do not all leak by the same constant, and for those that have their own."""
    if not isinstance(config.framework, OTTT) or type(config.neuron) in CONSTANT_LEAK:
        return None
    neuron, framework = config.neuron.name_of_choice, config.framework.name_of_choice
    if neuron == "ottt_lif":
        other = framework.replace("ottt", "sltt")
        return f"neuron ottt_lif brings traces of its own, framework={framework} too: use framework={other}"
    return f"framework={framework} traces spikes by a constant leak, neuron {neuron} has none: use neuron=lif or if"


def refuse_model_of_traces(config: Config) -> str | None:
    """Refuse traces in a model in which more than layers of weights lies between neurons."""
    if not isinstance(config.framework, OTTT):
        return None
    framework, model = config.framework.name_of_choice, config.model.name_of_choice
    learns = f"framework={framework} is for layers of weights between neurons"
    if config.model.owns_time:
        return f"{learns}, model {model} has more and steps them in multi-step mode: use another, such as model=scnn"
    recurrent, tau, delay = (getattr(config.model, name, None) for name in ("recurrent", "synapse_tau", "max_delay"))
    if recurrent not in (None, "none"):
        return f"{learns}, model.recurrent={recurrent} carries spikes from step to step: use model.recurrent=none"
    if tau is not None:
        return f"{learns}, model.synapse_tau={tau} filters spikes over time: leave it out"
    if delay is not None:
        return f"{learns}, model.max_delay={delay} delays spikes: leave it out"
    return None


FRAMEWORK_RULES: tuple[Callable[[Config], str | None], ...] = (
    refuse_regularizer_without_graph,
    refuse_recomputed_truncation,
    refuse_compiled_truncation,
    refuse_neuron_of_traces,
    refuse_model_of_traces,
)
"""These rules, in the order in which they are asked."""
