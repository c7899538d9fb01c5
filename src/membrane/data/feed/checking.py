"""Checks of all that a data set hands over, in one place and before anything trains.

A step function makes ordinary numbers even of NaN, so that nothing later would tell. Each refusal is a DataError of one
line that names the part, the sample and its value where there is one, and what would be right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from membrane.data.samples import Samples, chunks
from membrane.errors import ConfigError, DataError, InvalidValue

PARTS = {1: ("training",), 2: ("training", "test"), 3: ("training", "validation", "test")}
"""Number of parts that ``load`` returned → their names, in order."""
FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
INTEGERS = {torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32, torch.int64}
LARGEST = torch.finfo(torch.float32).max
RETURNS = "load must return (train, test), (train, validation, test) or (train,) membrane.data.samples.Samples"


@dataclass(frozen=True)
class Facts:
    """The configuration's description of a data set.

    ``shape`` is that of a sample, behind T if the data has timesteps, which ``timesteps`` is then and otherwise None.
    """

    shape: list[int]
    classes: int
    task: str
    timesteps: int | None


def load_parts(dataset: Any, root: Path, timesteps: int) -> Any:
    """Return what a data set's ``load`` returns. Raises DataError if it has none."""
    if not callable(getattr(dataset, "load", None)):
        raise DataError(f"a data set has a method load(root, timesteps), which {article(dataset)} has not")
    return dataset.load(root, timesteps)


def check_parts(loaded: Any, facts: Facts) -> tuple[Samples, ...]:
    """Return the parts that ``load`` returned: (train, test), (train, validation, test) or (train,).

    Raises DataError unless each is what the configuration says, whole, finite, and like the others.
    """
    names = PARTS.get(len(loaded)) if isinstance(loaded, tuple | list) else None
    if names is None:
        form = f"it returned {len(loaded)} parts" if isinstance(loaded, tuple | list) else f"not {article(loaded)}"
        raise DataError(f"{RETURNS}, {form}")
    for name, part in zip(names, loaded, strict=True):
        if not isinstance(part, Samples):
            raise DataError(f"{RETURNS}, the {name} part is {article(part)}")
        check_part(name, part, facts)
    for name, part in zip(names[1:], loaded[1:], strict=True):
        check_alike(name, part, loaded[0])
    return tuple(loaded)


def in_types_of_batches(samples: Samples) -> Samples:
    """Return checked samples with y int64, or float32 in regression; all other columns but x are int64."""
    whole = {name: getattr(samples, name) for name in ("recording", "lengths", "group")}
    columns = {name: column.long() for name, column in whole.items() if column is not None}
    y = samples.y.float() if samples.y.is_floating_point() else samples.y.long()
    if samples.x.requires_grad or type(samples.scale) is not float:
        samples = replace(samples, x=samples.x.detach(), scale=float(samples.scale))
    return samples.with_columns(y=y.detach(), **columns)


def check_part(name: str, part: Samples, facts: Facts) -> None:
    """Raise DataError unless a part is what the configuration says of the data set."""
    for column in ("x", "y", "recording"):
        check_tensor(name, column, getattr(part, column))
    for column in ("lengths", "group"):
        if getattr(part, column) is not None:
            check_tensor(name, column, getattr(part, column))
    check_shape(name, part.x, facts)
    check_counts(name, part)
    check_scale(name, part.scale)
    check_names(name, part.classes, facts)
    for column in ("recording", "lengths", "group"):
        check_whole_numbers(name, column, getattr(part, column), len(part.x))
    if facts.task == "regression":
        check_targets(name, part.y, facts.classes)
    else:
        check_labels(name, part.y, facts.classes)
    check_valid_timesteps(name, part.lengths, facts.timesteps)
    if part.stored_digest is None:  # a cache holds what was checked
        check_finite(name, "x", part.x, part.scale, part.count_read)


def check_tensor(name: str, column: str, values: Any) -> None:
    """Raise DataError unless a column is a dense tensor of real numbers."""
    if not isinstance(values, Tensor):
        form, way_out = article(values), f"torch.as_tensor({column})"
        if isinstance(values, np.ma.MaskedArray):
            way_out = f"{column}.filled(0)"
        elif isinstance(values, np.ndarray):
            form, way_out = f"an array of {values.dtype}", f"{column}.astype('float32'), or 'int64' for whole numbers"
            if values.dtype.kind in "US":
                way_out = "numpy.unique(those of all parts together, return_inverse=True)[1]"
        raise DataError(f"{name} part: {column} is {form}, must be a tensor or an array of numbers: {way_out}")
    if values.layout != torch.strided or values.is_nested:
        raise DataError(f"{name} part: {column} is not a dense tensor, but {values.layout}: {column}.to_dense()")
    if values.dtype not in FLOATS | INTEGERS | {torch.bool}:
        raise DataError(f"{name} part: {column} is {described(values)}, must be floating point, whole numbers or bool")


