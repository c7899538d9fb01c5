"""The way in which OpenMP's threads wait for one another, which is fixed when torch loads OpenMP."""

import os
from collections.abc import Mapping

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""A thread that waits looks for its turn so often, some hundredths of a millisecond, and then gives its core away."""


def let_waiting_threads_sleep() -> None:
    """Tell OpenMP, before torch loads it, to wait as in `WAITING`, unless the environment says how it is to wait.

    By default a thread spins, and beside another process it may keep from a core the very thread that it waits for. One
    that sleeps at once has to be woken for every small layer: then a step of batch norm, T times, took a half longer.
    """
    if not WAITING.keys() & os.environ.keys():
        os.environ.update(WAITING)


def with_own_waiting(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without `WAITING`, for programs that are to wait as they do without membrane."""
    chosen_here = WAITING.items() <= environment.items()  # one of them alone is somebody's own
    return {name: value for name, value in environment.items() if not (chosen_here and name in WAITING)}
