"""Settings that no machine could follow: the process would be ended by a signal, or the machine would stand still."""

import os
from collections.abc import Callable

from membrane.schema import Config

SERVER = 1024
"""Threads or processes that a large server has: a run of one is evaluated on any other machine."""


def most_at_once() -> int:
    """Return the number of threads, and of processes, that are not refused here."""
    return max(SERVER, 4 * (os.cpu_count() or 1))


def refuse_too_many_threads(config: Config) -> str | None:
    """Refuse more threads than any machine has."""
    if config.threads <= most_at_once():
        return None
    return f"threads={config.threads}: this machine has {os.cpu_count()} cores, at most {most_at_once()} are tried"


def refuse_too_many_workers(config: Config) -> str | None:
    """Refuse more worker processes than any machine has."""
    workers = config.trainer.workers
    if workers <= most_at_once():
        return None
    return f"trainer.workers={workers}: this machine has {os.cpu_count()} cores, at most {most_at_once()} are tried"


MACHINE_RULES: tuple[Callable[[Config], str | None], ...] = (refuse_too_many_threads, refuse_too_many_workers)
"""These rules, in the order in which they are asked."""
