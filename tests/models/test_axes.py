"""Kernels, paddings, strides and pools that differ between height and width: sizes on paper, axes never mixed up."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from configurations import configured
from per_axis import AXES, SHAPE
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from membrane.analysis.layers import layer_text
from membrane.errors import ConfigError
from membrane.framework import MultiStep, SingleStep
from membrane.models.scnn import SCNN
from membrane.models.sresnet import SResNet
from membrane.models.sresnet_stride import SResNetStride
from membrane.randomness import generator
from membrane.sweep.task import rehearsed
from membrane.training.assembly import build_model

Build = Callable[..., nn.Module]
LAST = {"scnn": ("postpool", (2, 3)), "sresnet": ("group2", (8, 3)), "sresnet_stride": ("group2", (4, 3))}
# the templates of conftest have 6 and 8, and 6, 6 and 8 channels: conv C·F·h·w + norm 2·F, of which a block has two,
# and 1×1 conv + norm for a shortcut whose channels change, or whose stride is not 1 where that is forced
COUNTS = {
    "scnn": (2 * 6 * 15 + 12) + (6 * 8 * 3 + 16) + 8 * 2 * 3 * 5 + 5,
    "sresnet": (2 * 6 * 15 + 12)
    + 2 * (6 * 6 * 9 + 12)
    + (6 * 8 * 15 + 16) + (8 * 8 * 15 + 16) + (6 * 8 + 16)
    + 8 * 5 + 5,
    "sresnet_stride": (2 * 6 * 9 + 12)
    + 2 * (6 * 6 * 3 + 12) + (6 * 6 + 12)
    + (6 * 8 * 3 + 16) + (8 * 8 * 3 + 16) + (6 * 8 + 16)
    + 8 * 5 + 5,
}  # fmt: skip

OTHER_AXES = "must be a number or a list of 2, as the data has 2 axes, got"


def images(*lead: int) -> Tensor:
    return torch.randn(*lead, *SHAPE, generator=generator(0, "data"))


@pytest.mark.parametrize("name", AXES)
def test_sizes_and_parameters_on_paper(build: Build, name: str) -> None:
    model = build(name, dims=2, **AXES[name])
    assert sum(parameter.numel() for parameter in model.parameters()) == COUNTS[name]
    last, size = LAST[name]
    seen: list[Tensor] = []
    model.get_submodule(last).register_forward_hook(lambda _m, _x, y: seen.append(y))
    SingleStep(1)(model, images(3))
    assert [tuple(maps.shape) for maps in seen] == [(3, 8, *size)]


@pytest.mark.parametrize("name", AXES)
def test_single_step_and_multi_step_are_one_function(build_lively: Build, name: str) -> None:
    model, x = build_lively(name, "lif_soft", 2, **AXES[name]).eval().double(), images(3).double()
    expected = SingleStep(4)(model, x)
    assert (expected.diff(dim=0).abs() > 0.01).any()  # spikes reach the outputs
    torch.testing.assert_close(MultiStep(4)(model, x), expected)


def turned(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the same settings for an image whose height and width have changed places."""
    turn = lambda entry: entry[::-1] if isinstance(entry, list) else entry  # noqa: E731
    whole = ("prepool", "postpool")
    return {
        name: turn(value) if name in whole else list(map(turn, value)) if isinstance(value, list) else value
        for name, value in settings.items()
    }


@pytest.mark.parametrize("name", AXES)
def test_a_turned_image_gives_the_same_with_turned_sizes(build_lively: Build, build: Build, name: str) -> None:
    head = {"gsp": True} if name == "scnn" else {}  # flattened positions have an order
    upright = build_lively(name, dims=2, **AXES[name], **head).double()
    sideways = build(name, dims=2, **turned(AXES[name]), **head, input_shape=(2, 12, 16)).eval().double()
    sideways.load_state_dict({key: x.mT if x.dim() == 4 else x for key, x in upright.state_dict().items()})
    x = images(3).double()
    expected = SingleStep(4)(upright, x)
    assert (expected.diff(dim=0).abs() > 0.01).any()
    torch.testing.assert_close(SingleStep(4)(sideways, x.mT), expected)


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("dims", [1, 2])
def test_a_list_of_equal_numbers_is_the_number(build: Build, name: str, dims: int) -> None:
    numbers = {"kernel_sizes": 3, "paddings": 1, "strides": 2}
    numbers |= {} if name == "sresnet" else {"pool_sizes": 2}
    lists = {key: [[value] * dims] * (2 if name == "scnn" else 3) for key, value in numbers.items()}
    shape = (2, 128, 128)[: dims + 1]
    x = torch.randn(2, *shape, generator=generator(0, "data"))
    one, other = (
        SingleStep(1)(build(name, "relu", dims, input_shape=shape, **settings).eval(), x)
        for settings in ({**numbers, "prepool": 2}, {**lists, "prepool": [2] * dims})
    )
    assert one.std() > 0
    assert torch.equal(one, other)


