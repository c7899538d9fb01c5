"""Checkpoints that came from elsewhere: they trust nobody, build nothing that is not admitted, and run nothing."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import evaluate

from membrane.errors import ConfigError, DataError
from membrane.training.loading import config_of, load

pytestmark = pytest.mark.usefixtures("trap")


@pytest.fixture
def raw(plain: dict[str, Any]) -> dict[str, Any]:
    """The default configuration as a checkpoint holds it."""
    return {key: value for key, value in plain.items() if key != "trust"}


@pytest.mark.parametrize("trust", [["canary.Model"], [], None, "canary.Model"])
def test_a_checkpoint_trusts_nobody(trust: Any, raw: dict[str, Any]) -> None:
    raw["model"] = {"_target_": "canary.Model"}
    with pytest.raises(ConfigError, match="trust, which only you may"):
        config_of({**raw, "trust": trust})


def test_a_hostile_checkpoint_builds_nothing(raw: dict[str, Any], tmp_path: Path) -> None:
    for target in ("canary.Model", "membrane.models.scnn.SCNNx"):
        config = {**raw, "model": {"_target_": target}}
        torch.save({"membrane": {"config": config}, "state_dict": {}}, tmp_path / "poison.ckpt")
        with pytest.raises(ConfigError, match="not on membrane's list"):
            load(tmp_path / "poison.ckpt")
    torch.save({"membrane": {"config": {**raw, "trust": ["canary.Model"]}}, "state_dict": {}}, tmp_path / "poison.ckpt")
    with pytest.raises(ConfigError, match="trust"):
        load(tmp_path / "poison.ckpt")


class Bomb:
    """Unpickled by anything but `weights_only`, it runs a command."""

    def __reduce__(self) -> Any:
        return os.system, ("touch TOUCHED",)


def test_a_checkpoint_that_is_a_pickle_is_not_unpickled(tmp_path: Path) -> None:
    torch.save({"membrane": {"config": {}}, "state_dict": Bomb()}, tmp_path / "poison.ckpt")
    with pytest.raises(DataError, match="not a checkpoint of plain data"):
        load(tmp_path / "poison.ckpt")
    with pytest.raises(DataError, match="only files on this machine"):
        load("https://example.org/poison.ckpt")


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"model": {"_target_": "canary.Model"}}, "not on membrane's list"),
        ({"callbacks": {"c": {"_target_": "canary.Callback"}}}, "not on membrane's list"),
        ({"model": {"_target_": "canary.Model"}, "trust": ["canary.Model"]}, "says trust"),
        ({"batch_size": "${oc.env:NO_SUCH_VARIABLE}"}, "NO_SUCH_VARIABLE"),
        ({"hydra": {"callbacks": {"c": {"_target_": "canary.Callback"}}}}, "hydra: no such setting"),
    ],
)
def test_a_hostile_run_folder_is_not_evaluated(
    changes: dict[str, Any], because: str, raw: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "result.json").write_text('{"metrics": {}}')
    (run / "config.yaml").write_text(yaml.safe_dump({**raw, **changes}))
    torch.save({"membrane": {"config": {**raw, **changes}}, "state_dict": {}}, run / "checkpoints" / "best.ckpt")
    for typed in ([], ["timesteps=1"]):
        assert evaluate([str(run), *typed]) == 2
        error = capsys.readouterr().err
        assert because in error
        assert error.count("\n") == 1
    with pytest.raises(ConfigError, match=because):
        load(run)


def test_a_configuration_with_an_unsafe_tag_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: !!python/object/apply:os.system [touch TOUCHED]")
    (tmp_path / "result.json").write_text('{"metrics": {}}')
    with contextlib.suppress(yaml.YAMLError):
        assert evaluate([str(tmp_path)]) != 0
