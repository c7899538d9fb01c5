"""The time of augmentations: a row for each, and shares of the training steps that add up."""

import re
from dataclasses import replace

import pytest

from membrane.bench import augmentation
from membrane.bench.workloads import WORKLOADS


def test_the_table_has_both_training_steps_and_every_augmentation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(augmentation, "SAMPLES", 4)
    [events] = [workload for workload in WORKLOADS if workload.name == "W2"]
    small = replace(events, shape=(2, 32, 32), filters=(2,) * 5, timesteps=5, batch=2)
    augmentation.print_times(small, rounds=1)
    page = capsys.readouterr().out
    assert page.startswith("W2, a batch of 4 × 5 × 2 × 32 × 32, 1 threads\n")
    rows = re.findall(r"^\| (\S[^|]*) \| ([\d.]+) \(.*\) \| ([\d.]+)% \| ([\d.]+)% \|$", page, re.MULTILINE)
    names = [name for name, *_ in rows]
    usual = "flip + shift + cutout + event_drop"
    steps = ["training step, 4 samples", "training step, 2 samples"]
    assert names == [*steps, usual, *augmentation.timed_augmentations()]
    whole, own = (float(time) for _, time, *_ in rows[:2])
    for _, time, of_whole, of_own in rows:
        # times are rounded to 0.1 ms
        assert float(of_whole) == pytest.approx(100 * float(time) / whole, abs=0.2 + 20 / whole)
        assert float(of_own) == pytest.approx(100 * float(time) / own, abs=0.2 + 20 / own)
