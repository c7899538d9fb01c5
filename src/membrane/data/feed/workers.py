"""Batches built in other processes: the same ones, in the same order, ahead of the step that needs them."""

import atexit
import copy
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from membrane.data.feed.batch import Batch
from membrane.errors import DataError

FOR_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""What a terminal or a scheduler sends to all processes of a job: the parent alone decides what it means."""
PR_SET_PDEATHSIG = 1
TICK = 0.1
"""Seconds after which it is looked again whether the workers live."""
GRACE = 1.0
"""Seconds that a worker has to end by itself before it is killed."""
LIKELY = {signal.SIGKILL: " (out of memory?)", signal.SIGBUS: " (is /dev/shm full?)"}


@dataclass(frozen=True)
class Workers:
    """``count`` processes for an iteration over batches, forked when it starts, gone when it ends, however it ends.

    DataError where one dies, or where a batch is waited for longer than ``timeout`` s. ``pinned``: batches lie in
    pinned memory, from which a GPU copies without waiting.
    """

    count: int
    timeout: float = 25.0
    pinned: bool = False

    def batches(self, build: Callable[[int], Batch], steps: range) -> Generator[Batch]:
        """``build(step)`` for each step in order; what it raises in a worker is raised here."""
        if not steps:
            return
        crew = Crew(self, build, steps)
        try:
            crew.start()
            for step in steps:
                batch = crew.receive()
                if step == steps[-1]:  # Lightning asks for no more than there are, so this is the end
                    crew.close()
                yield batch
        finally:
            crew.close()


class Crew:
    """The processes of one iteration: torch's, but they end for sure and say why."""

    def __init__(self, workers: Workers, build: Callable[[int], Batch], steps: range) -> None:
        self.timeout = workers.timeout
        self.loader: DataLoader[Any] = DataLoader(
            Steps(build),
            batch_size=None,
            sampler=steps,
            num_workers=workers.count,
            pin_memory=workers.pinned,
            timeout=TICK,
            worker_init_fn=partial(settle, os.getpid()),
            multiprocessing_context="fork",
            generator=torch.Generator(),  # otherwise it draws from the global one
        )
        self.iterator: Any = None
        self.processes: list[BaseProcess] = []
        self.received = 0
        self.awaited: int | None = None
        self.late = False
        self.closed = threading.Event()

    def start(self) -> None:
        """Fork. A signal that comes meanwhile is heard after it, when all are known that must be ended."""
        with held_back(), nobody_told_of_deaths():
            self.iterator = iter(self.loader)
            self.processes = list(self.iterator._workers)
            atexit.register(self.kill)  # multiprocessing would send SIGTERM and wait for ever
        threading.Thread(target=self.watch, name="worker-watch", daemon=True).start()

    def receive(self) -> Batch:
        """The next batch."""
        self.awaited = self.received
        try:
            while True:
                try:
                    batch: Batch | Raised = next(self.iterator)
                    break
                except (RuntimeError, OSError, EOFError) as error:
                    self.refuse(error)
        finally:
            self.awaited = None
        self.received += 1
        if isinstance(batch, Raised):
            raise batch.error
        return batch

    def refuse(self, error: Exception) -> None:
        """Return where a batch may still come; else DataError for a dead or hanging worker, or the error itself."""
        if self.late:
            pid = self.processes[self.received % len(self.processes)].pid  # torch hands out the steps in turn
            raise DataError(
                f"data worker {pid} has built no batch for {self.timeout:g} s; trainer.workers=0 shows where it hangs, "
                "a longer trainer.worker_timeout waits for what is merely slow"
            ) from None
        # A connection breaks a moment before the process at its other end can be seen to be dead.
        broken = isinstance(error, EOFError | ConnectionError)
        gone = connection.wait([each.sentinel for each in self.processes], GRACE if broken else 0)
        for dead in (each for each in self.processes if each.sentinel in gone):
            dead.join(GRACE)
            raise DataError(f"data worker {dead.pid} {end(dead)}; trainer.workers=0 shows its own error") from None
        if not str(error).startswith("DataLoader timed out"):
            raise error

    def watch(self) -> None:
        """Kill workers that keep the run waiting: reading from one that is stopped would never return.

        Counts its own ticks: a whole job that is suspended and continued was not waiting meanwhile.
        """
        seen, ticks = None, 0
        while not self.closed.wait(TICK):
            awaited = self.awaited
            ticks = ticks + 1 if awaited is not None and awaited == seen else 0
            seen = awaited
            if ticks * TICK >= self.timeout:
                self.late = True
                self.kill()
                return

    def close(self) -> None:
        """End the workers: those that do not end by themselves at once are killed."""
        if self.closed.is_set() or self.iterator is None:
            return
        self.closed.set()
        # In a thread, because torch's own end may wait for a lock that a killed worker held.
        farewell = threading.Thread(target=self.iterator._shutdown_workers, daemon=True)
        try:
            if not sys.is_finalizing():
                farewell.start()
                farewell.join(GRACE)
        finally:
            self.kill()
            atexit.unregister(self.kill)
            if farewell.is_alive():  # of two threads that wait for one process, only one hears of its end
                farewell.join(GRACE)
            for each in self.processes:
                each.join(GRACE)

    def kill(self) -> None:
        """SIGKILL to all of them: they ignore the others."""
        for each in self.processes:
            each.kill()


class Steps(Dataset[Any]):
    """Step → its batch, or what was raised instead, with its traceback as a note."""

    def __init__(self, build: Callable[[int], Batch]) -> None:
        self.build = build

    def __getitem__(self, step: int) -> "Batch | Raised":
        try:
            return self.build(step)
        except Exception as error:
            note = f"in data worker {os.getpid()}, step {step}:\n{traceback.format_exc()}"
            if not travels(error):
                raise  # torch makes one of the same type that tells of it, or a RuntimeError
            error.add_note(note)
            return Raised(error)


@dataclass(frozen=True)
class Raised:
    """An exception on its way from a worker."""

    error: Exception


def travels(error: Exception) -> bool:
    """Whether an exception can be taken apart here and put together elsewhere."""
    try:
        copy.copy(error)
        ForkingPickler.dumps(error)
    except Exception:
        return False
    return True


def settle(parent: int, worker: int) -> None:
    """In a worker: one thread, no signal that is meant for the parent, no life without it."""
    torch.set_num_threads(1)
    for each in FOR_THE_PARENT:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_PARENT)
    if sys.platform == "linux":  # elsewhere torch's worker looks for its parent between two batches
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def end(process: BaseProcess) -> str:
    """How a process ended."""
    code = process.exitcode
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}{LIKELY.get(signal.Signals(-code), '')}"


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, signals wait: a worker forked here gets none before it ignores them.

    Blocking them in this thread keeps them from the worker; another thread may still take one for this process, and the
    handler would raise in the middle of the start. So handlers only take note, and are told afterwards.
    """
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
    handlers = {each: signal.signal(each, lambda signum, _: came.append(signum)) for each in FOR_THE_PARENT if main}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler if handler is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for signum in came:
            signal.raise_signal(signum)


@contextmanager
def nobody_told_of_deaths() -> Iterator[None]:
    """Undo that torch makes a worker's death an exception wherever the main thread is, in the midst of a step too."""
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGCHLD, before)