def check_shape(name: str, x: Tensor, facts: Facts) -> None:
    """Raise DataError unless x is [n,*shape]; ConfigError if it has another T than ``timesteps``."""
    shape, lead = list(x.shape[1:]), int(facts.timesteps is not None)
    if shape == facts.shape and x.dim():
        return
    way_out = ""
    if lead and shape[1:] == facts.shape[1:]:
        raise ConfigError(
            f"{name} samples are {shape}, the configuration says {facts.shape}: load(root, timesteps) was asked for "
            f"{facts.timesteps} timesteps; timesteps={shape[0]} takes them all"
        )
    if [*shape[:lead], *shape[-1:], *shape[lead:-1]] == facts.shape:
        way_out = f": membrane.data.channels_first(x, timesteps={bool(lead)})"
    raise DataError(f"{name} samples are {shape}, the configuration says {facts.shape}{way_out}")


def check_counts(name: str, part: Samples) -> None:
    """Raise DataError if a part is empty, or one of its columns is shorter or longer than x."""
    if not len(part.x):
        raise DataError(f"the {name} part is empty, it needs a sample at least")
    for column in ("y", "recording", "lengths", "group"):
        values = getattr(part, column)
        if values is None:
            continue
        if not values.dim():
            raise DataError(f"{name} part: {column} is a single number, must have one entry a sample [{len(part.x)}]")
        if (count := len(values)) != (samples := len(part.x)):
            lacking, first = (column, count) if count < samples else ("x", samples)
            raise DataError(
                f"{name} part: x has {samples} samples, {column} has {count}: sample {first} has no {lacking}"
            )


def check_scale(name: str, scale: Any) -> None:
    """Raise DataError unless the scale is a number that stays finite and above 0 in float32."""
    if not isinstance(scale, Real) or isinstance(scale, bool):
        raise DataError(f"{name} part: scale is {article(scale)}, must be a number above 0")
    if not (isfinite(scale) and 0 < float(torch.tensor(float(scale), dtype=torch.float32)) < float("inf")):
        raise DataError(f"{name} part: scale is {scale}, must be finite and above 0, in float32 too")


def check_names(name: str, classes: Any, facts: Facts) -> None:
    """Raise DataError unless there are no names of classes, or one for each."""
    if classes is None:
        return
    if not isinstance(classes, Sequence) or isinstance(classes, str) or not all(isinstance(c, str) for c in classes):
        raise DataError(f"{name} part: classes must be {facts.classes} names, as ['cat', 'dog'], not {classes!r:.40}")
    if len(classes) != facts.classes:
        raise DataError(f"{name} part: classes has {len(classes)} names, the configuration says {facts.classes}")


def check_whole_numbers(name: str, column: str, values: Tensor | None, count: int) -> None:
    """Raise DataError unless a column is missing or whole numbers [n]."""
    if values is not None and (values.dtype not in INTEGERS or values.dim() != 1):
        raise DataError(f"{name} part: {column} is {described(values)}, must be whole numbers [{count}]")


def check_labels(name: str, y: Tensor, classes: int) -> None:
    """Raise DataError unless y is whole numbers [n] from 0 to K−1."""
    if y.dtype not in INTEGERS or y.dim() != 1:
        raise DataError(f"{name} labels are {described(y)}, classification needs whole numbers [{len(y)}]")
    y = y.long()
    low, high = int(y.argmin()), int(y.argmax())
    wrong = {at: int(y[at]) for at in (low, high) if not 0 <= int(y[at]) < classes}
    if wrong:
        named = ", ".join(f"sample {at} has {label}" for at, label in wrong.items())
        raise DataError(
            f"{name} labels reach {' and '.join(map(str, wrong.values()))}, the configuration says {classes} classes: "
            f"{named}, must be 0…{classes - 1}"
        )


