"""A sweep ends with the mean and the standard deviation over its seeds, folds and left-out groups."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.runs.folder import RunFolder
from membrane.sweep.spread import common_folder
from membrane.training import run as run_module

Membrane = Callable[..., int]
ACCURACIES = {0: 0.5, 1: 0.6, 2: 0.8, 3: 0.7}
OF_FOLD = {None: 0.0, "1/3": 0.1, "2/3": 0.2, "3/3": 0.15, "1/2": 0.0, "2/2": 0.02}


@pytest.fixture(autouse=True)
def given_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that train nothing and score what `ACCURACIES` says, a tenth less under a learning rate of 0.1.

    To that a fold adds what `OF_FOLD` says, a group that is left out a hundredth of its number.
    """

    def train(config: Any, composed: Any, folder: RunFolder, stop: Any) -> None:
        accuracy = ACCURACIES[config.seed] - (0.1 if config.optimizer.lr == 0.1 else 0.0)
        accuracy += OF_FOLD[config.dataset.fold] + sum(config.dataset.leave_out or []) / 100
        scores = {"val/acc": accuracy + 0.01, "test/acc": accuracy}
        folder.write("result.json", {"seed": config.seed, "metrics": scores})

    monkeypatch.setattr(run_module, "train", train)


def last_lines(capsys: pytest.CaptureFixture[str], count: int) -> list[str]:
    """Return the last lines, without the one on what to do next."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("next:")][-count:]


def test_seeds_alone_give_one_line(small: Membrane, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("sweep=seeds", "seed=0,1,2") == 0
    # 0.5, 0.6, 0.8: mean 1.9 / 3; squared deviations from it sum to 0.14 / 3, over n - 1 = 2, root: 0.152753
    statistics = "test/acc 0.6333 ± 0.1528 over 3 seeds (mean ± standard deviation)"
    assert last_lines(capsys, 2) == ["sweep: 3 finished, 0 failed", statistics]
    assert small("sweep=seeds", "seed=0,1,2") == 0
    assert last_lines(capsys, 2) == ["sweep: 3 finished before, 0 failed", statistics]


def test_a_sweep_with_a_spread_ends_with_the_command_of_its_report(
    small: Membrane, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, shared in ((["optimizer.lr=0.1,0.2"], "runs/digits"), (["name=one"], "runs/one/*")):
        assert small("-m", "seed=0,1", *words) == 0
        *_, last = capsys.readouterr().out.splitlines()
        *_, folder = last.removesuffix("   for a table with intervals").split(" ")
        assert last.startswith("next:   membrane report ")
        assert Path(folder).resolve() in [path.resolve() for path in Path().glob(shared)]
    assert small("-m", "seed=0", "optimizer.lr=0.1,0.2", "name=alone") == 0
    assert "next:" not in capsys.readouterr().out


def test_a_common_folder_is_shown_as_the_runs_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "runs" / "a" / "f1"
    assert common_folder([Path("runs/a/f0/seed0"), Path("runs/a/f1/seed0")]) == "runs/a"
    assert common_folder([Path("runs/a/f0/seed0"), inside / "seed0"]) == "runs/a"
    assert common_folder([inside / "seed0", inside / "seed1"]) == str(inside)


def test_each_group_that_differs_in_more_than_the_seed_has_its_own(
    small: Membrane, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small("-m", "seed=0,1", "optimizer.lr=0.1,0.2") == 0
    assert sorted(last_lines(capsys, 2)) == [
        "optimizer.lr=0.1: test/acc 0.4500 ± 0.0707 over 2 seeds (mean ± standard deviation)",
        "optimizer.lr=0.2: test/acc 0.5500 ± 0.0707 over 2 seeds (mean ± standard deviation)",
    ]


def test_a_seed_that_failed_is_left_out_and_one_alone_has_no_spread(
    small: Membrane, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(ACCURACIES, 2)
    assert small("-m", "seed=0,1,2") == 1
    assert last_lines(capsys, 1) == ["test/acc 0.5500 ± 0.0707 over 2 of 3 seeds (mean ± standard deviation)"]
    assert small("-m", "seed=3,3", "name=alone") == 0
    assert last_lines(capsys, 1) == ["sweep: 1 finished, 1 finished before, 0 failed"]
    assert small("-m", "seed=3", "optimizer.lr=0.1,0.2", "name=alone") == 0
    assert last_lines(capsys, 1) == ["sweep: 2 finished, 0 failed"]
    assert len(list(Path("runs").glob("alone/*/seed3/result.json"))) == 3


def test_folds_give_a_line_with_the_validation_score(small: Membrane, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("sweep=folds", "dataset.fold=1/3,2/3,3/3") == 0
    # test 0.6, 0.7, 0.65: mean 0.65, squared deviations 2 · 0.0025 over 2
    statistics = "val/acc 0.6600 ± 0.0500, test/acc 0.6500 ± 0.0500 over {}3 folds (mean ± standard deviation)"
    assert last_lines(capsys, 2) == ["sweep: 3 finished, 0 failed", statistics.format("")]
    assert small("-m", "dataset.fold=1/3,2/3,1/2,2/2") == 0
    # those of two folds are not mixed with those of three: 0.6, 0.7 and 0.5, 0.52
    assert last_lines(capsys, 3) == [
        "sweep: 2 finished, 2 finished before, 0 failed",
        "val/acc 0.6600 ± 0.0707, test/acc 0.6500 ± 0.0707 over 2 of 3 folds (mean ± standard deviation)",
        "val/acc 0.5200 ± 0.0141, test/acc 0.5100 ± 0.0141 over 2 folds (mean ± standard deviation)",
    ]


def test_each_fold_is_a_mean_over_its_seeds(small: Membrane, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("-m", "dataset.fold=1/2,2/2", "seed=0,2") == 0
    # seeds 0.5, 0.8 and 0.52, 0.82; their means 0.65 and 0.67
    of_means = "over 2 folds, each the mean of 2 runs (mean ± standard deviation)"
    assert last_lines(capsys, 4) == [
        "sweep: 4 finished, 0 failed",
        "dataset.fold=1/2: test/acc 0.6500 ± 0.2121 over 2 seeds (mean ± standard deviation)",
        "dataset.fold=2/2: test/acc 0.6700 ± 0.2121 over 2 seeds (mean ± standard deviation)",
        f"val/acc 0.6700 ± 0.0141, test/acc 0.6600 ± 0.0141 {of_means}",
    ]


def test_left_out_groups_are_shown_one_by_one(small: Membrane, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("-m", "dataset.leave_out=1,3,[2,6]", "optimizer.lr=0.1,0.2") == 0
    over = "over 3 left-out groups (mean ± standard deviation)"
    assert sorted(last_lines(capsys, 2)) == [
        f"optimizer.lr=0.1: test/acc 0.4400 ± 0.0361 {over}; group 1 0.4100; group 3 0.4300; group 2+6 0.4800",
        f"optimizer.lr=0.2: test/acc 0.5400 ± 0.0361 {over}; group 1 0.5100; group 3 0.5300; group 2+6 0.5800",
    ]


def test_folds_within_left_out_groups(small: Membrane, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("-m", "dataset.leave_out=2,4", "dataset.fold=1/2,2/2") == 0
    # groups 0.52, 0.54 and 0.54, 0.56
    folds = "over 2 folds (mean ± standard deviation)"
    of_means = "over 2 left-out groups, each the mean of 2 runs (mean ± standard deviation)"
    assert last_lines(capsys, 3) == [
        f"dataset.leave_out=2: val/acc 0.5400 ± 0.0141, test/acc 0.5300 ± 0.0141 {folds}",
        f"dataset.leave_out=4: val/acc 0.5600 ± 0.0141, test/acc 0.5500 ± 0.0141 {folds}",
        f"test/acc 0.5400 ± 0.0141 {of_means}; group 2 0.5300; group 4 0.5500",
    ]
