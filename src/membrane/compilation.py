"""`trainer.compile`: the model compiled by torch for its training steps, so that neighbouring layers share kernels.

Meant for a GPU, where neurons, batch norm and casts are then few kernels. On the CPU it compiles for a minute and is no
faster than the fused neurons of `neurons/fused.py`, which it does without.
"""

import logging
from types import MethodType

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


def compile_training(model: nn.Module, backend: str = "inductor") -> None:
    """Let a model run compiled while it trains; its class, names and state stay as they are.

    Evaluation runs as written, and so does a step in which hooks listen to layers: the compiler would not see a hook
    that came after it. A batch of another size is compiled anew, the last one of an epoch as a rule.
    """
    own = type(model).forward
    compiled = torch.compile(own, dynamic=False, backend=backend)
    told = False

    def forward(self: nn.Module, x: Tensor) -> object:
        nonlocal told
        if self.training and not listened_to(self):
            return compiled(self, x)
        if self.training and not told:
            log.warning("trainer.compile: hooks listen to layers, steps run as written")
            told = True
        return own(self, x)

    model.forward = MethodType(forward, model)


def listened_to(model: nn.Module) -> bool:
    """Whether a layer has forward hooks."""
    return any(each._forward_hooks or each._forward_pre_hooks for each in model.modules() if each is not model)
