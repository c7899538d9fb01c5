"""The fast paths that a run takes by default on the CPU."""

from torch import nn

from membrane.fast.fused import fuse
from membrane.fast.max_pool import pool_in_one_pass
from membrane.fast.stem_once import run_stem_once
from membrane.fast.timesteps_at_once import run_timesteps_at_once


def take_fast_paths(
    model: nn.Module, fused: bool = True, stem_once: bool = True, timesteps_at_once: bool = True
) -> None:
    """Let a model take the fast paths of these settings of the trainer; classes, names and hooks stay as they are.

    The order counts: a layer of the stem that is computed once is computed as it was replaced before.
    """
    if fused:
        fuse(model)
        pool_in_one_pass(model)
    if stem_once:
        run_stem_once(model)
    if timesteps_at_once:
        run_timesteps_at_once(model)
