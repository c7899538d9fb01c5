"""`trainer.compile`: the model compiled by torch for its training steps.

Meant for a GPU, where what lies between convolutions and neurons becomes few kernels. On the CPU it compiles for a
minute and is no faster than the fused neurons of `neurons/fused.py`, which it does without.
"""

import logging
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from membrane.errors import ConfigError

log = logging.getLogger(__name__)


def compile_training(model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> None:
    """Let a model run compiled while it trains; its class, names and state stay as they are.

    Evaluation runs as written, and so does a step in which hooks listen to layers: the compiler would not see a hook
    that came after it. A batch of another size is compiled anew, the last one of an epoch as a rule. ConfigError at the
    step at which torch gives up because it would have to compile too often.
    """
    own = type(model).forward
    compiled: Callable[..., Any] | None = None
    told = False

    def forward(self: nn.Module, x: Tensor) -> object:
        nonlocal compiled, told
        if not self.training:
            return own(self, x)
        if listened_to(self):
            if not told:
                log.warning("trainer.compile: hooks listen to layers, such steps run as written")
            told = True
            return own(self, x)
        if compiled is None:
            log.info("compiling the model: its first steps take a minute")
            torch.compiler.reset()  # what an earlier run has compiled counts towards torch's limit
            compiled = torch.compile(own, dynamic=False, backend=backend)
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
            try:
                return compiled(self, x)
            except torch._dynamo.exc.FailOnRecompileLimitHit:
                raise ConfigError(
                    "trainer.compile: this model would be compiled anew at every timestep: use framework=multistep "
                    "or trainer.compile=false"
                ) from None

    model.forward = MethodType(forward, model)


def listened_to(model: nn.Module) -> bool:
    """Whether a layer has hooks."""
    return any(
        each._forward_hooks or each._forward_pre_hooks or each._backward_hooks or each._backward_pre_hooks
        for each in model.modules()
        if each is not model
    )
