"""No value of the environment leaves it: through no file, no line and no tracker; a stranger's files read none."""

import json
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from commands import evaluate, train
from configurations import configured
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from membrane.config.composer import Composer
from membrane.config.environment import environment_reads, without_environment
from membrane.config.redaction import published
from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint
from membrane.schema.environment import FromEnvironment
from membrane.sweep.jobs import jobs_of
from membrane.training.loading import config_of

SENTINEL = "Xq7-sentinel_zW3"
THEIRS = """
from membrane.models.smlp import SMLP
class Net(SMLP):
    def __init__(self, *, login, **settings):
        super().__init__(**settings)
        self.login = login
        print("logged in as", login)
    def forward(self, x):
        if self.training and self.login.endswith("!") and len(x[0]) > 2:
            raise RuntimeError(f"{self.login!r} may not enter")
        return super().forward(x)
"""


@pytest.fixture(autouse=True)
def sentinel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB", SENTINEL)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, and every member of those that are archives, by name."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found[str(path)] = str(path.relative_to(folder)).encode() + path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    found |= {f"{path}:{name}": archive.read(name) for name in archive.namelist()}
    return found


def assert_kept(folder: Path, printed: str) -> None:
    """Fail if the sentinel stands in a file, a name or in what was printed."""
    for name, content in contents(folder).items():
        assert SENTINEL not in name
        assert SENTINEL.encode() not in content, name
    assert SENTINEL not in printed


def test_a_value_of_the_environment_is_in_no_file_and_no_line_of_a_runs_whole_life(
    small: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "their_models.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    typed = ["+model._target_=their_models.Net", "++model.login='${oc.env:LAB}'", "trust=[their_models.Net]"]
    typed += ["logger=wandb", "logger.project='${oc.env:LAB}'", "logger.tags=[a,'of-${oc.env:LAB}']"]
    typed += ["name='run-${oc.env:LAB}'", "dataset.name='${oc.env:LAB}'"]
    assert small(*typed) == 0
    [run] = Path("runs").glob("*/*/seed0")
    assert run.parts[1] == "run-oc.env-LAB"
    assert (run / "wandb").is_dir()
    assert yaml.safe_load((run / "config.yaml").read_text())["logger"]["tags"] == ["a", "of-${oc.env:LAB}"]
    assert json.loads((run / "result.json").read_text())["dataset"] == "${oc.env:LAB}"
    printed = capfd.readouterr().out
    assert "logged in as ***" in printed
    [line] = [line for line in printed.splitlines() if line.startswith("environment: ")]
    assert {"name", "model.login", "logger.tags.1"} < set(line.split(": ")[1].split(", "))
    entered = ["model.login='${oc.env:LAB}'", "dataset.name=digits", "trust=[their_models.Net]"]
    assert evaluate([str(run), *entered, "readout=max"]) == 0
    assert len(list((run / "evaluations").iterdir())) == 1
    again = ["++model.login='${oc.env:LAB}'", "++dataset.name='${oc.env:LAB}'", "trust=[their_models.Net]"]
    assert train([f"extend={run}", "epochs=2", *again]) == 0
    assert len(list(Path("runs/run-oc.env-LAB").glob("*/seed0/wandb"))) == 2
    assert small(*typed, "seed=1", "++model.login='${oc.env:LAB}!'") == 1
    [failed] = Path("runs").glob("*/*/*/FAILED.json")
    assert json.loads(failed.read_text())["error"] == "'***!' may not enter"
    assert train(["-m", *typed, "logger=csv", "seed=2,3", "timesteps=0,1"]) == 2
    written = capfd.readouterr()
    assert_kept(tmp_path, printed + "".join(written))
    assert "timesteps" in written.out


def test_errors_of_a_whole_run_show_no_value(
    small: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert small("timesteps='${oc.env:LAB}'") == 2
    assert small("timesteps='${oc.decode:[${oc.env:LAB}}'") == 2
    assert small("dataset=arrays", "dataset.path='${oc.env:LAB}.npz'") == 2
    assert small("logger='${oc.env:LAB}'") == 2
    assert small("-m", "hydra/launcher=processes", "hydra.launcher.n_jobs='${oc.env:LAB}'") == 2
    written = capfd.readouterr()
    assert written.err.count("***") >= 2
    assert_kept(tmp_path, "".join(written))


def test_the_seed_a_choice_and_a_searchs_settings_are_not_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NUMBER", "41")
    for setting in ("study='${oc.env:LAB}'", "params='${oc.create:{epochs:${oc.env:NUMBER}}}'"):
        overrides = ["sweep=optuna", f"++hydra.sweeper.{setting}"]
        with pytest.raises(ConfigError, match=r"^hydra.sweeper.(study|params): .* the environment may not give it"):
            jobs_of(Composer(), overrides, multirun=True)
    with pytest.raises(ConfigError, match=r"^logger='\$\{oc.env:LAB\}': a choice is named"):
        configured("logger='${oc.env:LAB}'")
    for choice in ("neuron=${oc.env:LAB}", "+experiment=${oc.env:LAB}", "regularizer=[${oc.env:LAB}]"):
        with pytest.raises(ConfigError, match=rf"^{re.escape(choice.lstrip('+'))}: a choice is named"):
            configured(choice)
    with pytest.raises(ConfigError, match=r"^seed: .* let the shell fill it in, as seed=\$NUMBER$"):
        configured("seed='${oc.decode:${oc.env:NUMBER}}'")


def test_names_stand_for_expressions_and_the_same_run_is_the_same_wherever_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = configured("name='${oc.env:LAB}'", "logger=wandb", "logger.entity='${oc.env:LAB}'")
    monkeypatch.setenv("LAB", "another-lab")
    there = configured("name='${oc.env:LAB}'", "logger=wandb", "logger.entity='${oc.env:LAB}'")
    assert here == there
    assert here.name == "oc.env-LAB"
    assert here.logger.model_dump()["entity"] == "oc.env-LAB"  # type: ignore[union-attr]
    assert published(here)["name"] == "${oc.env:LAB}"
    assert configured("name='${oc.env:NO_SUCH,mine}'").name == "mine"
    with pytest.raises(ConfigError, match=r"^name: .*no_such"):  # no expression of a name hides that it leads nowhere
        configured("name='${oc.env:LAB}${no_such}'")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("hunter2", "a *** b 'x***' 1.25 true"),
        ("abc", "a hunter2 b 'xhunter2' 1.25 true"),
        ("1.25", "a hunter2 b 'xhunter2' 1.25 true"),
        ("true", "a hunter2 b 'xhunter2' 1.25 true"),
    ],
)
def test_what_can_be_told_from_other_text_is_masked_in_lines(value: str, shown: str) -> None:
    assert FromEnvironment(values=frozenset([value])).hide("a hunter2 b 'xhunter2' 1.25 true") == shown


