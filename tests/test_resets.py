"""docs/resets.md against the installed libraries: its examples, its table of translations, and gradients of resets."""

import doctest
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor

PAGE = (Path(__file__).parents[1] / "docs" / "resets.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))
EXAMPLES = [title for title, text in SECTIONS.items() if ">>>" in text]
X = torch.rand(4, 40, generator=torch.Generator().manual_seed(0))  # [N,T]; no potential lies on the threshold


def installed(name: str) -> Any:
    """Import a library. Skips with a reason where it is not there."""
    return pytest.importorskip(name, reason=f"{name} is not installed: the extra bench has it")


@pytest.mark.parametrize("title", EXAMPLES)
def test_examples_give_what_they_show(title: str) -> None:
    for name in ("snntorch", "norse"):
        if f"import {name}" in SECTIONS[title] or f"from {name}" in SECTIONS[title]:
            installed(name)
    begin = PAGE[: PAGE.index("\n## ")]
    test = doctest.DocTestParser().get_doctest(fenced(begin) + fenced(SECTIONS[title]), {}, title, "resets.md", 0)
    assert len(test.examples) > 4
    assert doctest.DocTestRunner().run(test).failed == 0


def fenced(text: str) -> str:
    """Return the examples of a text."""
    return "".join(re.findall(r"^```pycon\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def test_each_library_has_examples() -> None:
    assert EXAMPLES == ["SpikingJelly, and neuron=lif", "snnTorch", "neuron=leaky", "Norse"]


def spikingjelly_spikes(tau: float, **settings: Any) -> Tensor:
    node = neuron.LIFNode(tau=tau, **settings)
    return torch.stack([node(X[:, t]) for t in range(X.shape[1])])


def snntorch_spikes(**settings: Any) -> Tensor:
    cell = installed("snntorch").Leaky(beta=0.9, **settings)
    return torch.stack([cell(X[:, t])[0] for t in range(X.shape[1])])


def norse_spikes(method: str) -> Tensor:
    norse = installed("norse.torch")
    reset = getattr(norse.functional.reset, method)
    cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.tensor(0.2), reset_method=reset), dt=1.0)
    state, spikes = None, []
    for t in range(X.shape[1]):
        spike, state = cell(4 * X[:, t], state)
        spikes.append(spike)
    return torch.stack(spikes)


def norse_as_here(v_reset: float | None) -> Tensor:
    node = neuron.LIFNode(tau=5.0, v_reset=v_reset)
    return torch.stack([node(4 * X[:, t]) for t in range(X.shape[1])])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            lambda: snntorch_spikes(reset_delay=False),
            lambda: spikingjelly_spikes(10.0, decay_input=False, v_reset=None),
        ),
        (lambda: snntorch_spikes(reset_mechanism="zero"), lambda: spikingjelly_spikes(10.0, decay_input=False)),
        (lambda: norse_spikes("reset_value"), lambda: norse_as_here(0.0)),
        (lambda: norse_spikes("reset_subtract"), lambda: norse_as_here(None)),
    ],
    ids=["snntorch soft at once", "snntorch hard", "norse hard", "norse soft"],
)
def test_a_neuron_of_another_library_has_a_twin_here(theirs: Callable[[], Tensor], ours: Callable[[], Tensor]) -> None:
    expected = theirs()
    assert torch.equal(ours(), expected)
    assert 0.1 < expected.mean() < 0.9


def carried(step: Callable[..., tuple[Tensor, Any]], scale: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Make a cell that returns (spike, state) a function of x alone."""
    states: list[Any] = [None]

    def spike(x: Tensor) -> Tensor:
        fired, states[0] = step(scale * x, states[0])
        return fired

    return spike


def norse_cell() -> Callable[[Tensor], Tensor]:
    norse = installed("norse.torch")
    return carried(norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.tensor(0.5)), dt=1.0), scale=2.0)


# what builds a neuron, dv[1]/dv[0] behind a spike at 0 if no gradient flows through the reset, and whether one does
GRADIENTS = {
    "lif": (lambda: neuron.LIFNode(tau=2.0, decay_input=False), 0.0, True),
    "lif soft": (lambda: neuron.LIFNode(tau=2.0, decay_input=False, v_reset=None), 0.5, True),
    "lif detach_reset": (lambda: neuron.LIFNode(tau=2.0, decay_input=False, detach_reset=True), 0.0, False),
    "snntorch": (lambda: carried(installed("snntorch").Leaky(beta=0.5)), 0.5, False),
    "snntorch zero": (lambda: carried(installed("snntorch").Leaky(beta=0.5, reset_mechanism="zero")), 0.0, False),
    "snntorch at once": (lambda: carried(installed("snntorch").Leaky(beta=0.5, reset_delay=False)), 0.5, True),
    "norse": (norse_cell, 0.0, True),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_flow_through_a_reset_where_the_table_says_so(name: str) -> None:
    build, decay, flows = GRADIENTS[name]
    x = torch.tensor([1.25, 0.75], requires_grad=True)
    cell = build()
    assert cell(x[:1]).item() == 1
    cell(x[1:]).sum().backward()
    assert x.grad is not None
    carried_over = (x.grad[0] / x.grad[1]).item()
    if flows:  # a larger potential fires more, and so leaves less
        assert carried_over < decay - 0.1
    else:
        assert carried_over == pytest.approx(decay, abs=1e-6)
