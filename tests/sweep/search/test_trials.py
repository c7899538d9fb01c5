"""A search over runs: with a launcher that only writes what runs would, and with real ones at the end."""

import json
import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import isnan
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from configurations import shared_composer

from membrane.errors import RunFailed, Stopped
from membrane.files.durable import write_json
from membrane.runs.contents import PRUNE
from membrane.runs.folder import RunFolder
from membrane.runs.table import read_rows
from membrane.schema import Config
from membrane.sweep.jobs import jobs_of
from membrane.sweep.search import trials as trials_module
from membrane.sweep.search.plan import Plan
from membrane.sweep.search.pruning import WatchedRun, Watcher
from membrane.sweep.search.trials import Search, run_search

LR = "optimizer.lr=tag(log,interval(1e-4,1.0))"
Lines = Callable[[], list[str]]
PlanOf = Callable[..., Plan]


class FakeLauncher:
    """A launcher whose runs only write their result: val/acc is 1 - (lr - 0.1)²; ``act`` may do otherwise."""

    def __init__(self, plan: Plan, act: Callable[[Config, RunFolder, int], bool] = lambda *_: False) -> None:
        self.plan = plan
        self.act = act
        self.batches: list[list[float]] = []

    def __call__(self, jobs: Sequence[Sequence[str]], first: int) -> list[Any]:
        assert first == sum(map(len, self.batches))
        self.batches.append([])
        for overrides in jobs:
            config = self.plan.trial_config(overrides)
            self.batches[-1].append(config.optimizer.lr)
            if not self.act(config, RunFolder(config), sum(map(len, self.batches))):
                finish(config)
        return [SimpleNamespace(return_value=None)] * len(jobs)

    @property
    def learning_rates(self) -> list[float]:
        return [lr for batch in self.batches for lr in batch]


def finish(config: Config) -> None:
    lr = config.optimizer.lr
    metrics = {"val/acc": 1 - (lr - 0.1) ** 2, "val/loss": (lr - 0.5) ** 2, "test/acc": lr}
    write_json(RunFolder(config).path / "result.json", {"metrics": metrics})


def test_n_trials_is_the_total_and_a_search_started_again_goes_on(plan_of: PlanOf, log_lines: Lines) -> None:
    plan = plan_of(LR, "hydra.sweeper.n_trials=4")
    first = FakeLauncher(plan)
    run_search(plan, first, at_once=3)
    assert [len(batch) for batch in first.batches] == [3, 1]
    lines = log_lines()
    assert lines[0].endswith(": 4 of 4 trials to go")
    again = FakeLauncher(plan)
    run_search(plan, again, at_once=3)
    assert again.batches == []
    assert log_lines()[1:] == lines[-5:]
    more = plan_of(LR, "hydra.sweeper.n_trials=6", "trainer.progress=false")
    assert more.name() == plan.name()
    longer = FakeLauncher(more)
    run_search(more, longer, at_once=1)
    assert len(longer.learning_rates) == 2
    assert not set(longer.learning_rates) & set(first.learning_rates)


@pytest.mark.parametrize(
    ("metric", "best", "scored"), [("val/acc", 0.1, lambda d: 1 - d**2), ("val/loss", 0.5, lambda d: d**2)]
)
def test_the_best_is_of_validation_and_its_command_is_its_run(
    plan_of: PlanOf, log_lines: Lines, metric: str, best: float, scored: Callable[[float], float]
) -> None:
    space = (LR, "model.units=[16],[32]", "model=smlp", "hydra.sweeper.n_trials=6")
    plan = plan_of(*space, f"hydra.sweeper.metric={metric}")
    runs = FakeLauncher(plan)
    run_search(plan, runs, at_once=1)
    lr = min(runs.learning_rates, key=lambda lr: abs(lr - best))
    *_, table, _, _, typed = log_lines()
    assert table == f"  {metric.ljust(12)}  {scored(lr - best):.4f}"
    words = shlex.split(typed)
    assert f"optimizer.lr={lr!r}" in words
    composer = shared_composer()
    [job], sweep = jobs_of(composer, composer.add_or_override([word for word in words if "=" in word]), multirun=False)
    assert not sweep
    assert job.config.optimizer.lr == lr


