"""Settings that cannot go together, refused before anything is built, without torch.

Each rule is a function in `RULES`. It returns one line that says what does not fit and what to use instead, or None if
the configuration passes. To add a rule, write a function and put it into the table.
"""

from collections.abc import Callable

from membrane.schema import Config, Trusted
from membrane.schema.augmentation_refusals import AUGMENTATION_RULES
from membrane.schema.dataset import VALIDATION_SHARE
from membrane.schema.framework import Framework
from membrane.schema.framework_refusals import FRAMEWORK_RULES
from membrane.schema.machine_refusals import MACHINE_RULES
from membrane.schema.neuron import MaskedPSN, Neuron
from membrane.schema.neuron_refusals import NEURON_RULES
from membrane.schema.neuron_variants import Leaky
from membrane.schema.timesteps_refusals import TIMESTEPS_RULES
from membrane.schema.training_refusals import TRAINING_RULES


def refusal(config: Config) -> str | None:
    """Return the line of the first rule that refuses a configuration, or None if it can run."""
    return next((line for line in (rule(config) for rule in RULES) if line is not None), None)


def refuse_fold_without_validation(config: Config) -> str | None:
    """Refuse a fold under a protocol in which nothing validates, and beside a share that validates."""
    fold, validation = config.dataset.fold, config.dataset.validation
    if fold is None:
        return None
    if config.protocol != "val_best":
        return f"dataset.fold={fold} says what validates, protocol={config.protocol} has none: use protocol=val_best"
    if validation != VALIDATION_SHARE:
        return f"dataset.fold={fold} and dataset.validation={validation:g} both say what validates: leave one out"
    return None


def refuse_rank(config: Config) -> str | None:
    """Refuse a model for images on signals, and the reverse."""
    model, dataset, dims = config.model, config.dataset, config.dims
    if dims in model.ranks:
        return None
    ranks = " or ".join(f"{rank}-D" for rank in model.ranks)
    data = f"dataset {dataset.name} is {dims}-D (shape {dataset.shape})"
    if dims != len(dataset.shape) - 1:
        data = f"what it sees of dataset {dataset.name} is {dims}-D"
    return f"model {model.name_of_choice} is for {ranks} data, {data}: use model=scnn or smlp"


def refuse_dims(config: Config) -> str | None:
    """Refuse ``model.dims`` that are not the data's."""
    model, dataset, dims = config.model, config.dataset, config.dims
    if model.dims in (None, dims):
        return None
    data = f"{dims}-D (shape {dataset.shape})"
    return f"model.dims={model.dims} but dataset {dataset.name} is {data}: leave model.dims out"


def refuse_ann_twin(config: Config) -> str | None:
    """Refuse an activation without spikes in a model that has no ANN twin."""
    if config.neuron.spiking or config.model.ann_twin:
        return None
    model, activation = config.model.name_of_choice, config.neuron.name_of_choice
    return f"model {model} has no ANN twin, neuron={activation} does not spike: use one that does, as neuron=lif"


def refuse_reset(config: Config) -> str | None:
    """Refuse a neuron whose reset does not lie below its threshold."""
    threshold, reset = getattr(config.neuron, "v_threshold", None), getattr(config.neuron, "v_reset", None)
    if threshold is not None and reset is not None and reset >= threshold:
        return f"neuron.v_reset={reset} must lie below neuron.v_threshold={threshold}"
    return None


def refuse_no_surrogate(config: Config) -> str | None:
    """Refuse a spiking neuron without a surrogate gradient."""
    if config.surrogate is None and config.neuron.takes_surrogate and config.neuron.choice:
        return "surrogate: a spiking neuron needs one, such as surrogate=atan"
    return None


def refuse_single_step_in_model_that_owns_time(config: Config) -> str | None:
    """Refuse a neuron that may not mix both step modes where the model uses one and the framework the other."""
    neuron, framework = config.neuron.name_of_choice, config.framework.name_of_choice
    if not (config.framework.single_step and config.model.owns_time and config.neuron.steps == "either"):
        return None
    own = f"model {config.model.name_of_choice} steps its neurons in multi-step mode"
    needs = f"neuron {neuron} then needs all timesteps together, framework={framework} gives one"
    return f"{own}, {needs}: use framework={multi_step(config.framework)}"


def refuse_single_step_of_whole_sequence(config: Config) -> str | None:
    """Refuse a neuron that needs all timesteps together under a framework that gives them one by one."""
    neuron, framework = config.neuron.name_of_choice, config.framework.name_of_choice
    if not (config.framework.single_step and needs_whole_sequence(config.neuron)):
        return None
    needs = f"neuron {neuron} needs all timesteps together, framework={framework} gives them one by one"
    return f"{needs}: use framework={multi_step(config.framework)}{or_unmasked(config.neuron)}"


def refuse_recurrence_of_whole_sequence(config: Config) -> str | None:
    """Refuse a neuron that needs all timesteps together in a recurrent layer, which gives them one by one."""
    recurrent = getattr(config.model, "recurrent", "none")
    if recurrent == "none" or not needs_whole_sequence(config.neuron):
        return None
    neuron = config.neuron.name_of_choice
    needs = f"neuron {neuron} needs all timesteps together, model.recurrent={recurrent} one by one"
    return f"{needs}: use model.recurrent=none or another neuron{or_unmasked(config.neuron)}"


