"""What a run says of itself at its start."""

import pytest
from configurations import configured
from torch import nn

from membrane.neurons import make_neuron
from membrane.neurons.learnable_threshold import ATIF, IFSRL
from membrane.schema import GROUPS
from membrane.training.assembly import build_model
from membrane.training.results import has_neuron, other_than_published

PUBLISHED = "was published with surrogate=sigmoid surrogate.alpha=1"


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (("neuron=lif",), ""),
        (("neuron=atif",), f"sigmoid, alpha 4.0; atif {PUBLISHED}"),
        (("neuron=ifsrl", "surrogate=atan"), f"atan, alpha 2.0; ifsrl {PUBLISHED}"),
        (("neuron=atif", "surrogate=sigmoid", "surrogate.alpha=1"), ""),
    ],
)
def test_a_surrogate_that_is_not_the_papers_is_named(typed: tuple[str, ...], line: str) -> None:
    config = configured(*typed)
    assert config.surrogate is not None
    assert other_than_published(config.neuron, config.surrogate) == line


@pytest.mark.parametrize("own", [ATIF, IFSRL])
def test_the_published_surrogate_is_the_one_that_the_class_takes_by_itself(own: type[nn.Module]) -> None:
    [node] = [each for each in GROUPS["neuron"][1] if each.public.endswith(f".{own.__name__}")]
    function = make_neuron(own, None).surrogate_function
    assert node.published_with == (type(function).__name__.lower(), {"alpha": function.alpha})  # type: ignore[attr-defined]


def test_a_model_without_the_neuron_that_was_chosen_is_noticed() -> None:
    config = configured("model=smlp", "neuron=plif")
    assert has_neuron(config, build_model(config))
    assert not has_neuron(configured("model=smlp", "neuron=lif"), build_model(config))
