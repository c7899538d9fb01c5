"""The arrays of a data set by name, and what their headers say of it. Without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from membrane.data.array_checks import check_headers, count_classes, count_targets
from membrane.data.array_file import ArrayEntry, array_entries
from membrane.data.series_file import SUFFIXES, ArrayInMemory, series_arrays, series_files
from membrane.errors import DataError

Entry: TypeAlias = ArrayEntry | ArrayInMemory
PARTS = ("train", "val", "test")
COLUMNS = {"x": "x", "y": "y", "length": "lengths", "recording": "recording", "group": "group"}
"""First half of an array's name → the column of `Samples` that it holds."""
NAMES = "x_train y_train x_test y_test, x_val y_val, length_… recording_… group_… of each part, and classes"


def located(path: str, root: Path) -> Path:
    """Return the file or folder of that path, looked for in the working folder, then in ``paths.data``.

    Raises DataError if there is none.
    """
    for candidate in (Path(path).expanduser(), root / path):
        if candidate.exists():
            return candidate
    raise DataError(f"dataset.path={path}: there is no such file or folder, neither here nor in {root}")


def dataset_entries(
    path: Path, *, timesteps_in_data: bool = False, task: str = "classification"
) -> dict[str, dict[str, Entry]]:
    """Return part → column → array, of the parts that are there; ``classes`` is a part of its own.

    Raises DataError for an array of another name, where x or y of a part, or the training part, is missing, where some
    parts have lengths and others not, and as `check_numbers`.
    """
    if path.suffix.lower() in SUFFIXES:
        read: Mapping[str, Entry] = series_arrays(path, timesteps_in_data=timesteps_in_data, task=task)
    else:
        read = array_entries(path)
    parts: dict[str, dict[str, Entry]] = {}
    for name, entry in read.items():
        column, _, part = name.partition("_")
        if name == "classes":
            parts["classes"] = {"classes": entry}
        elif column in COLUMNS and part in PARTS:
            parts.setdefault(part, {})[COLUMNS[column]] = entry
        else:
            raise DataError(f"{path}: the array {name} has no meaning; names are {NAMES}")
    for part in {"train": None, **parts}:
        if part != "classes" and (missing := {"x", "y"} - parts.get(part, {}).keys()):
            raise DataError(f"{path}: {min(missing)}_{part} is missing; names are {NAMES}")
    check_numbers(path, parts)
    lengths = {part: "lengths" in columns for part, columns in parts.items() if part != "classes"}
    if len(set(lengths.values())) > 1:
        without = min(part for part, has_lengths in lengths.items() if not has_lengths)
        raise DataError(
            f"{path}: length_{without} is missing, other parts have lengths: it is T where nothing is padded"
        )
    if "val" in parts and "test" not in parts:
        raise DataError(f"{path}: there is x_val and no x_test: call it x_test, a share of x_train is for validation")
    return {part: parts[part] for part in (*PARTS, "classes") if part in parts}


def check_numbers(path: Path, parts: Mapping[str, Mapping[str, Entry]]) -> None:
    """Raise DataError unless x of each part are real numbers."""
    for part, each in ((part, parts[part]["x"]) for part in PARTS if part in parts):
        if each.dtype.kind not in "biuf" or each.dtype.itemsize > 8:
            numbers = "real numbers of 64 bits at most, as float32 or uint8"
            raise DataError(f"{path}: x_{part} is {each.dtype} {list(each.shape)}, must be {numbers}")


def check_sizes(path: Path, parts: Mapping[str, Mapping[str, Entry]], window: int | None = None) -> None:
    """Raise DataError unless the samples of all parts are as large as those of the training part.

    Where they are cut into windows of so many steps, their own numbers of steps may differ.
    """
    first, equal = parts["train"]["x"].shape, 1 if window is None else 2
    for part, shape in ((part, parts[part]["x"].shape) for part in PARTS if part in parts):
        if shape[equal:] != first[equal:]:
            raise DataError(f"{path}: x_{part} is {list(shape)}, x_train {list(first)}: they differ beyond n")


