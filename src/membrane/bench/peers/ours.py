"""membrane's own nets: its models in its frameworks, with the fast paths of a default run."""

from collections import OrderedDict

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from membrane.bench.peers.net import Net
from membrane.bench.workloads import CHUNK, Workload
from membrane.fast.paths import take_fast_paths
from membrane.fast.torch_compile import compile_training
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID, require_tensor
from membrane.models.scnn import SCNN
from membrane.models.smlp import SMLP
from membrane.neurons import NeuronFactory

SOFT_RESET = {"v_reset": None}


def membrane_multistep(workload: Workload, device: torch.device) -> Net:
    """Build a net whose model is called once on all timesteps."""
    return in_framework(workload, MultiStepTID if workload.in_data else MultiStep)


def membrane_compiled(workload: Workload, device: torch.device) -> Net:
    """Build a net whose model is called once on all timesteps, compiled by torch as under `trainer=gpu`."""
    net = membrane_multistep(workload, device)
    compile_training(net.module)
    return net


def membrane_singlestep(workload: Workload, device: torch.device) -> Net:
    """Build a net whose model is called at each timestep."""
    return in_framework(workload, SingleStepTID if workload.in_data else SingleStep)


def recomputed_multistep(workload: Workload, device: torch.device) -> Net:
    """Build the net of `membrane_multistep` that recomputes in chunks of timesteps."""
    return in_framework(workload, MultiStepTID if workload.in_data else MultiStep, CHUNK)


def recomputed_singlestep(workload: Workload, device: torch.device) -> Net:
    """Build the net of `membrane_singlestep` that recomputes in chunks of timesteps."""
    return in_framework(workload, SingleStepTID if workload.in_data else SingleStep, CHUNK)


def in_framework(
    workload: Workload,
    framework_class: type[MultiStep | MultiStepTID | SingleStep | SingleStepTID],
    recompute: int | None = None,
) -> Net:
    """Build the model with the fast paths that a run has by default, and the framework around it."""
    model, framework = membrane_model(workload), framework_class(workload.timesteps, recompute)
    take_fast_paths(model)

    def forward(x: Tensor) -> Tensor:
        return require_tensor(framework(model, x))

    return Net(model, forward)


def membrane_model(workload: Workload) -> nn.Module:
    """Build `scnn`, `smlp`, or a neuron alone, without fast paths."""
    nodes = {"if": (neuron.IFNode, SOFT_RESET), "lif": (neuron.LIFNode, {})}
    neuron_class, parameters = nodes[workload.neuron]
    factory = NeuronFactory(neuron_class, surrogate.ATan, parameters, workload.timesteps, seed=0)
    if not workload.classes:
        return nn.Sequential(OrderedDict(neuron=factory()))
    shared = {
        "input_shape": workload.shape,
        "classes": workload.classes,
        "timesteps": workload.timesteps,
        "neuron": factory,
    }
    if workload.filters:
        sizes = {"filters": workload.filters, "strides": workload.stride, "pool_sizes": workload.pools}
        return SCNN(**shared, **sizes)  # type: ignore[arg-type]
    return SMLP(**shared, units=workload.units)  # type: ignore[arg-type]
