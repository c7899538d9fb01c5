"""What does not go with a framework that cuts the gradient in time, or learns from traces."""

import pytest
from configurations import configured

from membrane.errors import ConfigError

REFUSED = [
    (
        ["framework=sltt", "regularizer=firing_rate"],
        "keeps no graph of a forward, which regularizer=firing_rate needs: use framework.keep_graph=true",
    ),
    (
        ["framework=tbptt", "trainer.compile=true"],
        "trainer.compile is for all timesteps together, framework=tbptt runs each: use trainer.compile=false",
    ),
    (["framework=tbptt", "framework.truncation=0"], "framework.truncation: must be greater than 0, got 0"),
    (["framework=tbptt", "neuron=psn"], "framework=tbptt gives them one by one: use framework=multistep"),
    (["framework=sltt_tid", "neuron=glif"], "framework=sltt_tid gives them one by one: use framework=multistep_tid"),
    (
        ["framework=sltt", "neuron=sliding_psn", "model=qkformer"],
        "neuron sliding_psn then needs all timesteps together, framework=sltt gives one: use framework=multistep",
    ),
    (
        ["framework=ottt", "neuron=plif"],
        "framework=ottt traces spikes by a constant leak, neuron plif has none: use neuron=lif or if",
    ),
    (["framework=ottt", "neuron=klif"], "neuron klif has none: use neuron=lif or if"),
    (["framework=ottt", "neuron=relu"], "neuron relu has none: use neuron=lif or if"),
    (
        ["framework=ottt_tid", "neuron=ottt_lif"],
        "neuron ottt_lif brings traces of its own, framework=ottt_tid too: use framework=sltt_tid",
    ),
    (
        ["framework=ottt", "model=spikformer", "dataset=cifar10"],
        "model spikformer has more and steps them in multi-step mode: use another, such as model=scnn",
    ),
    (
        ["framework=ottt", "model.recurrent=lateral"],
        "model.recurrent=lateral carries spikes from step to step: use model.recurrent=none",
    ),
    (
        ["framework=ottt", "model=smlp", "model.synapse_tau=2"],
        "model.synapse_tau=2.0 filters spikes over time: leave it out",
    ),
    (["framework=ottt", "model=smlp", "model.max_delay=3"], "model.max_delay=3 delays spikes: leave it out"),
    (
        ["framework=sltt", "trainer.recompute=2"],
        "trainer.recompute=2: framework=sltt runs each truncation again by itself: leave it out",
    ),
    (["framework=tbptt", "encoder=rate"], "framework=tbptt repeats x: use framework=tbptt_tid, and say dataset=digits"),
    (["framework=ottt", "dataset=nmnist"], "framework=ottt repeats: use framework=ottt_tid"),
]


@pytest.mark.parametrize(("typed", "line"), REFUSED, ids=[" ".join(typed) for typed, _ in REFUSED])
def test_what_cannot_work_is_refused_with_what_can(typed: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(*typed)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    [
        ["framework=tbptt_tid", "framework.truncation=1000"],
        ["framework=sltt", "regularizer=firing_rate", "framework.keep_graph=true"],
        ["framework=sltt", "neuron=ottt_lif", "loss=tet", "loss.lamb=0"],
        ["framework=sltt", "model=qkformer", "dataset=cifar10"],
        ["framework=ottt", "neuron=sltt_lif", "neuron.tau=3"],
        ["framework=ottt", "neuron=if"],
        ["framework=sltt_tid", "dataset=digits", "encoder=rate"],
        ["framework=sltt_tid", "neuron=relu"],
    ],
    ids=" ".join,
)
def test_what_works_is_taken(typed: list[str]) -> None:
    configured(*typed)
