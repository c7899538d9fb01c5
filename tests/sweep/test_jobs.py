"""The jobs of a command line."""

from collections.abc import Callable

import pytest
from configurations import shared_composer

from membrane.errors import ConfigError
from membrane.sweep.jobs import jobs_of, membrane_overrides


def test_a_sweep_is_every_combination_in_order() -> None:
    composer = shared_composer()
    typed = ["framework=singlestep,multistep", "optimizer.lr=0.1,0.2", "epochs=3"]
    jobs, sweep = jobs_of(composer, composer.add_or_override(typed), multirun=True)
    assert sweep
    settings = [(job.config.framework["_target_"].rpartition(".")[2], job.config.optimizer.lr) for job in jobs]
    assert settings == [("SingleStep", 0.1), ("SingleStep", 0.2), ("MultiStep", 0.1), ("MultiStep", 0.2)]
    assert jobs[1].overrides == ["framework=singlestep", "optimizer.lr=0.2", "epochs=3"]
    assert {job.config.epochs for job in jobs} == {3}
    assert len(jobs_of(composer, composer.add_or_override(["seed=range(5)"]), multirun=True)[0]) == 5
    by_mode, sweep = jobs_of(composer, composer.add_or_override(["seed=1,2", "hydra.mode=MULTIRUN"]), multirun=False)
    assert (sweep, [job.config.seed for job in by_mode]) == (True, [1, 2])


@pytest.mark.usefixtures("without_training")
def test_seeds_is_a_sweep_that_takes_other_seeds(
    small: Callable[..., int], capsys: pytest.CaptureFixture[str], result_files: Callable[[], dict[str, str]]
) -> None:
    assert small("sweep=seeds", "seed=4,7") == 0
    assert result_files() == {"4": "result", "7": "result"}
    assert "sweep: 2 finished, 0 failed\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("seed=range(3,3)", "the sweep has no job: one of its settings has no value"),
        ("optimizer.lr=interval(0,1)", "optimizer.lr: an interval is no list of values; sweep=optuna searches in it"),
    ],
)
def test_a_sweep_without_jobs_is_refused(typed: str, message: str) -> None:
    composer = shared_composer()
    with pytest.raises(ConfigError, match=f"^{message}$"):
        jobs_of(composer, composer.add_or_override([typed]), multirun=True)


def test_hydras_overrides_are_not_membranes() -> None:
    typed = ["++seed=1", "hydra.mode=RUN", "+hydra/launcher=basic", "~scheduler", "+x=2", "hydrate=3"]
    assert membrane_overrides(typed) == ("seed=1", "~scheduler", "+x=2", "hydrate=3")
