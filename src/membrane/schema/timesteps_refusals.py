"""Refusals of what does not go together where timesteps come from the data, or from an encoder."""

from collections.abc import Callable

from membrane.schema import Config
from membrane.schema.augmentation import Normalise
from membrane.schema.encoder import BoundedEncoder, Chunks, Delta, Latency, Lines, SignalEncoder
from membrane.schema.temporal_augmentation import TimeSubset


def refuse_encoder_of_timesteps(config: Config) -> str | None:
    """Refuse to encode data that have timesteps already."""
    if config.encoder is None or not config.dataset.timesteps_in_data:
        return None
    encoder = f"encoder={config.encoder.name_of_choice} gives timesteps to static data"
    return f"{encoder}, dataset {config.dataset.name} has its own: use encoder=none or static data, as dataset=digits"


def refuse_encoder_of_repeated(config: Config) -> str | None:
    """Refuse an encoder under a framework that repeats its input."""
    framework = config.framework.name_of_choice
    if config.encoder is None or config.framework.timesteps_in_data:
        return None
    encoder = f"encoder={config.encoder.name_of_choice} gives x timesteps, framework={framework} repeats x"
    return f"{encoder}: use framework={framework}_tid, and say dataset={config.dataset.name} beside it"


def refuse_timesteps(config: Config) -> str | None:
    """Refuse data with timesteps under a framework that repeats its input, and data without under one that does not.

    An encoder gives timesteps to data without.
    """
    dataset, framework = config.dataset.name, config.framework.name_of_choice
    if config.dataset.timesteps_in_data and not config.framework.timesteps_in_data:
        way_out = f"use framework={framework}_tid"
        return f"dataset {dataset} has timesteps in its data, framework={framework} repeats: {way_out}"
    if config.framework.timesteps_in_data and not config.dataset.timesteps_in_data and config.encoder is None:
        way_out = (
            f"use framework={framework.removesuffix('_tid')} or {config.dataset.way_to_timesteps}, or encoder=rate"
        )
        return f"dataset {dataset} has no timesteps in its data, framework={framework} needs it: {way_out}"
    return None


def refuse_buckets_of_static_data(config: Config) -> str | None:
    """Refuse to sort samples by their timesteps where the data has none."""
    buckets, dataset = config.trainer.buckets, config.dataset
    if buckets is None or dataset.timesteps_in_data:
        return None
    return (
        f"trainer.buckets={buckets} sorts samples by their timesteps, dataset {dataset.name} has none in its data: "
        "leave it out"
    )


def refuse_buckets_of_compiled(config: Config) -> str | None:
    """Refuse batches of many numbers of timesteps for a model that is compiled anew for each."""
    if config.trainer.buckets is None or not config.trainer.compile:
        return None
    many = f"trainer.buckets={config.trainer.buckets} makes batches of many numbers of timesteps"
    return f"{many}, for each of which a model is compiled anew: use trainer.compile=false"


def refuse_buckets_of_norms_by_timestep(config: Config) -> str | None:
    """Refuse batches of fewer timesteps for norms of which one is for each: optimisers pass those by that have none."""
    fewer = cause_of_fewer_timesteps(config)
    if fewer is None or getattr(config.model, "norm", None) != "bntt":
        return None
    return f"{fewer}, model.norm=bntt has a norm for each: use model.norm=batch or tebn"


def cause_of_fewer_timesteps(config: Config) -> str | None:
    """Return what makes training batches of fewer timesteps than T, the beginning of a line; None if nothing does."""
    makes = f"makes batches of fewer timesteps than {config.timesteps}"
    if config.trainer.buckets is not None:
        return f"trainer.buckets={config.trainer.buckets} {makes}"
    subsets = (name for name, each in config.augmentation.items() if isinstance(each, TimeSubset))
    return next((f"augmentation.{name} {makes}" for name in subsets), None)


def refuse_more_timesteps_than_frames(config: Config) -> str | None:
    """Refuse to put frames of the data into more timesteps than there are frames."""
    frames = config.dataset.most_timesteps
    if frames is None or config.timesteps <= frames:
        return None
    dataset = config.dataset.name
    return f"timesteps={config.timesteps}, but dataset {dataset} has {frames} frames: use timesteps={frames} or fewer"