def test_finished_runs_are_used_again_and_the_same_parameters_never_run_twice(
    plan_of: PlanOf, log_lines: Lines
) -> None:
    plan = plan_of("optimizer.lr=0.1,0.2,0.3", "hydra.sweeper.n_trials=12", "hydra.sweeper.sampler=random")
    finish(plan.trial_config(["optimizer.lr=0.2"]))
    runs = FakeLauncher(plan)
    run_search(plan, runs, at_once=5)
    assert sorted(runs.learning_rates) == [0.1, 0.3]
    lines = log_lines()
    assert sum("known from an earlier run: optimizer.lr=0.2" in line for line in lines) >= 1
    assert any(line.endswith(": 12 complete") for line in lines)


def test_a_failed_trial_counts_not_and_is_not_run_again(plan_of: PlanOf, log_lines: Lines) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        if config.optimizer.lr == 0.3:
            folder.write("FAILED.json", {"error": "no"})
        if config.optimizer.lr == 0.2:
            write_json(folder.path / "result.json", {"metrics": {"val/acc": float("nan")}})
        return config.optimizer.lr >= 0.2

    plan = plan_of("optimizer.lr=0.1,0.2,0.3", "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler=random")
    runs = FakeLauncher(plan, act)
    run_search(plan, runs, at_once=2)
    assert sorted(runs.learning_rates) == [0.1, 0.2, 0.3]
    assert any(line.startswith(f"study {plan.name()}: 4 complete, ") for line in log_lines())


def test_a_run_that_was_finished_without_the_score_is_named(plan_of: PlanOf, log_lines: Lines) -> None:
    plan = plan_of(LR, "hydra.sweeper.metric=val/precision")
    earlier = RunFolder(plan.typical)
    finish(plan.typical)
    value = Search(plan, cast("Any", None), FakeLauncher(plan), 1).validation_value(earlier)
    assert value is not None
    assert isnan(value)
    assert log_lines() == [f"{earlier.path}: its result has no val/precision"]


def test_too_many_failures_in_a_row_end_the_search(plan_of: PlanOf) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        folder.write("FAILED.json", {"error": "no"})
        return n > 1

    plan = plan_of(LR)
    runs = FakeLauncher(plan, act)
    with pytest.raises(RunFailed, match="5 trials failed one after the other; the search ends here"):
        run_search(plan, runs, at_once=1)
    assert len(runs.learning_rates) == 6


def test_a_refused_trial_has_failed_and_starts_no_run(plan_of: PlanOf, log_lines: Lines) -> None:
    plan = plan_of("optimizer.lr=0.1,-1", "hydra.sweeper.n_trials=2", "hydra.sweeper.seed=3", "keep_going=true")
    runs = FakeLauncher(plan)
    with pytest.raises(RunFailed, match=r"[1-4] trials were refused"):
        run_search(plan, runs, at_once=1)
    assert runs.learning_rates == [0.1]
    assert any("refused: optimizer.lr=-1: optimizer.lr: must be greater than 0" in line for line in log_lines())


def test_a_search_that_is_stopped_goes_on_with_the_runs_that_it_had_begun(plan_of: PlanOf, log_lines: Lines) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        if n == 2:
            (folder.path / "checkpoints").mkdir(parents=True)
            (folder.path / "checkpoints" / "last.ckpt").touch()
            raise Stopped("SIGTERM", 143, saved=True)
        return False

    plan = plan_of(LR, "hydra.sweeper.n_trials=4")
    stopped = FakeLauncher(plan, act)
    with pytest.raises(Stopped):
        run_search(plan, stopped, at_once=3)  # the second is stopped, the third does not start
    assert any(line.endswith(": 1 complete, 2 waiting") for line in log_lines())
    rest = FakeLauncher(plan)
    run_search(plan, rest, at_once=3)
    assert rest.batches[0][0] == stopped.learning_rates[1]
    assert len(rest.learning_rates) == 3
    again = FakeLauncher(plan)
    run_search(plan, again, at_once=3)
    assert again.batches == []


def test_a_run_that_was_stopped_by_itself_ends_the_search_to_go_on_later(plan_of: PlanOf, log_lines: Lines) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        (folder.path / "checkpoints").mkdir(parents=True)
        (folder.path / "checkpoints" / "last.ckpt").touch()
        return True

    plan = plan_of(LR, "hydra.sweeper.n_trials=2")
    stopped, rest = FakeLauncher(plan, act), FakeLauncher(plan)
    run_search(plan, stopped, at_once=1)
    assert "a run was stopped before its end: start the search again to go on" in log_lines()
    run_search(plan, rest, at_once=1)
    assert rest.learning_rates[0] == stopped.learning_rates[0]


