"""SpikingJelly's models through configuration: the published architectures, small images, refusals, both step modes."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from configurations import shared_composer
from spikingjelly.activation_based import neuron, surrogate
from spikingjelly.activation_based.model import parametric_lif_net
from torch import Tensor, nn

from membrane.config.admission import admitted_class
from membrane.config.build import build
from membrane.config.check import check, resolved
from membrane.errors import ConfigError
from membrane.framework import MultiStep, MultiStepTID, SingleStep, SingleStepTID
from membrane.models.plif_net import PLIFNet
from membrane.models.resnet19 import ResNet19
from membrane.models.sew_net import Connect, SEWNet
from membrane.models.sew_resnet import SEWResNet
from membrane.models.spiking_resnet import SpikingResNet
from membrane.models.spiking_vgg import SpikingVGG
from membrane.models.vggsnn import VGGSNN
from membrane.neurons import is_neuron, make_neuron
from membrane.randomness import generator, scoped
from membrane.schema.zoo import ZOO

NAMES = [kind.choice for kind in ZOO]
CONVOLUTIONAL = {
    "vgg": SpikingVGG,
    "vgg_no_norm": partial(SpikingVGG, norm="none"),
    "resnet": SpikingResNet,
    "sew_add": SEWResNet,
    "sew_iand": partial(SEWResNet, cnf="IAND"),
    "sew_bottleneck": partial(SEWResNet, depth=50),
    "plif_net": partial(PLIFNet, channels=8),
    "sew_net": partial(SEWNet, channels=[4, 4, 8]),
    "vggsnn": partial(VGGSNN, channels=2, pixels=3),
    "resnet19": partial(ResNet19, channels=2),
    "plif_net_gesture": partial(PLIFNet, variant="dvs_gesture", channels=8),
}
NEURONS = {
    "lif": partial(make_neuron, neuron.LIFNode, surrogate.ATan, v_reset=None),
    "plif": partial(make_neuron, neuron.ParametricLIFNode, surrogate.ATan),
    "relu": nn.ReLU,
}
Raw = Callable[..., dict[str, Any]]
N, K, SHAPE = 2, 3, (2, 4, 6)


@pytest.fixture(scope="module")
def composed() -> dict[str, dict[str, Any]]:
    """Model → the default configuration with it."""
    return {name: resolved(shared_composer().compose([f"model={name}"])) for name in NAMES}


@pytest.fixture
def raw(composed: dict[str, dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A model's default configuration, for a test to change, with settings of the model."""

    def changed(name: str, **settings: Any) -> dict[str, Any]:
        whole = copy.deepcopy(composed[name])
        whole["model"].update(settings)
        return whole

    return changed


def made(name: str, kind: str = "lif", shape: tuple[int, ...] = SHAPE) -> nn.Module:
    with scoped(0, "initialisation"):
        return CONVOLUTIONAL[name](input_shape=shape, classes=K, timesteps=4, neuron=NEURONS[kind])


def data(*lead: int) -> Tensor:
    return torch.randn(*lead, *SHAPE, generator=generator(0, "data")).double()


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "lif") for name in CONVOLUTIONAL), ("vgg", "relu"), ("resnet19", "relu"), ("plif_net", "relu")],
)
def test_single_step_and_multi_step_are_one_function(enliven: Callable[..., nn.Module], name: str, kind: str) -> None:
    model = enliven(made(name, kind), SHAPE).double()
    for single, multi, x in (
        (SingleStep(4), MultiStep(4), data(N)),
        (SingleStepTID(N), MultiStepTID(N), data(N, N)),
        (SingleStepTID(4), MultiStepTID(4), data(N, 4)),
    ):
        with torch.no_grad():
            expected, outputs = single(model, x), multi(model, x)
        assert expected.shape == (1 if kind == "relu" and x.dim() == 4 else x.shape[1] if x.dim() == 5 else 4, N, K)
        assert expected.abs().max() > 0.01
        assert kind == "relu" or expected.diff(dim=0).abs().max() > 0.01  # spikes reach the outputs
        assert (outputs - expected).abs().max() <= 1e-5


# every second size for each model; the others run with make test-all
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param(name, shape, marks=pytest.mark.whole if (number + size) % 2 else [])
        for number, name in enumerate(NAMES)
        for size, shape in enumerate([[1, 1, 1], [1, 8, 8], [2, 16, 16], [3, 7, 10]])
    ],
)
def test_every_image_size_passes_with_the_default_settings(raw: Raw, name: str, shape: list[int]) -> None:
    node = check(raw(name)).model
    model = build(node, input_shape=shape, classes=K, timesteps=2, neuron=NEURONS["lif"]).eval()
    with torch.no_grad():
        assert SingleStep(2)(model, torch.rand(N, *shape)).shape == (2, N, K)
        assert MultiStepTID(2)(model, torch.rand(N, 2, *shape)).shape == (2, N, K)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("model", "depth", "theirs"),
    [
        (partial(SpikingVGG, norm="none"), 13, torchvision.models.vgg13),
        (SpikingVGG, 16, torchvision.models.vgg16_bn),
        (SpikingResNet, 34, torchvision.models.resnet34),
        (SpikingResNet, 50, torchvision.models.resnet50),
    ],
)
def test_names_and_shapes_are_torchvisions(
    model: Callable[..., nn.Module], depth: int, theirs: Callable[[], nn.Module]
) -> None:
    with torch.device("meta"):
        ours = model(input_shape=(3, 224, 224), classes=1000, timesteps=4, neuron=neuron.IFNode, depth=depth)
        assert shapes(ours) == shapes(theirs())


