"""A search over runs: with a launcher that only writes what runs would, and with real ones at the end."""

import json
import logging
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from configurations import shared_composer
from hydra.types import RunMode

from membrane.errors import ConfigError, RunFailed, Stopped
from membrane.files.durable import write_json
from membrane.runs.folder import PRUNE, RunFolder
from membrane.runs.table import read_rows
from membrane.schema import Config
from membrane.sweep.jobs import jobs_of
from membrane.sweep.search import trials as module
from membrane.sweep.search.plan import Plan
from membrane.sweep.search.pruning import Progress, Watcher
from membrane.sweep.search.trials import search
from membrane.sweep.search.verdict import command

LR = "optimizer.lr=tag(log,interval(1e-4,1.0))"
Lines = Callable[[], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Lines:
    """What membrane has said since this was asked last."""
    caplog.set_level(logging.INFO, "membrane")

    def lines() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.name.startswith("membrane")]
        caplog.clear()
        return found

    return lines


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """The plan of a command line; what its runs compose to is composed once, for the search and for who runs them."""
    compose, composed = Plan.configured, dict[tuple[int, tuple[str, ...]], Config]()

    def configured(plan: Plan, overrides: Sequence[str]) -> Config:
        key = (id(plan), tuple(overrides))
        if key not in composed:
            composed[key] = compose(plan, overrides)
        return composed[key]

    monkeypatch.setattr(Plan, "configured", configured)

    def plan(*typed: str) -> Plan:
        composer = shared_composer()
        overrides = composer.add_or_override(["sweep=optuna", "logger=csv", f"paths.runs={tmp_path}", *typed])
        master = composer.load(overrides, RunMode.MULTIRUN)
        return Plan.of(composer, master, list(master.hydra.overrides.task))

    return plan


class Pretended:
    """A launcher whose runs only write their result: val/acc is 1 - (lr - 0.1)²; ``act`` may do otherwise."""

    def __init__(self, plan: Plan, act: Callable[[Config, RunFolder, int], bool] = lambda *_: False) -> None:
        self.plan = plan
        self.act = act
        self.batches: list[list[float]] = []

    def __call__(self, jobs: Sequence[Sequence[str]], first: int) -> list[Any]:
        assert first == sum(map(len, self.batches))
        self.batches.append([])
        for overrides in jobs:
            config = self.plan.configured(overrides)
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


def test_n_trials_is_the_total_and_a_search_started_again_goes_on(planned: Callable[..., Plan], said: Lines) -> None:
    plan = planned(LR, "hydra.sweeper.n_trials=4")
    first = Pretended(plan)
    search(plan, first, at_once=3)
    assert [len(batch) for batch in first.batches] == [3, 1]
    lines = said()
    assert lines[0].endswith(": 4 of 4 trials to go")
    again = Pretended(plan)
    search(plan, again, at_once=3)
    assert again.batches == []
    assert said()[1:] == lines[-5:]
    more = planned(LR, "hydra.sweeper.n_trials=6", "trainer.progress=false")
    assert more.name() == plan.name()
    longer = Pretended(more)
    search(more, longer, at_once=1)
    assert len(longer.learning_rates) == 2
    assert not set(longer.learning_rates) & set(first.learning_rates)


@pytest.mark.parametrize(
    ("metric", "best", "scored"), [("val/acc", 0.1, lambda d: 1 - d**2), ("val/loss", 0.5, lambda d: d**2)]
)
def test_the_best_is_of_validation_and_its_command_is_its_run(
    planned: Callable[..., Plan], said: Lines, metric: str, best: float, scored: Callable[[float], float]
) -> None:
    space = (LR, "model.units=[16],[32]", "model=smlp", "hydra.sweeper.n_trials=6")
    plan = planned(*space, f"hydra.sweeper.metric={metric}")
    runs = Pretended(plan)
    search(plan, runs, at_once=1)
    lr = min(runs.learning_rates, key=lambda lr: abs(lr - best))
    *_, table, _, _, typed = said()
    assert table == f"  {metric.ljust(12)}  {scored(lr - best):.4f}"
    words = shlex.split(typed)
    assert f"optimizer.lr={lr!r}" in words
    composer = shared_composer()
    [job], sweep = jobs_of(composer, composer.add_or_override([word for word in words if "=" in word]), multirun=False)
    assert not sweep
    assert job.config.optimizer.lr == lr


def test_the_command_says_what_is_needed_and_no_secret(planned: Callable[..., Plan]) -> None:
    mine = ("model=smlp", "model._target_=mine.Net", "model.api_key=abc123", "model.note='a b'")
    plan = planned(LR, "trust=[mine.Net]", *mine)
    typed = command(plan, cast(Any, SimpleNamespace(params={"optimizer.lr": 0.25})))
    assert "abc123" not in typed
    assert "sweep=" not in typed
    words = shlex.split(typed)
    assert words[-4:] == ["model._target_=mine.Net", "model.api_key=***", "model.note='a b'", "optimizer.lr=0.25"]
    assert "trust=[mine.Net]" in words