def refuse_recurrence_of_ann_twin(config: Config) -> str | None:
    """Refuse recurrent layers in the ANN twin."""
    recurrent = getattr(config.model, "recurrent", "none")
    if config.neuron.spiking or recurrent == "none":
        return None
    way_out = "use model.recurrent=none or a spiking neuron"
    return f"model.recurrent={recurrent} needs time, the ANN twin has none: {way_out}"


def refuse_synapse_of_ann_twin(config: Config) -> str | None:
    """Refuse synapse filters in the ANN twin."""
    if config.neuron.spiking or getattr(config.model, "synapse_tau", None) is None:
        return None
    return "model.synapse_tau filters spikes over time, the ANN twin has none: leave it out or use a spiking neuron"


def refuse_delays_of_ann_twin(config: Config) -> str | None:
    """Refuse learned delays in the ANN twin."""
    if config.neuron.spiking or getattr(config.model, "max_delay", None) is None:
        return None
    return "model.max_delay delays inputs in time, the ANN twin has none: leave it out or use a spiking neuron"


def refuse_readout_of_ann_twin(config: Config) -> str | None:
    """Refuse a readout of potentials or spikes for the ANN twin."""
    if config.neuron.spiking or not config.readout.of_neurons:
        return None
    return f"readout={config.readout.name_of_choice} {needs_spiking(config.neuron)}: use readout=mean"


def refuse_regularizer_of_ann_twin(config: Config) -> str | None:
    """Refuse a regulariser of firing rates for the ANN twin."""
    if config.neuron.spiking or config.regularizer is None or not config.regularizer.of_neurons:
        return None
    return f"regularizer={config.regularizer.name_of_choice} {needs_spiking(config.neuron)}: use regularizer=none"


def refuse_readout_of_real_numbers(config: Config) -> str | None:
    """Refuse a readout of spikes for a model whose outputs are none."""
    readout, model = config.readout, config.model
    if not readout.of_spikes or model.spikes_out or isinstance(model, Trusted):
        return None
    way_out = "add model.head_neuron=true" if "head_neuron" in type(model).model_fields else "use readout=mean"
    real = f"model={model.name_of_choice} puts out real numbers"
    return f"readout={readout.name_of_choice} needs spikes at the output, {real}: {way_out}"


def refuse_loss_of_readout_without_gradient(config: Config) -> str | None:
    """Refuse a loss of a prediction through which no gradient flows."""
    if config.readout.has_gradient or not config.loss.of_prediction:
        return None
    readout, loss = config.readout.name_of_choice, config.loss.name_of_choice
    return f"readout={readout} has no gradient, loss={loss} is one of its prediction: use loss=tet"


def refuse_potentials_of_other_neurons(config: Config) -> str | None:
    """Refuse a head that puts out potentials where the neuron puts out its spikes alone."""
    if not getattr(config.model, "head_potential", False) or isinstance(config.neuron, Leaky):
        return None
    return f"model.head_potential needs neuron=leaky, got neuron={config.neuron.name_of_choice}"


def refuse_regularizer_of_compiled(config: Config) -> str | None:
    """Refuse a regulariser, which hooks into layers, of a compiled model, in which hooks do not run."""
    if not config.trainer.compile or config.regularizer is None:
        return None
    name = config.regularizer.name_of_choice
    return f"regularizer={name} listens to layers, which a compiled model has not: use trainer.compile=false"


def refuse_profile_of_compiled(config: Config) -> str | None:
    """Refuse to time the layers of a compiled model."""
    if config.trainer.compile and config.trainer.profile:
        return "trainer.profile=true times layers, which a compiled model has not: use trainer.compile=false"
    return None


RULES: tuple[Callable[[Config], str | None], ...] = (
    *TIMESTEPS_RULES,
    refuse_fold_without_validation,
    refuse_rank,
    refuse_dims,
    *AUGMENTATION_RULES,
    refuse_ann_twin,
    refuse_reset,
    refuse_no_surrogate,
    refuse_single_step_in_model_that_owns_time,
    refuse_single_step_of_whole_sequence,
    refuse_recurrence_of_whole_sequence,
    refuse_recurrence_of_ann_twin,
    refuse_synapse_of_ann_twin,
    refuse_delays_of_ann_twin,
    *NEURON_RULES,
    *FRAMEWORK_RULES,
    *MACHINE_RULES,
    refuse_readout_of_ann_twin,
    refuse_regularizer_of_ann_twin,
    refuse_readout_of_real_numbers,
    refuse_loss_of_readout_without_gradient,
    refuse_potentials_of_other_neurons,
    refuse_regularizer_of_compiled,
    refuse_profile_of_compiled,
    *TRAINING_RULES,
)
"""Every rule, in the order in which they are asked; the first that refuses is the one that a person sees.

Rules about the data come first, then those about model and neuron, then what is read from them, then training.
"""


def needs_whole_sequence(neuron: Neuron) -> bool:
    """Return whether a neuron needs all timesteps together, as a masked PSN does while its mask lets the future in."""
    return neuron.steps == "together" or (isinstance(neuron, MaskedPSN) and neuron.lambda_init < 1)


def needs_spiking(neuron: Neuron) -> str:
    """Return why the ANN twin with this activation will not do, for the middle of a line."""
    return f"needs spiking neurons, neuron={neuron.name_of_choice} is the ANN twin"


def multi_step(framework: Framework) -> str:
    """Return the name of the multi-step framework beside one that steps."""
    return "multistep_tid" if framework.timesteps_in_data else "multistep"


def or_unmasked(neuron: Neuron) -> str:
    """Return a masked PSN's further way out, empty for other neurons."""
    return ", or neuron.lambda_init=1" if isinstance(neuron, MaskedPSN) else ""
