"""Checks of a data set's arrays by their headers, before anything is imported or read. Without torch."""

from collections.abc import Mapping
from pathlib import Path

from membrane.data.array_file import ArrayEntry
from membrane.data.series_file import ArrayInMemory
from membrane.errors import DataError

Columns = Mapping[str, ArrayEntry | ArrayInMemory]
"""Column of `Samples` → array of a part."""
NAMED = {"x": "x", "y": "y", "lengths": "length", "recording": "recording", "group": "group"}
"""Column of `Samples` → first half of its array's name."""
FORMS = {"b": "whole numbers", "u": "whole numbers", "i": "whole numbers", "f": "floating point"}
NUMBERED = "numpy.unique(those of all parts together, return_inverse=True)[1] numbers them alike in all parts"


def check_headers(path: Path, parts: Mapping[str, Columns]) -> None:
    """Raise DataError unless parts have samples of one type, and a column an entry for each of them."""
    training = parts["train"]["x"]
    for part, columns in parts.items():
        x = columns["x"]
        if 0 in x.shape:
            raise DataError(f"{path}: x_{part} is {type_and_shape(x)}, which holds nothing: leave an empty part out")
        if FORMS[x.dtype.kind] != FORMS[training.dtype.kind]:
            raise DataError(f"{path}: x_{part} is {x.dtype}, x_train {training.dtype}: make both of one type and range")
        check_columns(path, part, columns)


def check_columns(path: Path, part: str, columns: Columns) -> None:
    """Raise DataError unless each column has an entry for each sample, lengths and the like a whole number."""
    count = columns["x"].shape[0]
    for column, entry in columns.items():
        name = f"{NAMED[column]}_{part}"
        if entry.shape[:1] != (count,):
            raise DataError(f"{path}: x_{part} has {count} samples, {column} of {part} is {list(entry.shape)}")
        if column not in ("x", "y") and (entry.dtype.kind not in "iu" or len(entry.shape) != 1):
            way_out = f"; {NUMBERED}" if entry.dtype.kind in "US" else ""
            raise DataError(f"{path}: {name} is {type_and_shape(entry)}, must be whole numbers [{count}]{way_out}")


def count_classes(path: Path, parts: Mapping[str, Columns], names: int | None = None) -> int:
    """Return the number of classes: of their ``names``, or else one more than the largest label of all parts.

    Raises DataError unless y are whole numbers [n] from 0 to K−1, and K at least 2.
    """
    highest = -1
    for part, columns in parts.items():
        y = columns["y"]
        if y.dtype.kind not in "iu" or len(y.shape) != 1:
            raise DataError(f"{path}: y_{part} is {type_and_shape(y)}, must be whole numbers [n]{way_to_labels(y)}")
        labels = y.values()
        if (low := int(labels.min(initial=0))) < 0:
            raise DataError(f"{path}: y_{part}[{int(labels.argmin())}] is {low}, must be 0 or more")
        highest = max(highest, int(labels.max(initial=-1)))
    if names is not None and highest >= names:
        raise DataError(f"{path}: labels reach {highest}, classes has {names} names, of 0…{names - 1}")
    if (count := highest + 1 if names is None else names) < 2:
        raise DataError(f"{path}: all samples are of one class, classification needs two at least")
    return count


def way_to_labels(y: ArrayEntry | ArrayInMemory) -> str:
    """Return how labels are made of what y is, to be said behind its refusal."""
    if y.dtype.kind in "US":
        return f"; {NUMBERED}"
    if len(y.shape) == 2 and y.shape[1] == 1:
        labels = "y[:, 0]"
    else:
        labels = "y.argmax(1) where rows are one-hot" if len(y.shape) == 2 else "y.astype('int64')"
    regression = ", float targets [n,K] are dataset.task=regression" if y.dtype.kind == "f" else ""
    return f"; labels are {labels}{regression}"


def count_targets(path: Path, parts: Mapping[str, Columns]) -> int:
    """Return the number of targets of a sample. Raises DataError unless all y are float [n,K]."""
    targets = parts["train"]["y"].shape[-1:]
    for part, columns in parts.items():
        y = columns["y"]
        if y.dtype.kind != "f" or len(y.shape) != 2:
            ways = ["y[:, None]"] * (len(y.shape) == 1) + ["y.astype('float32')"] * (y.dtype.kind != "f")
            way_out = f"; {' and '.join(ways)} makes it so" if ways else ""
            form = f"y_{part} is {type_and_shape(y)}, must be float [n,K] for dataset.task=regression"
            raise DataError(f"{path}: {form}{way_out}")
        if y.shape[1:] != targets:
            raise DataError(f"{path}: y_{part} has {y.shape[1]} targets, y_train {targets[0]}")
    return targets[0]


def type_and_shape(entry: ArrayEntry | ArrayInMemory) -> str:
    """Return type and shape of an array, as `float32 [100, 2]`."""
    return f"{entry.dtype} {list(entry.shape)}"