@pytest.mark.parametrize(
    ("variant", "theirs", "shape", "classes"),
    [
        ("mnist", parametric_lif_net.MNISTNet, (1, 28, 28), 10),
        ("fashion_mnist", parametric_lif_net.FashionMNISTNet, (1, 28, 28), 10),
        ("nmnist", parametric_lif_net.NMNISTNet, (2, 34, 34), 10),
        ("cifar10", parametric_lif_net.CIFAR10Net, (3, 32, 32), 10),
        ("cifar10_dvs", parametric_lif_net.CIFAR10DVSNet, (2, 128, 128), 10),
        ("dvs_gesture", parametric_lif_net.DVSGestureNet, (2, 128, 128), 11),
    ],
)
def test_a_plif_net_is_spikingjellys_at_the_papers_size(
    variant: str, theirs: Callable[..., nn.Module], shape: tuple[int, ...], classes: int
) -> None:
    with torch.device("meta"):
        ours = PLIFNet(input_shape=shape, classes=classes, timesteps=4, neuron=neuron.IFNode, variant=variant)
        original = theirs(spiking_neuron=neuron.IFNode)
    assert shapes(ours) == shapes(original)
    assert [str(module) for module in ours.conv_fc] == [str(module) for module in original.conv_fc]


@pytest.mark.parametrize(("cnf", "expected"), [("ADD", [0, 1, 1, 2]), ("AND", [0, 0, 0, 1]), ("IAND", [0, 1, 0, 0])])
def test_spikes_of_both_paths_are_joined_as_in_table_1(cnf: str, expected: list[float]) -> None:
    main, shortcut = torch.tensor([0.0, 0, 1, 1]), torch.tensor([0.0, 1, 0, 1])
    assert Connect(cnf)(main, shortcut).tolist() == expected


def test_ten_neurons_vote_for_a_class(enliven: Callable[..., nn.Module]) -> None:
    model = enliven(made("plif_net"), SHAPE)
    heard: list[Tensor] = []
    model.conv_fc[-2].register_forward_hook(lambda _m, _x, spikes: heard.append(spikes))
    for run in (SingleStepTID(4), MultiStepTID(4)):
        heard.clear()
        outputs = run(model, data(N, 4).float())
        spikes = torch.cat([step.reshape(-1, N, K, 10) for step in heard])
        assert 0 < spikes.mean() < 1
        torch.testing.assert_close(outputs, spikes.mean(-1))


@pytest.mark.parametrize(("cnf", "joined"), [("ADD", [0, 1, 1, 2]), ("AND", [0, 0, 0, 1]), ("IAND", [0, 1, 0, 0])])
def test_a_sew_block_joins_as_the_paper_says(cnf: str, joined: list[int]) -> None:
    # Fang et al. 2021, table 1, of the main path's spikes A = 0, 0, 1, 1 and the shortcut's S = 0, 1, 0, 1
    block = SEWResNet(input_shape=SHAPE, classes=K, timesteps=4, neuron=NEURONS["lif"], cnf=cnf).layer1[0]
    path = torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 2, 2).expand(1, 64, 2, 2)
    shortcut = torch.tensor([0.0, 1.0, 0.0, 1.0]).reshape(1, 1, 2, 2).expand(1, 64, 2, 2)
    block.sn2.register_forward_hook(lambda _m, _x, _y: path)
    assert block(shortcut)[0, 5].flatten().tolist() == joined


