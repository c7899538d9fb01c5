"""Train a network, or sweep over settings; the same command goes on where it was stopped.

Nothing here imports torch before every job's configuration has been checked.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from membrane import __version__
from membrane.cli.hydra_options import hydra_options, show_by_hydra
from membrane.cli.versions import check_versions
from membrane.config.check import check, resolved
from membrane.config.composer import PRIMARY, Composer
from membrane.config.extension import extended
from membrane.config.redaction import as_yaml, published
from membrane.errors import ConfigError, one_line, printable_text
from membrane.runs.location import real_path
from membrane.runs.stopping import Stop
from membrane.schema import Config
from membrane.schema.secrets import masked_override
from membrane.sweep.folder import create_sweep_folder, refuse_foreign_multirun
from membrane.sweep.jobs import Job, jobs_of
from membrane.sweep.spread import log_spread
from membrane.sweep.task import Task, rehearsed
from membrane.tracking.log import log_to_terminal
from membrane.tracking.output import conceal

log = logging.getLogger(__name__)


def train_command(arguments: Sequence[str]) -> int:
    """Train, or print help or the configuration, and return the exit code."""
    sys.argv[1:] = arguments  # the command that runs and sweeps are recorded with
    stop = Stop()
    with log_to_terminal(), stop.handling_signals():
        check_versions()
        return launch(arguments, stop)


def launch(arguments: Sequence[str], stop: Stop) -> int:
    """Print help, the version or the configuration, or run the jobs that the arguments ask for."""
    if "--version" in arguments:  # Hydra's parser would print Hydra's
        print(f"membrane {__version__}")
        return 0
    options = hydra_options(arguments)
    if options.help:
        from membrane.cli.help import help_page

        print(help_page())
        return 0
    composer = Composer(options.config_dir)
    if options.shell_completion or options.info or options.hydra_help:
        composer.load([] if options.shell_completion else composer.add_or_override(options.overrides), RunMode.RUN)
        show_by_hydra(arguments)
        return 0
    overrides = composer.add_or_override(options.overrides)
    if options.cfg in ("hydra", "all"):
        return print_part(composer.shown(overrides, options.cfg), options.package)
    jobs, sweep = jobs_of(composer, overrides, options.multirun)
    checked = [(job, checked_or_refused(job)) for job in jobs]
    if options.cfg == "job":
        return print_config(checked[0][1], options.package)
    runnable = runnable_jobs(checked, sweep)
    if sweep:
        refuse_foreign_multirun(overrides)
        # in front of what was typed, which wins
        overrides = [f"hydra.sweep.dir={quoted(str(create_sweep_folder(arguments, runnable)))}", *overrides]
    task = Task(stop, options.config_dir, runnable)
    hand_to_hydra(composer, overrides, sweep, task)
    if task.refusal is not None:
        raise task.refusal
    if sweep:
        task.tally.log_counts()
        log_spread(runnable)
    return task.tally.exit_code()


def checked_or_refused(job: Job) -> Config | ConfigError:
    """Return a job's checked configuration, or why it is refused."""
    try:
        config = check(extended(resolved(job.config), job.overrides))
        conceal(config.environment)
        return config
    except ConfigError as error:
        return error


def print_config(config: Config | ConfigError, package: str | None) -> int:
    """Print a job's checked configuration, defaults included, secrets masked: `--cfg job`."""
    if isinstance(config, ConfigError):
        raise config
    return print_part(published(config), package)


def print_part(config: Any, package: str | None) -> int:
    """Print a configuration, or the part of it that ``--package`` names."""
    for key in (package or "").split(".") if package not in (None, "_global_") else []:
        if not isinstance(config, dict) or key not in config:
            raise ConfigError(f"--package {package}: no such part of the configuration")
        config = config[key]
    text = as_yaml(config).rstrip() if isinstance(config, dict) else str(config)
    print(*map(printable_text, text.split("\n")), sep="\n")
    return 0


def runnable_jobs(checked: Sequence[tuple[Job, Config | ConfigError]], sweep: bool) -> list[tuple[Job, Config]]:
    """Return the jobs that can run. Raises ConfigError if any cannot, after a line for each one of a sweep.

    With ``keep_going`` those of a sweep that cannot are left out. Raises DataError if a single run's folder is damaged.
    """
    built = [(job, rehearsed(config)) for job, config in checked]
    refused = [(job, error) for job, error in built if not isinstance(error, Config)]
    runnable = [(job, config) for job, config in built if isinstance(config, Config)]
    if not sweep and refused:
        raise refused[0][1]
    outright = [str(real_path(Path(config.paths.run))) for _, config in runnable if config.paths.run is not None]
    if len(outright) > len(set(outright)):
        raise ConfigError(f"paths.run={outright[0]} cannot hold several runs; leave it out of a sweep")
    for job, error in refused:
        log.error("refused: %s: %s", " ".join(map(masked_override, job.overrides)), error)
    if refused and not (runnable and runnable[0][1].keep_going):
        raise ConfigError(
            f"{len(refused)} of {len(built)} jobs refused, none started; keep_going=true starts the others"
        )
    return runnable


def quoted(text: str) -> str:
    """Return a text as Hydra reads it back, whatever is in it."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text=text, quote=Quote.single).with_quotes()


def hand_to_hydra(composer: Composer, overrides: list[str], sweep: bool, task: Task) -> None:
    """Let Hydra run the jobs, from the files that the composer has read already. Raises ConfigError for its errors."""
    # hydra-core 1.3: its main would read all files anew, and has no way to be given a loader
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    hydra = Hydra(PRIMARY, composer.loader)
    GlobalHydra.instance().initialize(hydra)
    try:
        if sweep:
            hydra.multirun(PRIMARY, task, [*overrides, "hydra.mode=MULTIRUN"])
        else:
            hydra.run(PRIMARY, task, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None
    finally:
        GlobalHydra.instance().clear()
