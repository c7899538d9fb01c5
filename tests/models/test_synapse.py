"""Synapse filters: their formula by hand, and the same network under both step modes."""

import math

import pytest
import torch
from spikingjelly.activation_based import neuron, surrogate

from membrane.errors import ConfigError
from membrane.framework import MultiStepTID, SingleStepTID
from membrane.models.smlp import SMLP
from membrane.models.synapse import make_synapse
from membrane.neurons import make_neuron
from membrane.randomness import generator


def fire() -> torch.nn.Module:
    return make_neuron(neuron.IFNode, surrogate.ATan)


@pytest.mark.parametrize("strategy", [SingleStepTID, MultiStepTID])
def test_the_current_of_spikes_worked_out_by_hand(strategy: type) -> None:
    # τ = 4: I = 1, 1 + 1, 2 − 2/4 = 1.5, 1.5 − 1.5/4 = 1.125, 1.125 + 1
    synapse = make_synapse(4.0)
    assert synapse is not None
    spikes = torch.tensor([1.0, 1, 0, 0, 1]).reshape(1, 5, 1, 1)
    assert strategy(5)(synapse, spikes).flatten().tolist() == pytest.approx([1, 2, 1.5, 1.125, 2.125])
    assert strategy(5)(synapse, spikes)[0].item() == pytest.approx(1)  # nothing is left of the sample before


def test_tau_is_learned_and_starts_where_it_is_set() -> None:
    synapse = make_synapse(2.5)
    assert synapse is not None
    (w,) = synapse.parameters()
    assert 1 / (1 / (1 + math.exp(-w.item()))) == pytest.approx(2.5)
    assert make_synapse(None) is None
    with pytest.raises(ConfigError, match="synapse_tau must be above 1 timestep, got 1"):
        make_synapse(1.0)


def test_a_filter_stands_behind_every_hidden_neuron_under_both_step_modes() -> None:
    model = SMLP(input_shape=(1, 6), classes=3, timesteps=5, neuron=fire, units=[8, 7], synapse_tau=2.0)
    names = [name for name, _ in model.named_children()]
    assert names == ["flatten", "fc1", "neuron1", "synapse1", "fc2", "neuron2", "synapse2", "head"]
    x = 4 * torch.rand(4, 5, 1, 6, generator=generator(0, "data"))
    single, multi = SingleStepTID(5)(model, x), MultiStepTID(5)(model, x)
    assert (single - multi).abs().max() <= 1e-5
    without = SMLP(input_shape=(1, 6), classes=3, timesteps=5, neuron=fire, units=[8, 7])
    without.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("synapse")})
    assert not torch.allclose(MultiStepTID(5)(without, x), multi, atol=1e-3)


def test_linear_layers_without_bias_and_a_head_whose_reset_has_a_gradient_of_its_own() -> None:
    model = SMLP(
        input_shape=(1, 6), classes=3, timesteps=5, neuron=fire, bias=False, head_neuron=True, head_detach_reset=True
    )
    assert {name for name, _ in model.named_parameters()} == {"fc1.weight", "head.weight"}
    assert (model.neuron1.detach_reset, model.head_neuron.detach_reset) == (False, True)
