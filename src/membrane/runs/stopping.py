"""How a run is stopped: by a signal or by the time that it was given, at the next moment that can be saved."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from membrane.schema.duration import seconds

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stopped(BaseException):
    """The process was told to stop; ``saved`` says whether the run can go on from a checkpoint."""

    def __init__(self, why: str, code: int, saved: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.code = 75 if saved else code

    @property
    def saved(self) -> bool:
        """Whether starting it again continues it."""
        return self.code == 75


class Pruned(Exception):
    """Whoever watches the run asked it to end early; its checkpoint is written."""


class Stop:
    """Whether the process was told to stop.

    Outside a fit a signal raises Stopped at once. Inside one it waits for a moment that can be saved: who trains looks
    at ``asked`` after each step. There a second Ctrl-C raises Stopped, but not while a checkpoint is being written;
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

    def within(self, max_time: str | None) -> None:
        """Stop so long after the start of the process."""
        self.limit = None if max_time is None else (seconds(max_time), f"max_time={max_time}")

    def asked(self) -> Stopped | None:
        """What to raise once everything is saved; None where training goes on."""
        if self.signum is not None:
            return Stopped(signal.Signals(self.signum).name, 128 + self.signum, saved=True)
        if self.limit is not None and self.clock() - self.started >= self.limit[0]:
            return Stopped(self.limit[1], 75, saved=True)
        return None

    def receive(self, signum: int, frame: Any = None) -> None:
        """A signal has come."""
        first, self.signum = self.signum is None, self.signum or signum
        again = signum == signal.SIGINT and not first
        self.insisted = self.insisted or (again and self.waits)
        if not self.waits or (again and not self.saving):
            raise Stopped(signal.Signals(signum).name, 128 + signum)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, signals are ours: Lightning would turn them into its own endings."""
        before = {each: signal.signal(each, self.receive) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, signals wait for who looks at ``asked``."""
        self.waits = True
        try:
            yield
        finally:
            self.waits = False

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Inside a checkpoint is written: a second Ctrl-C takes effect after it."""
        self.saving = True
        try:
            yield
        finally:
            self.saving = False
        if self.insisted:
            raise Stopped("SIGINT", 128 + signal.SIGINT)
