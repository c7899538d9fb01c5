"""`membrane train`: what is printed, which jobs start, how Hydra is given them, and what the program ends with."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import train
from configurations import shared_composer
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from membrane.cli import train as command
from membrane.cli.help import help_page
from membrane.cli.train import checked_or_refused, hand_to_hydra, print_config, print_part, quoted, runnable_jobs
from membrane.config.check import check
from membrane.errors import ConfigError
from membrane.schema import Config
from membrane.sweep.jobs import Job

ROOT = Path(__file__).parents[2]


def job_named(name: str) -> Job:
    return Job([f"name={name}", "optimizer.api_key=hunter2"], OmegaConf.create({}))


@pytest.fixture
def config(raw: dict[str, Any]) -> Callable[..., Config]:
    """Return a function from settings that differ from the defaults to a configuration."""
    return lambda **changes: check({**raw, **changes})


@pytest.fixture
def without_building(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every configuration that was not refused be one that can be built."""
    monkeypatch.setattr(command, "rehearsed", lambda config: config)


def test_the_real_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "modle=smlp"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("membrane: modle: no such setting; did you mean model? valid: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_checks_all_jobs_first(small: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert small("-m", "seed=0,1", "optimizer.lr=0.1,-1") == 2
    output = capsys.readouterr()
    assert output.out.count("refused: ") == 2
    assert "seed=1 optimizer.lr=-1: optimizer.lr: must be greater than 0, got -1" in output.out
    assert output.err == "membrane: 2 of 4 jobs refused, none started; keep_going=true starts the others\n"
    assert not list(Path().iterdir())


def test_a_sweep_of_bad_jobs_alone_is_refused_even_if_it_may_go_on(small: Callable[..., int]) -> None:
    assert small("-m", "optimizer.lr=-2,-1", "keep_going=true") == 2
    assert small("-m", "model=smlp,nope", "keep_going=true") == 2
    assert not list(Path().iterdir())


def test_a_sweep_that_keeps_going_runs_the_good_jobs_and_ends_with_1(small: Callable[..., int]) -> None:
    assert small("-m", "optimizer.lr=-1,0.1", "keep_going=true") == 1
    assert len(list(Path("runs").glob("digits/*/seed0/result.json"))) == 1


def test_what_is_printed_can_be_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--cfg", "job", "optimizer.lr=0.5", "--package", "optimizer"]) == 0
    assert "lr: 0.5\n" in capsys.readouterr().out
    assert train(["--cfg", "job", "--package", "trainer.devices"]) == 0
    assert capsys.readouterr().out == "1\n"
    assert train(["--cfg", "job", "--package", "optimizer.nope"]) == 2


def test_help_is_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["seed=3", "--help", "model=nope"]) == 0
    assert capsys.readouterr().out == help_page() + "\n"


def test_what_the_program_was_called_with_is_kept_for_the_records() -> None:
    assert train(["--help", "--cfg", "job"]) == 0
    assert sys.argv[1:] == ["--help", "--cfg", "job"]


def test_what_hydra_shows_is_looked_up_in_checked_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--info", "searchpath"]) == 0
    assert str(ROOT / "conf") in capsys.readouterr().out
    assert train(["--info", "searchpath", "model=nope"]) == 2
    assert "model=nope: no such choice; " in capsys.readouterr().err


def test_a_part_of_a_configuration_is_printed_as_yaml_or_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"a": {"b": 1, "c": {"d": "x"}}, "e": None}
    for package, text in (
        (None, "a:\n  b: 1\n  c:\n    d: x\ne: null\n"),
        ("_global_", "a:\n  b: 1\n  c:\n    d: x\ne: null\n"),
        ("a.c", "d: x\n"),
        ("a.c.d", "x\n"),
        ("e", "None\n"),
    ):
        assert print_part(settings, package) == 0
        assert capsys.readouterr().out == text
    for package in ("f", "a.f", "a.b.c", "a.", ""):
        with pytest.raises(ConfigError, match=f"^--package {package}: no such part of the configuration$"):
            print_part(settings, package)


def test_a_configuration_that_was_refused_is_not_printed() -> None:
    error = ConfigError("seed: no")
    with pytest.raises(ConfigError, match=r"^seed: no$"):
        print_config(error, None)


def test_a_job_is_checked_and_a_mistake_returned() -> None:
    composer = shared_composer()
    good, bad = (Job([line], composer.compose([f"++{line}"])) for line in ("seed=3", "seed=x"))
    checked, refused = checked_or_refused(good), checked_or_refused(bad)
    assert isinstance(checked, Config)
    assert checked.seed == 3
    assert str(refused) == "seed: expected a whole number, got 'x'"


