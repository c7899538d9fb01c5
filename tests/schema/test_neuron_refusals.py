"""What does not go with a neuron that learns online, is analog, or has parameters for each channel."""

import pytest
from configurations import configured

from membrane.errors import ConfigError

REFUSED = [
    (
        ["neuron=sltt_lif", "framework=multistep"],
        "learns from one timestep at a time, framework=multistep gives all together: use framework=singlestep",
    ),
    (["neuron=ottt_lif", "framework=multistep_tid"], "use framework=singlestep_tid"),
    (
        ["neuron=ottt_lif", "framework=singlestep", "model=ms_resnet"],
        "multi-step mode, neuron ottt_lif has none: use another model, such as model=scnn",
    ),
    (
        ["neuron=sltt_lif", "framework=singlestep", "model.recurrent=linear"],
        "model.recurrent=linear does: use model.recurrent=none or another neuron",
    ),
    (
        ["neuron=sltt_lif", "framework=singlestep", "model=smlp", "model.max_delay=5"],
        "model.max_delay does: leave it out or use another neuron",
    ),
    (
        ["neuron=mpbn_lif", "model=qkformer"],
        "model qkformer has neurons over heads of attention: use another model, such as model=scnn",
    ),
    (
        ["neuron=liaf", "readout=first_spike", "model.head_neuron=true"],
        "readout=first_spike needs spikes at the output, neuron=liaf puts out real numbers: use readout=mean",
    ),
    (
        ["neuron=liaf", "regularizer=firing_rate"],
        "regularizer=firing_rate bounds rates of spikes, neuron=liaf puts out real numbers: use regularizer=none",
    ),
    (
        ["neuron=ottt_lif", "framework=singlestep", "trainer.compile=true"],
        "neuron ottt_lif hooks into layers of weights, which a compiled model has not: use trainer.compile=false",
    ),
    (["neuron=ilif", "neuron.binary=true", "trainer.compile=true"], "use trainer.compile=false"),
    (["neuron=mpbn_lif", "neuron.fold=true", "neuron.carry_normalised=true"], "what is carried on cannot be folded"),
]


@pytest.mark.parametrize(("typed", "line"), REFUSED, ids=[" ".join(typed) for typed, _ in REFUSED])
def test_what_cannot_work_is_refused_with_what_can(typed: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(*typed)
    assert str(refused.value).endswith(line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    [
        ["neuron=ottt_lif", "framework=singlestep"],
        ["neuron=sltt_lif", "framework=singlestep_tid", "model=sresnet"],
        ["neuron=mpbn_lif", "model=ms_resnet", "neuron.fold=true"],
        ["neuron=liaf", "readout=membrane", "model.head_neuron=true", "trainer.compile=true"],
        ["neuron=ilif", "~surrogate", "readout=first_spike", "model.head_neuron=true", "model.recurrent=linear"],
    ],
    ids=" ".join,
)
def test_what_works_is_taken(typed: list[str]) -> None:
    configured(*typed)
