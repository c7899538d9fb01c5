"""Batches built in other processes: the same batches in the same order, ahead of the step that needs them."""

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
"""Signals that a terminal or a scheduler sends to all processes of a job; only the parent reacts to them."""
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent ends
TICK = 0.1
"""Seconds between two looks at whether the workers live."""
GRACE = 1.0
"""Seconds in which a worker can end by itself before it is killed."""
LIKELY_CAUSE = {signal.SIGKILL: " (out of memory?)", signal.SIGBUS: " (is /dev/shm full?)"}


@dataclass(frozen=True)
class Workers:
    """Settings of an iteration over batches by ``count`` processes, forked at its start and ended with it.

    ``timeout`` is in seconds for each batch. ``pinned`` puts batches into pinned memory, from which a GPU copies
    asynchronously.
    """

    count: int
    timeout: float = 25.0
    pinned: bool = False

    def batches(self, build: Callable[[int], Batch], steps: range) -> Generator[Batch]:
        """Yield ``build(step)`` for each step in order.

        An exception of a worker is raised here; DataError if a worker dies, or takes longer than the timeout.
        """
        if not steps:
            return
        crew = Crew(self, build, steps)
        try:
            crew.start()
            for step in steps:
                batch = crew.receive()
                if step == steps[-1]:  # Lightning does not ask for one more, so this is the end
                    crew.close()
                yield batch
        finally:
            crew.close()


class Crew:
    """The processes of one iteration. They are torch's, but are certain to end, and report the reason."""

    def __init__(self, workers: Workers, build: Callable[[int], Batch], steps: range) -> None:
        self.timeout = workers.timeout
        self.loader: DataLoader[Any] = DataLoader(
            Steps(build),
            batch_size=None,
            sampler=steps,
            num_workers=workers.count,
            pin_memory=workers.pinned,
            timeout=TICK,
            worker_init_fn=partial(prepare_worker, os.getpid()),
            multiprocessing_context="fork",
            generator=torch.Generator(),  # otherwise it draws from the global one
        )
        self.iterator: Any = None
        self.processes: list[BaseProcess] = []
        self.received = 0
        self.awaited: int | None = None
        self.timed_out = False
        self.closed = threading.Event()

    def start(self) -> None:
        """Fork the workers. Signals that arrive meanwhile are handled after it, once ``kill`` knows all of them."""
        with deferred_signals(), kept_sigchld_handler():
            self.iterator = iter(self.loader)
            self.processes = list(self.iterator._workers)  # private to torch 2.11.0: nothing else lists them
            atexit.register(self.kill)  # multiprocessing would send SIGTERM, which they ignore, and wait for ever
        threading.Thread(target=self.watch, name="worker-watch", daemon=True).start()

    def receive(self) -> Batch:
        """Return the next batch."""
        self.awaited = self.received
        try:
            while True:
                try:
                    batch: Batch | Raised = next(self.iterator)
                    break
                except (RuntimeError, OSError, EOFError) as error:
                    self.raise_unless_waiting(error)
        finally:
            self.awaited = None
        self.received += 1
        if isinstance(batch, Raised):
            raise batch.error
        return batch

    def raise_unless_waiting(self, error: Exception) -> None:
        """Return if a batch may still come. Raises DataError for a dead or hanging worker, else the error."""
        if self.timed_out:
            pid = self.processes[self.received % len(self.processes)].pid  # torch assigns the steps in turn
            raise DataError(
                f"data worker {pid} has built no batch for {self.timeout:g} s; trainer.workers=0 shows where it hangs, "
                "a longer trainer.worker_timeout waits for what is merely slow"
            ) from None
        # a connection breaks a moment before its process is reported dead
        broken = isinstance(error, EOFError | ConnectionError)
        gone = connection.wait([process.sentinel for process in self.processes], GRACE if broken else 0)
        for dead in (process for process in self.processes if process.sentinel in gone):
            dead.join(GRACE)
            raise DataError(
                f"data worker {dead.pid} {describe_end(dead)}; trainer.workers=0 shows its own error"
            ) from None
        if not str(error).startswith("DataLoader timed out"):
            raise error

    def watch(self) -> None:
        """Kill the workers if a batch takes longer than the timeout: reading from a stopped one would never return.

        Time is counted in ticks, so that the time for which a whole job is suspended does not count.
        """
        previous, ticks = None, 0
        while not self.closed.wait(TICK):
            awaited = self.awaited
            ticks = ticks + 1 if awaited is not None and awaited == previous else 0
            previous = awaited
            if ticks * TICK >= self.timeout:
                self.timed_out = True
                self.kill()
                return

    def close(self) -> None:
        """End the workers; those that do not end by themselves within a second are killed."""
        if self.closed.is_set() or self.iterator is None:
            return
        self.closed.set()
        # Private to torch 2.11.0, which calls it in __del__ only, that is, at no certain time. In a thread, because it
        # may wait for a lock that a killed worker held.
        shutdown = threading.Thread(target=self.iterator._shutdown_workers, daemon=True)
        try:
            if not sys.is_finalizing():
                shutdown.start()
                shutdown.join(GRACE)
        finally:
            self.kill()
            atexit.unregister(self.kill)
            if shutdown.is_alive():  # of two threads that join one process, only one would be told of its end
                shutdown.join(GRACE)
            for process in self.processes:
                process.join(GRACE)

    def kill(self) -> None:
        """Send SIGKILL to the workers, which ignore other signals."""
        for process in self.processes:
            process.kill()


class Steps(Dataset[Any]):
    """Step → its batch, or the exception of building it, with the worker's traceback as a note."""

    def __init__(self, build: Callable[[int], Batch]) -> None:
        self.build = build

    def __getitem__(self, step: int) -> "Batch | Raised":
        try:
            return self.build(step)
        except Exception as error:
            note = f"in data worker {os.getpid()}, step {step}:\n{traceback.format_exc()}"
            if not is_picklable(error):
                raise  # torch raises one of the same type with the traceback as its message, or a RuntimeError
            error.add_note(note)
            return Raised(error)


@dataclass(frozen=True)
class Raised:
    """An exception that is sent from a worker."""

    error: Exception


def is_picklable(error: Exception) -> bool:
    """Return whether an exception can be pickled here and restored in another process."""
    try:
        copy.copy(error)
        ForkingPickler.dumps(error)
    except Exception:
        return False
    return True


def prepare_worker(parent: int, worker: int) -> None:
    """Set a worker up: one thread, deaf to the parent's signals, killed if the parent dies."""
    torch.set_num_threads(1)
    for signum in FOR_THE_PARENT:
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_PARENT)
    if sys.platform == "linux":  # elsewhere torch's worker checks between two batches whether its parent lives
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def describe_end(process: BaseProcess) -> str:
    """Describe how a process ended."""
    code = process.exitcode
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}{LIKELY_CAUSE.get(signal.Signals(-code), '')}"


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer signals until after the block, so that a worker forked in it receives none before it ignores them.

    Blocking them in this thread keeps them from the worker. Another thread may still receive one for this process, and
    its handler would raise in the middle of the start, so handlers only take note of signals, which are raised later.
    """
    arrived: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
    handlers = {
        signum: signal.signal(signum, lambda number, _: arrived.append(number)) for signum in FOR_THE_PARENT if main
    }
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in arrived:
            signal.raise_signal(number)


@contextmanager
def kept_sigchld_handler() -> Iterator[None]:
    """Restore the handler of SIGCHLD after the block.

    torch installs one that raises an exception when a worker dies, wherever the main thread is, in a step too.
    """
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGCHLD, before)
