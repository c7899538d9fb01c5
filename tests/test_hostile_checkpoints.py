"""Checkpoints that came from elsewhere: they trust nobody, build nothing that is not admitted, and run nothing."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from membrane.errors import ConfigError, DataError
from membrane.loading import config_of, load

pytestmark = pytest.mark.usefixtures("trap")


@pytest.mark.parametrize("trust", [["canary.Model"], [], None, "canary.Model"])
def test_a_checkpoint_trusts_nobody(trust: Any, raw: dict[str, Any]) -> None:
    raw["model"] = {"_target_": "canary.Model"}
    with pytest.raises(ConfigError, match="trust, which only you may"):
        config_of({**raw, "trust": trust})


def test_a_hostile_checkpoint_builds_nothing(raw: dict[str, Any], tmp_path: Path) -> None:
    for target in ("canary.Model", "membrane.models.scnn.SCNNx"):
        said = {**raw, "model": {"_target_": target}}
        said.pop("trust", None)
        torch.save({"membrane": {"config": said}, "state_dict": {}}, tmp_path / "poison.ckpt")
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
