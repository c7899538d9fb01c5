"""The table of layers against shapes and counts by formula."""

from collections import OrderedDict

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from tables import cells, text
from torch import Tensor, nn

from membrane.analysis.layers import model_table
from membrane.framework import Framework, MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.own_time import OwnsTime


class Net(nn.Module):
    """A parameter of its own, a neuron with a surrogate, batch norm, and a layer that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1))
        self.body = nn.Sequential(
            OrderedDict(
                conv=layer.Conv2d(2, 6, 3, stride=2, padding=1, bias=False),
                norm=layer.BatchNorm2d(6),
                spikes=neuron.LIFNode(tau=3.0, v_reset=None),
                drop=layer.Dropout(0.5),
            )
        )
        self.flatten = layer.Flatten()
        self.head = layer.Linear(6 * 16, 5)
        self.spare = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flatten(self.body(x + self.offset)))


@pytest.mark.parametrize(
    ("framework", "x", "shape"),
    [
        (MultiStep(2), torch.rand(2, 2, 8, 8), "[2,N,{}]"),  # T = N
        (SingleStep(4), torch.rand(2, 2, 8, 8), "[N,{}] ×4"),
        (SingleStep(1), torch.rand(2, 2, 8, 8), "[N,{}]"),
        (MultiStepTID(3), torch.rand(2, 3, 2, 8, 8), "[3,N,{}]"),
        (SingleStepTID(3), torch.rand(2, 3, 2, 8, 8), "[N,{}] ×3"),
    ],
)
def test_every_leaf_has_its_type_shape_and_parameters(framework: Framework, x: Tensor, shape: str) -> None:
    rows = cells(model_table(Net(), framework, x))
    assert rows["(model)"] == ["Net", shape.format("5"), "1"]
    assert rows["body.conv"] == ["Conv2d 2→6 3×3 s2 p1", shape.format("6,4,4"), str(2 * 6 * 9)]
    assert rows["body.norm"] == ["BatchNorm2d 6", shape.format("6,4,4"), "12"]
    assert rows["body.spikes"] == ["LIFNode τ=3 θ=1 soft reset", shape.format("6,4,4")]
    assert rows["body.drop"] == ["Dropout p=0.5", shape.format("6,4,4")]
    assert rows["flatten"] == ["Flatten", shape.format("96")]
    assert rows["head"] == ["Linear 96→5", shape.format("5"), str(96 * 5 + 5)]
    assert rows["spare"] == ["Identity", "–"]
    # 1 + 108 + 12 + 485 parameters and 12 running statistics of 4 bytes; batch norm counts batches in 8: 2480 bytes.
    assert rows["total"] == ["2.5 kB with buffers", "606"]


class Own(OwnsTime, nn.Module):
    """A convolution into which a container merges time, and a neuron, in step mode 'm' throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = layer.SeqToANNContainer(nn.Conv2d(2, 6, 3), nn.Flatten())
        self.spikes = neuron.IFNode(step_mode="m")

    def sequence_forward(self, x_seq: Tensor) -> Tensor:
        return self.spikes(self.body(x_seq))


@pytest.mark.parametrize(
    ("framework", "merged", "shape"),
    [(MultiStep(3), "[3N,{}]", "[3,N,216]"), (SingleStep(3), "[N,{}] ×3", "[1,N,216] ×3")],
)
def test_shapes_in_a_model_that_owns_time(framework: Framework, merged: str, shape: str) -> None:
    rows = cells(model_table(Own(), framework, torch.rand(2, 2, 8, 8)))
    assert rows["body.0"][1] == merged.format("6,6,6")
    assert rows["body.1"][1] == merged.format("216")
    assert rows["spikes"][1] == shape


def test_measuring_leaves_no_trace() -> None:
    net = Net()
    net.body.drop.eval()
    flags = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    model_table(net, MultiStep(3), torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in net.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.body.spikes.v == 0.0
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_fold_and_nothing_is_cut(width: int) -> None:
    net = nn.Sequential(OrderedDict([("a_stage_with_a_long_name_of_its_own" * 2, Net())]))
    shown = text(model_table(net, MultiStep(4), torch.rand(2, 2, 8, 8)), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    assert "[4,N,6,4,4]" in shown
    assert "606" in shown