def test_the_table_of_layers_shows_both_axes(build: Build) -> None:
    model = build("scnn", dims=2, **AXES["scnn"])
    shown = [layer_text(model.get_submodule(name)) for name in ("prepool", "conv1", "pool1")]
    assert shown == ["AvgPool2d 2×1 s2×1", "Conv2d 2→6 3×5 s1×2 p1×2", "MaxPool2d 2×1 s2×1"]


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (SCNN, {"kernel_sizes": [[3, 9], 3]}, "conv1 has a window of 3×9 but its input is only 16×6 with a padding"),
        (SCNN, {"kernel_sizes": [[5, 9], 3], "paddings": [[2, 0], 1]}, "is only 16×6 with a padding of 2×0"),
        (SCNN, {"pool_sizes": [[1, 7], 1]}, "pool1 has a window of 1×7 but its input is only 16×6"),
        (SCNN, {"prepool": [2, 13]}, "prepool has a window of 2×13 but its input is only 16×12"),
        (SCNN, {"kernel_sizes": [[3], 3]}, f"conv1's kernel {OTHER_AXES} [3]"),
        (SCNN, {"strides": [1, [1, 2, 1]]}, f"conv2's stride {OTHER_AXES} [1, 2, 1]"),
        (SCNN, {"kernel_sizes": [3, [0, 3]]}, "conv2's kernel must be a whole number of at least 1, got 0"),
        (SCNN, {"paddings": [[1, -1], 1]}, "conv1's padding must be a whole number of at least 0, got -1"),
        (SResNet, {"kernel_sizes": [3, [3, 5]]}, "sizes 16×2 and 16×6: kernel_sizes must be 2·paddings + 1, got 3×5"),
        (SResNet, {"strides": [1, [1, 7]]}, "group1.block1.pool1 has a window of 1×7 but its input is only 16×6"),
        (SResNetStride, {"pool_sizes": [[17, 1], 1]}, "stem.pool has a window of 17×1 but its input is only 16×6"),
        (SResNetStride, {"paddings": [[1], 1]}, f"stem.conv's padding {OTHER_AXES} [1]"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(kind: Any, changes: dict[str, Any], message: str) -> None:
    needed = {"input_shape": SHAPE, "classes": 5, "timesteps": 4, "neuron": neuron.IFNode, "filters": [4, 4]}
    with pytest.raises(ConfigError) as refused:
        kind(**{**needed, "prepool": [1, 2], **changes})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_signals_have_one_axis() -> None:
    for kind, layer in ((SCNN, "conv1"), (SResNet, "stem.conv"), (SResNetStride, "stem.conv")):
        line = rf"^{layer}'s kernel must be a number or a list of 1, as the data has 1 axis, got \[3, 5\]$"
        with pytest.raises(ConfigError, match=line):
            kind(input_shape=(2, 24), classes=5, timesteps=4, neuron=neuron.IFNode, filters=[4], kernel_sizes=[[3, 5]])


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("model.kernel_sizes=[[3,5,7],3]", "model.kernel_sizes[0]: must have at most 2 items, not 3"),
        ("model.strides=[[1,0],1]", "model.strides[0][1]: must be greater than 0, got 0"),
        ("model.paddings=[[1,-1],1]", "model.paddings[0][1]: must be greater than or equal to 0, got -1"),
        ("model.prepool=[2,2,2]", "model.prepool: must have at most 2 items, not 3"),
        ("model.kernel_sizes=[[3,5]]", "filters has 2, kernel_sizes has 1"),
    ],
)
def test_the_command_line_is_checked_without_the_data(typed: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured("model=scnn", typed)
    assert line in str(refused.value)


def test_the_command_line_reaches_the_layers_and_a_refusal_comes_before_training() -> None:
    model = build_model(configured("model=scnn", "model.kernel_sizes=[[3,5],3]", "model.prepool=[2,1]"))
    assert model.get_submodule("conv1").weight.shape == (32, 1, 3, 5)
    refused = rehearsed(configured("model=scnn", "model.prepool=[2,9]"))
    line = "prepool has a window of 2×9 but its input is only 8×8"
    assert str(refused) == f"{line}: make it smaller, or use model=smlp, which takes any size"


def test_a_stride_of_one_along_both_axes_is_none() -> None:
    """The settings of how blocks shrink then leave the fingerprint as they do with the number 1."""
    base = ("model=sresnet_stride", "model.filters=[4,4]", "model.num_blocks=2", "model.strides=1")
    plain, listed = (configured(*base, f"model.pool_sizes={pools}").model for pools in ("1", "[[1,1],[1,1]]"))
    assert plain.hashed_values() == listed.hashed_values()
    assert not any(plain.hashed_values().values())
    assert all(
        configured(*base, "model.pool_sizes=[1,[1,2]]").model.hashed_values()[name] for name in ["pool_every_block"]
    )
