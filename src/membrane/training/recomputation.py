"""Refusals of models whose gradient is another one when their timesteps run in chunks."""

import copy
import logging
from typing import Any

import torch
from torch import Tensor, nn

from membrane.errors import ConfigError, one_line
from membrane.framework import Framework, MultiStep, MultiStepTID, require_tensor
from membrane.models.norms import mixes_timesteps
from membrane.neurons import is_snn
from membrane.randomness import scoped

log = logging.getLogger(__name__)

STEPS, CHUNK = 3, 2
"""Timesteps that the two gradients are compared over, and those of a chunk."""
TOLERANCE = 1e-6
"""Largest difference of gradients, in double precision, as a share of a parameter's largest one."""


def refuse_other_gradients(model: nn.Module, framework: Any, x: Tensor) -> None:
    """Raise ConfigError if chunks of timesteps, run again, would give a model another gradient than all at once.

    x [N,…] or [N,T,…] is an example of what the framework gets. A model that cannot be copied, or that runs neither in
    double precision nor over few timesteps, is left to the run; a log line says that it was not checked.
    """
    if not is_snn(model) and not framework.timesteps_in_data:
        return  # it runs once
    if isinstance(framework, MultiStep | MultiStepTID) and mixes_timesteps(model):
        raise ConfigError(
            "trainer.recompute cuts time into chunks, in multi-step training batch norm takes its statistics over all "
            "timesteps at once: use framework=singlestep, or a norm that does not, as model.norm=group"
        )
    x = x[:, :STEPS] if framework.timesteps_in_data else x
    try:
        whole = gradients(model, type(framework)(STEPS), x)
    except Exception as error:  # of a model of the user's own, or one that is built for T timesteps
        log.warning("trainer.recompute was not checked: %s", one_line(error))
        return
    way_out = (
        "a layer mixes timesteps in multi-step mode (use framework=singlestep), or keeps state outside of "
        "register_memory and register_buffer"
    )
    try:
        chunks = gradients(model, type(framework)(STEPS, CHUNK), x)
    except Exception as error:
        raise ConfigError(f"trainer.recompute: {way_out} ({one_line(error)})") from None
    for name, expected in whole.items():
        if not torch.allclose(chunks[name], expected, rtol=0, atol=TOLERANCE * expected.abs().max().item()):
            raise ConfigError(f"trainer.recompute changes the gradient of {name}: {way_out}")


def gradients(model: nn.Module, framework: Framework, x: Tensor) -> dict[str, Tensor]:
    """Return the gradient of each parameter of a copy of a model in training, in double precision."""
    model = copy.deepcopy(model).double().train()
    with scoped(0, "recomputation"):
        outputs = require_tensor(framework(model, x.double()))
    weights = torch.arange(outputs.numel(), dtype=outputs.dtype).cos().reshape(outputs.shape)
    (outputs * weights).sum().backward()  # type: ignore[no-untyped-call]
    pairs = model.named_parameters()
    return {name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in pairs}
