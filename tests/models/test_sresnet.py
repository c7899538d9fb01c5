"""The residual templates: size and tree on paper, a block against one written out by hand, what cannot be built."""

from functools import partial
from typing import Any, get_args

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn
from torch.nn import functional as F

from membrane.errors import ConfigError
from membrane.framework import MultiStep, SingleStep, prepare_model
from membrane.models.norms import NORMS
from membrane.models.sresnet import SResNet
from membrane.models.sresnet_stride import SResNetStride
from membrane.neurons import NeuronFactory, make_neuron
from membrane.schema.model import Norm
from membrane.schema.model import SResNetStride as SResNetStrideNode

IF = partial(make_neuron, neuron.IFNode, surrogate.ATan, v_reset=None)
NEEDED = {"input_shape": (2, 12, 8), "classes": 5, "timesteps": 4, "neuron": IF, "filters": [4, 4, 6]}
KINDS: dict[str, Any] = {"pooled": SResNet, "strided": SResNetStride}


def build(kind: str, **changes: Any) -> nn.Module:
    model: nn.Module = KINDS[kind](**{**NEEDED, **changes})
    return model


STEM = 2 * 4 * 9 + 2 * 4
FIRST = 2 * (4 * 4 * 9 + 2 * 4)  # no projection
SECOND = (4 * 6 * 9 + 2 * 6) + (6 * 6 * 9 + 2 * 6) + (4 * 6 + 2 * 6)  # with one
HEAD = 6 * 5 + 5


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("pooled", {}, STEM + FIRST + SECOND + HEAD),
        ("strided", {}, STEM + FIRST + SECOND + HEAD),
        # how a block shrinks costs nothing, unless its shortcut is made to project: 4 · 4 + norm
        ("pooled", {"strides": [2, 2, 1]}, STEM + FIRST + SECOND + HEAD),
        ("pooled", {"strides": 2, "force_projection_with_stride": True}, STEM + FIRST + 24 + SECOND + HEAD),
        ("strided", {"strides": [1, 2, 2], "force_projection_with_pooling": True}, STEM + FIRST + SECOND + HEAD),
        ("strided", {"pool_sizes": 2, "force_projection_with_stride": True}, STEM + FIRST + SECOND + HEAD),
        ("strided", {"pool_sizes": 2, "force_projection_with_pooling": True}, STEM + FIRST + 24 + SECOND + HEAD),
        # the second block of the second group has 6 channels throughout
        ("pooled", {"num_blocks": [1, 2]}, STEM + FIRST + SECOND + 2 * (6 * 6 * 9 + 2 * 6) + HEAD),
        # 1×1 conv with bias, whatever the size
        ("strided", {"postpool": "sum"}, STEM + FIRST + SECOND + HEAD),
        # a bias in place of a norm's two parameters
        ("pooled", {"norm": "none"}, STEM - 4 + FIRST - 2 * 4 + SECOND - 3 * 6 + HEAD),
        # 1-D: 3 weights where there were 9
        (
            "strided",
            {"input_shape": (2, 24)},
            (2 * 4 * 3 + 8) + 2 * (4 * 4 * 3 + 8) + (4 * 6 * 3 + 12) + (6 * 6 * 3 + 12) + (4 * 6 + 12) + HEAD,
        ),
        # the stem alone
        ("pooled", {"filters": [4]}, STEM + 4 * 5 + 5),
    ],
)
def test_parameters_counted_on_paper(kind: str, changes: dict[str, Any], expected: int) -> None:
    assert sum(parameter.numel() for parameter in build(kind, **changes).parameters()) == expected


