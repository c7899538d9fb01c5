"""Hydra's sweeper for `sweep=optuna`; `membrane.sweep.search` does its work."""

from collections.abc import Sequence
from typing import Any

# hydra-core 1.3.8: the loader of configurations that Hydra hands to plugins has no public class
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Searches for the best values instead of trying all. Its settings are read and checked when the sweep begins."""

    def __init__(self, **settings: Any) -> None:
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the configuration and make the launcher; Hydra calls this first."""
        from hydra.core.plugins import Plugins

        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the whole search. Raises ConfigError if the overrides describe none."""
        from membrane.config.composer import Composer
        from membrane.sweep.processes import LauncherSettings
        from membrane.sweep.search.plan import Plan
        from membrane.sweep.search.trials import run_search

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
        settings = getattr(launcher, "settings", None)  # only our launcher runs several jobs at once
        at_once = settings.jobs_at_once(plan.typical.threads) if isinstance(settings, LauncherSettings) else 1
        run_search(plan, launch, at_once)
