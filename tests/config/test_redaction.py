"""Secrets and values of the environment are in nothing that is saved, printed or sent."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import train
from configurations import shared_composer
from omegaconf import OmegaConf

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.config.redaction import as_yaml, published
from membrane.schema.secrets import MASK
from membrane.sweep.jobs import jobs_of

THEIRS = """
from membrane.models.smlp import SMLP
class Net(SMLP):
    def __init__(self, *, api_key, login=None, key_dim=3, **settings):
        super().__init__(**settings)
"""
HIDDEN = "hunter2"


@pytest.fixture
def composer() -> Composer:
    return shared_composer()


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "their_models.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("their_models", None)


def published_of(composer: Composer, *typed: str) -> dict[str, Any]:
    """Return what is saved of a command line."""
    [job], _ = jobs_of(composer, composer.add_or_override(typed), multirun=False)
    config = check(resolved(job.config))
    return published(config)


@pytest.mark.parametrize(
    ("typed", "path", "expression"),
    [
        (["name='${oc.env:LAB}'"], "name", "${oc.env:LAB}"),
        (["name='${ oc.env : LAB }'"], "name", "${ oc.env : LAB }"),
        (["name='${oc.env:NO_SUCH,lab}'"], "name", "${oc.env:NO_SUCH,lab}"),
        (["name='a_${oc.env:LAB}'"], "name", "a_${oc.env:LAB}"),
        (["epochs='${oc.decode:${oc.env:NUMBER}}'"], "epochs", "${oc.decode:${oc.env:NUMBER}}"),
        (["logger.tags=[a,'${oc.env:LAB}']"], "logger.tags.1", "${oc.env:LAB}"),
        (["logger.tags=['${oc.env:LAB}']", "name='${logger.tags[0]}'"], "name", "${logger.tags[0]}"),
        (["logger.entity='${oc.env:LAB}'", "logger.project='${.entity}'"], "logger.project", "${.entity}"),
        (["logger.entity='${oc.env:LAB}'", "name='${logger[entity]}'"], "name", "${logger[entity]}"),
        (["logger.entity='${oc.env:LAB}'", "name='${oc.select:logger.entity}'"], "name", "${oc.select:logger.entity}"),
        (["dataset.name='${oc.env:LAB}'"], "name", "${dataset.name}"),
        (["logger.tags='${oc.create:[${oc.env:LAB}]}'"], "logger.tags", "${oc.create:[${oc.env:LAB}]}"),
        (["paths.runs='${oc.env:LAB}'", "name='${paths.runs}'"], "name", "${paths.runs}"),
    ],
)
def test_a_value_of_the_environment_stays_an_expression(
    typed: list[str], path: str, expression: str, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB", HIDDEN)
    monkeypatch.setenv("NUMBER", "417")
    saved = published_of(composer, *typed)
    value: Any = saved
    for key in path.split("."):
        value = value[int(key)] if key.isdigit() else value[key]
    assert value == expression
    assert HIDDEN not in as_yaml({**saved, "paths": {}})
    assert "417" not in as_yaml({**saved, "paths": {}})


def test_paths_are_resolved_and_so_is_what_is_not_of_the_environment(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMBRANE_DATA", "/data/of/the/lab")
    saved = published_of(composer, "paths.run='${oc.env:MEMBRANE_DATA}/run'", "epochs='${seed}5'", "epochs=5")
    assert saved["paths"] == {"data": "/data/of/the/lab", "runs": "runs", "run": "/data/of/the/lab/run"}
    assert saved["name"] == "digits"
    assert "${" not in as_yaml(saved)


def test_expressions_that_lead_nowhere_in_the_checked_configuration_are_left_out(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBER", "4")
    saved = published_of(composer, "neuron=relu", "surrogate.alpha='${oc.decode:${oc.env:NUMBER}}'")
    assert saved["surrogate"] is None


def test_nothing_is_left_behind_in_the_resolver(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB", HIDDEN)
    before = published_of(composer, "name='${oc.env:LAB}'")
    assert OmegaConf.create({"a": "${oc.env:LAB}", "b": "${oc.env:NO_SUCH,c}"}) == {"a": HIDDEN, "b": "c"}
    assert published_of(composer, "name='${oc.env:LAB}'") == before


@pytest.mark.usefixtures("theirs")
def test_the_printed_configuration_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [
        "model={_target_: their_models.Net, api_key: hunter2, login: {password: hunter2}}",
        "trust=[their_models.Net]",
    ]
    for shown in (
        ["--cfg", "job"],
        ["--cfg", "job", "--package", "model"],
        ["--cfg", "job", "--package", "model.api_key"],
    ):
        assert train([*shown, "~model", f"+{typed[0]}", typed[1]]) == 0
        printed = capsys.readouterr().out
        assert HIDDEN not in printed
        assert MASK in printed
        assert "trust" not in printed


def test_whatever_else_is_printed_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["seed=3", "++model.api_key=hunter2", "model={password: hunter2}", "+hydra.job.env_set.MY_TOKEN=hunter2"]
    for shown, some in (("all", "seed: 3"), ("hydra", "- ++seed=3")):
        assert train(["--cfg", shown, *typed]) == 0
        printed = capsys.readouterr().out
        assert HIDDEN not in printed
        assert MASK in printed
        assert some in printed
    assert train(["--cfg", "all", "--package", "model.api_key", *typed]) == 0
    assert capsys.readouterr().out == f"{MASK}\n"
    for info in ("--info", "--info=config", "--info=all"):
        assert train([info, "seed=3"]) == 2


@pytest.mark.usefixtures("theirs")
def test_no_file_of_a_run_holds_a_secret_or_a_value_of_the_environment(
    small: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB", HIDDEN)
    theirs = ("+model._target_=their_models.Net", "++model.api_key=hunter2", "++model.login={password: hunter2}")
    theirs += ("++model.key_dim=5", "trust=[their_models.Net]")
    assert small(*theirs, "figures=true", "save_outputs='${oc.env:MODE,readout}'") == 0
    [run] = Path("runs").glob("digits/*/seed0")
    files = [path for path in run.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert HIDDEN.encode() not in path.read_bytes(), path
    saved = yaml.safe_load((run / "config.yaml").read_text())
    expected = {
        "_target_": "their_models.Net",
        "units": [16],
        "api_key": MASK,
        "login": {"password": MASK},
        "key_dim": 5,
    }
    assert saved["model"] == expected
    assert saved["save_outputs"] == "${oc.env:MODE,readout}"
    assert "trust" not in saved
    assert f"++model.api_key={MASK}" in json.loads((run / "provenance.json").read_text())["command"]
    assert HIDDEN not in capsys.readouterr().out
