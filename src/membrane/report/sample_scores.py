"""A run's outputs on its test samples, as outputs/test.npz holds them: each sample's score, and which sample it is."""

import hashlib
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from membrane.data.array_file import array_entries
from membrane.errors import DataError
from membrane.files.regular import open_regular
from membrane.report.recorded import Recorded
from membrane.runs.saved import why_unreadable
from membrane.runs.standing import UNREADABLE

NPZ = "outputs/test.npz"
BROKEN = (*UNREADABLE, EOFError, MemoryError, NotImplementedError, IndexError, zipfile.BadZipFile, zlib.error)
"""Errors of reading arrays that are damaged, or not those of a run."""
LARGEST = 1 << 28
"""Bytes of the arrays of a file, unpacked, at most: those of 50,000 samples of 1000 classes have 200 MB."""
KINDS = {"index": "iu", "label": "iuf", "output": "iuf", "recording": "iu", "group": "iu", "classes": "U"}
"""Array → the kinds of its values, as numpy abbreviates them: whole numbers, floats, text."""
OF_SEVERAL_AXES = ("label", "output")


@dataclass(frozen=True)
class SampleScores:
    """Each test sample's score [n], in the order of their indices.

    In classification it is 1 where the sample is right; in regression the absolute error, the mean over targets.
    ``identity`` is a digest of indices and labels: equal for the same test samples. ``clusters`` [n] says which
    samples belong together, a person's or a recording's; None if each stands alone.
    """

    scores: np.ndarray
    identity: str
    clusters: np.ndarray | None


def read_arrays(run: Recorded, *names: str) -> dict[str, np.ndarray]:
    """Return arrays of a run's outputs/test.npz, without those that it lacks. Raises DataError if it cannot be read.

    Headers are read before any values, for the file may be somebody else's.
    """
    path = run.folder / NPZ
    try:
        with open(path, "rb", opener=open_regular):  # else a FIFO would be waited for
            entries = {name: entry for name, entry in array_entries(path).items() if name in names}
        if sum(entry.nbytes for entry in entries.values()) > LARGEST:
            raise ValueError("larger than any run's")
        for name, entry in entries.items():
            if entry.dtype.kind not in KINDS[name] or not (len(entry.shape) == 1 or name in OF_SEVERAL_AXES):
                raise ValueError(f"its {name} is of another type or shape than a run's")
        return {name: np.asarray(entries[name].values()) for name in names if name in entries}
    except FileNotFoundError:
        raise DataError(f"{NPZ} is missing") from None
    except DataError as error:
        raise DataError(f"{NPZ}: {str(error).removeprefix(f'{path}: ')}") from None
    except BROKEN as error:
        raise DataError(f"{NPZ}: {why_unreadable(error)}") from None


def count_test_samples(run: Recorded) -> int | None:
    """Return the number of test samples, as the outputs say, else the provenance; None if neither tells."""
    try:
        return len(read_arrays(run, "index")["index"])
    except (DataError, KeyError, TypeError):
        split = run.provenance.get("split")
        test = split.get("test") if isinstance(split, dict) else None
        samples = test.get("samples") if isinstance(test, dict) else None
        return samples if isinstance(samples, int) and samples > 0 else None


def read_scores(run: Recorded) -> SampleScores:
    """Return each test sample's score. Raises DataError if the outputs are missing, damaged or of another shape."""
    arrays = read_arrays(run, "index", "label", "output", "recording", "group")
    try:
        index, label, output = arrays["index"], arrays["label"], arrays["output"]
        order = np.argsort(index, kind="stable")
        if index.ndim != 1 or not len(index) == len(label) == len(output) > 0 or output.ndim < 2:
            raise ValueError("its arrays do not belong together")
        if label.dtype.kind in "iu":
            scores = (output.reshape(len(output), -1).argmax(1) == label).astype(np.float32)
        else:
            scores = np.abs(output.reshape(len(output), -1) - label.reshape(len(label), -1)).mean(1)
        identity = hashlib.sha256(index[order].tobytes() + label[order].tobytes()).hexdigest()
        return SampleScores(scores[order], identity, clusters_of(arrays, order))
    except BROKEN as error:
        raise DataError(f"{NPZ}: {why_unreadable(error)}") from None


def clusters_of(arrays: dict[str, np.ndarray], order: np.ndarray) -> np.ndarray | None:
    """Return which samples belong together, by group, else by recording; None if none do.

    One group alone, as where a single person is tested, tells nothing of how groups vary: then recordings count.
    """
    for name in ("group", "recording"):
        numbers = arrays.get(name)
        if numbers is not None and numbers.shape == order.shape and 1 < count_different(numbers) < len(numbers):
            clusters: np.ndarray = numbers[order]
            return clusters
    return None


def count_different(numbers: np.ndarray) -> int:
    """Return how many different values an array [n] has, faster than by numpy.unique."""
    return int(np.count_nonzero(np.diff(np.sort(numbers)))) + (len(numbers) > 0)


def clustered_samples(run: Recorded) -> int:
    """Return the number of groups or recordings if some give several test samples, else 0."""
    try:
        arrays = read_arrays(run, "group", "recording")
        for numbers in (each for each in arrays.values() if each.ndim == 1):
            if (several := count_different(numbers)) < len(numbers):
                return several
    except (DataError, *BROKEN):
        pass
    return 0
