"""200 malformed data sets by property: each is refused before training, in one line with part, sample and value."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_data import T, module, put

from membrane.data.feed.module import DataModule
from membrane.data.samples import Samples
from membrane.errors import ConfigError, DataError

NAMES = {2: ("training", "test"), 3: ("training", "validation", "test")}


@dataclass
class Drawn:
    """A data set and its facts."""

    parts: list[Samples]
    shape: list[int]
    classes: int
    task: str
    timed: bool

    def module(self) -> DataModule:
        told = {"shape": self.shape, "classes": self.classes, "task": self.task, "timed": self.timed}
        return module(tuple(self.parts), protocol="last", **told)


@st.composite
def data_sets(draw: st.DrawFn) -> Drawn:
    """Draw a data set as it should be."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    timed, task = draw(st.booleans()), draw(st.sampled_from(["classification", "regression"]))
    classes, shape = draw(st.integers(1, 5)), draw(st.sampled_from([[1, 3], [2, 2, 3]]))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64, np.uint8, np.int16, np.uint16, np.bool_]))
    scale, array = draw(st.sampled_from([1.0, 1 / 255, 3])), draw(st.booleans())
    with_lengths, with_group, with_names = timed and draw(st.booleans()), draw(st.booleans()), draw(st.booleans())

    def one_part() -> Samples:
        n = draw(st.integers(1, 12))
        x = (chance.random((n, *[T] * timed, *shape)) * 200).astype(dtype)
        y = chance.random((n, classes)) if task == "regression" else chance.integers(classes, size=n)
        columns: dict[str, Any] = {"x": x, "y": y, "recording": chance.integers(5, size=n)}
        if with_lengths:
            columns["lengths"] = chance.integers(1, T + 1, size=n)
        if with_group:
            columns["group"] = chance.integers(3, size=n).astype(np.int32)
        if not array:
            columns = {name: torch.from_numpy(column) for name, column in columns.items()}
        return Samples(**columns, scale=scale, classes=[f"c{k}" for k in range(classes)] if with_names else None)

    parts = [one_part() for _ in range(draw(st.integers(2, 3)))]
    return Drawn(parts, shape, classes, task, timed)


Fault = Callable[[st.DrawFn, Samples, Drawn], tuple[dict[str, Any], list[str]]]
"""Draws changes of a part's fields, and the texts that its refusal holds beside the part's name."""


def not_finite(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    values = {"x": whole.x.float()} | ({"y": whole.y} if data.task == "regression" else {})
    name = draw(st.sampled_from(sorted(values)))
    value = draw(st.sampled_from([torch.nan, torch.inf, -torch.inf]))
    at = tuple(draw(st.integers(0, size - 1)) for size in values[name].shape)
    return {name: put(values[name], at, value)}, [f"sample {at[0]} ", str(value), name]


def wrong_label(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    at = draw(st.integers(0, len(whole) - 1))
    label = draw(st.integers(-100, -1) | st.integers(data.classes, 100))
    labels = torch.zeros(len(whole), dtype=torch.int64)
    labels[at] = label
    if data.task == "regression":
        return {"y": labels}, ["targets are int64"]
    return {"y": labels}, [f"sample {at} has {label}", f"0…{data.classes - 1}"]


def wrong_length(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    at, value = draw(st.integers(0, len(whole) - 1)), draw(st.integers(-5, 0) | st.integers(T + 1, 99))
    lengths = torch.full((len(whole),), T)
    lengths[at] = value
    return {"lengths": lengths}, [f"sample {at} has length {value}" if data.timed else "which the data has not"]


def unequal_counts(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    name, n = draw(st.sampled_from(["x", "y", "recording", "group"])), len(whole)
    more = draw(st.integers(1, 3))
    column = torch.zeros(n, dtype=torch.int64) if name == "group" else getattr(whole, name)
    return {name: torch.cat([column, column[:1].repeat(more, *[1] * (column.dim() - 1))])}, [f"sample {n} has no "]


def no_samples(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    names = [name for name in ("x", "y", "recording", "lengths", "group") if getattr(whole, name) is not None]
    return {name: getattr(whole, name)[:0] for name in names}, ["is empty"]


def wrong_type(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    name = draw(st.sampled_from(["x", "y", "recording"]))
    column = getattr(whole, name)
    wrong, text = draw(
        st.sampled_from(
            [
                (column.tolist(), "is a list"),
                (np.full(column.shape, "a"), "<U1"),
                (np.full(column.shape, None), "object"),
                (column.to(torch.complex64), "complex64"),
            ]
        )
    )
    return {name: wrong}, [name, text]


def wrong_shape(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    axis = draw(st.integers(1, whole.x.dim() - 1))
    x = torch.cat([whole.x, whole.x.narrow(axis, 0, 1)], axis)
    return {"x": x}, [str(list(x.shape[1:])), str(list(whole.x.shape[1:]))]


def wrong_scale(draw: st.DrawFn, whole: Samples, data: Drawn) -> tuple[dict[str, Any], list[str]]:
    scale = draw(st.sampled_from([0.0, -0.5, torch.inf, torch.nan, 1e-50]))
    return {"scale": scale}, [f"scale is {scale}"]


FAULTS: list[Fault] = [
    not_finite,
    not_finite,
    wrong_label,
    wrong_length,
    unequal_counts,
    no_samples,
    wrong_type,
    wrong_shape,
    wrong_scale,
]


@given(st.data(), data_sets(), st.sampled_from(FAULTS))
@settings(max_examples=200, deadline=None)
def test_malformed_data_sets_are_refused_with_part_and_sample(data: st.DataObject, drawn: Drawn, fault: Fault) -> None:
    drawn.module().setup()  # as it should be it is taken
    at = data.draw(st.integers(0, len(drawn.parts) - 1))
    changes, texts = fault(data.draw, drawn.parts[at], drawn)
    drawn.parts[at] = replace(drawn.parts[at], **changes)
    with pytest.raises((ConfigError, DataError)) as refused:
        drawn.module().setup()
    said = str(refused.value)
    assert "\n" not in said
    for text in (NAMES[len(drawn.parts)][at], *texts):
        assert text in said
