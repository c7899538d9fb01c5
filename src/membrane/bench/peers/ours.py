"""membrane's own: its models in its frameworks, with whatever fast path they have."""

from collections import OrderedDict

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from membrane.bench.peers.net import Net
from membrane.bench.workloads import Workload
from membrane.fast.fused import fuse
from membrane.fast.stem_once import run_stem_once
from membrane.fast.torch_compile import compile_training
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID, require_tensor
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.neurons import NeuronFactory

SOFT_RESET = {"v_reset": None}


def multistep(workload: Workload, device: torch.device) -> Net:
    """One call of the model on all timesteps."""
    return in_framework(workload, MultiStepTID if workload.in_data else MultiStep)


def compiled(workload: Workload, device: torch.device) -> Net:
    """One call of the model on all timesteps, compiled by torch as under `trainer=gpu`."""
    net = multistep(workload, device)
    compile_training(net.module)
    return net


def singlestep(workload: Workload, device: torch.device) -> Net:
    """A call of the model at each timestep."""
    return in_framework(workload, SingleStepTID if workload.in_data else SingleStep)


def in_framework(workload: Workload, kind: type[MultiStep | MultiStepTID | SingleStep | SingleStepTID]) -> Net:
    """The model and the framework around it."""
    model, framework = built(workload), kind(workload.timesteps)

    def forward(x: Tensor) -> Tensor:
        return require_tensor(framework(model, x))

    return Net(model, forward)


def built(workload: Workload) -> nn.Module:
    """`scnn`, `smlp`, or a neuron alone, with the fast paths that a run has unless it says otherwise."""
    model = plain(workload)
    fuse(model)
    run_stem_once(model)
    return model


def plain(workload: Workload) -> nn.Module:
    """The model as it is built."""
    nodes = {"if": (neuron.IFNode, SOFT_RESET), "lif": (neuron.LIFNode, {})}
    kind, parameters = nodes[workload.neuron]
    factory = NeuronFactory(kind, surrogate.ATan, parameters, workload.timesteps, seed=0)
    if not workload.classes:
        return nn.Sequential(OrderedDict(neuron=factory()))
    about = {
        "input_shape": workload.shape,
        "classes": workload.classes,
        "timesteps": workload.timesteps,
        "neuron": factory,
    }
    if workload.filters:
        sizes = {"filters": workload.filters, "strides": workload.stride, "pool_sizes": workload.pools}
        return SCNN(**about, **sizes)  # type: ignore[arg-type]
    return SMLP(**about, units=workload.units)  # type: ignore[arg-type]