def test_values_are_masked_as_python_and_json_write_them_and_the_longest_first() -> None:
    environment = FromEnvironment(values=frozenset(['a"b\\cé', "long text", "long"]))
    for written in ('a"b\\cé', repr('a"b\\cé'), json.dumps('a"b\\cé')):
        assert environment.hide(written) in ("***", "'***'", '"***"')
    assert environment.hide("long text, longer") == "***, ***er"
    assert FromEnvironment(values=frozenset(["12345678"])).hide("pin 12345678") == "pin ***"


def test_a_value_that_paths_show_is_not_masked_and_its_parts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMBRANE_DATA", "/data/of/lab")
    assert configured().environment == FromEnvironment()
    config = configured("logger=wandb", "logger.tags=['${oc.env:MEMBRANE_DATA}','${oc.env:LAB}']")
    assert config.environment.hide(f"/data/of/lab/x {SENTINEL}") == "/data/of/lab/x ***"
    monkeypatch.setenv("LIST", '["first one", "hunter2"]')
    config = configured("logger=wandb", "logger.tags='${oc.decode:${oc.env:LIST}}'")
    assert config.environment.hide("hunter2, first one") == "***, ***"


READING = [
    "${oc.env:LAB}",
    "x ${ oc.env : LAB } y",
    "${oc.env:NO_SUCH,3}",
    "${oc.env:NO_SUCH,${oc.env:LAB}}",
    "${oc.${readout.how}:LAB}",
    "${oc.decode:'${oc.env:LAB}'}",
    "${oc.decode:'\\${oc.env:LAB}'}",
    "${oc.create:{a:'${oc.env:LAB}'}}",
    "${oc.select:readout.no_such,${oc.env:LAB}}",
    "${readout.deep}",
    "${readout[deep]}",
]


