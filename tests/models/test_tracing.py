"""torch.fx traces every template in step mode 's', with SpikingJelly's modules and the neurons as leaves."""

from collections.abc import Callable

import pytest
import torch
from per_axis import AXES
from spikingjelly.activation_based import base, functional
from torch import fx, nn

from membrane.framework import SingleStep
from membrane.models.pooling import GlobalSumPool
from membrane.models.residual import Add
from membrane.neurons import is_neuron
from membrane.randomness import generator

OPEN = (GlobalSumPool, Add)
"""Modules of ours without children: their one computation is seen in the graph."""


class Tracer(fx.Tracer):
    """Stops at SpikingJelly's modules, the neurons and torch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return isinstance(m, base.StepModule) or is_neuron(m) or super().is_leaf_module(m, module_qualified_name)


def tree(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that compute, in the order of the tree: those without children, neurons whole."""
    inside = tuple(f"{name}." for name, module in model.named_modules() if is_neuron(module))
    return {
        name: module
        for name, module in model.named_modules()
        if not name.startswith(inside) and (is_neuron(module) or not list(module.children()))
    }


@pytest.mark.product
@pytest.mark.parametrize("neuron", ["lif_soft", "relu"])
def test_the_graph_is_the_tree(build_lively: Callable[..., nn.Module], model_name: str, neuron: str, dims: int) -> None:
    model = build_lively(model_name, neuron, dims).eval()
    functional.set_step_mode(model, "s")
    graph = Tracer().trace(model)
    steps = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    called = [node.target for node in steps if node.op == "call_module"]
    leaves = tree(model)
    assert called == [name for name, module in leaves.items() if not isinstance(module, OPEN)]
    # Nothing is computed outside a named module: other nodes are the inside of modules of ours, which are no leaves.
    inside = [list(node.meta["nn_module_stack"])[-1] for node in steps if node.op != "call_module"]
    assert list(dict.fromkeys(inside)) == [name for name, module in leaves.items() if isinstance(module, OPEN)]


def test_the_traced_model_computes_the_same(
    build_lively: Callable[..., nn.Module], shapes: dict[int, tuple[int, ...]], model_name: str, dims: int
) -> None:
    model = build_lively(model_name, "plif_soft", dims).eval()
    functional.set_step_mode(model, "s")
    x = torch.randn(3, *shapes[dims], generator=generator(0, "data"))
    traced = fx.GraphModule(model, Tracer().trace(model))
    assert torch.equal(SingleStep(4)(traced, x), SingleStep(4)(model, x))


@pytest.mark.parametrize("name", AXES)
def test_sizes_that_differ_between_axes_are_traced(
    build_lively: Callable[..., nn.Module], shapes: dict[int, tuple[int, ...]], name: str
) -> None:
    model = build_lively(name, dims=2, **AXES[name]).eval()
    functional.set_step_mode(model, "s")
    x = torch.randn(3, *shapes[2], generator=generator(0, "data"))
    traced = fx.GraphModule(model, Tracer().trace(model))
    assert torch.equal(SingleStep(4)(traced, x), SingleStep(4)(model, x))