def test_values_reach_the_pruner_through_the_run_folder(
    plan_of: PlanOf, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run but the first five is worse than the median after its first epoch."""
    watchers: list[Watcher] = []

    def watcher(runs: list[WatchedRun]) -> Watcher:
        watchers.append(Watcher(runs, seconds=0.01))
        return watchers[-1]

    def act(config: Config, folder: RunFolder, n: int) -> bool:
        folder.path.mkdir(parents=True)
        bad = n > 5
        (folder.path / "metrics.csv").write_text(f"epoch,step,val/acc\n0,10,{0.1 if bad else 0.8 + n / 100}\n")
        [watched] = watchers[-1].runs
        deadline = time.monotonic() + 120
        while not ((folder.path / PRUNE).exists() if bad else watched.reported_epochs):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return bad

    monkeypatch.setattr(trials_module, "Watcher", watcher)
    plan = plan_of(LR, "hydra.sweeper.n_trials=8", "hydra.sweeper.pruner=median")
    run_search(plan, FakeLauncher(plan, act), at_once=1)
    lines = log_lines()
    assert sum(": pruned: optimizer.lr=" in line for line in lines) == 3
    assert any(line.endswith(": 5 complete, 3 pruned") for line in lines)
    assert not list(Path(plan.typical.paths.runs).rglob(PRUNE))


def test_a_search_from_the_command_line_and_the_command_that_it_prints(
    small: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ("sweep=optuna", "optimizer.lr=0.001,0.01", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler=random")
    assert small(*typed) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    results = [json.loads(path.read_text()) for path in Path("runs").glob("digits/*/seed0/result.json")]
    assert len(results) == 2
    best = max(result["metrics"]["val/acc"] for result in results)
    lines = printed.out.splitlines()
    assert f"  val/acc       {best:.4f}" in lines
    assert [line.split() for line in lines if line.lstrip().startswith("metric")] == [["metric", "val"]] * 2
    assert "test/" not in printed.out
    [typed_again] = [line for line in lines if "optimizer.lr=0.0" in line and line.startswith("membrane train ")]
    assert small(*typed) == 0
    again = capsys.readouterr().out
    assert ": 0 of 3 trials to go" in again
    assert "test/" not in again
    from membrane.cli.main import main

    assert main(shlex.split(typed_again)[1:]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("finished already: runs/digits/")
    assert "(test/acc " in shown
    assert not Path("multirun").exists()
    assert not list(Path("runs").rglob("multirun.yaml"))


def test_a_run_without_hope_ends_after_its_epoch(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import optuna

    class Pitiless(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return len(trial.intermediate_values) >= 2

    monkeypatch.setattr("membrane.sweep.search.study.build_pruner", lambda name, epochs: Pitiless())
    monkeypatch.setattr(trials_module, "Watcher", partial(Watcher, seconds=0.01))
    assert small("sweep=optuna", "optimizer.lr=0.001,0.01", "hydra.sweeper.n_trials=1", "epochs=100000") == 0
    assert "study digits-" in (printed := capsys.readouterr().out)
    assert ": 1 pruned" in printed
    [run] = Path("runs").glob("digits/*/seed0")
    assert 2 <= len([row for row in read_rows(run / "metrics.csv") if "val/acc" in row]) < 100_000
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert not (run / "result.json").exists()
    assert not (run / PRUNE).exists()


@pytest.mark.slow
def test_a_search_in_processes_prunes_and_finishes(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import optuna

    class Odd(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return trial.number == 1

    monkeypatch.setattr("membrane.sweep.search.study.build_pruner", lambda name, epochs: Odd())
    processes = ("hydra/launcher=processes", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_trials=3")
    assert small("sweep=optuna", "optimizer.lr=tag(log,interval(1e-4,1))", *processes, "epochs=60") == 0
    printed = capsys.readouterr().out
    assert ": 2 complete, 1 pruned" in printed
    assert "sweep: 2 finished, 0 failed, 1 pruned" in printed
    logs = [path.read_text() for path in Path("runs").glob(".sweeps/*/*.log")]
    assert len(logs) == 3
    assert sum(" metric " in log for log in logs) == 2
    assert not [text for text in (printed, *logs) if "test/" in text or "test_last" in text]
    assert len(list(Path("runs").glob("digits/*/seed0/result.json"))) == 2
