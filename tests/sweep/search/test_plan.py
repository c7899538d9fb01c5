"""The plan of a search: the study that it goes on with, and what is refused before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from configurations import shared_composer

from membrane.errors import ConfigError
from membrane.sweep.search.plan import Plan, first_valid_config

LR = "optimizer.lr=tag(log,interval(1e-4,1.0))"
PlanOf = Callable[..., Plan]


def test_another_space_metric_seed_or_sampler_is_another_study(plan_of: PlanOf) -> None:
    one = plan_of(LR, "epochs=3", "logger=wandb").name()
    assert plan_of(LR, "hydra.sweeper.n_trials=99", "epochs=3").name() == one
    assert one.startswith("digits-")
    others = [
        plan_of("optimizer.lr=interval(1e-4,1.0)", "epochs=3"),
        plan_of(LR, "epochs=4"),
        plan_of(LR, "epochs=3", "seed=1"),
        plan_of(LR, "epochs=3", "hydra.sweeper.metric=val/loss"),
        plan_of(LR, "epochs=3", "hydra.sweeper.sampler=random"),
        plan_of(LR, "epochs=3", "hydra.sweeper.seed=1"),
    ]
    assert len({one, *(plan.name() for plan in others)}) == 7
    assert plan_of(LR, "hydra.sweeper.study=mine").name() == "mine"


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
def test_what_is_no_search_is_refused_in_one_line(plan_of: PlanOf, typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        plan_of(LR, typed)
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


def test_of_several_jobs_the_first_that_can_run_says_what_is_measured() -> None:
    assert first_valid_config(shared_composer(), [["++epochs=0"], ["++epochs=7"], ["++epochs=9"]]).epochs == 7
    with pytest.raises(ConfigError, match=r"^timesteps"):
        first_valid_config(shared_composer(), [["++timesteps=0"], ["++epochs=0"]])
