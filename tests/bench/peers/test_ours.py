"""membrane's own nets: its models with the fast paths of a run, in the frameworks that the input asks for."""

from functools import partial

import pytest
import torch
from peer_nets import CPU, NETS, assert_computes_what_membrane_computes, assert_spikes_as_worked_out, peer_named, small
from spikingjelly.activation_based import neuron
from torch import nn

from membrane.bench.peers import ours
from membrane.bench.peers.net import Net
from membrane.bench.step import random_samples
from membrane.bench.workloads import Workload
from membrane.fast.fused import describe_neurons
from membrane.fast.torch_compile import compile_training
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP


@pytest.mark.parametrize("name", NETS)
def test_a_step_at_a_time_is_all_steps_at_once(name: str) -> None:
    assert_computes_what_membrane_computes(peer_named("membrane singlestep"), name)


@pytest.mark.parametrize("peer", ["membrane multistep", "membrane singlestep", "membrane compiled"])
def test_a_neuron_alone(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # for the CPU torch's own compiler would start a C++ compiler for every header and vector width
    monkeypatch.setattr(ours, "compile_training", partial(compile_training, backend="aot_eager"))
    assert_spikes_as_worked_out(peer_named(peer))


@pytest.mark.slow
def test_torch_compiles_a_neuron_alone() -> None:
    assert_spikes_as_worked_out(peer_named("membrane compiled"))


def test_the_framework_is_the_one_for_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def framework(workload: Workload, framework_class: type) -> Net:
        chosen.append(framework_class)
        return Net(nn.Identity(), nn.Identity())

    chosen: list[type] = []
    compiled: list[nn.Module] = []
    monkeypatch.setattr(ours, "in_framework", framework)
    monkeypatch.setattr(ours, "compile_training", compiled.append)
    for name in ("W1", "W2"):
        ours.membrane_multistep(NETS[name], CPU)
        ours.membrane_singlestep(NETS[name], CPU)
    assert chosen == [MultiStep, SingleStep, MultiStepTID, SingleStepTID]
    assert compiled == []
    net = ours.membrane_compiled(NETS["W2"], CPU)
    assert chosen[-1] is MultiStepTID
    assert compiled == [net.module]


def test_models_are_membranes_with_the_workloads_sizes_and_neurons() -> None:
    torch.manual_seed(0)
    models = {name: ours.membrane_model(small(name)) for name in NETS}
    assert [type(model) for model in models.values()] == [SCNN, SCNN, SCNN, SMLP]
    for name, model in models.items():
        node_class = neuron.IFNode if NETS[name].neuron == "if" else neuron.LIFNode
        nodes = [module for module in model.modules() if isinstance(module, neuron.BaseNode)]
        assert len(nodes) == len(NETS[name].filters) + len(NETS[name].units)
        assert {(type(node), node.v_reset) for node in nodes} == {
            (node_class, None if node_class is neuron.IFNode else 0.0)
        }


def test_neurons_are_fused_and_the_stem_runs_once_as_in_a_run() -> None:
    workload = small("W1")
    net, plain = ours.membrane_multistep(workload, CPU), ours.membrane_model(workload)
    assert describe_neurons(net.module, torch.float32) != describe_neurons(plain, torch.float32)
    seen: list[int] = []
    for conv in (module for module in net.module.modules() if isinstance(module, nn.Conv2d)):
        conv.register_forward_hook(lambda module, inputs, output: seen.append(output.stride(0)))
    net.forward(random_samples(workload, CPU)[0])
    assert len(seen) == 6
    assert seen[0] == 0  # one timestep's output, seen T times
    assert 0 not in seen[1:]
