"""A sweep ends with the mean and the standard deviation over its seeds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membrane.runs.folder import RunFolder
from membrane.training import run as run_module

Membrane = Callable[..., int]
ACCURACIES = {0: 0.5, 1: 0.6, 2: 0.8, 3: 0.7}


@pytest.fixture(autouse=True)
def given_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that train nothing and score what `ACCURACIES` says, a tenth less under a learning rate of 0.1."""

    def train(config: Any, composed: Any, folder: RunFolder, stop: Any) -> None:
        accuracy = ACCURACIES[config.seed] - (0.1 if config.optimizer.lr == 0.1 else 0.0)
        folder.write("result.json", {"seed": config.seed, "metrics": {"test/acc": accuracy}})

    monkeypatch.setattr(run_module, "train", train)


def last_lines(capsys: pytest.CaptureFixture[str], count: int) -> list[str]:
    return capsys.readouterr().out.splitlines()[-count:]


def test_seeds_alone_give_one_line(small: Membrane, capsys: pytest.CaptureFixture[str]) -> None:
    assert small("sweep=seeds", "seed=0,1,2") == 0
    # 0.5, 0.6, 0.8: mean 1.9 / 3; squared deviations from it sum to 0.14 / 3, over n - 1 = 2, root: 0.152753
    statistics = "test/acc 0.6333 ± 0.1528 over 3 seeds (mean ± standard deviation)"
    assert last_lines(capsys, 2) == ["sweep: 3 finished, 0 failed", statistics]
    assert small("sweep=seeds", "seed=0,1,2") == 0
    assert last_lines(capsys, 2) == ["sweep: 3 finished before, 0 failed", statistics]


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