def way_out_of_shape(shape: Sequence[int], timesteps_in_data: bool, lengths: bool) -> str:
    """Return what makes samples of such a shape fit, for the end of a line; empty if nothing is likely to."""
    other = f"or say dataset.timesteps_in_data={str(not timesteps_in_data).lower()}"
    if timesteps_in_data and len(shape) == 3:
        return "; if x is [n,T,C], x[:, :, None, :] has S=1" + ("" if lengths else f"; {other}")
    if not timesteps_in_data and len(shape) == 2:
        return "; a signal of one channel is x[:, :, None]"
    return f"; {other}" if len(shape) in (3, 4, 5) else ""


def source_files(path: Path) -> list[Path]:
    """Return the files that a data set's arrays lie in."""
    if path.suffix.lower() in SUFFIXES:
        return list(series_files(path).values())
    return sorted({entry.path for columns in dataset_entries(path).values() for entry in columns.values()})


def names_of_classes(entry: Entry) -> list[str]:
    """Return the names of the classes. Raises DataError unless they are a list of text."""
    if entry.dtype.kind != "U" or len(entry.shape) != 1:
        raise DataError(f"{entry.path}: classes is {entry.dtype} {list(entry.shape)}, must be K names, as text")
    return [str(name) for name in entry.values()]


def array_facts(path: Path, *, timesteps_in_data: bool, task: str, window: int | None = None) -> dict[str, Any]:
    """Return ``shape``, ``classes`` and ``scale``, and ``timesteps`` where the data has them, as the files say.

    The scale is 1, but 1/255 for images and signals in unsigned bytes. In classification the classes are as many as
    names, or one more than the largest label; in regression they are the number of targets. ``window`` is the number of
    steps that samples are cut into. Raises DataError where the arrays cannot be such, do not fit each other, or have
    lengths but no timesteps.
    """
    parts = dataset_entries(path, timesteps_in_data=timesteps_in_data, task=task)
    if "lengths" in parts["train"] and not timesteps_in_data:
        way_out = "framework=multistep_tid dataset.timesteps_in_data=true"
        raise DataError(f"{path}: lengths count timesteps, which the data has not: {way_out}")
    shape = parts["train"]["x"].shape
    dimensions, form = (4, 5), "[n,T,S,C] or [n,T,H,W,C]"
    if not timesteps_in_data:
        dimensions, form = (3, 4), "[n,S,C] or [n,H,W,C]"
    if len(shape) not in dimensions:
        way_out = way_out_of_shape(shape, timesteps_in_data, "lengths" in parts["train"])
        raise DataError(f"{path}: x_train is {list(shape)}, must be {form}, channels last{way_out}")
    check_sizes(path, parts, window)
    if window is not None:
        shape = (shape[0], checked_window(path, parts, window, timesteps_in_data), *shape[2:])
    lead = 2 if timesteps_in_data else 1
    in_bytes = parts["train"]["x"].dtype == np.uint8 and not timesteps_in_data
    facts: dict[str, Any] = {"shape": [shape[-1], *shape[lead:-1]], "scale": 1 / 255 if in_bytes else 1.0}
    named = parts.pop("classes", None)
    check_headers(path, parts)
    if task == "classification":
        names = None if named is None else len(names_of_classes(named["classes"]))
        facts["classes"] = count_classes(path, parts, names)
    else:
        facts["classes"] = count_targets(path, parts)
    if timesteps_in_data:
        facts["timesteps"] = shape[1]
    return facts


def checked_window(path: Path, parts: Mapping[str, Mapping[str, Entry]], window: int, timesteps_in_data: bool) -> int:
    """Return the number of steps of a window. Raises DataError where x has fewer, or no axis of time."""
    shapes = {f"x_{part}": parts[part]["x"].shape for part in PARTS if part in parts}
    if len(shapes["x_train"]) == 4 and not timesteps_in_data:
        form = f"x_train is {list(shapes['x_train'])}, images: leave it out"
        raise DataError(f"{path}: dataset.window={window} cuts signals [n,S,C] and sequences [n,T,…], {form}")
    for name, shape in shapes.items():
        if shape[1] < window:
            raise DataError(f"{path}: {name} has {shape[1]} steps, fewer than dataset.window={window}")
    return window
