"""Stopping a run, by a signal or when its time is up, at the next moment that can be saved."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from membrane.errors import RESUMABLE, Stopped
from membrane.schema.duration import duration_seconds

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Pruned(Exception):
    """A search or a person asked the run to end early; its checkpoint is written."""


class Stop:
    """Receives requests to stop the process: signals, and the end of its time.

    Outside a fit a signal raises Stopped at once. Inside one it waits for a moment that can be saved: who trains calls
    ``requested`` after each step. There a second Ctrl-C raises Stopped, but not while a checkpoint is being written;
    other signals that follow the first change nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started = clock()
        self.limit: tuple[float, str] | None = None
        self.signum: int | None = None
        self.waits = False
        self.saving = False
        self.insisted = False

    def limit_to(self, max_time: str | None) -> None:
        """Request a stop so long after the start of the process; None: at no time."""
        self.limit = None if max_time is None else (duration_seconds(max_time), f"max_time={max_time}")

    def requested(self) -> Stopped | None:
        """Return what to raise once everything is saved, or None if training goes on."""
        if self.signum is not None:
            return Stopped(signal.Signals(self.signum).name, RESUMABLE, saved=True)
        if self.limit is not None and self.clock() - self.started >= self.limit[0]:
            return Stopped(self.limit[1], RESUMABLE, saved=True)
        return None

    def receive(self, signum: int, frame: Any = None) -> None:
        """Note a signal; raise Stopped unless it has to wait."""
        first, self.signum = self.signum is None, self.signum or signum
        again = signum == signal.SIGINT and not first
        self.insisted = self.insisted or (again and self.waits)
        if not self.waits or (again and not self.saving):
            raise Stopped(signal.Signals(signum).name, 128 + signum)

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Receive the process's signals inside: Lightning would turn them into its own endings."""
        before = {each: signal.signal(each, self.receive) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Keep signals waiting inside until ``requested`` is called."""
        self.waits = True
        try:
            yield
        finally:
            self.waits = False

    @contextmanager
    def writing_checkpoint(self) -> Iterator[None]:
        """Keep a second Ctrl-C waiting inside until the checkpoint is written."""
        self.saving = True
        try:
            yield
        finally:
            self.saving = False
        if self.insisted:
            raise Stopped("SIGINT", 128 + signal.SIGINT)
