"""Test samples on a report's page: confusions, classes, recordings, and the samples that are hardest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from membrane.errors import DataError
from membrane.report.confusion import MOST_WRITTEN, confusion_counts
from membrane.report.recorded import Recorded
from membrane.report.rows import ReportRow
from membrane.report.sample_scores import BROKEN, count_different, read_arrays

HARDEST = 20
MOST_CLUSTERS = 40
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Answers:
    """A run's answers to its test samples, in the order of their indices: each [n], but for the names of classes."""

    index: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    cluster: np.ndarray | None
    classes: list[str]


@dataclass
class SampleTally:
    """Counts of how often each test sample [n] was right, over the runs that were asked the same."""

    first: Answers
    runs: int = 0
    right: np.ndarray = field(default_factory=lambda: np.zeros(0))
    predictions: list[np.ndarray] = field(default_factory=list)


def read_answers(run: Recorded) -> Answers | None:
    """Return a classifier's answers, None of another task, or where the outputs cannot be read."""
    try:
        arrays = read_arrays(run, "index", "label", "output", "recording", "group", "classes")
        index, label, output = arrays["index"], arrays["label"], arrays["output"]
        shapes = (index.ndim, label.ndim, output.ndim)
        if label.dtype.kind not in "iu" or shapes != (1, 1, 2) or not len(index) == len(label) == len(output) > 0:
            return None
        classes = output.shape[1]
        if classes > MOST_CLASSES or label.min() < 0 or label.max() >= classes:
            return None
        order = np.argsort(index, kind="stable")
        named = arrays.get("classes")
        names = [str(name) for name in named] if named is not None and len(named) == classes else []
        clusters = (arrays.get(name) for name in ("group", "recording"))
        cluster = next((each for each in clusters if is_clustered(each, len(index))), None)
        return Answers(
            index[order],
            label[order].astype(np.int64),
            output.argmax(1)[order].astype(np.int16),
            None if cluster is None else cluster[order],
            names or [str(number) for number in range(classes)],
        )
    except (DataError, *BROKEN):
        return None


def is_clustered(numbers: np.ndarray | None, samples: int) -> bool:
    """Return whether numbers [n] name recordings or groups of which some have several samples."""
    return numbers is not None and numbers.shape == (samples,) and count_different(numbers) < samples


def row_samples(row: ReportRow, tallies: dict[bytes, SampleTally]) -> dict[str, object]:
    """Return a row's classes, confusions over its seeds and accuracy by recording; its answers are added to tallies."""
    answers = [each for run in row.runs if not run.evaluation and (each := read_answers(run)) is not None]
    if not answers:
        return {}
    first = answers[0]
    same = [each for each in answers if len(each.classes) == len(first.classes)]
    counts = sum((confusion_counts(each.label, each.prediction, len(first.classes)) for each in same), np.zeros(1, int))
    for each in same:
        count_answers(each, tallies)
    support = counts.sum(1)
    told = {
        "classes": first.classes,
        "recall": [round(float(share), 4) for share in counts.diagonal() / np.maximum(support, 1)],
        "confused": frequent(counts),
    }
    if len(first.classes) <= MOST_WRITTEN:
        told["confusion"] = counts.tolist()
    return told | cluster_shares(same)


def count_answers(answers: Answers, tallies: dict[bytes, SampleTally]) -> None:
    """Count which samples are right among the runs that were asked the same ones."""
    key = answers.index.tobytes() + answers.label.tobytes()
    tally = tallies.setdefault(key, SampleTally(answers))
    right = answers.prediction == answers.label
    tally.right = right.astype(int) if tally.runs == 0 else tally.right + right
    tally.runs += 1
    tally.predictions.append(answers.prediction)


def frequent(counts: np.ndarray, most: int = 8) -> list[tuple[int, int, int]]:
    """Return the most frequent confusions of counts [K,K]: true class, predicted class, how often."""
    wrong = counts - np.diag(np.diag(counts))
    cells = [divmod(int(cell), len(counts)) for cell in np.argsort(-wrong, axis=None, kind="stable")[:most]]
    return [(i, j, int(wrong[i, j])) for i, j in cells if wrong[i, j]]


def cluster_shares(answers: Sequence[Answers]) -> dict[str, object]:
    """Return the accuracy on each recording's or group's samples over seeds, the lowest first; empty without any."""
    first = answers[0]
    same = [each for each in answers if each.cluster is not None and np.array_equal(each.index, first.index)]
    if first.cluster is None or not same:
        return {}
    names, place = np.unique(first.cluster, return_inverse=True)
    right = np.mean([each.prediction == each.label for each in same], axis=0)
    samples = np.bincount(place)
    shares = np.bincount(place, right) / samples
    lowest = np.argsort(shares, kind="stable")[:MOST_CLUSTERS]
    listed = [(str(names[each]), int(samples[each]), round(float(shares[each]), 4)) for each in lowest]
    return {"clusters": listed, "cluster_count": len(names)}


def hardest_samples(tallies: Mapping[bytes, SampleTally]) -> list[dict[str, object]]:
    """Return the test samples that the fewest runs got right, of the test set that the most runs were asked."""
    tally = max(tallies.values(), key=lambda each: each.runs, default=None)
    if tally is None:
        return []
    first = tally.first
    samples = []
    for place in np.argsort(tally.right, kind="stable")[:HARDEST]:
        if tally.right[place] == tally.runs:
            break
        given = np.bincount([each[place] for each in tally.predictions], minlength=len(first.classes))
        given[first.label[place]] = 0
        samples.append(
            {
                "index": int(first.index[place]),
                "label": first.classes[first.label[place]],
                "right": int(tally.right[place]),
                "runs": tally.runs,
                "instead": first.classes[int(given.argmax())],
                "votes": int(given.max()),
            }
        )
    return samples