@pytest.mark.usefixtures("without_building")
def test_one_run_that_is_refused_raises_its_own_mistake(config: Callable[..., Config]) -> None:
    job, good = job_named("a"), config()
    assert runnable_jobs([(job, good)], sweep=False) == [(job, good)]
    with pytest.raises(ConfigError, match=r"^it is bad$"):
        runnable_jobs([(job, ConfigError("it is bad"))], sweep=False)


@pytest.mark.usefixtures("without_building")
def test_a_sweep_starts_whole_or_not_at_all_unless_it_keeps_going(
    config: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = map(job_named, "abc")
    bad, good, goes_on = ConfigError("it is bad"), config(), config(keep_going=True)
    assert runnable_jobs([(first, good), (second, good)], sweep=True) == [(first, good), (second, good)]
    assert caplog.messages == []
    with pytest.raises(ConfigError, match=r"^1 of 3 jobs refused, none started; keep_going=true starts the others$"):
        runnable_jobs([(first, good), (second, bad), (third, good)], sweep=True)
    assert caplog.messages == ["refused: name=b optimizer.api_key=***: it is bad"]
    with pytest.raises(ConfigError, match=r"^1 of 1 jobs refused, none started"):
        runnable_jobs([(first, bad)], sweep=True)
    assert runnable_jobs([(first, bad), (second, goes_on)], sweep=True) == [(second, goes_on)]


@pytest.mark.usefixtures("without_building")
def test_runs_of_a_sweep_have_folders_of_their_own(config: Callable[..., Config]) -> None:
    first, second = map(job_named, "ab")
    here, there = config(paths={"run": "here"}), config(paths={"run": "there"})
    assert len(runnable_jobs([(first, here), (second, there)], sweep=True)) == 2
    with pytest.raises(ConfigError, match=r"^paths.run=here cannot hold several runs; leave it out of a sweep$"):
        runnable_jobs([(first, here), (second, here)], sweep=True)


def test_a_configuration_that_cannot_be_built_is_refused(
    config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "rehearsed", lambda config: ConfigError("it cannot be built"))
    with pytest.raises(ConfigError, match=r"^it cannot be built$"):
        runnable_jobs([(job_named("a"), config())], sweep=False)


def test_hydra_reads_a_quoted_text_as_it_was() -> None:
    parser = OverridesParser.create()
    for text in ("plain", "it's", 'say "x"', "a,b", "${c}", "back\\slash", "tail\\", "{a: [b", " spaces "):
        [override] = parser.parse_overrides([f"key={quoted(text)}"])
        value = override.value()
        assert str(getattr(value, "text", value)) == text


def test_hydra_runs_one_job_or_each_of_a_sweep_and_can_be_asked_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[tuple[int, bool]] = []

    def task(composed: DictConfig) -> None:
        seen.append((composed.seed, GlobalHydra.instance().is_initialized()))

    hand_to_hydra(shared_composer(), ["++seed=3"], False, task)
    assert seen == [(3, True)]
    hand_to_hydra(shared_composer(), ["++seed=4,5", f"hydra.sweep.dir={tmp_path}/sweep"], True, task)
    assert seen == [(3, True), (4, True), (5, True)]
    assert not GlobalHydra.instance().is_initialized()


def test_an_error_of_hydra_is_one_line_and_leaves_it_usable() -> None:
    with pytest.raises(ConfigError, match="nope") as refusal:
        hand_to_hydra(shared_composer(), ["hydra.job.chdir=nope"], False, [].append)
    assert "\n" not in str(refusal.value)
    assert not GlobalHydra.instance().is_initialized()


def test_a_sweep_ends_with_its_counts_and_a_run_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "rehearsed", lambda config: config)
    given: list[tuple[list[str], bool]] = []

    def hand(composer: object, overrides: list[str], sweep: bool, task: SimpleNamespace) -> None:
        given.append((overrides, sweep))
        task.tally.failed += sweep

    monkeypatch.setattr(command, "hand_to_hydra", hand)
    statistics: list[int] = []
    monkeypatch.setattr(command, "log_spread", lambda runnable: statistics.append(len(runnable)))
    with caplog.at_level(logging.INFO):
        assert train(["seed=3"]) == 0
        assert not caplog.messages
        assert train(["-m", "seed=3,4"]) == 1
    assert caplog.messages[-1] == "sweep: 0 finished, 1 failed"
    assert statistics == [2]
    [folder] = (tmp_path / "runs" / ".sweeps").iterdir()
    assert given == [
        (["++seed=3"], False),
        ([f"hydra.sweep.dir='{folder.relative_to(tmp_path)}'", "++seed=3,4"], True),
    ]
