"""Time series in text files: .csv with one series a row, and .ts of the UCR and UEA archives. Without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membrane.errors import DataError

SUFFIXES = (".csv", ".tsv", ".ts")
LABELS = ("label", "class", "target", "y")
"""Names that a column of labels may have in a header; without one the first column holds them."""
NUMBERING = ("", "id", "index", "unnamed: 0")
"""Names of columns that number the lines, as pandas writes them; among the values they gave sorted labels away."""
ARRAYS = ("group", "length", "recording")
"""Names of columns that say something of a sample, for which a .npz has arrays."""
FEW_LINES = 10
"""Of a file, up to which each may have a class of its own."""
LARGEST = 2**30
"""Bytes of a text file at most; more belongs into a .npz."""


@dataclass(frozen=True)
class Series:
    """Series of a file: of each its channels, lists of values of one length, and its label as it is written.

    ``lines`` are the numbers of their lines, from 1.
    """

    channels: list[list[list[float]]]
    labels: list[str]
    lines: list[int]


@dataclass(frozen=True)
class ArrayInMemory:
    """An array that was read from a text file, with the attributes of an `ArrayEntry`."""

    path: Path
    array: NDArray[Any]
    compressed: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its values."""
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    def values(self) -> NDArray[Any]:
        """Return the array."""
        return self.array

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield the array."""
        yield self.array


def series_arrays(path: Path, *, timesteps_in_data: bool, task: str) -> dict[str, ArrayInMemory]:
    """Return the arrays of a text file by the names that a .npz would have; see `Arrays`.

    A file whose name contains TRAIN comes with the one beside it that has TEST in its place, as the archives have them.
    x is [n,S,C]; with ``timesteps_in_data`` each value is a timestep, x is [n,S,1,C], and series may differ in length.
    Labels are numbered in their order, and named as they are written; targets of a regression are float [n,1]. Raises
    DataError, with file and line, for what is no series.
    """
    files = series_files(path)
    read = {part: read_series(file) for part, file in files.items()}
    longest = max(len(series[0]) for each in read.values() for series in each.channels)
    arrays: dict[str, ArrayInMemory] = {}
    lengths = {part: np.array([len(series[0]) for series in each.channels]) for part, each in read.items()}
    unequal = any((each != longest).any() for each in lengths.values())
    for part, each in read.items():
        if not timesteps_in_data and (lengths[part] != longest).any():
            odd = int((lengths[part] != longest).argmax())
            raise DataError(
                f"{files[part]}: line {each.lines[odd]} has {lengths[part][odd]} values, others {longest}: series of "
                "unequal length need framework=multistep_tid dataset.timesteps_in_data=true"
            )
        x = padded(files[part], each, longest)
        arrays[f"x_{part}"] = ArrayInMemory(files[part], x[:, :, None] if timesteps_in_data else x)
        if unequal:
            arrays[f"length_{part}"] = ArrayInMemory(files[part], lengths[part])
    return arrays | labels_of(files, read, task)


def series_files(path: Path) -> dict[str, Path]:
    """Return the file of each part: a name with TRAIN or train has its test part beside it."""
    beside = path.with_name(path.name.replace("TRAIN", "TEST").replace("train", "test"))
    return {"train": path, "test": beside} if beside != path and beside.is_file() else {"train": path}


def labels_of(files: dict[str, Path], read: dict[str, Series], task: str) -> dict[str, ArrayInMemory]:
    """Return the labels of each part and the names of the classes, or the targets in a regression."""
    if task == "regression":
        return {
            f"y_{part}": ArrayInMemory(
                files[part], np.array([[finite_number(files[part], n, label)] for n, label in labelled_lines(each)])
            )
            for part, each in read.items()
        }
    refuse_values_as_labels(files, read)
    names = sorted({label for each in read.values() for label in each.labels}, key=label_order)
    numbers = {name: position for position, name in enumerate(names)}
    arrays = {
        f"y_{part}": ArrayInMemory(files[part], np.array([numbers[label] for label in each.labels]))
        for part, each in read.items()
    }
    return {**arrays, "classes": ArrayInMemory(files["train"], np.array(names))}


def refuse_values_as_labels(files: dict[str, Path], read: dict[str, Series]) -> None:
    """Raise DataError for labels of a .csv that are likely to be values of the series."""
    first = f"labels are first, or in a column that a header names {', '.join(LABELS)}"
    for part, path in files.items():
        if path.suffix.lower() == ".ts":  # whose labels cannot be elsewhere
            continue
        for line, label in labelled_lines(read[part]):
            if not label or (is_number(label) and not float(label).is_integer()):
                targets = "; dataset.task=regression is for targets" if label else ""
                raise DataError(f"{path}: line {line} has {label!r} for a label: {first}{targets}")
        if len(read[part].labels) == len(set(read[part].labels)) > FEW_LINES:
            raise DataError(f"{path}: no two lines have the same label: {first}")


def labelled_lines(series: Series) -> list[tuple[int, str]]:
    """Return line and label of each series."""
    return list(zip(series.lines, series.labels, strict=True))


def label_order(label: str) -> tuple[float, str]:
    """Order labels as numbers where they are such, then as text."""
    try:
        return float(label), ""
    except ValueError:
        return float("inf"), label


def padded(path: Path, series: Series, longest: int) -> NDArray[np.float32]:
    """Return the values [n,S,C], zeros behind the end of a series. Raises DataError for another number of channels."""
    count = len(series.channels[0])
    x = np.zeros((len(series.channels), longest, count), np.float32)
    for row, (line, channels) in enumerate(zip(series.lines, series.channels, strict=True)):
        if len(channels) != count or len({len(values) for values in channels}) > 1:
            raise DataError(f"{path}: line {line} has not {count} channels of one length, as the first series has")
        x[row, : len(channels[0])] = np.array(channels).T
    return x


def read_series(path: Path, labelled: bool = True) -> Series:
    """Return the series of a file, of which each has a label unless a .csv is not ``labelled``.

    Raises DataError, with the line, for what is none.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: has more than {LARGEST >> 30} GiB of text: save a .npz")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith(("#", "%"))]
    read = read_ts(path, lines) if path.suffix.lower() == ".ts" else read_csv(path, lines, labelled)
    if not read.channels:
        raise DataError(f"{path}: has no series")
    return read


