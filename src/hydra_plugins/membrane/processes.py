"""Hydra's launcher for `hydra/launcher=processes`; `membrane.sweep.launcher` does its work."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from membrane.sweep.launcher import JobsInProcesses
from membrane.sweep.processes import launcher_settings
from membrane.sweep.task import Task


class ProcessesLauncher(Launcher):
    """Runs each job of a sweep in a fresh process, so that none can end or slow the others."""

    def __init__(self, **settings: Any) -> None:
        self.settings = launcher_settings(settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare to launch jobs, with what Hydra hands to every launcher."""
        assert isinstance(task_function, Task)
        self.jobs = JobsInProcesses(self.settings, hydra_context.config_loader, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs and return each one's result."""
        return self.jobs.launch(job_overrides, initial_job_idx)
