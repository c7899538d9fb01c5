"""What is built from a configuration."""

import sys
from pathlib import Path

import pytest
from configurations import configured

from membrane.errors import ConfigError
from membrane.models.norms import BATCH_NORMS
from membrane.training.assembly import build_model, example_input

OWN = """
from spikingjelly.activation_based import layer
from torch import nn


class Normed(nn.Sequential):
    def __init__(self, *, input_shape, classes, timesteps, neuron, bn_momentum=0.5):
        norm = layer.BatchNorm2d(input_shape[0], momentum=bn_momentum)
        super().__init__(norm, neuron(), layer.Flatten(), layer.Linear(64, classes))
"""


def momenta(*typed: str) -> set[float | None]:
    """Return the momenta of all batch norms in the model of a command line."""
    return {each.momentum for each in build_model(configured(*typed)).modules() if isinstance(each, BATCH_NORMS)}


@pytest.mark.parametrize(
    "model",
    [
        ("model=smlp", "model.norm=tebn"),
        ("model=scnn", "model.norm=bntt"),
        ("model=sresnet", "model.norm=tdbn"),
        ("model=spikformer", "model.embed_dims=16", "model.num_heads=2", "model.depths=1"),
        ("model=plif_net", "model.channels=4"),
    ],
)
def test_every_batch_norm_has_the_momentum_of_the_configuration(model: tuple[str, ...]) -> None:
    assert momenta(*model) == {0.1}
    assert momenta(*model, "model.bn_momentum=0.02") == {0.02}


@pytest.mark.parametrize(
    "model", [("model=smlp",), ("model=scnn", "model.norm=group"), ("model=smlp", "model.units=[]")]
)
def test_a_momentum_is_refused_where_no_batch_norm_is(model: tuple[str, ...]) -> None:
    with pytest.raises(
        ConfigError, match=r"^model\.bn_momentum=0\.2: the model has no batch norm: use model\.norm=batch$"
    ):
        momenta(*model, "model.bn_momentum=0.2")


@pytest.mark.parametrize("beyond", ["0", "1.5"])
def test_a_momentum_is_a_share(beyond: str) -> None:
    with pytest.raises(ConfigError, match="bn_momentum"):
        configured(f"model.bn_momentum={beyond}")


def test_a_model_of_ones_own_does_as_it_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "normed_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = ("~model", "+model._target_=normed_net.Normed", "trust=[normed_net.Normed]")
    assert momenta(*own) == {0.5}
    assert momenta(*own, "+model.bn_momentum=0.25") == {0.25}
    del sys.modules["normed_net"]


def test_more_timesteps_than_memory_holds_are_refused_in_one_line() -> None:
    config = configured("framework=multistep_tid", "dataset=nmnist_subset", "timesteps=1000000000")
    with pytest.raises(ConfigError, match=r"timesteps=1000000000: two samples of \[1000000000, .*\] take 18,496 GB"):
        example_input(config)
