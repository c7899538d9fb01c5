"""Neurons that see later timesteps are refused where some of them are padding."""

import pytest
import torch
from configurations import configured
from small_data import module, part

from membrane.errors import ConfigError
from membrane.training.padding import refuse_padding


def data(*lengths: int):
    """A data module of six samples [4,1,3], with these lengths in the test part."""
    train = part(6, x=torch.rand(6, 4, 1, 3), lengths=torch.full((6,), 4))
    test = part(len(lengths), x=torch.rand(len(lengths), 4, 1, 3), lengths=torch.tensor(lengths))
    loaded = module((train, test), [1, 3], 2, timed=True)
    loaded.setup()
    return loaded


TID = "framework=multistep_tid"


DSR = ["neuron._target_=spikingjelly.activation_based.neuron.DSRIFNode"]


@pytest.mark.parametrize("neuron", [["neuron=psn"], ["neuron=masked_psn", "neuron.lambda_init=0.5"], DSR])
def test_a_neuron_that_sees_the_future_takes_no_padding(neuron: list[str]) -> None:
    config = configured(TID, *neuron)
    refuse_padding(config, data(4, 4))
    with pytest.raises(ConfigError, match=r"sees later timesteps, and samples of the test part are shorter than 4"):
        refuse_padding(config, data(4, 3))


@pytest.mark.parametrize(
    "neuron", [["neuron=lif"], ["neuron=glif"], ["neuron=sliding_psn"], ["neuron=masked_psn", "neuron.lambda_init=1"]]
)
def test_a_neuron_that_does_not_takes_it(neuron: list[str]) -> None:
    assert refuse_padding(configured(TID, *neuron), data(1, 2)) is None
