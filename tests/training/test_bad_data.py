"""Data that are wrong end a run before it trains; recordings and groups are kept whole and saved, in whole runs."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import evaluate

from membrane.data.diabetes import Diabetes
from membrane.data.digits import Digits
from membrane.data.samples import Samples

Run = Callable[..., int]
Parts = tuple[Samples, ...]


def only(pattern: str) -> Path:
    [found] = sorted(Path("runs").glob(pattern))
    return found


@pytest.fixture
def digits_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Samples, Samples], Parts]], None]:
    """Let the digits be what a function makes of their two parts."""
    original = Digits.load

    def change(function: Callable[[Samples, Samples], Parts]) -> None:
        monkeypatch.setattr(Digits, "load", lambda *arguments: function(*original(*arguments)))

    return change


def with_nan(part: Samples, sample: int) -> Samples:
    x = part.x.float()
    x[sample, 0, 4, 2] = torch.nan
    return replace(part, x=x)


def as_float(part: Samples) -> Samples:
    return replace(part, x=part.x.float())


@pytest.mark.parametrize(
    ("part", "parts"),
    [
        ("training", lambda train, test: (with_nan(train, 3), as_float(test))),
        ("test", lambda train, test: (as_float(train), with_nan(test, 3))),
        ("validation", lambda train, test: (as_float(train), with_nan(test, 3), as_float(test))),
    ],
)
def test_nan_in_any_part_ends_a_run_with_a_line_that_names_it(
    part: str, parts: Callable[[Samples, Samples], Parts], small: Run, digits_as, capsys: pytest.CaptureFixture[str]
) -> None:
    digits_as(parts)
    assert small() == 1
    printed = capsys.readouterr()
    line = f"{part} part: sample 3 has nan in x at [0, 4, 2], must be finite"
    assert f"failed: {line}" in printed.out + printed.err
    run = only("digits/*/seed0")
    assert json.loads((run / "FAILED.json").read_text())["error"] == line
    assert not (run / "checkpoints").exists()


TIMED = ("dataset.timesteps_in_data=true", "framework=multistep_tid", "model=smlp")
"""Settings with which own arrays have timesteps, of which a run finds its own number."""


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("column", "value", "line"),
    [
        ("x_train", np.nan, r"my\.npz: x_train\[3.*\] is nan, must be finite"),
        ("x_test", np.inf, r"my\.npz: x_test\[3.*\] is inf, must be finite"),
        ("length_train", 0, r"sample 3 has length 0, must be 1…4 timesteps"),
        ("length_test", 5, r"sample 3 has length 5, must be 1…4 timesteps"),
    ],
)
def test_wrong_values_in_own_arrays_are_refused_and_leave_no_run(
    save: Callable[..., None], column: str, value: float, line: str, membrane: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {}
    for part in ("train", "test"):
        arrays |= {f"x_{part}": np.ones((12, 4, 5, 1), np.float32), f"y_{part}": np.arange(12) % 2}
        arrays |= {f"length_{part}": np.full(12, 4)}
    arrays[column][3] = value
    save("my.npz", **arrays)
    assert membrane("dataset=arrays", "dataset.path=my.npz", *TIMED, "epochs=1", "logger=csv") == 2
    printed = capsys.readouterr()
    assert re.search(line, printed.err)
    assert "failed" not in printed.out
    assert not list(Path("runs").rglob("*.json"))


def test_evaluation_refuses_what_training_would(small: Run, digits_as, capsys: pytest.CaptureFixture[str]) -> None:
    digits_as(lambda train, test: (as_float(train), as_float(test)))
    assert small() == 0
    digits_as(lambda train, test: (train, with_nan(test, 3)))
    assert evaluate([str(only("digits/*/seed0"))]) == 1
    assert "test part: sample 3 has nan in x at [0, 4, 2], must be finite" in capsys.readouterr().err


def test_infinite_targets_end_a_run(
    small: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = Diabetes.load

    def broken(*arguments: object) -> Parts:
        train, test = original(*arguments)
        test.y[7] = torch.inf
        return train, test

    monkeypatch.setattr(Diabetes, "load", broken)
    assert small("dataset=diabetes") == 1
    assert "test part: sample 7 has inf in y at [0], must be finite" in capsys.readouterr().out


def test_recordings_and_groups_are_kept_whole_and_saved_with_the_outputs(
    small: Run, digits_as, capsys: pytest.CaptureFixture[str]
) -> None:
    def grouped(train: Samples, test: Samples) -> Parts:
        return tuple(
            replace(each, recording=torch.arange(len(each)) // 3, group=torch.arange(len(each)) // 90 + 100 * k)
            for k, each in enumerate((train, test))
        )

    assert small() == 0
    split = json.loads((only("digits/*/seed0") / "result.json").read_text())["split_hash"]
    digits_as(grouped)
    assert small("rerun=true") == 0
    run = only("digits/*/seed0")
    assert json.loads((run / "result.json").read_text())["split_hash"] != split
    assert "data: digits (1257 train, 180 val, 360 test)" in capsys.readouterr().out  # two of 90; 216 wanted
    with np.load(run / "outputs" / "test.npz") as saved:
        assert saved["recording"].tolist() == (saved["index"] // 3).tolist()
        assert saved["group"].tolist() == (saved["index"] // 90 + 100).tolist()


def test_three_parts_train_under_every_protocol(small: Run, digits_as, capsys: pytest.CaptureFixture[str]) -> None:
    def three(train: Samples, test: Samples) -> Parts:
        return train.take(torch.arange(1000)), train.take(torch.arange(1000, 1437)), test

    digits_as(three)
    for protocol, sizes in (
        ("val_best", "1000 train, 437 val, 360 test"),
        ("last", "1437 train, 360 test"),
        ("paper_best_on_test", "1437 train, 360 test"),
    ):
        assert small(f"protocol={protocol}") == 0
        assert f"data: digits ({sizes}), protocol {protocol}" in capsys.readouterr().out


def test_the_share_of_validation_is_set_and_a_small_one_warned_of(
    small: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("dataset.validation=0.3") == 0
    printed = capsys.readouterr().out
    assert "(1006 train, 431 val, 360 test)" in printed
    assert "validation samples choose" not in printed
    assert small("dataset.validation=0.02") == 0
    assert "only 29 validation samples choose the best epoch, largely by chance: dataset.validation above 0.02" in (
        capsys.readouterr().out
    )
    assert small("dataset.validation=1.0") == 2
    assert "dataset.validation: must be less than 1, got 1.0" in capsys.readouterr().err
