"""Every model with every neuron, as configured: what is allowed is one function in both step modes, and trains."""

import copy
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from configurations import shared_composer
from torch import Tensor, nn

from membrane.cli.compatibility import FRAMEWORKS, refused_combinations, stated_settings
from membrane.config.check import check, resolved
from membrane.framework import MultiStep, SingleStep
from membrane.neurons import is_neuron, neuron_layers
from membrane.randomness import generator, scoped
from membrane.schema import GROUPS
from membrane.training.assembly import build_learner

MODELS, NEURONS = ([kind for kind in GROUPS[group][1] if kind.choice] for group in ("model", "neuron"))
# A parity that breaks, breaks for a neuron in every model or for a model with every neuron: all neurons in two
# templates, some in two, and one in each large model find it in every run of the suite, the others in its longer ones.
WITH_ALL, WITH_SOME = ("smlp", "scnn"), ("sresnet", "sresnet_stride")
EXAMPLES = ("lif", "masked_psn", "relu")
N, T = 2, 4
Refused = dict[tuple[str, str, str], str]


def each_pair() -> Iterator[Any]:
    """Yield every pair; those that say little more than others are whole or slow."""
    large = [kind for kind in MODELS if kind.choice not in (*WITH_ALL, *WITH_SOME)]
    for model, neuron in product(MODELS, NEURONS):
        examples = [name for name in EXAMPLES if model.ann_twin or name != "relu"]
        marks = []
        if model in large:
            if neuron.choice != examples[large.index(model) % len(examples)]:
                marks = [pytest.mark.whole if neuron.choice in examples else pytest.mark.slow]
        elif model.choice in WITH_SOME and neuron.choice not in examples:
            marks = [pytest.mark.whole]
        yield pytest.param(model.choice, neuron.choice, marks=marks)


@pytest.fixture(scope="module")
def refused() -> Refused:
    """Return every refusal by its model, neuron and framework."""
    return dict(refused_combinations())


def allowed(model: str, neuron: str, refused: Refused) -> list[str]:
    """Return the frameworks that take a pair."""
    return [framework for framework in FRAMEWORKS if (model, neuron, framework) not in refused]


@pytest.fixture(scope="module")
def bases() -> dict[str, dict[str, Any]]:
    """Each framework's configuration on its bundled data."""
    return {each: resolved(shared_composer().compose([f"framework={each}"])) for each in FRAMEWORKS}


def learner(bases: dict[str, dict[str, Any]], framework: str, model: str, neuron: str) -> Any:
    """The pair under a framework, in float64: a potential at its threshold must not be a matter of rounding."""
    narrow = {"channels": 16} if model == "ms_resnet" else {}
    nodes = {"model": stated_settings("model", model) | narrow, "neuron": stated_settings("neuron", neuron)}
    return build_learner(check({**copy.deepcopy(bases[framework]), **nodes})).double().eval()


def enliven(model: nn.Module, framework: Callable[..., Any], x: Tensor) -> None:
    """Scale the weights so that every layer puts out something of its neurons' size, in one warm-up forward."""

    def scale(module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        factor = 2 / output.std().clamp(min=1e-3)
        for parameter in module.parameters():
            parameter.mul_(factor)
        return output * factor

    for layer in neuron_layers(model).values():  # parallel neurons start too quiet for the depth of a VGG
        own = dict(layer.named_parameters(recurse=False))
        if {"weight", "bias"} <= own.keys():
            nn.init.uniform_(own["weight"], 0.2, 1.0)
            nn.init.constant_(own["bias"], -0.5)
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    handles = [module.register_forward_hook(scale) for module in model.modules() if isinstance(module, kinds)]
    with torch.no_grad():
        framework(model, x)
    for handle in handles:
        handle.remove()


def data(shape: list[int]) -> Tensor:
    """x [N,…]."""
    return torch.randn(N, *shape, generator=generator(0, "data"), dtype=torch.float64)


@pytest.mark.parametrize(("model", "neuron"), each_pair())
def test_an_allowed_pair_is_one_function_under_all_its_frameworks(
    model: str, neuron: str, bases: dict[str, dict[str, Any]], refused: Refused
) -> None:
    taken = allowed(model, neuron, refused)
    assert {"multistep", "multistep_tid"} <= set(taken) or taken in ([], ["singlestep", "singlestep_tid"])
    warm_up = MultiStep(T) if "multistep" in taken else SingleStep(T)
    for kind in ("", "_tid"):
        both = [framework for framework in (f"multistep{kind}", f"singlestep{kind}") if framework in taken]
        if not both:
            continue
        reference = learner(bases, both[0], model, neuron)
        shape = check(copy.deepcopy(bases[both[0]])).dataset.shape
        with scoped(0, "model"):
            enliven(reference.model, warm_up, data(shape))
            x = data([T, *shape] if kind else shape)
            with torch.no_grad():
                expected = reference.framework(reference.model, x)
        once = neuron == "relu" and not kind
        assert expected.shape == (1 if once else T, N, 10)
        assert expected.std() > 1e-3
        for framework in both[1:]:
            other = learner(bases, framework, model, neuron)
            other.load_state_dict(reference.state_dict())
            with torch.no_grad():
                assert (other.framework(other.model, x) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize(("model", "neuron"), each_pair())
def test_a_pair_shares_topology_and_initial_weights_with_its_ann_twin(
    model: str, neuron: str, bases: dict[str, dict[str, Any]], refused: Refused
) -> None:
    if not allowed(model, neuron, refused) or not allowed(model, "relu", refused):
        assert refused
        return
    framework = "multistep" if "multistep" in allowed(model, neuron, refused) else "singlestep"
    snn, ann = (learner(bases, framework, model, kind).model for kind in (neuron, "relu"))
    own = tuple(f"{name}." for name, module in snn.named_modules() if is_neuron(module))
    shared = {name: value for name, value in snn.state_dict().items() if not name.startswith(own)}
    assert list(shared) == list(ann.state_dict())
    assert all(torch.equal(value, ann.state_dict()[name]) for name, value in shared.items())


def test_every_refusal_is_one_line_with_a_way_out(refused: Refused) -> None:
    assert all(line and "\n" not in line for line in refused.values())
    assert all("use " in line for line in refused.values())


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("neuron", [kind.choice for kind in NEURONS])
@pytest.mark.parametrize("model", [kind.choice for kind in MODELS])
def test_an_allowed_pair_trains(
    model: str, neuron: str, framework: str, membrane: Callable[..., int], refused: Refused
) -> None:
    typed = (f"model={model}", f"neuron={neuron}", f"framework={framework}")
    code = 2 if (model, neuron, framework) in refused else 0
    assert membrane(*typed, "debug=fast", "threads=1", "batch_size=8") == code
