"""`trainer.recompute`: refused in a line where chunks of timesteps would have another gradient."""

import logging

import pytest
import torch
from configurations import configured
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.framework import MultiStep, SingleStep
from membrane.training.assembly import build_learner
from membrane.training.recomputation import refuse_other_gradients


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["trainer.compile=true"], "a compiled model does not"),
        (["regularizer=firing_rate"], "regularizer=firing_rate needs it at all of them"),
        (["neuron=psn"], "neuron=psn needs all of them together"),
        (["framework=singlestep", "neuron=sltt_lif"], "neuron=sltt_lif has none through time"),
    ],
)
def test_settings_that_do_not_go_with_it(typed: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        configured("trainer.recompute=2", *typed)


def test_batch_norm_over_all_timesteps_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"use framework=singlestep, or a norm .* model\.norm=group"):
        build_learner(configured("trainer.recompute=2", "framework=multistep"))
    for typed in ("framework=singlestep", "model.norm=group"):
        learner = build_learner(configured("trainer.recompute=2", typed))
        assert learner.framework.recompute == 2  # type: ignore[attr-defined]
    assert build_learner(configured()).framework.recompute is None  # type: ignore[attr-defined]


class Hidden(nn.Module):
    """Adds its last input, which nobody but itself knows of."""

    last: Tensor | float = 0.0

    def reset(self) -> None:
        self.last = 0.0

    def forward(self, x: Tensor) -> Tensor:
        y, self.last = x + self.last, x
        return y


class MeanOverTime(nn.Module):
    """x [T,N,…] → x less its mean over time."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


@pytest.mark.parametrize(("module", "framework"), [(Hidden, SingleStep), (MeanOverTime, MultiStep)])
def test_models_of_ones_own_are_compared(module: type[nn.Module], framework: type[SingleStep | MultiStep]) -> None:
    layers = [layer.Linear(3, 5), neuron.LIFNode(), layer.Linear(5, 4)]
    torch.manual_seed(0)
    refuse_other_gradients(nn.Sequential(*layers), framework(8), 3 * torch.randn(2, 3))
    with pytest.raises(ConfigError, match=r"trainer\.recompute.* (mixes timesteps|keeps state)"):
        refuse_other_gradients(nn.Sequential(*layers[:2], module(), *layers[2:]), framework(8), 3 * torch.randn(2, 3))


def test_a_model_that_cannot_be_compared_is_left_to_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Single(layer.Linear):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = super().forward(x.float())
            return result

    with caplog.at_level(logging.WARNING):
        refuse_other_gradients(nn.Sequential(Single(3, 4), neuron.LIFNode()), SingleStep(8), torch.randn(2, 3))
    assert "was not checked" in caplog.text
