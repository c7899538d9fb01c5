"""The model compiled while it trains: the same network, and eager wherever the compiler would miss something."""

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from membrane.assembly import build_learner
from membrane.compilation import compile_training
from membrane.composition import Composer
from membrane.config import check, resolved
from membrane.framework import MultiStep, SingleStep

DIGITS = (1, 8, 8)
FRAMEWORKS: dict[str, Any] = {"singlestep": SingleStep, "multistep": MultiStep}


class Counting:
    """A backend that runs what it is given as it is, and counts how often."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, graph: Any, inputs: list[Tensor]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            self.runs += 1
            return graph.forward(*arguments)

        return run


@pytest.fixture(autouse=True)
def fresh_compiler() -> Any:
    """What one test compiled is not the next one's."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


SMALL = {
    "scnn": ["model=scnn", "model.filters=[4,6]", "model.fc_units=[12]"],
    "smlp": ["model=smlp", "model.units=[12]"],
}


def network(*said: str) -> nn.Module:
    """A network as a run builds it."""
    composer = Composer()
    [job], _ = composer.jobs(composer.free(said), multirun=False)
    return build_learner(check(resolved(job.config))).model


def gradients(model: nn.Module, framework: Any, x: Tensor) -> list[Tensor]:
    """The outputs, and the gradient of every parameter, of a training step."""
    model.zero_grad()
    outputs = framework(model, x)
    (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
    return [outputs.detach(), *(each.grad for each in model.parameters() if each.grad is not None)]


@pytest.mark.parametrize("name", ["smlp", "scnn"])
@pytest.mark.parametrize("framework", list(FRAMEWORKS))
def test_a_compiled_step_is_the_step_as_written(framework: str, name: str) -> None:
    written, backend = network(*SMALL[name]), Counting()
    compiled = copy.deepcopy(written)
    compile_training(compiled, backend)
    x = torch.randn(5, *DIGITS)
    pairs = zip(*(gradients(each, FRAMEWORKS[framework](4), x) for each in (written, compiled)), strict=True)
    for expected, found in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert backend.runs
    assert [*compiled.state_dict()] == [*written.state_dict()]
    for key, value in written.state_dict().items():  # batch norm's statistics too
        torch.testing.assert_close(compiled.state_dict()[key], value, rtol=1e-5, atol=1e-6)


def test_evaluation_and_hooks_run_as_written(caplog: pytest.LogCaptureFixture) -> None:
    model, backend, seen = network(*SMALL["smlp"]), Counting(), []
    compile_training(model, backend)
    framework, x = MultiStep(3), torch.randn(2, *DIGITS)
    framework(model.eval(), x)
    assert not backend.runs
    framework(model.train(), x)
    once = backend.runs
    assert once
    layer = next(each for each in model.modules() if isinstance(each, nn.Linear))
    handle = layer.register_forward_hook(lambda *_: seen.append(1))
    with caplog.at_level(logging.WARNING):
        framework(model, x)
        framework(model, x)
    assert backend.runs == once
    assert len(seen) == 2
    assert [each.message for each in caplog.records if each.name == "membrane.compilation"] == [
        "trainer.compile: hooks listen to layers, steps run as written"
    ]
    handle.remove()
    framework(model, x)
    assert backend.runs > once


def test_a_copy_goes_its_own_way() -> None:
    model = network(*SMALL["smlp"])
    compile_training(model, Counting())
    averaged = copy.deepcopy(model)
    for parameter in averaged.parameters():
        parameter.data.zero_()
    framework, x = MultiStep(3), torch.randn(2, *DIGITS)
    for training in (True, False):
        assert not framework(averaged.train(training), x).any()
    assert framework(model.train(), x).any()


def test_images_lie_channels_last_where_that_is_said() -> None:
    plain, last = network(*SMALL["scnn"]), network(*SMALL["scnn"], "trainer.channels_last=true")
    convs = [each for each in last.modules() if isinstance(each, nn.Conv2d)]
    assert convs
    assert all(each.weight.is_contiguous(memory_format=torch.channels_last) for each in convs)
    x = torch.randn(3, *DIGITS)
    for framework in (SingleStep(4), MultiStep(4)):
        torch.testing.assert_close(framework(last.eval(), x), framework(plain.eval(), x), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "name"), [("multistep", "scnn"), ("singlestep", "smlp")])
def test_torch_compiles_a_whole_training_step(framework: str, name: str) -> None:
    written = network(*SMALL[name])
    compiled = copy.deepcopy(written)
    compile_training(compiled)
    for samples in (6, 5):  # the last batch of an epoch is smaller
        x = torch.randn(samples, *DIGITS)
        pairs = zip(*(gradients(each, FRAMEWORKS[framework](4), x) for each in (written, compiled)), strict=True)
        for expected, found in pairs:
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