def test_a_file_of_a_sweep_that_says_more_stays_in_the_command(planned: Callable[..., Plan]) -> None:
    plan = planned(LR)
    plan = replace(plan, fixed=[*plan.fixed, "sweep=seeds"])
    trial = cast(Any, SimpleNamespace(params={"optimizer.lr": 0.25}))
    assert "sweep=" not in command(plan, trial)
    # what the file says is lost without it: here that is shown by a setting that only the plan has
    assert "sweep=seeds" in command(replace(plan, hydra=["epochs=7"]), trial)
    assert command(replace(plan, hydra=["epochs=7"]), trial).endswith("optimizer.lr=0.25 hydra.mode=RUN")


def test_finished_runs_are_used_again_and_the_same_parameters_never_run_twice(
    planned: Callable[..., Plan], said: Lines
) -> None:
    plan = planned("optimizer.lr=0.1,0.2,0.3", "hydra.sweeper.n_trials=12", "hydra.sweeper.sampler=random")
    finish(plan.configured(["optimizer.lr=0.2"]))
    runs = Pretended(plan)
    search(plan, runs, at_once=5)
    assert sorted(runs.learning_rates) == [0.1, 0.3]
    lines = said()
    assert sum("known from an earlier run: optimizer.lr=0.2" in line for line in lines) >= 1
    assert any(line.endswith(": 12 complete") for line in lines)


def test_a_failed_trial_counts_not_and_is_not_run_again(planned: Callable[..., Plan], said: Lines) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        if config.optimizer.lr == 0.3:
            folder.write("FAILED.json", {"error": "no"})
        if config.optimizer.lr == 0.2:
            write_json(folder.path / "result.json", {"metrics": {"val/acc": float("nan")}})
        return config.optimizer.lr >= 0.2

    plan = planned("optimizer.lr=0.1,0.2,0.3", "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler=random")
    runs = Pretended(plan, act)
    search(plan, runs, at_once=2)
    assert sorted(runs.learning_rates) == [0.1, 0.2, 0.3]
    assert any(line.startswith(f"study {plan.name()}: 4 complete, ") for line in said())


def test_too_many_failures_in_a_row_end_the_search(planned: Callable[..., Plan]) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        folder.write("FAILED.json", {"error": "no"})
        return n > 1

    plan = planned(LR)
    runs = Pretended(plan, act)
    with pytest.raises(RunFailed, match="5 trials failed one after the other; the search ends here"):
        search(plan, runs, at_once=1)
    assert len(runs.learning_rates) == 6


def test_a_refused_trial_has_failed_and_starts_no_run(planned: Callable[..., Plan], said: Lines) -> None:
    plan = planned("optimizer.lr=0.1,-1", "hydra.sweeper.n_trials=2", "hydra.sweeper.seed=3", "keep_going=true")
    runs = Pretended(plan)
    with pytest.raises(RunFailed, match=r"[1-4] trials were refused"):
        search(plan, runs, at_once=1)
    assert runs.learning_rates == [0.1]
    assert any("refused: optimizer.lr=-1: optimizer.lr: must be greater than 0" in line for line in said())


def test_a_search_that_is_stopped_goes_on_with_the_runs_that_it_had_begun(
    planned: Callable[..., Plan], said: Lines
) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        if n == 2:
            (folder.path / "checkpoints").mkdir(parents=True)
            (folder.path / "checkpoints" / "last.ckpt").touch()
            raise Stopped("SIGTERM", 143, saved=True)
        return False

    plan = planned(LR, "hydra.sweeper.n_trials=4")
    stopped = Pretended(plan, act)
    with pytest.raises(Stopped):
        search(plan, stopped, at_once=3)  # the second is stopped, the third does not start
    assert any(line.endswith(": 1 complete, 2 waiting") for line in said())
    rest = Pretended(plan)
    search(plan, rest, at_once=3)
    assert rest.batches[0][0] == stopped.learning_rates[1]
    assert len(rest.learning_rates) == 3
    again = Pretended(plan)
    search(plan, again, at_once=3)
    assert again.batches == []


def test_a_run_that_was_stopped_by_itself_ends_the_search_to_go_on_later(
    planned: Callable[..., Plan], said: Lines
) -> None:
    def act(config: Config, folder: RunFolder, n: int) -> bool:
        (folder.path / "checkpoints").mkdir(parents=True)
        (folder.path / "checkpoints" / "last.ckpt").touch()
        return True

    plan = planned(LR, "hydra.sweeper.n_trials=2")
    stopped, rest = Pretended(plan, act), Pretended(plan)
    search(plan, stopped, at_once=1)
    assert "a run was stopped before its end: start the search again to go on" in said()
    search(plan, rest, at_once=1)
    assert rest.learning_rates[0] == stopped.learning_rates[0]


