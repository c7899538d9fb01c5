"""Hydra's sweeper for `sweep=optuna`; what it does is in `membrane.sweep.search`."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Searches instead of trying everything. Its settings are read, and refused, when the sweep begins."""

    def __init__(self, **settings: Any) -> None:
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's first call: what to sweep with."""
        from hydra.core.plugins import Plugins

        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's second call: the whole sweep. ConfigError where it is none."""
        from membrane.config.composer import Composer
        from membrane.sweep.processes import LauncherSettings
        from membrane.sweep.search.plan import Plan
        from membrane.sweep.search.trials import search

        assert self.config is not None
        assert self.hydra_context is not None
        launcher = self.launcher
        assert launcher is not None
        loader = self.hydra_context.config_loader
        assert isinstance(loader, ConfigLoaderImpl)
        composer = Composer()
        composer.loader = loader

        def launch(jobs: Sequence[Sequence[str]], first: int) -> Sequence[Any]:
            return launcher.launch(jobs, initial_job_idx=first)

        plan = Plan.of(composer, self.config, arguments)
        together = getattr(launcher, "settings", None)
        search(
            plan, launch, together.jobs_at_once(plan.typical.threads) if isinstance(together, LauncherSettings) else 1
        )
