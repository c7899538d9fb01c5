"""torch.fx traces every template in step mode 's', with SpikingJelly's modules and the neurons as leaves."""

from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based import base, functional
from torch import fx, nn

from membrane.framework import SingleStep
from membrane.models.pooling import GlobalSumPool
from membrane.neurons import is_neuron
from membrane.randomness import generator


class Tracer(fx.Tracer):
    """Stops at SpikingJelly's modules, the neurons and torch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return isinstance(m, base.StepModule) or is_neuron(m) or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("neuron", ["lif_soft", "relu"])
def test_the_graph_is_the_tree(build_lively: Callable[..., nn.Module], model_name: str, neuron: str, dims: int) -> None:
    model = build_lively(model_name, neuron, dims).eval()
    functional.set_step_mode(model, "s")
    graph = Tracer().trace(model)
    steps = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    called = [node.target for node in steps if node.op == "call_module"]
    named = dict(model.named_children())
    assert called == [name for name, module in named.items() if not isinstance(module, GlobalSumPool)]
    # Nothing is computed outside a named module: other nodes are the inside of the global sum pool, which is no leaf.
    inside = {str(node.meta["nn_module_stack"]) for node in steps if node.op != "call_module"}
    assert all("global_sum" in stack for stack in inside)
    assert bool(inside) == ("global_sum" in named)


def test_the_traced_model_computes_the_same(
    build_lively: Callable[..., nn.Module], shapes: dict[int, tuple[int, ...]], model_name: str, dims: int
) -> None:
    model = build_lively(model_name, "plif_soft", dims).eval()
    functional.set_step_mode(model, "s")
    x = torch.randn(3, *shapes[dims], generator=generator(0, "data"))
    traced = fx.GraphModule(model, Tracer().trace(model))
    assert torch.equal(SingleStep(4)(traced, x), SingleStep(4)(model, x))
