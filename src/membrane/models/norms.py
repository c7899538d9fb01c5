"""Normalisation before a neuron: one parameter of every template.

| `norm=` | statistics over | source |
|---|---|---|
| batch | batch and positions; in multi-step training over all timesteps too | Ioffe, Szegedy 2015, arXiv:1502.03167 |
| group | the channels of a group and positions, of one sample and timestep | Wu, He 2018, arXiv:1803.08494 |
| tdbn | as batch; starts from α·v_threshold instead of 1 | Zheng et al. 2021, arXiv:2011.05280 |
| tebn | as batch; each timestep is then scaled by a learned p[t] | Duan et al. 2022, NeurIPS |
| bntt | batch and positions of one timestep, each with a norm of its own | Kim, Panda 2021, arXiv:2010.01729 |

SpikingJelly's own tdBN and TEBN run in multi-step mode only; these run in both, and are the same function in eval mode.
"""

import torch
from spikingjelly.activation_based import base, layer
from torch import Tensor, nn

from membrane.errors import ConfigError
from membrane.neurons import is_neuron

NORMS = ("batch", "none", "group", "tdbn", "tebn", "bntt")
# by the number of dimensions; features alone, [N,F], are normalised like one position
BATCH = (layer.BatchNorm1d, layer.BatchNorm1d, layer.BatchNorm2d)
THROUGH_TIME = (layer.BatchNormThroughTime1d, layer.BatchNormThroughTime1d, layer.BatchNormThroughTime2d)
GROUPS, IN_GROUP = (8, 4, 2), 4
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def make_norm(
    norm: str, dims: int, features: int, timesteps: int, v_threshold: float = 1.0, alpha: float = 1.0
) -> nn.Module | None:
    """Build a norm for [N,F] (``dims`` 0), [N,F,S] (1) or [N,F,H,W] (2); return None for ``none``.

    ``tebn`` and ``bntt`` hold parameters for each of ``timesteps``. ``v_threshold`` and ``alpha`` are for ``tdbn``: a
    residual branch takes α = 1/√2, so that the sum of two has the variance of one. ``group`` makes as many of 8, 4, 2
    or 1 groups as leave 4 features in each: a group of one feature without positions would be normalised to 0.
    Raises ConfigError for another name.
    """
    if norm not in NORMS:
        raise ConfigError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")
    if norm == "none":
        return None
    module: nn.Module
    if norm == "group":
        module = layer.GroupNorm(group_count(features), features)
    elif norm == "bntt":
        module = THROUGH_TIME[dims](timesteps, features)
    else:
        module = BATCH[dims](features)
    if norm == "tdbn":
        nn.init.constant_(module.weight, alpha * v_threshold)  # type: ignore[arg-type]
    return TemporalEffectiveBatchNorm(module, timesteps) if norm == "tebn" else module


def group_count(features: int) -> int:
    """Return the number of groups of a group norm over ``features``."""
    return next((groups for groups in GROUPS if features % groups == 0 and features // groups >= IN_GROUP), 1)


class TemporalEffectiveBatchNorm(base.MemoryModule):  # type: ignore[misc]  # SpikingJelly has no types
    """[N,F,…] or [T,N,F,…] → the same: batch norm, then timestep t scaled by the learned p[t].

    Raises IndexError for more than ``timesteps`` timesteps.
    """

    timestep: int

    def __init__(self, norm: nn.Module, timesteps: int) -> None:
        super().__init__()
        self.norm = norm
        self.scale = nn.Parameter(torch.ones(timesteps))
        self.register_memory("timestep", 0)

    def single_step_forward(self, x: Tensor) -> Tensor:
        """Normalise one timestep [N,F,…] → [N,F,…], and count it."""
        normed: Tensor = self.norm(x)
        self.timestep += 1
        return normed * self.scale[self.timestep - 1].to(normed.dtype)

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        """Normalise [T,N,F,…] → [T,N,F,…], the timesteps behind those that were counted, and count them."""
        first, self.timestep = self.timestep, self.timestep + len(x_seq)
        if self.timestep > len(self.scale):
            raise IndexError(f"TEBN has a scale for {len(self.scale)} timesteps, got {self.timestep}")
        normed: Tensor = self.norm(x_seq)
        scale = self.scale[first : self.timestep].to(normed.dtype)  # under autocast as in single-step mode
        return normed * scale.reshape(-1, *[1] * (x_seq.dim() - 1))


def set_momentum(model: nn.Module, momentum: float) -> None:
    """Let every batch norm update its running statistics r with a batch's s as (1 − momentum)·r + momentum·s.

    Single-step training updates at each timestep, multi-step training once a batch, except for norms that
    see one timestep each: ``bntt``'s and those inside neurons. Raises ConfigError if the model has no batch norm.
    """
    norms = [module for module in model.modules() if isinstance(module, BATCH_NORMS)]
    if not norms:
        raise ConfigError(f"model.bn_momentum={momentum}: the model has no batch norm: use model.norm=batch")
    for norm in norms:
        norm.momentum = momentum


def mixes_timesteps(model: nn.Module) -> bool:
    """Return whether a batch norm takes its statistics over several timesteps at once in multi-step training.

    Such a model is another function there than in single-step training; in eval mode both are the same.
    """
    through_time = tuple(set(THROUGH_TIME))
    by_step = (module for module in model.modules() if isinstance(module, through_time) or is_neuron(module))
    per_timestep = {norm for module in by_step for norm in module.modules()}
    return any(isinstance(module, BATCH_NORMS) and module not in per_timestep for module in model.modules())
