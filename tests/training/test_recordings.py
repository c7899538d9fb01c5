"""The accuracy of recordings in whole runs, against the saved outputs, and where it is not measured."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from commands import evaluate
from run_paths import only
from small_data import part

from membrane.data.digits import Digits
from membrane.data.feed.part import Part
from membrane.data.samples import Samples
from membrane.metrics import Classification, Measures, Regression
from membrane.runs.table import read_rows
from membrane.training.recordings import measure_recordings

Run = Callable[..., int]
PAIRS = torch.tensor([0, 1, 0, 1, 2, 3, 2, 3])
"""Recordings of two samples each, of which each has one label if labels are 0, 1, 0, 1 …"""


def of_two(recording: torch.Tensor) -> Part:
    """Return a part of samples of two classes, 0, 1, 0, 1 …"""
    return Part.whole(part(8, recording=recording))


SINGLE, PAIRED = of_two(torch.arange(8)), of_two(PAIRS)
NONE = SINGLE.take(torch.arange(0))


def recorded(part: Samples) -> Samples:
    """Return digits of which five of a class, as they come, are a recording; a few recordings have fewer."""
    recording = torch.zeros(len(part), dtype=torch.int64)
    for digit in range(10):
        of_class = part.y == digit
        recording[of_class] = 1000 * digit + torch.arange(int(of_class.sum())) // 5
    return replace(part, recording=recording)


def by_hand(outputs: Path) -> float:
    """Return the share of recordings whose mean output is largest at their label."""
    with np.load(outputs) as saved:
        recording, label, output = saved["recording"], saved["label"], saved["output"]
    right = [output[recording == each].mean(0).argmax() == label[recording == each][0] for each in np.unique(recording)]
    assert len(right) < len(label) / 4
    return float(np.mean(right))


def test_a_run_measures_recordings_and_can_be_selected_by_them(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Digits.load
    monkeypatch.setattr(Digits, "load", lambda *arguments: tuple(map(recorded, load(*arguments))))
    assert small("trainer.monitor=val/acc_recording", "epochs=3") == 0
    run = only("digits/*/seed0")
    result = json.loads((run / "result.json").read_text())
    assert result["metrics"]["test/acc_recording"] == pytest.approx(by_hand(run / "outputs" / "test.npz"))
    assert result["metrics"]["test/acc_recording"] != result["metrics"]["test/acc"]
    after = {int(row["epoch"]): row for row in read_rows(run / "metrics.csv") if "val/acc_recording" in row}
    best = max(after, key=lambda epoch: (after[epoch]["val/acc_recording"], -after[epoch]["val/loss"], epoch))
    assert (result["best"]["epoch"], result["best"]["monitor"]) == (best, "val/acc_recording")
    assert evaluate([str(run)]) == 0
    again = json.loads(next((run / "evaluations").glob("*.json")).read_text())
    assert again["metrics"]["test/acc_recording"] == result["metrics"]["test/acc_recording"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("trainer", []),
        ("callbacks.early_stop", ["callbacks=[early_stop]", "callbacks.early_stop.mode=max"]),
        ("scheduler", ["scheduler=plateau"]),
    ],
)
def test_where_recordings_are_single_samples_they_cannot_be_watched(
    path: str, words: list[str], small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small(*words, f"{path}.monitor=val/acc_recording") == 2
    assert (
        f"membrane: {path}.monitor=val/acc_recording is not measured: no recording of the validation part gives "
        f"several samples, all with one label; use {path}.monitor=val/acc" in capsys.readouterr().err
    )
    assert not list(Path("runs").glob("digits/*/seed0"))


@pytest.mark.parametrize(
    ("validation", "val", "test", "task", "measured"),
    [
        ("val", PAIRED, SINGLE, "classification", (True, False)),
        ("val", SINGLE, PAIRED, "classification", (False, True)),
        ("oracle", NONE, PAIRED, "classification", (True, True)),
        ("val", NONE, PAIRED, "classification", (False, True)),
        ("val", of_two(PAIRS.sort()[0]), of_two(PAIRS % 2), "classification", (False, True)),
        ("val", PAIRED, PAIRED, "regression", (False, False)),
    ],
)
def test_recordings_are_measured_where_they_have_several_samples_of_one_label(
    validation: str, val: Part, test: Part, task: str, measured: tuple[bool, bool]
) -> None:
    measures: list[Measures] = [Classification(2) if task == "classification" else Regression(1) for _ in range(2)]
    learner = SimpleNamespace(validation=validation, validation_metrics=measures[0], test_metrics=measures[1])
    data = SimpleNamespace(parts={"val": val, "test": test})
    measure_recordings(cast("Any", learner), cast("Any", data))
    assert tuple("acc_recording" in each.names for each in measures) == measured