def parameters_of_stride(
    filters: list[int], strides: list[int], pools: list[int], blocks: list[int], by_pooling: bool, inputs: int = 2
) -> int:
    """Count the parameters of an image network of 5 classes by the closed formula: 9·C·F + 2·F for each convolution of
    a main path, C·F + 2·F for each 1×1 of a shortcut, where the channels change, the stride is not 1, or with
    ``by_pooling`` the pool is not 1; F·K + K for the head.
    """
    total, before = 9 * inputs * filters[0] + 2 * filters[0], filters[0]
    for width, stride, pool, count in zip(filters[1:], strides[1:], pools[1:], blocks, strict=True):
        pooled = by_pooling and pool > 1
        total += 9 * before * width + (2 * count - 1) * 9 * width * width + 2 * count * 2 * width
        total += (before * width + 2 * width) * (before != width or stride > 1 or pooled)
        total += (count - 1) * (width * width + 2 * width) * pooled
        before = width
    return total + before * 5 + 5


@pytest.mark.parametrize("by_pooling", [False, True])
@pytest.mark.parametrize(
    ("filters", "strides", "pools", "blocks", "size"),
    [
        ([4, 4], [1, 1], [1, 2], [2], (8, 8)),  # 32 → 16 → 8: a pool in each of two blocks
        ([4, 4], [1, 2], [1, 1], [2], (16, 16)),
        ([4, 4, 6], [1, 2, 1], [2, 1, 2], [3, 2], (2, 2)),  # 32 → 16 (stem) → 8 → 4 → 2
        ([4, 4, 4], [2, 2, 1], [1, 2, 1], [1, 3], (4, 4)),
    ],
)
def test_it_pools_in_every_block_and_projects_by_stride(
    filters: list[int], strides: list[int], pools: list[int], blocks: list[int], size: tuple[int, int], by_pooling: bool
) -> None:
    typed = [f"model.{name}={value}" for name, value in (("filters", filters), ("strides", strides))]
    typed += [f"model.pool_sizes={pools}", f"model.num_blocks={blocks}"]
    node = configured("model=sresnet_stride", f"model.force_projection_with_pooling={by_pooling}".lower(), *typed).model
    model = SResNetStride(input_shape=(2, 32, 32), classes=5, timesteps=4, neuron=IF, **node.parameters())
    expected = parameters_of_stride(filters, strides, pools, blocks, by_pooling)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    seen: list[Tensor] = []
    model.get_submodule("postpool").register_forward_hook(lambda _m, x, _y: seen.append(x[0]))
    assert SingleStep(2)(model, torch.rand(3, 2, 32, 32)).shape == (2, 3, 5)  # type: ignore[union-attr]
    assert seen[0].shape == (3, filters[-1], *size)


@pytest.mark.parametrize("projected", [False, True])
def test_a_later_block_that_pools_written_out_by_hand(projected: bool) -> None:
    torch.manual_seed(0)
    model = build(
        "strided",
        filters=[3, 3],
        pool_sizes=[1, 2],
        num_blocks=2,
        norm="none",
        pool_every_block=True,
        force_projection_with_pooling=projected,
    ).eval()
    block = model.get_submodule("group1.block2")
    weights = {name: 4 * value if value.dim() > 1 else 4 * value.abs() for name, value in block.state_dict().items()}
    block.load_state_dict(weights)
    assert any(name.startswith("shortcut") for name in weights) == projected
    v1: Any = 0.0
    v2: Any = 0.0
    v3: Any = 0.0
    x = (torch.rand(4, 2, 3, 6, 8) < 0.6).float()
    prepare_model(block, "s")
    for frame in x:
        inner = F.conv2d(frame, weights["main.conv1.weight"], weights["main.conv1.bias"], padding=1)
        v1, hidden = spikes(v1, F.max_pool2d(inner, 2))
        outer = F.conv2d(hidden, weights["main.conv2.weight"], weights["main.conv2.bias"], padding=1)
        v2, main = spikes(v2, outer)
        shortcut = F.max_pool2d(frame, 2)
        if projected:
            v3, shortcut = spikes(
                v3, F.max_pool2d(F.conv2d(frame, weights["shortcut.conv.weight"], weights["shortcut.conv.bias"]), 2)
            )
        with torch.no_grad():
            assert torch.equal(block(frame), main + shortcut)