def refuse_bounds_of_normalised(config: Config) -> str | None:
    """Refuse bounds on one side of 0, the mean of normalised data, which would clip about half of them."""
    encoder = config.encoder
    normalised = any(isinstance(each, Normalise) and each.mean is None for each in config.augmentation.values())
    if not (isinstance(encoder, BoundedEncoder) and normalised) or encoder.bounds[0] < 0 < encoder.bounds[1]:
        return None
    takes = f"encoder={encoder.choice} takes {encoder.bounds[0]:g} to {encoder.bounds[1]:g}"
    return f"augmentation=[normalise] gives values around 0, {takes}: leave it out, or set encoder.bounds=[-3,3]"


def refuse_latency_of_one_timestep(config: Config) -> str | None:
    """Refuse to encode by the time of a spike where there is only one time."""
    if not isinstance(config.encoder, Latency) or config.timesteps > 1:
        return None
    return "encoder=latency tells values apart by when they spike, which needs timesteps=2 at least"


def refuse_signal_encoder_of_images(config: Config) -> str | None:
    """Refuse to cut data into timesteps that have no axis of time."""
    encoder, dataset = config.encoder, config.dataset
    if not isinstance(encoder, SignalEncoder) or len(dataset.shape) == 2:
        return None
    data = f"dataset {dataset.name} is 2-D (shape {dataset.shape})"
    does = "encodes the changes of a signal" if isinstance(encoder, Delta) else "cuts a signal into timesteps"
    return f"encoder={encoder.choice} {does}, {data}: use encoder=rate"


def refuse_lines_of_other_data(config: Config) -> str | None:
    """Refuse to read signals line by line, and images in another number of timesteps than they have lines."""
    encoder, dataset = config.encoder, config.dataset
    if not isinstance(encoder, Lines):
        return None
    if len(dataset.shape) != 3:
        data = f"dataset {dataset.name} is 1-D (shape {dataset.shape})"
        return f"encoder=lines reads the lines of an image, {data}: use encoder=chunks"
    lines = dataset.shape[1 if encoder.axis == "rows" else 2]
    if lines == config.timesteps:
        return None
    return f"encoder=lines reads the {lines} {encoder.axis} of dataset {dataset.name} one by one: use timesteps={lines}"


def refuse_unequal_chunks(config: Config) -> str | None:
    """Refuse timesteps into which a signal cannot be cut."""
    encoder, timesteps, samples = config.encoder, config.timesteps, config.dataset.shape[-1]
    windows = isinstance(encoder, Chunks) and encoder.window is not None
    if not isinstance(encoder, SignalEncoder) or windows or samples % timesteps == 0:
        return None
    divisors = [each for each in range(1, samples + 1) if samples % each == 0]
    below = max(each for each in divisors if each < timesteps)
    above = [each for each in divisors if each > timesteps][:1]
    way_out = " or ".join(str(each) for each in (below, *above))
    cuts = f"encoder={encoder.choice} cuts {samples} samples into timesteps={timesteps} equal chunks"
    return f"{cuts}: use timesteps={way_out}"


def refuse_more_windows_than_samples(config: Config) -> str | None:
    """Refuse windows that are longer than a signal, or of which two would be the same."""
    encoder, timesteps, samples = config.encoder, config.timesteps, config.dataset.shape[-1]
    if not isinstance(encoder, Chunks) or encoder.window is None or samples >= encoder.window + timesteps - 1:
        return None
    dataset = f"dataset {config.dataset.name} has {samples} samples"
    if samples < timesteps:
        return f"{dataset}, too few for timesteps={timesteps} windows: use timesteps={samples} or fewer"
    most = samples - timesteps + 1
    return (
        f"{dataset}, too few for timesteps={timesteps} windows of {encoder.window}: use encoder.window={most} or less"
    )


TIMESTEPS_RULES: tuple[Callable[[Config], str | None], ...] = (
    refuse_encoder_of_timesteps,
    refuse_encoder_of_repeated,
    refuse_timesteps,
    refuse_buckets_of_static_data,
    refuse_buckets_of_compiled,
    refuse_buckets_of_norms_by_timestep,
    refuse_more_timesteps_than_frames,
    refuse_bounds_of_normalised,
    refuse_latency_of_one_timestep,
    refuse_signal_encoder_of_images,
    refuse_lines_of_other_data,
    refuse_unequal_chunks,
    refuse_more_windows_than_samples,
)
"""These rules, in the order in which they are asked."""
