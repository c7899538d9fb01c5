"""Jobs in processes of their own: several at once, each with a log and, where that is set, a time to end in."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt, field_validator

from membrane.config.check import validated
from membrane.runs.stopping import Stop
from membrane.schema import Settings
from membrane.schema.duration import duration_seconds

LAUNCHER = "hydra_plugins.membrane.processes.ProcessesLauncher"
AFTER_TIMEOUT = 20.0
"""Seconds that a job has to end once its time is over."""
AFTER_STOP = 30.0
"""Seconds that a job has to save and end once the sweep was told to stop."""
TICK = 0.05
"""Seconds between two looks at the processes."""


class Processes(Settings):
    """How many jobs at once, and how long each may take: seconds, or text such as ``30m``."""

    n_jobs: PositiveInt | None = None
    job_timeout: Annotated[float, Field(gt=0)] | str | None = None

    @field_validator("job_timeout")
    @classmethod
    def is_a_time(cls, said: float | str | None) -> float | str | None:
        """Refuse what is no time, and none at all."""
        if isinstance(said, str) and not duration_seconds(said):
            raise ValueError(f"expected more than no time, got {said!r}")
        return said

    def timeout(self) -> float | None:
        """Seconds that a job may take."""
        return duration_seconds(self.job_timeout) if isinstance(self.job_timeout, str) else self.job_timeout

    def at_once(self, threads: int) -> int:
        """Jobs that run at once: as many as said, or as have cores for their threads, and at least one."""
        return self.n_jobs or max(1, cores() // threads)


def settings_of(launcher: Mapping[str, Any]) -> Processes:
    """The settings in Hydra's node of the launcher. ConfigError where they cannot be."""
    return validated("hydra.launcher", Processes, {key: value for key, value in launcher.items() if key != "_target_"})


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command(arguments: Sequence[str]) -> list[str]:
    """membrane's command line in a fresh interpreter, which imports nothing from the working directory by itself."""
    return [sys.executable, "-P", "-m", "membrane", "train", *arguments]


def environment() -> dict[str, str]:
    """This process's environment, with all that it can import from on PYTHONPATH: the user's own classes too."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    path = os.pathsep.join(entry for entry in sys.path if entry and entry not in own)
    # a crash in compiled code leaves its traceback in the log
    return {"PYTHONFAULTHANDLER": "1", **os.environ, "PYTHONPATH": path}


class Child:
    """A process, at the head of a session and a group of its own, whose output goes to the file ``log``."""

    def __init__(self, arguments: Sequence[str], log: Path, timeout: float | None) -> None:
        self.arguments = arguments
        self.log = log
        self.timeout = timeout
        self.timed_out = False
        self.ending = False
        self.refused = ""
        self.code: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.deadline: float | None = None

    def start(self) -> None:
        """Start it; where the system refuses, it is over and ``refused`` says why."""
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout
        try:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    command(self.arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    start_new_session=True,
                )
        except OSError as error:
            self.refused, self.code = f"cannot be started: {error}", 1

    def over(self) -> bool:
        """Whether it has ended; what is out of time is told to end first, and killed later."""
        if self.process is None:
            return True
        self.code = self.process.poll()
        if self.code is not None:
            self.kill()  # what it left behind in its group
            return True
        if self.deadline is not None and time.monotonic() >= self.deadline:
            if self.ending:
                self.kill()
            else:
                self.timed_out = True
                self.end(AFTER_TIMEOUT)
        return False

    def end(self, grace: float) -> None:
        """Ask it to save and end; it is killed ``grace`` seconds later."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.ending = True
        self.deadline = time.monotonic() + grace

    def kill(self) -> None:
        """Kill its whole group."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                os.killpg(self.process.pid, signal.SIGKILL)

    def how(self) -> str:
        """How it ended, in a few words, where that was not well."""
        if self.refused:
            return self.refused
        if self.timed_out:
            return f"timed out after {self.timeout:g} s"
        if self.code is not None and self.code < 0:
            names = {each.value: each.name for each in signal.Signals}
            return f"killed by {names.get(-self.code, f'signal {-self.code}')}"
        return f"ended with exit code {self.code}"

    def tail(self, size: int = 8000) -> str:
        """The end of its output."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - size))
                return log.read().decode(errors="replace")
        except OSError:
            return ""


def run_all(children: Sequence[Child], at_once: int, stop: Stop, ended: Callable[[Child], None]) -> None:
    """Run all, so many at once, and say of each that it has ended; none is left behind, whatever happens.

    Once the process is told to stop, none is started any more and those that run are asked to save and end.
    """
    waiting, running, stopping = deque(children), list[Child](), False
    try:
        while running or (waiting and not stopping):
            if stop.signum is not None and not stopping:
                stopping = True
                for child in running:
                    child.end(AFTER_STOP)
            while waiting and not stopping and len(running) < at_once:
                running.append(waiting.popleft())
                running[-1].start()
            for child in [child for child in running if child.over()]:
                running.remove(child)
                ended(child)
            time.sleep(TICK)
    finally:
        for child in running:
            child.kill()