def test_a_configuration_from_before_keeps_its_blocks() -> None:
    """Without ``pool_every_block`` the first block pools alone and projects where the channels change."""
    before = {"filters": [4, 4], "pool_sizes": [1, 2], "strides": [1, 2], "num_blocks": [2]}
    node = SResNetStrideNode.model_validate({"_target_": SResNetStrideNode.public, **before})
    model = SResNetStride(input_shape=(2, 32, 32), classes=5, timesteps=4, neuron=IF, **node.parameters())
    block1, block2 = (model.get_submodule(f"group1.block{n}") for n in (1, 2))
    assert list(dict(block1.get_submodule("shortcut").named_children())) == ["downsample", "pool"]
    assert isinstance(block2.get_submodule("shortcut"), nn.Identity)
    assert "pool1" not in dict(block2.get_submodule("main").named_children())


def test_the_tree() -> None:
    model = build("strided", strides=[1, 2, 2], pool_sizes=[1, 2, 1], prepool=2, input_shape=(2, 48, 32))
    assert [name for name, _ in model.named_children()] == [
        *("prepool", "stem", "group1", "group2", "postpool", "flatten", "head")
    ]
    main, shortcut, add = (model.get_submodule(f"group1.block1.{name}") for name in ("main", "shortcut", "add"))
    assert list(dict(main.named_children())) == [
        *("conv1", "norm1", "pool1", "neuron1"),
        *("conv2", "norm2", "neuron2"),
    ]
    assert list(dict(shortcut.named_children())) == ["downsample", "pool"]
    assert list(dict(model.get_submodule("group2.block1.shortcut").named_children())) == ["conv", "norm", "neuron"]
    assert not list(add.children())


