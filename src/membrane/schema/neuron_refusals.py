"""Refusals of what does not go with a neuron that learns online, is analog, or has parameters for each channel."""

from collections.abc import Callable

from membrane.schema import Config
from membrane.schema.zoo import Transformer


def refuse_model_that_owns_time_of_online(config: Config) -> str | None:
    """Refuse a model whose layers run in multi-step mode for a neuron that has none."""
    if config.neuron.steps != "online" or not config.model.owns_time:
        return None
    model, neuron = config.model.name_of_choice, config.neuron.name_of_choice
    line = f"model {model} steps its neurons in multi-step mode, neuron {neuron} has none"
    return f"{line}: use another model, such as model=scnn"


def refuse_multi_step_of_online(config: Config) -> str | None:
    """Refuse all timesteps together for a neuron that learns from each by itself."""
    neuron, framework = config.neuron.name_of_choice, config.framework.name_of_choice
    if config.neuron.steps != "online" or config.framework.single_step:
        return None
    single = framework.replace("multi", "single")
    alone = f"neuron {neuron} learns from one timestep at a time, framework={framework} gives all together"
    return f"{alone}: use framework={single}"


def refuse_recurrence_of_online(config: Config) -> str | None:
    """Refuse layers that carry the gradient through time for a neuron that does not."""
    recurrent = getattr(config.model, "recurrent", "none")
    if config.neuron.steps != "online" or recurrent == "none":
        return None
    neuron = config.neuron.name_of_choice
    line = f"neuron {neuron} lets no gradient flow through time, model.recurrent={recurrent} does"
    return f"{line}: use model.recurrent=none or another neuron"


def refuse_delays_of_online(config: Config) -> str | None:
    """Refuse layers that take inputs of earlier timesteps for a neuron that learns from each timestep by itself."""
    if config.neuron.steps != "online" or getattr(config.model, "max_delay", None) is None:
        return None
    neuron = config.neuron.name_of_choice
    line = f"neuron {neuron} lets no gradient flow through time, model.max_delay does"
    return f"{line}: leave it out or use another neuron"


def refuse_heads_of_by_channel(config: Config) -> str | None:
    """Refuse neurons over heads of attention where a neuron has parameters for each channel."""
    if not config.neuron.by_channel or not isinstance(config.model, Transformer):
        return None
    model, neuron = config.model.name_of_choice, config.neuron.name_of_choice
    line = f"neuron {neuron} has parameters of each channel, model {model} has neurons over heads of attention"
    return f"{line}: use another model, such as model=scnn"


def refuse_spikes_of_analog(config: Config) -> str | None:
    """Refuse a readout or a regulariser of spikes for a neuron that puts out real numbers."""
    if not config.neuron.analog:
        return None
    real = f"neuron={config.neuron.name_of_choice} puts out real numbers"
    if config.readout.of_spikes:
        return f"readout={config.readout.name_of_choice} needs spikes at the output, {real}: use readout=mean"
    if config.regularizer is not None and config.regularizer.of_neurons:
        return f"regularizer={config.regularizer.name_of_choice} bounds rates of spikes, {real}: use regularizer=none"
    return None


def refuse_compiled_hooks(config: Config) -> str | None:
    """Refuse to compile a model whose layers of weights need hooks."""
    if not config.trainer.compile or not config.neuron.hooks_weights:
        return None
    neuron = config.neuron.name_of_choice
    return f"neuron {neuron} hooks into layers of weights, which a compiled model has not: use trainer.compile=false"


NEURON_RULES: tuple[Callable[[Config], str | None], ...] = (
    refuse_model_that_owns_time_of_online,
    refuse_multi_step_of_online,
    refuse_recurrence_of_online,
    refuse_delays_of_online,
    refuse_heads_of_by_channel,
    refuse_spikes_of_analog,
    refuse_compiled_hooks,
)
"""These rules, in the order in which they are asked."""
