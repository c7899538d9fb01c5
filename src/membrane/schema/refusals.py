"""What cannot go together: one rule a function, each with its line. Checked before anything is built, without torch."""

from collections.abc import Callable

from membrane.schema import Config, Trusted
from membrane.schema.neuron import MaskedPSN, Neuron
from membrane.schema.optimizer import SGD
from membrane.schema.training import EarlyStop
from membrane.scores import MONITORS, score_of


def refusal(config: Config) -> str | None:
    """Why a configuration cannot run, with the way out, in one line; None where it can."""
    return next((line for line in (rule(config) for rule in RULES) if line is not None), None)


def time_fits(config: Config) -> str | None:
    """The framework expects timesteps that the data do not have, or the reverse."""
    dataset, framework = config.dataset.name, config.framework.name_of_choice
    if config.dataset.timesteps_in_data and not config.framework.timesteps_in_data:
        way_out = f"use framework={framework}_tid"
        return f"dataset {dataset} has timesteps in its data, framework={framework} repeats: {way_out}"
    if config.framework.timesteps_in_data and not config.dataset.timesteps_in_data:
        way_out = f"use framework={framework.removesuffix('_tid')} or event data"
        return f"dataset {dataset} has no timesteps in its data, framework={framework} needs it: {way_out}"
    return None


def model_fits(config: Config) -> str | None:
    """A model for images and a signal, or the reverse; an activation in a model that has no ANN twin."""
    model, name, dataset = config.model, config.model.name_of_choice, config.dataset
    dims = len(dataset.shape) - 1
    shape = f"{dims}-D (shape {dataset.shape})"
    if dims not in model.ranks:
        ranks = " or ".join(f"{rank}-D" for rank in model.ranks)
        return f"model {name} is for {ranks} data, dataset {dataset.name} is {shape}: use model=scnn or smlp"
    if model.dims not in (None, dims):
        return f"model.dims={model.dims} but dataset {dataset.name} is {shape}: leave model.dims out"
    if not config.neuron.spiking and not model.ann_twin:
        activation = config.neuron.name_of_choice
        return f"model {name} has no ANN twin, neuron={activation} does not spike: use one that does, as neuron=lif"
    return None


def neuron_can_fire(config: Config) -> str | None:
    """A reset above the threshold, or a neuron without a surrogate gradient."""
    neuron = config.neuron
    threshold, reset = getattr(neuron, "v_threshold", None), getattr(neuron, "v_reset", None)
    if threshold is not None and reset is not None and reset >= threshold:
        return f"neuron.v_reset={reset} must lie below neuron.v_threshold={threshold}"
    if config.surrogate is None and neuron.spiking and neuron.choice:
        return "surrogate: a spiking neuron needs one, such as surrogate=atan"
    return None


def steps_fit(config: Config) -> str | None:
    """A neuron that needs all timesteps together, where they come one by one."""
    neuron, framework = config.neuron.name_of_choice, config.framework.name_of_choice
    recurrent = getattr(config.model, "recurrent", "none")
    single, way_out = config.framework.single_step, f"use framework={framework.replace('single', 'multi')}"
    if single and config.model.owns_time and config.neuron.steps == "either":
        own = f"model {config.model.name_of_choice} steps its neurons in multi-step mode"
        return f"{own}, neuron {neuron} then needs all timesteps together, framework={framework} gives one: {way_out}"
    if not together(config.neuron):
        return None
    if single:
        why = f"neuron {neuron} needs all timesteps together, framework={framework} gives them one by one"
        return f"{why}: {way_out}{or_unmasked(config.neuron)}"
    if recurrent != "none":
        way_out = f"use model.recurrent=none or another neuron{or_unmasked(config.neuron)}"
        return f"neuron {neuron} needs all timesteps together, model.recurrent={recurrent} one by one: {way_out}"
    return None


