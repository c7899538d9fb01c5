"""Jobs in processes of their own: several at once, each with a log and, where it is set, a limit of its time."""

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
from membrane.config.environment import environment_reads
from membrane.files.regular import open_regular
from membrane.runs.stopping import Stop
from membrane.schema import Settings
from membrane.schema.duration import duration_seconds
from membrane.schema.environment import FromEnvironment

LAUNCHER = "hydra_plugins.membrane.processes.ProcessesLauncher"
TIMEOUT_GRACE = 20.0
"""Seconds from SIGTERM to SIGKILL for a job that is over its time."""
STOP_GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL for a job whose sweep was told to stop; it saves meanwhile."""
POLL_INTERVAL = 0.05
"""Seconds between two looks at the processes."""


class LauncherSettings(Settings):
    """The number of jobs at once, and the time that each may take: seconds, or text such as ``30m``."""

    n_jobs: PositiveInt | None = None
    job_timeout: Annotated[float, Field(gt=0)] | str | None = None

    @field_validator("job_timeout")
    @classmethod
    def reject_zero_text(cls, timeout: float | str | None) -> float | str | None:
        """Reject text that is no duration, and one of zero."""
        if isinstance(timeout, str) and not duration_seconds(timeout):
            raise ValueError(f"expected more than no time, got {timeout!r}")
        return timeout

    def timeout_seconds(self) -> float | None:
        """Return the seconds that a job may take, or None if there is no limit."""
        return duration_seconds(self.job_timeout) if isinstance(self.job_timeout, str) else self.job_timeout

    def jobs_at_once(self, threads: int) -> int:
        """Return ``n_jobs``, by default as many jobs as have cores for so many threads each, and at least one."""
        return self.n_jobs or max(1, available_cores() // threads)


def launcher_settings(node: Mapping[str, Any]) -> LauncherSettings:
    """Return the settings in the node ``hydra.launcher``. Raises ConfigError if one is not valid."""
    with environment_reads() as reads:
        settings = {key: value for key, value in node.items() if key != "_target_"}
    with FromEnvironment(values=frozenset(value for _, value in reads if value)).hidden_in_errors():
        return validated("hydra.launcher", LauncherSettings, settings)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def job_command(arguments: Sequence[str]) -> list[str]:
    """Return membrane's command line in a fresh interpreter that does not import from the working directory."""
    return [sys.executable, "-P", "-m", "membrane", "train", *arguments]


def job_environment() -> dict[str, str]:
    """Return this process's environment, with its ``sys.path`` as PYTHONPATH: a job needs the user's classes too."""
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    path = os.pathsep.join(entry for entry in sys.path if entry and entry not in standard)
    # a crash in compiled code leaves its traceback in the log
    return {"PYTHONFAULTHANDLER": "1", **os.environ, "PYTHONPATH": path}


class ChildProcess:
    """The process of a job, in a session and a process group of its own; what it prints goes to the file ``log``.

    ``exit_code`` is None until it has ended; ``start_error`` is why the system could not start it.
    """

    def __init__(self, arguments: Sequence[str], log: Path, timeout: float | None) -> None:
        self.arguments = arguments
        self.log = log
        self.timeout = timeout
        self.deadline: float | None = None
        self.timed_out = False
        self.terminated = False
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_code: int | None = None
        self.start_error = ""

    def start(self) -> None:
        """Start the process; if the system cannot, set ``exit_code`` and ``start_error``."""
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout
        try:
            with open(self.log, "wb", opener=open_regular) as log:
                self.process = subprocess.Popen(
                    job_command(self.arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=job_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            self.start_error, self.exit_code = f"cannot be started: {error}", 1

    def poll(self) -> bool:
        """Return whether the process has ended. At its deadline it is asked to end, and killed TIMEOUT_GRACE later."""
        if self.process is None:
            return True
        self.exit_code = self.process.poll()
        if self.exit_code is not None:
            self.kill()  # what it left behind in its group
            return True
        if self.deadline is not None and time.monotonic() >= self.deadline:
            if self.terminated:
                self.kill()
            else:
                self.timed_out = True
                self.terminate(TIMEOUT_GRACE)
        return False

    def terminate(self, grace: float) -> None:
        """Send SIGTERM, upon which a run saves and ends; `poll` kills the process ``grace`` seconds later."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.terminated = True
        self.deadline = time.monotonic() + grace

    def kill(self) -> None:
        """Kill the whole process group."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                os.killpg(self.process.pid, signal.SIGKILL)

    def failure_reason(self) -> str:
        """Return in a few words how a process that failed has ended."""
        if self.start_error:
            return self.start_error
        if self.timed_out:
            return f"timed out after {self.timeout:g} s"
        if self.exit_code is not None and self.exit_code < 0:
            names = {member.value: member.name for member in signal.Signals}
            return f"killed by {names.get(-self.exit_code, f'signal {-self.exit_code}')}"
        return f"ended with exit code {self.exit_code}"

    def output_tail(self, size: int = 8000) -> str:
        """Return the last ``size`` bytes of what the process printed, as text."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - size))
                return log.read().decode(errors="replace")
        except OSError:
            return ""


def run_children(
    children: Sequence[ChildProcess], at_once: int, stop: Stop, on_end: Callable[[ChildProcess], None]
) -> None:
    """Run all processes, so many at once, and call ``on_end`` with each that has ended.

    Once ``stop`` has received a signal no further one is started, and those that run are asked to save and end. None is
    left running when this returns or raises.
    """
    waiting, running, stopping = deque(children), list[ChildProcess](), False
    try:
        while running or (waiting and not stopping):
            if stop.signum is not None and not stopping:
                stopping = True
                for child in running:
                    child.terminate(STOP_GRACE)
            while waiting and not stopping and len(running) < at_once:
                running.append(waiting.popleft())
                running[-1].start()
            for child in [child for child in running if child.poll()]:
                running.remove(child)
                on_end(child)
            time.sleep(POLL_INTERVAL)
    finally:
        for child in running:
            child.kill()