@pytest.mark.parametrize("expression", READING)
@pytest.mark.parametrize("key", ["dataset.name", "optimizer.lr", "paths.data", "protocol"])
def test_a_saved_configuration_that_reads_the_environment_is_refused(key: str, expression: str) -> None:
    saved = OmegaConf.create(published(configured()))
    OmegaConf.update(saved, "readout", {"how": "env", "deep": "${oc.env:LAB}"}, force_add=True)
    OmegaConf.update(saved, key, expression, force_add=True)
    with pytest.raises(ConfigError, match="may not read the environment") as refused:
        config_of(OmegaConf.to_container(saved))
    assert SENTINEL not in str(refused.value)
    with pytest.raises(ConfigError, match=r"readout\.deep"):  # what is set anew may stand there, the rest may not
        without_environment(saved, [key])


@pytest.mark.parametrize("trick", ["\\${oc.env:LAB}", "${trainer.monitor}{oc.env:LAB}"])
def test_an_expression_that_gives_an_expression_is_no_value(trick: str) -> None:
    saved = OmegaConf.create(published(configured()))
    OmegaConf.update(saved, "trainer.monitor", "$")
    OmegaConf.update(saved, "dataset.name", trick)
    with pytest.raises(ConfigError, match=r"dataset\.name"):
        config_of(OmegaConf.to_container(saved))


def test_a_run_that_was_named_by_the_environment_loads_and_one_that_was_shaped_by_it_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = configured("name='${oc.env:LAB}'", "logger=wandb", "logger.tags=['${oc.env:LAB}']")
    again = config_of(published(config))
    assert (again.name, fingerprint(again)) == ("oc.env-LAB", fingerprint(config))
    monkeypatch.setenv("RATE", "0.25")
    saved = published(configured("optimizer.lr='${oc.decode:${oc.env:RATE}}'"))
    with pytest.raises(ConfigError, match=r"optimizer.lr: \$\{oc.decode.* say optimizer.lr=… yourself"):
        config_of(saved)
    assert without_environment(OmegaConf.create(saved), ["optimizer.lr"]).optimizer.lr is None


def test_a_stopped_reading_leaves_the_resolver_as_it_was() -> None:
    with environment_reads(closed=True) as reads, suppress(InterpolationResolutionError):
        assert OmegaConf.create({"a": "${oc.env:LAB}"}).a == ""
        _ = OmegaConf.create({"a": "${oc.env:LAB}${no_such}"}).a
    assert reads == [("LAB", None)] * 2
    assert OmegaConf.create({"a": "${oc.env:LAB}"}).a == SENTINEL


def test_a_variable_with_a_default_is_read_as_itself() -> None:
    config = OmegaConf.create({"a": "${oc.env:LAB,other}", "b": "${oc.env:NO_SUCH,LAB}"})
    with environment_reads() as reads:
        assert (config.a, config.b) == (SENTINEL, "LAB")
    assert reads == [("LAB", SENTINEL), ("NO_SUCH", None)]
    with environment_reads(closed=True) as reads:
        assert (config.a, config.b) == ("", "")
    assert reads == [("LAB", None), ("NO_SUCH", None)]


@pytest.mark.parametrize(
    "expression", [each for each in READING if "readout" not in each] + ["${oc.${x}:LAB}", "${now:%Y}"]
)
def test_an_experiments_file_calls_no_resolver(expression: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "theirs.yaml"
    file.write_text(f"# @package _global_\n{yaml.safe_dump({'logger': {'tags': [expression]}})}")
    with pytest.raises(ConfigError, match=r"^experiment/theirs.yaml: logger.tags.0: "):
        Composer(str(tmp_path)).compose(["experiment=theirs"])
    file.write_text("# @package _global_\nepochs: 3\ntimesteps: ${epochs}\nname: 'of_${dataset.name}: x'\n")
    assert Composer(str(tmp_path)).compose(["experiment=theirs"]).timesteps == 3


def test_extending_reads_nothing_of_the_environment(
    after_small: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    [run] = Path("runs").glob("digits/*/seed0")
    saved = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**saved, "batch_size": "${oc.decode:${oc.env:LAB}}"}))
    assert train([f"extend={run}", "epochs=2"]) == 2
    written = capfd.readouterr()
    assert "batch_size: ${oc.decode:${oc.env:LAB}}, and may not read the environment" in written.err
    (run / "config.yaml").write_text(yaml.safe_dump({**saved, "name": "of-${oc.env:LAB}"}))
    assert train([f"extend={run}", "epochs=2", "--cfg", "job"]) == 0
    printed = capfd.readouterr().out
    assert "\nname: of-oc.env-LAB\n" in f"\n{printed}"
    assert_kept(tmp_path, printed + "".join(written))