@pytest.mark.parametrize(
    ("pixels", "pools"),
    [(1, 0), (2, 1), (3, 1), (8, 3), (28, 4), (32, 5), (64, 5)],  # as often as the size can be halved, at most five
)
def test_a_pool_of_vgg_is_left_out_where_one_pixel_is_left(pixels: int, pools: int) -> None:
    with torch.device("meta"):
        model = SpikingVGG(input_shape=(1, pixels, 99), classes=K, timesteps=4, neuron=neuron.IFNode)
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.features) == pools
    assert len(model.classifier) == (7 if pixels >= 64 else 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_neuron_is_fresh_and_the_users(raw: Raw, name: str) -> None:
    node = check(raw(name)).model
    calls: list[nn.Module] = []

    def fresh() -> nn.Module:
        calls.append(make_neuron(neuron.LIFNode, surrogate.ATan, v_threshold=0.7, tau=3.0))
        return calls[-1]

    model = build(node, input_shape=[1, 8, 8], classes=K, timesteps=2, neuron=fresh)
    found = [module for module in model.modules() if is_neuron(module)]
    assert len(found) >= 4
    assert {id(module) for module in found} <= {id(module) for module in calls}
    assert {(module.v_threshold, module.tau) for module in found} == {(0.7, 3.0)}


@pytest.mark.parametrize("name", NAMES)
def test_one_dimensional_data_is_refused(raw: Raw, name: str) -> None:
    config = raw(name)
    config["dataset"]["shape"] = [2, 50]
    with pytest.raises(ConfigError, match=rf"^model {name} is for 2-D data, dataset digits is 1-D \(shape \[2, 50\]\)"):
        check(config)
    kind = admitted_class(config["model"]["_target_"])
    with pytest.raises(ConfigError, match=r"^this model is for images \[C,H,W\], got \[2, 50\]"):
        kind(input_shape=[2, 50], classes=K, timesteps=4, neuron=NEURONS["lif"])


@pytest.mark.parametrize("name", NAMES)
def test_an_ann_twin_only_where_it_makes_sense(raw: Raw, name: str) -> None:
    config = raw(name)
    config["neuron"] = {"_target_": "torch.nn.ReLU"}
    if name in ("spikformer", "qkformer", "sdt"):
        with pytest.raises(ConfigError, match=f"^model {name} has no ANN twin, neuron=relu does not spike"):
            check(config)
        return
    node = check(config).model
    snn, ann = (
        build(node, input_shape=[1, 8, 8], classes=K, timesteps=2, neuron=NEURONS[kind]) for kind in ("lif", "relu")
    )
    assert shapes(snn) == shapes(ann)
    assert not any(is_neuron(module) for module in ann.modules())
    assert (
        SingleStep(4)(ann, torch.rand(N, 1, 8, 8)).shape == MultiStep(4)(ann, torch.rand(N, 1, 8, 8)).shape == (1, N, K)
    )


@pytest.mark.parametrize("name", ["vgg", "resnet", "sew_add", "plif_net", "sew_net", "vggsnn", "resnet19"])
def test_the_twins_initial_weights_are_equal(name: str) -> None:
    snn, ann = made(name, "plif").state_dict(), made(name, "relu").state_dict()
    assert {key for key in snn if key not in ann} == {key for key in snn if key.endswith(".w")} != set()
    assert all(torch.equal(snn[key], value) for key, value in ann.items())


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("spiking_vgg", {"depth": 12}, "model.depth"),
        ("sew_resnet", {"cnf": "OR"}, "model.cnf"),
        ("ms_resnet", {"depth": 50}, "model.depth"),
        ("plif_net", {"variant": "svhn"}, "model.variant"),
        ("spikformer", {"num_heads": 5}, "num_heads=5 does not divide the 64 channels of its stage"),
        ("spikformer", {"patch_size": 8}, "model.patch_size"),
        ("sdt", {"embed_dims": 60}, "embed_dims must be a multiple of 8, got 60"),
        ("qkformer", {"depths": [1, 2]}, "three stages: num_heads has 3 entries, depths has 2"),
        ("qkformer", {"num_heads": [3, 4, 4]}, "num_heads=3 does not divide the 16 channels of its stage"),
        ("qkformer", {"num_heads": [4, 3, 4]}, "num_heads=3 does not divide the 32 channels of its stage"),
        ("qkformer", {"num_heads": [4, 4, 3]}, "num_heads=3 does not divide the 64 channels of its stage"),
        ("spiking_resnet", {"dims": 1}, "model.dims=1 but dataset digits is 2-D"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(raw: Raw, name: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check(raw(name, **wrong))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("spiking_vgg", {"depth": 12}),
        ("spiking_vgg", {"norm": "layer"}),
        ("spiking_vgg", {"head": "small"}),
        ("spiking_resnet", {"stem": "mnist"}),
        ("sew_resnet", {"cnf": "OR"}),
        ("ms_resnet", {"channels": 0}),
        ("plif_net", {"channels": 0}),
        ("sew_net", {"channels": [4, 0]}),
        ("sew_net", {"cnf": "OR"}),
        ("vggsnn", {"pixels": 0}),
        ("resnet19", {"channels": 0}),
        ("spikformer", {"patch_size": 8}),
        ("qkformer", {"qka_type": "pixel"}),
        ("sdt", {"depths": 0}),
        *((kind.choice, {"classes": 0}) for kind in ZOO),
    ],
)
def test_the_classes_refuse_it_too(name: str, wrong: dict[str, Any]) -> None:
    [node] = [kind for kind in ZOO if kind.choice == name]
    given = {"input_shape": (1, 8, 8), "classes": K, "timesteps": 4, "neuron": NEURONS["lif"], **wrong}
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} must be .*, got "):
        admitted_class(node.public)(**given)