def test_values_reach_the_pruner_through_the_run_folder(
    planned: Callable[..., Plan], said: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run but the first five is worse than the median after its first epoch."""

    def act(config: Config, folder: RunFolder, n: int) -> bool:
        folder.path.mkdir(parents=True)
        bad = n > 5
        (folder.path / "metrics.csv").write_text(f"epoch,step,val/acc\n0,10,{0.1 if bad else 0.8 + n / 100}\n")
        deadline = time.monotonic() + 120
        while not watched[-1].reported or (bad and not (folder.path / PRUNE).exists()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return bad

    class Noted(Progress):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            watched.append(self)

    watched: list[Progress] = []
    monkeypatch.setattr(module, "Progress", Noted)
    monkeypatch.setattr(module, "Watcher", partial(Watcher, seconds=0.01))
    plan = planned(LR, "hydra.sweeper.n_trials=8", "hydra.sweeper.pruner=median")
    search(plan, Pretended(plan, act), at_once=1)
    lines = said()
    assert sum(": pruned: optimizer.lr=" in line for line in lines) == 3
    assert any(line.endswith(": 5 complete, 3 pruned") for line in lines)
    assert not list(Path(plan.typical.paths.runs).rglob(PRUNE))


def test_another_space_metric_seed_or_sampler_is_another_study(planned: Callable[..., Plan]) -> None:
    one = planned(LR, "epochs=3", "logger=wandb").name()
    assert planned(LR, "hydra.sweeper.n_trials=99", "epochs=3").name() == one
    assert one.startswith("digits-")
    others = [
        planned("optimizer.lr=interval(1e-4,1.0)", "epochs=3"),
        planned(LR, "epochs=4"),
        planned(LR, "epochs=3", "seed=1"),
        planned(LR, "epochs=3", "hydra.sweeper.metric=val/loss"),
        planned(LR, "epochs=3", "hydra.sweeper.sampler=random"),
        planned(LR, "epochs=3", "hydra.sweeper.seed=1"),
    ]
    assert len({one, *(plan.name() for plan in others)}) == 7
    assert planned(LR, "hydra.sweeper.study=mine").name() == "mine"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("hydra.sweeper.metric=test/acc", "a sweep optimises validation only; valid: val/acc, val/loss"),
        ("hydra.sweeper.metric=oracle/acc", "a sweep optimises validation only"),
        ("hydra.sweeper.metric=val/ac", r"no such metric; did you mean val/acc\?"),
        ("hydra.sweeper.metric=val/mse", "no such metric"),
        ("protocol=last", "protocol=last has no validation part to optimise: protocol=val_best has"),
        ("protocol=paper_best_on_test", "has no validation part to optimise"),
        (
            "hydra.sweeper.sampler=tp",
            r"hydra.sweeper.sampler: expected 'tpe' or 'random', got 'tp'; did you mean tpe\?",
        ),
        ("hydra.sweeper.pruner=asah", r"did you mean asha\?"),
        ("hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials: must be greater than 0"),
        ("hydra.sweeper.study=a/b", "hydra.sweeper.study: expected letters"),
        ("debug=fast", "such runs leave no result to learn from"),
        ("rerun=true", "hydra.sweeper.study=NAME begins another"),
        ("paths.run=here", "paths.run=here cannot hold several runs"),
    ],
)
def test_what_is_no_search_is_refused_in_one_line(planned: Callable[..., Plan], typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        planned(LR, typed)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("sweep=optuna",), "nothing to search: no setting has a search space; write a,b,c"),
        (("sweep=optuna", "optimizer.lr=interval(-1,1)"), "1 of 2 jobs refused, none started"),
        (("sweep=optuna", "model=smlp,scn"), "did you mean model=scnn?"),
        (
            ("sweep=optuna", "optimizer.lr=0.1,0.2", "hydra.sweeper.n_trails=3"),
            "Could not override 'hydra.sweeper.n_trails'",
        ),
        (
            ("sweep=optuna", "optimizer.lr=0.1,0.2", "hydra.sweeper.metric=test/acc"),
            "a sweep optimises validation only",
        ),
        (("-m", "optimizer.lr=interval(0,1)"), "optimizer.lr: an interval is no list of values; sweep=optuna searches"),
    ],
)
def test_the_command_line_refuses_and_starts_nothing(
    small: Callable[..., int], typed: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert small(*typed) == 2
    assert message in capsys.readouterr().err
    assert not list(Path().glob("runs/digits"))


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
    [typed_again] = [line for line in lines if "optimizer.lr=0.0" in line and line.startswith("membrane train ")]
    assert small(*typed) == 0
    assert ": 0 of 3 trials to go" in capsys.readouterr().out
    from membrane.cli.main import main

    assert main(shlex.split(typed_again)[1:]) == 0
    assert capsys.readouterr().out.startswith("finished already: runs/digits/")
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
    monkeypatch.setattr(module, "Watcher", partial(Watcher, seconds=0.01))
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
    assert len(list(Path("runs").glob("digits/*/seed0/result.json"))) == 2