def check_targets(name: str, y: Tensor, targets: int) -> None:
    """Raise DataError unless y is finite float [n,K], with the configuration's K."""
    if y.dtype not in FLOATS or list(y.shape[1:]) != [targets]:
        raise DataError(f"{name} targets are {described(y)}, the configuration says float [{len(y)}, {targets}]")
    check_finite(name, "y", y)


def check_valid_timesteps(name: str, lengths: Tensor | None, timesteps: int | None) -> None:
    """Raise InvalidValue unless lengths [n], where there are any, are 1 to T; ConfigError if the data has no T."""
    if lengths is None:
        return
    if timesteps is None:
        way_out = "framework=multistep_tid dataset.timesteps_in_data=true"
        raise ConfigError(f"{name} part: lengths count timesteps, which the data has not: {way_out}")
    for at in (int(lengths.long().argmin()), int(lengths.long().argmax())):
        if not 1 <= (length := int(lengths[at])) <= timesteps:
            raise InvalidValue(f"{name} part: sample {at} has length {length}, must be 1…{timesteps} timesteps")


class NotFiniteValue(NamedTuple):
    """A value that is not finite: its place [n,…], and what is expected of it."""

    place: list[int]
    value: float
    expected: str


def check_finite(
    name: str, column: str, values: Tensor, scale: float = 1.0, count_read: Callable[[int], None] | None = None
) -> None:
    """Raise InvalidValue unless values [n,…] times ``scale`` are finite in float32, naming the first that is not.

    ``count_read`` is told the number of samples that were read.
    """
    wrong = first_not_finite(values, scale, count_read)
    if wrong is not None:
        sample, *entry = wrong.place
        raise InvalidValue(f"{name} part: sample {sample} has {wrong.value} in {column} at {entry}, {wrong.expected}")


def first_not_finite(
    values: Tensor, scale: float, count_read: Callable[[int], None] | None = None
) -> NotFiniteValue | None:
    """Return the first of values [n,…] that times ``scale`` is not finite in float32, None if all are.

    Whole numbers are not even looked at unless their type could reach beyond float32. The extremes tell of all others:
    aminmax passes NaN on, and needs no memory. ``count_read`` is told the number of samples that were read.
    """
    if values.dtype == torch.bool or (values.dtype in INTEGERS and torch.iinfo(values.dtype).max * scale < LARGEST):
        return None
    start = 0
    for each in chunks(values.detach()):
        if each.numel() and not all(in_float32(end, scale).isfinite() for end in torch.aminmax(comparable(each))):
            sample, *entry = in_float32(each, scale).isfinite().logical_not().nonzero()[0].tolist()
            value = each[(sample, *entry)].item()
            why = "must be finite" if not isfinite(value) else f"times scale {scale:g} must be finite in float32"
            return NotFiniteValue([start + sample, *entry], value, why)
        start += len(each)
        if count_read is not None:
            count_read(len(each))
    return None


def in_float32(values: Tensor, scale: float) -> Tensor:
    """Return values as a batch has them."""
    return values.float() * scale


def comparable(values: Tensor) -> Tensor:
    """Return values in a type that torch finds extremes of, which it does not for the larger unsigned ones."""
    return values.float() if values.dtype in (torch.uint16, torch.uint32, torch.uint64) else values


def check_alike(name: str, part: Samples, training: Samples) -> None:
    """Raise DataError unless x and y mean the same in a part as in the training part.

    x must be real or whole numbers with the same scale; where both parts name their classes, the names must be alike.
    """
    forms = [
        f"{'floating point' if each.x.is_floating_point() else 'whole numbers'} with scale {each.scale:g}"
        for each in (part, training)
    ]
    if forms[0] != forms[1] or part.scale != training.scale:
        raise DataError(f"{name} part: x is {forms[0]}, in the training part {forms[1]}: they must be alike")
    for number, (here, there) in enumerate(zip(part.classes or (), training.classes or (), strict=False)):
        if here != there:
            line = f"{name} part: class {number} is {here!r}, in the training part {there!r}"
            raise DataError(f"{line}: labels and names must be in one order")


def described(values: Tensor) -> str:
    """Return type and shape of a tensor, as `float32 [100, 2]`."""
    return f"{values.dtype} {list(values.shape)}".removeprefix("torch.")


def article(value: Any) -> str:
    """Return the name of a value's class with its article, as `a str`, or `None`."""
    class_name = type(value).__name__
    return "None" if value is None else f"{'an' if class_name[0] in 'aeiouAEIOU' else 'a'} {class_name}"