def read_csv(path: Path, lines: list[tuple[int, str]], labelled: bool = True) -> Series:
    """Return the series of lines of values and, if ``labelled``, a label, which is first or where the header says."""
    delimiter = max(",;\t", key=lines[0][1].count) if lines else ","
    fields = [(line, [field.strip().strip('"') for field in text.split(delimiter)]) for line, text in lines]
    column, header = 0, bool(fields) and not any(is_number(field) for field in fields[0][1])
    if header:
        named = [name.lower() for name in fields.pop(0)[1]]
        refuse_other_columns(path, named)
        column = next((named.index(label) for label in LABELS if label in named), 0)
    channels, labels = [], []
    for line, values in fields:
        if labelled and len(values) <= max(column, 1):
            raise DataError(
                f"{path}: line {line} has {len(values)} fields: a label and the values of a series expected"
            )
        labels.append(values.pop(column) if labelled else "")
        channels.append([[finite_number(path, line, value) for value in values]])
    return Series(channels, labels, [line for line, _ in fields])


def refuse_other_columns(path: Path, names: Sequence[str]) -> None:
    """Raise DataError for a column of a header whose values are none of a series, nor labels."""
    for number, name in enumerate(names, 1):
        if name in NUMBERING:
            way_out = "leave it out, as to_csv(index=False) does"
            raise DataError(
                f"{path}: column {number}, {name!r}, numbers the lines and is no value of a series: {way_out}"
            )
        if name in ARRAYS:
            raise DataError(
                f"{path}: column {number}, {name!r}, is no value of a series: save a .npz with {name}_train"
            )


def read_ts(path: Path, lines: list[tuple[int, str]]) -> Series:
    """Return the series behind @data: channels apart by colons, values by commas, the label last."""
    header = {text.split()[0].lower(): text.lower().split()[1:] for _, text in lines if text.startswith("@")}
    if header.get("@timestamps", ["false"])[:1] == ["true"]:
        raise DataError(f"{path}: has timestamps, which are not read: values in equal steps of time are")
    if "@data" not in header:
        raise DataError(f"{path}: has no line @data")
    begin = next(place for place, (_, text) in enumerate(lines) if text.lower() == "@data")
    channels, labels = [], []
    for line, text in lines[begin + 1 :]:
        *parts, label = text.split(":")
        if not parts:
            raise DataError(f"{path}: line {line} has no label: channels and a label, apart by colons, expected")
        labels.append(label.strip())
        channels.append([[finite_number(path, line, value) for value in part.split(",")] for part in parts])
    return Series(channels, labels, [line for line, _ in lines[begin + 1 :]])


def is_number(text: str) -> bool:
    """Return whether a field is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def finite_number(path: Path, line: int, text: str) -> float:
    """Return a field as a number. Raises DataError, with the line, if it is none or not finite."""
    if not is_number(text) or not np.isfinite(value := float(text)):
        missing = "; missing values are not filled in" if text.strip() in ("", "?", "NaN", "nan") else ""
        raise DataError(f"{path}: line {line}: {text.strip()!r} is not a number{missing}")
    return value
