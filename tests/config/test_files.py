"""Files that are read once, and still composed anew each time."""

from collections import Counter
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import RunMode
from omegaconf import OmegaConf

from membrane.config.composer import Composer
from membrane.config.files import ConfigFiles
from membrane.errors import ConfigError
from membrane.sweep.jobs import jobs_of

pytestmark = pytest.mark.usefixtures("read_anew")

LINES: list[list[str]] = [
    [],
    ["model=smlp", "optimizer.lr=0.5", "logger.tags=[a]"],
    ["experiment=fashion_mnist_scnn", "augmentation=[shift,noise]", "~surrogate"],
    ["sweep=seeds", "seed=7,8", "model.units=[3]", "model=smlp"],
    ["-m", "model=scnn,smlp", "dataset=digits,digits_events", "framework=multistep_tid"],
    ["callbacks=[ema,early_stop]", "callbacks.ema.decay=0.5"],
    [],
]


def composed(composer: Composer, line: list[str]) -> list[Any]:
    """Every job of a command line, as plain values; what the composer gave is changed afterwards."""
    typed = [each for each in line if each != "-m"]
    jobs, _ = jobs_of(composer, composer.add_or_override(typed), multirun="-m" in line)
    plain = [OmegaConf.to_container(job.config) for job in jobs]
    for job in jobs:
        job.config.paths.runs = job.config.dataset.name = job.config.name = "changed"
    return plain


def test_one_composer_gives_for_each_command_line_what_a_new_one_gives() -> None:
    kept = Composer()
    expected = [composed(Composer(), line) for line in LINES]
    assert [composed(kept, line) for line in LINES] == expected
    assert [composed(kept, line) for line in reversed(LINES)] == expected[::-1]


def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, load = Counter[str](), ConfigRepository.load_config

    def counted(self: ConfigRepository, config_path: str) -> Any:
        read[config_path] += 1
        return load(self, config_path)

    monkeypatch.setattr(ConfigRepository, "load_config", counted)
    composer = Composer()
    for line in LINES[:4]:
        composed(composer, line)
    assert {"train", "model/smlp", "sweep/seeds"} <= set(read)
    assert set(read.values()) == {1}


def test_a_file_that_says_what_it_may_not_is_refused_again(tmp_path: Any) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "bad.yaml").write_text("# @package _global_\nhydra: {verbose: true}\n")
    composer = Composer(str(tmp_path))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"experiment/bad\.yaml: hydra may be set"):
            jobs_of(composer, composer.add_or_override(["experiment=bad"]), multirun=False)


def test_a_job_is_composed_once_to_be_validated_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Composer().loader
    master = loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)
    composed: list[list[str]] = []
    compose = ConfigFiles.load_configuration

    def counted(self: ConfigFiles, config_name: str | None, overrides: list[str], **how: Any) -> Any:
        composed.append(overrides)
        return compose(self, config_name, overrides, **how)

    monkeypatch.setattr(ConfigFiles, "load_configuration", counted)
    jobs = [["++seed=1"], ["++seed=2"], ["++seed=1", "model=smlp"], ["++seed=3"]]
    validated = [loader.load_sweep_config(master, job) for job in jobs]
    expected = [OmegaConf.to_container(config) for config in validated]
    for config in validated:
        config.seed = config.paths.runs = "changed"
    assert [OmegaConf.to_container(loader.load_sweep_config(master, job)) for job in jobs] == expected
    assert len(composed) == 2, "jobs that differ in values alone are made of one"
    assert [each["seed"] for each in expected] == [1, 2, 1, 3]
    assert expected[2]["model"] != expected[0]["model"]


@pytest.mark.parametrize(
    "line",
    [
        ["seed=1,2", "paths.run='mine/${seed}'"],
        ["hydra.job.chdir=false", "model=scnn,smlp"],
        ["optimizer.lr=1e-3,null,'${seed}'"],
        ["logger.tags=[a,b],[]", "model=scnn,smlp", "init=a,null"],
        ["model.units=[1],{a:1},{b:2},3"],
        ["name=a,b", "hydra.job.config.override_dirname.exclude_keys=[name]"],
        ["init=null,here", "init.path=there,null"],
        ["seed=1,2", "optimizer.weight_decay=0.1", "~optimizer.weight_decay"],
        ["seed=1,2", "~optimizer.lr"],
        ["seed=1,2", "model.units=[8]", "model={units:[16]}", "model=smlp"],
        ["callbacks=[early_stop]", "callbacks.early_stop.patience=1,2", "~callbacks.early_stop"],
        ["sweep=seeds", "optimizer.lr=0.1,0.2"],
    ],
)
def test_what_the_composer_made_is_what_hydra_would_make_of_it(line: list[str]) -> None:
    composer = Composer()
    lines = composer.add_or_override(line)
    jobs, sweep = jobs_of(composer, lines, multirun=True)
    assert sweep
    run = ["hydra.sweep.dir=elsewhere", *lines, "hydra.mode=MULTIRUN"]
    master = composer.loader.load_configuration("train", run, run_mode=RunMode.MULTIRUN)
    params = composer.parse([f"{key}={value}" for key, value in (master.hydra.sweeper.params or {}).items()])
    [split] = BasicSweeper.split_arguments([*params, *composer.parse(lines)], None)
    assert len(jobs) == len(split) > 1
    for number, job in [*enumerate(split)][:2] + [*enumerate(split)][2:][-2:]:  # the first two, and the last two
        task = [each for each in job if not each.startswith("hydra.")]
        hydras = ConfigLoaderImpl(composer.loader.get_search_path()).load_sweep_config(master, task)
        ours = composer.loader.load_sweep_config(master, task)
        for config in (hydras, ours):
            config.hydra.job.num = number
        assert OmegaConf.to_container(ours) == OmegaConf.to_container(hydras)
        del hydras.hydra
        assert OmegaConf.to_container(jobs[number].config) == OmegaConf.to_container(hydras)
    assert len(composer.loader.jobs) == len(jobs), "and nothing was composed anew"


def test_what_a_sweepers_file_may_say_besides_is_composed_as_hydra_does() -> None:
    loader = Composer().loader
    master = loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)
    for job in (["name=a", "++seed=1"], ["name=b", "++seed=2"], ["++name=a", "name=b"], ["+mine=1"], ["+mine=2"]):
        hydras = ConfigLoaderImpl(loader.get_search_path()).load_sweep_config(master, job)
        assert OmegaConf.to_container(loader.load_sweep_config(master, job)) == OmegaConf.to_container(hydras)