def neurons_are_there(config: Config) -> str | None:
    """A readout or a regulariser that speaks of neurons or spikes, where the network has none."""
    readout, regularizer, model = config.readout, config.regularizer, config.model
    recurrent = getattr(model, "recurrent", "none")
    if not config.neuron.spiking and recurrent != "none":
        way_out = "use model.recurrent=none or a spiking neuron"
        return f"model.recurrent={recurrent} needs time, the ANN twin has none: {way_out}"
    if not config.neuron.spiking:
        ann = f"needs spiking neurons, neuron={config.neuron.name_of_choice} is the ANN twin"
        if readout.of_neurons:
            return f"readout={readout.name_of_choice} {ann}: use readout=mean"
        if regularizer is not None and regularizer.of_neurons:
            return f"regularizer={regularizer.name_of_choice} {ann}: use regularizer=none"
    if readout.of_spikes and not (model.spikes_out or isinstance(model, Trusted)):
        way_out = "add model.head_neuron=true" if "head_neuron" in type(model).model_fields else "use readout=mean"
        real = f"model={model.name_of_choice} puts out real numbers"
        return f"readout={readout.name_of_choice} needs spikes at the output, {real}: {way_out}"
    return None


def together(neuron: Neuron) -> bool:
    """Whether a neuron runs on the whole sequence alone; a masked PSN does as long as its mask lets the future in."""
    return neuron.steps == "together" or (isinstance(neuron, MaskedPSN) and neuron.lambda_init < 1)


def or_unmasked(neuron: Neuron) -> str:
    """The further way out that a masked PSN has."""
    return ", or neuron.lambda_init=1" if isinstance(neuron, MaskedPSN) else ""


def nobody_listens_to_the_compiled(config: Config) -> str | None:
    """Hooks on layers at every training step, of a model that is compiled for them."""
    if config.trainer.compile and config.regularizer is not None:
        name = config.regularizer.name_of_choice
        return f"regularizer={name} listens to layers, which a compiled model has not: use trainer.compile=false"
    if config.trainer.compile and config.trainer.profile:
        return "trainer.profile=true times layers, which a compiled model has not: use trainer.compile=false"
    return None


def momentum_fits(config: Config) -> str | None:
    """Nesterov's momentum without momentum."""
    optimizer = config.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov and not (optimizer.momentum > 0 and optimizer.dampening == 0):
        return "optimizer.nesterov=true needs optimizer.momentum above 0 and optimizer.dampening=0"
    return None


def loss_reads_the_task(config: Config) -> str | None:
    """A loss that cannot read the data set's y."""
    name, task = config.dataset.name, config.dataset.task
    if task in config.loss.tasks:
        return None
    said = f"loss={config.loss.name_of_choice} is for {' and '.join(config.loss.tasks)}"
    return f"{said}, dataset {name} is {task}: use loss=mse"


def watched_is_measured(config: Config) -> str | None:
    """Something watches a metric that the task has not, or waits for it to get worse."""
    task, stops = config.dataset.task, early_stops(config)
    watched: dict[str, str | None] = {place: stop.monitor for place, stop in stops.items()}
    if config.protocol == "val_best":
        watched["trainer"] = config.trainer.monitor
    for place, metric in watched.items():
        if metric not in MONITORS[task]:
            measured = f"not measured in {task} (dataset {config.dataset.name})"
            return f"{place}.monitor={metric}: {measured}; use one of {', '.join(MONITORS[task])}"
    for place, stop in stops.items():
        right, moves = ("min", "falls") if score_of(stop.monitor).lower_is_better else ("max", "rises")
        if stop.mode != right:
            return f"{place}.mode={stop.mode} would stop because {stop.monitor} {moves}: use {place}.mode={right}"
    return None


def validation_exists(config: Config) -> str | None:
    """A callback that watches validation, under a protocol without one."""
    if config.protocol != "val_best" and early_stops(config):
        return f"callbacks: early_stop watches validation, of which protocol={config.protocol} has none"
    return None


def early_stops(config: Config) -> dict[str, EarlyStop]:
    """The callbacks that stop a run, by their place."""
    return {f"callbacks.{key}": each for key, each in config.callbacks.items() if isinstance(each, EarlyStop)}


RULES: tuple[Callable[[Config], str | None], ...] = (
    time_fits,
    model_fits,
    neuron_can_fire,
    steps_fit,
    neurons_are_there,
    nobody_listens_to_the_compiled,
    momentum_fits,
    loss_reads_the_task,
    watched_is_measured,
    validation_exists,
)