def spikes(v: Tensor | float, current: Tensor) -> tuple[Tensor, Tensor]:
    """An integrate-and-fire neuron with threshold 1 and soft reset: its new potential and its spikes."""
    v = v + current
    fired = (v >= 1).to(current)
    return v - fired, fired


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_block_written_out_by_hand(kind: str, forced: bool) -> None:
    torch.manual_seed(0)
    model = build(kind, filters=[3, 3], strides=[1, 2], norm="none", force_projection_with_stride=forced).eval()
    block = model.get_submodule("group1.block1")
    # biases that let both paths spike
    weights = {name: 4 * value if value.dim() > 1 else 4 * value.abs() for name, value in block.state_dict().items()}
    block.load_state_dict(weights)

    def conv(x: Tensor, name: str, **window: int) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **window)

    x = (torch.rand(4, 2, 3, 6, 8) < 0.6).float()
    v1: Any = 0.0
    v2: Any = 0.0
    v3: Any = 0.0
    expected = []
    for frame in x:
        if kind == "pooled":
            inner = F.max_pool2d(conv(frame, "main.conv1", padding=1), 2)
        else:
            inner = conv(frame, "main.conv1", padding=1, stride=2)
        v1, hidden = spikes(v1, inner)
        v2, main = spikes(v2, conv(hidden, "main.conv2", padding=1))
        if not forced:
            shortcut = F.max_pool2d(frame, 2)
        else:
            projected = conv(frame, "shortcut.conv", stride=1 if kind == "pooled" else 2)
            v3, shortcut = spikes(v3, F.max_pool2d(projected, 2) if kind == "pooled" else projected)
        expected.append(main + shortcut)
    wanted = torch.stack(expected)
    assert set(wanted.unique().tolist()) == {0.0, 1.0, 2.0}
    for mode in ("s", "m"):
        prepare_model(block, mode)
        with torch.no_grad():
            found = block(x) if mode == "m" else torch.stack([block(frame) for frame in x])
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("postpool", ["max", "avg"])
@pytest.mark.parametrize("size", [(9,), (5, 3)])
def test_the_global_pool_is_over_all_positions_in_both_modes(postpool: str, size: tuple[int, ...]) -> None:
    model = build("pooled", input_shape=(2, *size), postpool=postpool)
    seen: list[tuple[Tensor, Tensor]] = []
    model.get_submodule("postpool").register_forward_hook(lambda _m, x, y: seen.append((x[0], y)))
    for strategy in (SingleStep(3), MultiStep(3)):
        seen.clear()
        strategy(model, 4 * torch.randn(2, 2, *size))
        for maps, pooled in seen:
            flat = maps.flatten(-len(size))
            assert flat.shape[-1] == torch.Size(size).numel()
            assert flat.max() > 0
            expected = flat.amax(-1) if postpool == "max" else flat.mean(-1)
            torch.testing.assert_close(pooled.flatten(-len(size) - 1).flatten(), expected.flatten())


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 16, 16), (1, 28, 28), (9, 128), (1, 10), (1, 9, 7)])
@pytest.mark.parametrize("kind", list(KINDS))
def test_shapes_of_data_sets(kind: str, shape: tuple[int, ...]) -> None:
    model = build(kind, input_shape=shape, filters=[2, 2, 4], strides=[1, 2, 2])
    for strategy in (SingleStep(2), MultiStep(2)):
        assert strategy(model, torch.randn(3, *shape)).shape == (2, 3, 5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_threshold_dependent_norms_start_smaller_where_paths_are_added(kind: str) -> None:
    fire = NeuronFactory(neuron.IFNode, surrogate.ATan, {"v_threshold": 0.5}, timesteps=4, seed=0)
    model = build(kind, norm="tdbn", neuron=fire)
    starts = {
        name: module.weight[0].item()
        for name, module in model.named_modules()
        if name.startswith(("stem", "group2")) and isinstance(module, nn.BatchNorm2d)
    }
    assert starts == {
        "stem.norm": 0.5,
        "group2.block1.main.norm1": 0.5,
        "group2.block1.main.norm2": pytest.approx(0.5 * 0.5**0.5),
        "group2.block1.shortcut.norm": pytest.approx(0.5 * 0.5**0.5),
    }


def test_the_schema_knows_the_norms() -> None:
    assert get_args(Norm) == NORMS


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("pooled", {"strides": [1], "paddings": [1, 1]}, "filters has 3, strides has 1, paddings has 2"),
        ("pooled", {"num_blocks": [1, 1, 1]}, "one more for the stem: filters has 3, num_blocks has 3"),
        ("strided", {"pool_sizes": [2, 2]}, "filters has 3, pool_sizes has 2"),
        ("pooled", {"filters": []}, "filters needs an entry for the stem, got []"),
        ("pooled", {"postpool": "sum"}, "postpool must be one of max, avg, got 'sum'"),
        ("strided", {"postpool": "mean"}, "postpool must be one of max, avg, sum, got 'mean'"),
        ("pooled", {"norm": "layer"}, "norm must be one of batch, none"),
        ("pooled", {"strides": [1, 4, 4]}, "group2.block1.pool1 has a window of 4 but its input is only 3×2"),
        ("strided", {"pool_sizes": [13, 1, 1]}, "stem.pool has a window of 13 but its input is only 12×8"),
        ("pooled", {"kernel_sizes": [7, 3, 3], "paddings": [0, 1, 1], "prepool": 2}, "stem.conv has a window of 7"),
        ("strided", {"kernel_sizes": 5}, "group1.block1 cannot add its paths of sizes 6×2 and 10×6: kernel_sizes must"),
        ("pooled", {"prepool": 9}, "prepool has a window of 9 but its input is only 12×8"),
        ("pooled", {"num_blocks": 0}, "num_blocks must be a whole number of at least 1, got 0"),
        ("strided", {"filters": [4, 0]}, "filters must be a whole number of at least 1, got 0"),
        ("pooled", {"classes": 0}, "classes must be a whole number of at least 1, got 0"),
        ("pooled", {"dims": 1}, "dims=1 does not fit the data's shape [2, 12, 8]: dims=2"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(kind, **changes)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
